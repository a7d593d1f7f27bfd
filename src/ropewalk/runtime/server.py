"""``serve``: a handler per connection, under one roof."""

from __future__ import annotations

import errno
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Unpack, final

from anyio import get_cancelled_exc_class
from anyio.abc import TaskGroup

from ropewalk.quic.endpoint import Incoming, check_configuration
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import Carrier, NetworkProvider
from ropewalk.quic.types.configuration import Configuration, EndpointConfiguration
from ropewalk.quic.types.errors import (
    ApplicationError,
    ConfigurationError,
    ConnectionLost,
    StopSending,
    StreamReset,
)
from ropewalk.quic.types.identity import CredentialStore
from ropewalk.runtime.application import ApplicationFactory
from ropewalk.runtime.connection import DRAIN_LIMIT, Connection
from ropewalk.runtime.driver import Driver
from ropewalk.runtime.nest import nest
from ropewalk.runtime.network import SystemNetwork
from ropewalk.runtime.settings import (
    Pem,
    Settings,
    endpoint_configuration,
    fit,
    server_configuration,
)

Handler = Callable[[Connection], Awaitable[object]]

_logger = logging.getLogger("ropewalk.runtime")


@asynccontextmanager
async def serve(
    handler: Handler,
    host: str | None,
    port: int,
    *,
    alpn: str | Iterable[str],
    certificate: Pem | None = None,
    key: Pem | None = None,
    credentials: CredentialStore | None = None,
    retry: bool | None = None,
    max_connections: int = 10_000,
    max_half_open: int = 1_000,
    error_code: int = 1,
    application: ApplicationFactory | None = None,
    root_secret: bytes | None = None,
    network: NetworkProvider | None = None,
    **settings: Unpack[Settings],
) -> AsyncIterator[Server]:
    """Listen, and run ``handler(connection)`` in a task for each connection.

    ``host`` may have several addresses, all of which are served; None means all of this
    machine. Port 0 lets the system choose; :attr:`Server.address` tells. ``certificate`` and
    ``key`` are paths or PEM bytes. ``retry`` makes clients prove their address first: always,
    never, or (None) once half of ``max_half_open`` handshakes are under way. Workers that
    share a ``root_secret`` accept each other's tokens. An ``application`` is made for each
    connection and sees its events first. Further keywords are those of
    :class:`Settings`.

    The handler runs once the handshake is complete. When it returns, its connection is
    closed with code 0 after everything sent was acknowledged. When it raises, only its
    connection closes: with the error's own code for an :exc:`ApplicationError`, with
    ``error_code`` otherwise, and the error is logged. Errors that tell what the peer did (it
    left, it reset or stopped a stream) are logged in one line, without a traceback.

    Leaving the body cancels the handlers, tells all peers, drains, and closes the sockets.

    Raises ``ConfigurationError`` for unreadable files, unfit settings and a taken port.
    """
    configuration = server_configuration(alpn, certificate, key, credentials, **settings)
    check_configuration(configuration, is_client=False)
    server = Server(
        handler,
        configuration,
        endpoint_configuration(
            configuration,
            accept=True,
            root_secret=root_secret,
            max_connections=max_connections,
            max_half_open=max_half_open,
        ),
        retry,
        error_code,
        application,
    )
    carriers = await _bind(SystemNetwork() if network is None else network, host, port)
    async with server.driver.running():
        try:
            async with nest() as handlers:
                server.start(carriers, handlers)
                yield server
        finally:
            server.close_all()
            await server.driver.drain(DRAIN_LIMIT)


@final
class Server:
    """A running server. Made by :func:`serve`, which owns it."""

    def __init__(
        self,
        handler: Handler,
        configuration: Configuration,
        endpoint: EndpointConfiguration,
        retry: bool | None,
        error_code: int,
        application: ApplicationFactory | None,
    ) -> None:
        self.driver = Driver(endpoint, self._on_incoming)
        #: Where the server listens, one address for each socket.
        self.addresses: tuple[Address, ...] = ()
        self._handler = handler
        self._configuration = configuration
        self._max_half_open = endpoint.max_half_open
        self._retry = retry
        self._error_code = error_code
        self._application = application
        self._handlers: TaskGroup | None = None
        self._half_open = 0

    @property
    def address(self) -> Address:
        """The first of the :attr:`addresses`."""
        return self.addresses[0]

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Connections that are not over, those under handshake included."""
        return tuple(each for each in self.driver.connections.values() if not each.lost)

    def start(self, carriers: list[Carrier], handlers: TaskGroup) -> None:
        """Take connections from now on."""
        self._handlers = handlers
        self.addresses = tuple(carrier.address() for carrier in carriers)
        for carrier in carriers:
            self._configuration = fit(self._configuration, carrier)
            self.driver.add(carrier)

    def close_all(self) -> None:
        """Take no more connections, and close those that are there."""
        self._handlers = None
        for connection in list(self.driver.connections.values()):
            connection.start_close(connection.no_error_code, "the server is shutting down")

    def _on_incoming(self, incoming: Incoming, now: float) -> None:
        if self._handlers is None:
            incoming.refuse(now)
        elif self._wants_retry() and not incoming.token_valid:
            incoming.retry(now)
        else:
            core = incoming.accept(self._configuration, now)
            connection = self.driver.adopt(core, incoming.local, self._application)
            connection.error_code = self._error_code
            self._half_open += 1
            self._handlers.start_soon(self._run, connection, name=f"handler of {connection}")

    def _wants_retry(self) -> bool:
        if self._retry is None:
            return self._half_open >= self._max_half_open // 2
        return self._retry

    async def _run(self, connection: Connection) -> None:
        try:
            await connection.wait_handshake()
        except ConnectionLost as error:
            _logger.info("handshake with %s failed: %s", connection.remote_address, error)
            return
        finally:
            self._half_open -= 1
        try:
            await self._handler(connection)
            await connection.flush()
            connection.start_close(connection.no_error_code, "")
        except get_cancelled_exc_class():
            connection.start_close(connection.no_error_code, "the server is shutting down")
            raise
        except Exception as error:
            self._close_after(error, connection)

    def _close_after(self, failure: Exception, connection: Connection) -> None:
        """A handler raised: close its connection, and tell who should know."""
        if _is_by_peer(failure, connection.lost):
            # A peer must not be able to fill the log with tracebacks.
            _logger.info("%s ended: %s", connection, failure)
            connection.start_close(self._error_code, "")
        elif isinstance(failure, ApplicationError) and not failure.from_peer:
            connection.start_close(failure.code, failure.reason)
        else:
            _logger.error("handler of %s failed", connection, exc_info=failure)
            connection.start_close(self._error_code, "")


def _is_by_peer(failure: BaseException, lost: bool) -> bool:
    """Whether an error, or each one of a group, only says what the peer or the network did."""
    if isinstance(failure, BaseExceptionGroup):
        return all(_is_by_peer(each, lost) for each in failure.exceptions)
    if isinstance(failure, (StreamReset, StopSending)):
        return True
    return lost and isinstance(failure, ConnectionLost)


async def _bind(network: NetworkProvider, host: str | None, port: int) -> list[Carrier]:
    """A carrier for each address of the host, all on the same port."""
    if host is None:
        return [network.bind("", port, 0)]
    # A resolver knows no port 0, and only the addresses are of interest.
    addresses = await network.resolve(host, port or 1)
    carriers: list[Carrier] = []
    try:
        for address in addresses:
            chosen = carriers[0].address().port if carriers else port
            try:
                carriers.append(network.bind(address.ip, chosen, len(carriers)))
            except ConfigurationError as error:
                if len(addresses) == 1 or not _is_absent(error):
                    raise
        if not carriers:
            raise ConfigurationError(
                f"cannot listen at {Address(host, port)}: this machine has none of its addresses; "
                "name an address of this machine, or None for all"
            )
    except BaseException:
        for carrier in carriers:
            carrier.close()
        raise
    return carriers


def _is_absent(error: ConfigurationError) -> bool:
    """Whether this machine lacks the address, as it may lack one family of a host's two."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (
        errno.EAFNOSUPPORT,
        errno.EADDRNOTAVAIL,
    )
