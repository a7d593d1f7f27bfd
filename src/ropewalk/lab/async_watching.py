"""Watches connections of the asynchronous API on a simulated network.

They live in the drivers of real programs instead of simulated hosts, so the oracles of
:mod:`ropewalk.sim.watching` cannot stand beside them. What can be said from outside a driver is
checked here all the same: the witness's laws of every packet, which come by an observer; an
audit of every connection at each network delivery; and what the carriers send.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final, final

from anyio import current_time

from ropewalk.observe.observer import Observer
from ropewalk.quic.endpoint import Endpoint
from ropewalk.quic.endpoint.connection_ids import RandomConnectionIds
from ropewalk.quic.endpoint.token_keys import RootTokenKeys
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import Configuration, EndpointConfiguration
from ropewalk.runtime import Connection
from ropewalk.runtime.audit import Auditor as RuntimeAuditor
from ropewalk.runtime.driver import Driver
from ropewalk.sim.batching import Coalescing
from ropewalk.sim.carrier import CarrierWatch, SimCarrier
from ropewalk.sim.host import Application, Host
from ropewalk.sim.identity import seeded_entropy
from ropewalk.sim.invariants import Violation
from ropewalk.sim.network import Network
from ropewalk.sim.oracles import Amplification, PayloadCap
from ropewalk.sim.witness import Auditor, Witness

#: What a closing connection may take, in seconds, or four probe timeouts (RFC 9000 10.2).
_PATIENCE: Final = 10.0


@final
class AsyncWatch(RuntimeAuditor, CarrierWatch):
    """All connections of one :class:`~ropewalk.lab.testbed.Testbed`.

    A law that breaks in the middle of a driver's turn would end the connection as a fault of
    the stack, so nothing is raised there: ``violations`` keeps the first of each kind and side.
    What drivers make is passed on to ``also``, another who wants to be told.
    """

    def __init__(self, network: Network) -> None:
        self.violations: list[Violation] = []
        self.also: RuntimeAuditor | None = None
        self._network = network
        self._amplification = Amplification()
        self._cap = PayloadCap(0)
        self._auditor = Auditor(self._amplification)
        self._taps: dict[tuple[bool, bytes], _Tap] = {}
        self._watched: list[_Watched] = []
        #: timeouts in a row after which the next one was due already
        self._late: dict[Driver, int] = {}
        # No hosts of the network: they lend the laws a name and a clock.
        endpoint = Endpoint(_nobody(network))
        self._client, self._server = (
            Host(network, name, endpoint, Application(), Coalescing(), name == "server")
            for name in ("client", "server")
        )

    @property
    def connections(self) -> int:
        """How many connections were watched."""
        return len(self._watched)

    def observer(self, is_client: bool, peer: Callable[[], Configuration]) -> Observer:
        """For the configuration of one side; ``peer`` tells the limits of the other side when
        a connection comes to be."""
        return _Source(self, is_client, peer)

    def allow_payload(self, size: int) -> None:
        """Some configuration allows UDP payloads of this size."""
        self._cap.limit = max(self._cap.limit, size)

    # -- what drivers make

    def on_driver(self, driver: Driver) -> None:
        """Nothing but to pass it on."""
        if self.also is not None:
            self.also.on_driver(driver)

    def on_connection(self, connection: Connection) -> None:
        """Compare the books of its witness with what it says of itself from now on."""
        if self.also is not None:
            self.also.on_connection(connection)
        core = connection.core
        tap = self._taps.get((core.is_client, core.state.original_destination_cid))
        if tap is None:
            return  # it does not belong to this testbed
        self._network.clock.run_until(current_time())
        host = self._client if core.is_client else self._server
        tap.witness.watch(self._auditor, host, core)
        self._watched.append(_Watched(connection, tap.witness, host))

    def on_timeout(self, driver: Driver) -> None:
        """No timer fires twice in the past. One successor is in order, as for
        :class:`~ropewalk.sim.oracles.Deadlines`: the probe behind a loss."""
        if self.also is not None:
            self.also.on_timeout(driver)
        now, deadline = driver.now(), driver.endpoint.deadline()
        late = self._late.get(driver, 0) + 1 if deadline <= now else 0
        self._late[driver] = late
        if late > 1:
            is_client = any(core.is_client for core in driver.connections)
            host = self._client if is_client else self._server
            self.guard(lambda: _fires_in_the_past(host.name, now, deadline))

    def tap(self, is_client: bool, original_dcid: bytes, peer: Configuration) -> Observer:
        """What watches the packets of a new connection."""
        witness = Witness("client" if is_client else "server", is_client, peer)
        tap = self._taps[is_client, original_dcid] = _Tap(witness, self.guard)
        return tap

    # -- what carriers do

    def on_send(self, carrier: SimCarrier, datagram: bytes, remote: Address) -> None:
        """A datagram leaves, and with it the packets that were sealed for it."""
        is_client = carrier.remote is not None
        for watched in self._watched:
            witness = watched.witness
            if witness.unsent and watched.core.is_client == is_client:
                witness.left(carrier.local, remote)
        host = self._client if is_client else self._server
        self.guard(lambda: self._cap.on_send(host, datagram, carrier.local, remote))
        self.guard(lambda: self._amplification.on_send(host, datagram, carrier.local, remote))

    def on_receive(self, carrier: SimCarrier, datagram: bytes, remote: Address) -> None:
        """A datagram has arrived and no driver has seen it yet: compare the books."""
        host = self._server if carrier.remote is None else self._client
        self.guard(lambda: self._amplification.on_receive(host, datagram, carrier.local, remote))
        self.audit()

    # -- comparison

    def audit(self) -> None:
        """Compare all books in which something happened."""
        dirty = self._auditor.dirty
        self._auditor.dirty = []
        for witness in dirty:
            if witness.unsent:  # a driver holds a burst, or is in the middle of its turn
                self._auditor.dirty.append(witness)
            else:
                self.guard(witness.audit)
        for watched in self._watched:
            self.guard(watched.check_ending)

    def finish(self) -> None:
        """The run is over: what must have happened by now? Call it once."""
        self.audit()
        for watched in self._watched:
            if not watched.witness.unsent:
                self.guard(watched.witness.finish)
            self.guard(watched.close_again)

    def raise_first(self) -> None:
        """Finish, and raise the first violation if there is one."""
        self.finish()
        for violation in self.violations:
            raise violation

    def guard(self, law: Callable[[], None]) -> bool:
        """Keep the violation that a law raises, if it is news. False: there was one."""
        try:
            law()
        except Violation as violation:
            known = [(each.invariant_id, each.host) for each in self.violations]
            if (violation.invariant_id, violation.host) not in known:
                self.violations.append(violation)
            return False
        return True


def _fires_in_the_past(host: str, now: float, deadline: float) -> None:
    raise Violation(
        "inv.quic.deadlines",
        host,
        now,
        f"timeouts were served twice in a row, and the next one is due at {deadline:.9f}, "
        "which is past already",
    )


@final
class _Source(Observer):
    """The observer of a configuration: one tap for each of its connections."""

    def __init__(
        self, watch: AsyncWatch, is_client: bool, peer: Callable[[], Configuration]
    ) -> None:
        self._watch = watch
        self._is_client = is_client
        self._peer = peer

    def connection(
        self, now: float, is_client: bool, original_dcid: bytes, local: str, remote: str
    ) -> Observer:
        return self._watch.tap(self._is_client, original_dcid, self._peer())


@final
class _Tap(Observer):
    """Tells the witness of packets, up to the first thing that it finds wrong: after that its
    books are worth nothing."""

    def __init__(self, witness: Witness, guard: Callable[[Callable[[], None]], bool]) -> None:
        self.witness = witness
        self._guard = guard
        self._listening = True

    def packet_sent(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        self._tell(
            lambda: self.witness.packet_sent(now, level, path_id, packet_number, size, payload)
        )

    def packet_received(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        self._tell(
            lambda: self.witness.packet_received(now, level, path_id, packet_number, size, payload)
        )

    def packets_lost(
        self, now: float, level: int, path_id: int, packet_numbers: list[int], trigger: str
    ) -> None:
        self._tell(lambda: self.witness.packets_lost(now, level, path_id, packet_numbers, trigger))

    def probe_timeout(self, now: float, level: int, path_id: int, count: int) -> None:
        self._tell(lambda: self.witness.probe_timeout(now, level, path_id, count))

    def state_changed(self, now: float, old: str, new: str) -> None:
        self._tell(lambda: self.witness.state_changed(now, old, new))

    def _tell(self, fact: Callable[[], None]) -> None:
        if self._listening:
            self._listening = self._guard(fact)


@final
class _Watched:
    """A connection, its witness, and how far its end has come."""

    def __init__(self, connection: Connection, witness: Witness, host: Host) -> None:
        self.core = connection.core
        self.witness = witness
        self._connection = connection
        self._host = host
        self._ending_since = inf

    def check_ending(self) -> None:
        """What closes or drains is closed soon, as long as a driver is there to close it."""
        core = self.core
        if core.active or core.closed or self._connection.lost:
            return
        now = self._host.now
        self._ending_since = min(self._ending_since, now)
        patience = max(_PATIENCE, 4.0 * core.state.probe_timeout())
        if now > self._ending_since + patience:
            raise Violation(
                "inv.quic.drain_to_closed",
                self._host.name,
                now,
                f"closing since {self._ending_since:.6f} s and not closed yet (RFC 9000 10.2)",
            )

    def close_again(self) -> None:
        """Closing what is closed changes nothing."""
        core = self.core
        if not core.closed:
            return
        error = core.close_error
        core.events()
        core.close(0xDEAD, "closed twice", self._host.now)
        if core.close_error is not error or not core.closed or core.events():
            raise Violation(
                "inv.quic.close_idempotent",
                self._host.name,
                self._host.now,
                "closing twice has an effect",
            )


def _nobody(network: Network) -> EndpointConfiguration:
    """An endpoint to which nothing ever comes."""
    entropy = seeded_entropy(f"{network.seed}/nobody")
    return EndpointConfiguration(
        entropy=entropy,
        wall_clock=network.wall_clock,
        connection_ids=RandomConnectionIds(entropy),
        token_keys=RootTokenKeys(entropy(32), entropy),
    )
