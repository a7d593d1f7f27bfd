"""``connect``: from a host's name to a connection, by Happy Eyeballs (RFC 8305)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Unpack, final

from anyio import CancelScope, Event, create_task_group, move_on_after

from ropewalk.quic.endpoint import check_configuration
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import NetworkProvider
from ropewalk.quic.types.configuration import Configuration, Verification
from ropewalk.quic.types.errors import (
    ApplicationError,
    ConfigurationError,
    ConnectionLost,
    ConnectionRefused,
    HandshakeTimeout,
    TransportError,
    Unsupported,
    VersionMismatch,
)
from ropewalk.runtime.application import ApplicationFactory
from ropewalk.runtime.connection import DRAIN_LIMIT, Connection
from ropewalk.runtime.driver import Driver
from ropewalk.runtime.network import SystemNetwork
from ropewalk.runtime.settings import (
    Pem,
    Pin,
    Settings,
    client_configuration,
    endpoint_configuration,
    fit,
)

#: RFC 8305 5: the next address is tried when this many seconds brought no answer.
_ATTEMPT_DELAY: Final = 0.25


@asynccontextmanager
async def connect(
    host: str,
    port: int,
    *,
    alpn: str | Iterable[str],
    ca: Pem | None = None,
    pin: Pin | Iterable[Pin] | None = None,
    verification: Verification | None = None,
    server_name: str | None = None,
    error_code: int = 1,
    application: ApplicationFactory | None = None,
    network: NetworkProvider | None = None,
    **settings: Unpack[Settings],
) -> AsyncIterator[Connection]:
    """Open a connection and own it for the length of the ``async with``.

    ``alpn`` names the application protocols in order of preference. Whom to trust: the
    system's roots unless ``ca`` (a PEM file's path, or PEM bytes), ``pin`` (SHA-256 of the
    server's public key) or a ``verification`` is given; ``server_name`` replaces ``host`` in
    that check. Further keywords are those of :class:`Settings`. All addresses of the host
    are tried, 250 ms apart, and the first completed handshake wins. An ``application`` is
    made for each of these connections and sees its events first (see
    :class:`~ropewalk.runtime.application.Application`).

    Leaving the body waits until finished streams are acknowledged, closes with code 0 (or
    the application's own for no error) and drains; left by an exception or cancelled, it
    closes at once with ``error_code``. Cancelled while connecting, nothing is left behind.

    Raises ``ConfigurationError``, :exc:`ConnectionRefused` at once where the system says
    that nobody listens, :exc:`HandshakeTimeout`, :exc:`HandshakeError` and the other
    subclasses of :exc:`ConnectionLost`.
    """
    configuration = client_configuration(host, alpn, ca, pin, verification, server_name, **settings)
    check_configuration(configuration, is_client=True)
    network = SystemNetwork() if network is None else network
    addresses = interleave(await network.resolve(host, port))
    driver = Driver(endpoint_configuration(configuration))
    async with driver.running():
        race = _Race(driver, network, configuration, addresses, application)
        connection = await race.run()
        if connection is None:
            raise explain(race.errors, host, port, configuration.handshake_timeout)
        connection.error_code = error_code
        try:
            async with connection:
                yield connection
        finally:
            await driver.drain(DRAIN_LIMIT)


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """Alternate the address families, beginning with the first one's (RFC 8305 4)."""
    if not addresses:
        return []
    first_is_v6 = ":" in addresses[0].ip
    first = [address for address in addresses if (":" in address.ip) == first_is_v6]
    second = [address for address in addresses if (":" in address.ip) != first_is_v6]
    ordered: list[Address] = []
    for index in range(max(len(first), len(second))):
        ordered += first[index : index + 1]
        ordered += second[index : index + 1]
    return ordered


@final
class _Race:
    """Handshakes with all addresses of a host, started one after the other."""

    def __init__(
        self,
        driver: Driver,
        network: NetworkProvider,
        configuration: Configuration,
        addresses: Sequence[Address],
        application: ApplicationFactory | None,
    ) -> None:
        self._driver = driver
        self._network = network
        self._configuration = configuration
        self._addresses = addresses
        self._application = application
        self._winner: Connection | None = None
        self._unfit: ConfigurationError | Unsupported | None = None
        self.errors: list[tuple[Address, ConnectionLost]] = []

    async def run(self) -> Connection | None:
        """The first connection whose handshake completed; None when all have failed.

        A setting that one address shows to be wrong ends the race with its error.
        """
        async with create_task_group() as attempts:
            for local, address in enumerate(self._addresses):
                over = Event()
                attempts.start_soon(self._attempt, local, address, over, attempts.cancel_scope)
                with move_on_after(_ATTEMPT_DELAY):
                    await over.wait()
        if self._winner is None and self._unfit is not None:
            raise self._unfit
        return self._winner

    async def _attempt(self, local: int, address: Address, over: Event, race: CancelScope) -> None:
        driver = self._driver
        connection: Connection | None = None
        try:
            carrier = self._network.connect(address, local)
            driver.add(carrier)
            configuration = fit(self._configuration, carrier)
            connection = driver.open(configuration, address, local, self._application)
            await connection.wait_handshake()
            if self._winner is None:
                self._winner = connection
                race.cancel()
        except ConnectionLost as error:
            self.errors.append((address, error))
        except (ConfigurationError, Unsupported) as error:
            # Out of a task group it would come wrapped in an exception group.
            self._unfit = error
            race.cancel()
        finally:
            if self._winner is not connection or connection is None:
                if connection is not None:
                    connection.abort()
                driver.remove(local)
            over.set()


def explain(
    errors: Sequence[tuple[Address, ConnectionLost]],
    host: str,
    port: int,
    timeout: float,
) -> ConnectionLost:
    """One error for a race that nobody won: the most telling one, with the way out of it."""
    where = str(Address(host, port))
    tried = ", ".join(str(address) for address, _ in errors)
    # A peer that answered, if only to refuse, says more than one that did not.
    for _, error in errors:
        if isinstance(error, (TransportError, ApplicationError, VersionMismatch)):
            error.add_note(f"while connecting to {where} ({tried})")
            return error
    causes = [error for _, error in errors]
    explained: ConnectionLost
    if any(isinstance(error, HandshakeTimeout) for error in causes):
        explained = HandshakeTimeout(
            f"no handshake with {where} within {timeout:g} seconds (tried {tried}); "
            "check the address, that the server runs, and that no firewall drops UDP"
        )
    elif any(isinstance(error, ConnectionRefused) for error in causes):
        explained = ConnectionRefused(
            f"nobody listens at {where}: the system reports that UDP to {tried} is refused; "
            "check the port, and that the server runs"
        )
    else:
        explained = ConnectionLost(f"cannot connect to {where}: {causes[-1]}")
    explained.__cause__ = causes[-1]
    return explained
