"""A simulated host: one sans-IO endpoint, its interfaces, an application."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64, mypyc_attr

from ropewalk.quic.connection import Connection
from ropewalk.quic.endpoint import Endpoint, Incoming
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.datagrams import Burst
from ropewalk.quic.types.events import Event
from ropewalk.quic.types.local import DOWN, UP, LocalChange
from ropewalk.sim.batching import Coalescing, Received, gather
from ropewalk.sim.clock import Occurrence
from ropewalk.sim.element import Packet
from ropewalk.sim.interface import Interface
from ropewalk.sim.invariants import Violation

if TYPE_CHECKING:
    from ropewalk.sim.network import Network

#: Bursts of one host at one instant; more means that ``transmit`` never comes to an end.
MAX_BURSTS: Final = 100_000


@mypyc_attr(allow_interpreted_subclasses=True)
class Application:
    """What runs on a host. Every hook may use the connection; the host sends afterwards."""

    def on_incoming(self, host: Host, incoming: Incoming) -> None:
        """A client knocks. Unless overridden it is ignored."""
        incoming.ignore()

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        """A connection has something to tell."""


@final
class Host:
    """One machine: an endpoint, its interfaces, an application."""

    def __init__(
        self,
        network: Network,
        name: str,
        endpoint: Endpoint,
        application: Application,
        coalescing: Coalescing,
        accepts: bool,
    ) -> None:
        self.network = network
        self.name = name
        self.endpoint = endpoint
        self.application = application
        self.coalescing = coalescing
        #: whether it takes new connections from the network
        self.accepts = accepts
        #: addresses of the interfaces by their number ("local" of the contract)
        self.addresses: list[Address] = []
        self.interfaces: list[Interface] = []
        #: every connection that was opened or accepted here, also those that are gone
        self.connections: list[Connection] = []
        self.bursts_sent: i64 = 0
        self.datagrams_sent: i64 = 0
        self.buffers_received: i64 = 0
        self.datagrams_received: i64 = 0
        self.timeouts: i64 = 0
        self._clock = network.clock
        self._waiting: list[Received] = []
        self._delivery = _Delivery(self)
        self._wakeup = _Wakeup(self)
        self._driving = False

    @property
    def now(self) -> float:
        """The virtual time."""
        return self._clock.now

    def track(self, connection: Connection) -> Connection:
        """Have the oracles watch a connection that the application accepted or opened."""
        self.connections.append(connection)
        return connection

    def act(self, action: Callable[[], None]) -> None:
        """Run application code now and send what it caused."""
        action()
        self.drive()

    def add_interface(self, address: Address) -> HostInterface:
        """For the network: see :meth:`~ropewalk.sim.network.Network.add_interface`."""
        interface = HostInterface(self, address, len(self.interfaces))
        self.interfaces.append(interface)
        self.addresses.append(address)
        return interface

    def set_interface(self, local: int, up: bool, *, tell: bool = False) -> None:
        """Take an interface down, or up again.

        While it is down all that it should send or receive is lost. The endpoint finds that
        out from its losses, unless ``tell`` informs it as a link monitor would.
        """
        self.interfaces[local].up = up
        if tell:
            self.endpoint.on_local(local, LocalChange(UP if up else DOWN), self.now)
            self.drive()

    # -- what comes in

    def arrive(self, item: Received) -> None:
        """A datagram reached an interface; it is handed up after the coalescing window."""
        self._waiting.append(item)
        if not self._delivery.pending:
            self._clock.schedule(self._delivery, self.now + self.coalescing.window)

    def deliver(self) -> None:
        """Hand up what has arrived."""
        waiting = self._waiting
        self._waiting = []
        for item in waiting:
            for oracle in self.network.oracles:
                oracle.on_receive(self, item.data, item.local, item.remote)
        buffers = gather(waiting, self.coalescing)
        self.buffers_received += len(buffers)
        self.datagrams_received += len(waiting)
        for buffer in buffers:
            self.endpoint.receive(buffer, self.now)
        self.drive()

    # -- what goes out

    def drive(self) -> None:
        """Serve events, send all bursts, plan the next timeout, ask the oracles."""
        if self._driving:  # an application hook called act(): the outer drive goes on
            return
        self._driving = True
        try:
            self._serve_and_send()
        finally:
            self._driving = False
        for fault in self.endpoint.take_faults():
            raise fault
        for oracle in self.network.oracles:
            oracle.after_step(self)
        self._plan_timeout()

    def _serve_and_send(self) -> None:
        for _ in range(MAX_BURSTS):
            for incoming in self.endpoint.incoming():
                self.application.on_incoming(self, incoming)
            eventful = self.endpoint.eventful()
            for connection in eventful:
                for event in connection.events():
                    for oracle in self.network.oracles:
                        oracle.on_event(self, connection, event)
                    self.application.on_event(self, connection, event)
                self.endpoint.touch(connection)
            burst = self.endpoint.transmit(self.now)
            if burst is not None:
                self._send(burst)
            elif not eventful:
                return
        raise Violation(
            "inv.quic.deadlines", self.name, self.now, f"{MAX_BURSTS} bursts and still no end"
        )

    def _send(self, burst: Burst) -> None:
        data = burst.data
        size = burst.segment_size
        if size <= 0 or not data:
            raise Violation(
                "inv.quic.payload_cap",
                self.name,
                self.now,
                f"a burst of {len(data)} bytes in segments of {size} cannot be sent",
            )
        self.bursts_sent += 1
        interface = self.interfaces[burst.local]
        start: i64 = 0
        end: i64 = len(data)
        while start < end:
            datagram = data[start : start + size]
            start += size
            self.datagrams_sent += 1
            for oracle in self.network.oracles:
                oracle.on_send(self, datagram, burst.local, burst.remote)
            interface.send(burst.remote, datagram, burst.ecn)

    # -- time

    def _plan_timeout(self) -> None:
        deadline = self.endpoint.deadline()
        wakeup = self._wakeup
        if deadline == math.inf:
            wakeup.pending = False
        elif not wakeup.pending:
            self._plan_wakeup(deadline)
        elif deadline < wakeup.when:
            wakeup.pending = False
            self._plan_wakeup(deadline)
        # A deadline that moved away, as each ACK moves it, is planned again when the old
        # one has come: that costs less than a plan for each packet.

    def _plan_wakeup(self, deadline: float) -> None:
        self._wakeup = _Wakeup(self)
        self._clock.schedule(self._wakeup, deadline)

    def wake_up(self) -> None:
        """Serve the endpoint's timeout if it is due."""
        if self.endpoint.deadline() > self.now:
            self._plan_timeout()
            return
        self.timeouts += 1
        for oracle in self.network.oracles:
            oracle.before_timeout(self)
        self.endpoint.on_timeout(self.now)
        self.drive()


@final
class HostInterface(Interface):
    """An interface of a host, by its number."""

    def __init__(self, host: Host, address: Address, local: int) -> None:
        super().__init__(host.network, address)
        self._host = host
        self.local = local

    def take(self, packet: Packet) -> None:
        """Hand it up after the coalescing window."""
        self._host.arrive(
            Received(packet.data, packet.ecn, self.local, packet.destination.ip, packet.source)
        )


@final
class _Delivery(Occurrence):
    """The end of a host's coalescing window."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def happen(self) -> None:
        self._host.deliver()


@final
class _Wakeup(Occurrence):
    """The time at which a host's endpoint wanted to be called, when last it was planned."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def happen(self) -> None:
        self._host.wake_up()
