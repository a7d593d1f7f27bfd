"""Drives one sans-IO endpoint: carriers below, tasks above, one timer."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from math import inf
from typing import Final, final

from anyio import CancelScope, ClosedResourceError, Event, current_time, move_on_after
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ropewalk.quic.connection import Connection as CoreConnection
from ropewalk.quic.endpoint import Endpoint, Incoming
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import Carrier
from ropewalk.quic.types.configuration import Configuration, EndpointConfiguration
from ropewalk.quic.types.datagrams import Burst
from ropewalk.quic.types.local import ADDED, BLOCKED, REMOVED, SEND_FAILED, WRITABLE, LocalChange
from ropewalk.runtime.application import ApplicationFactory
from ropewalk.runtime.audit import current_auditor
from ropewalk.runtime.connection import Connection
from ropewalk.runtime.nest import nest
from ropewalk.runtime.signal import Signal

_logger: Final = logging.getLogger("ropewalk.runtime")
#: Receive buffers (up to 64 kB each) taken in one turn, and bursts sent in one turn. They
#: bound how long other tasks wait: about a millisecond of work.
_BUFFERS_PER_TURN: Final = 8
_BURSTS_PER_TURN: Final = 16
#: Selectors round sleeps up to this anyway; no deadline makes the timer turn faster.
_SHORTEST_SLEEP: Final = 0.001


@final
class Port:
    """One carrier in use, with the bursts that the system did not take yet."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        # Shielded: when the owner is cancelled, the drain still needs to send and receive.
        self.receiving = CancelScope(shield=True)
        self.sending = CancelScope(shield=True)
        self.held: deque[Burst] = deque()
        self.blocked = Signal()


@final
class Driver:
    """Moves datagrams between an endpoint and its carriers, and events to waiting tasks.

    The endpoint is touched from plain functions only, never across an await, so no lock is
    needed. The event loop is entered once per batch of datagrams.
    """

    def __init__(
        self,
        configuration: EndpointConfiguration,
        on_incoming: Callable[[Incoming, float], None] | None = None,
    ) -> None:
        self.endpoint = Endpoint(configuration)
        self.connections: dict[CoreConnection, Connection] = {}
        self._on_incoming = on_incoming
        self._ports: dict[int, Port] = {}
        self._held = 0
        self._unfinished = False
        self._handing_out = False
        self._gone = Signal()
        self._watchers: list[Signal] = []
        self._timer_scope = CancelScope(shield=True)
        #: what the timer task sleeps until; -inf while it is awake and will look anyway
        self._armed = -inf
        self._wake = Event()
        self._tasks: TaskGroup | None = None
        self._auditor = current_auditor.get()
        if self._auditor is not None:
            self._auditor.on_driver(self)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[TaskGroup]:
        """Own the driver's tasks for the length of the body.

        At its end every connection that is still there is told, and every carrier closed.
        """
        try:
            async with nest() as tasks:
                self._tasks = tasks
                tasks.start_soon(self._run_timer, name="ropewalk timer")
                try:
                    yield tasks
                finally:
                    self._stop()
        finally:
            left = self.leftovers()
            if left:
                _logger.error("a fault of Ropewalk's own: a driver has left %s", ", ".join(left))

    def leftovers(self) -> list[str]:
        """What is held still, in words; after :meth:`running` that must be nothing."""
        left = [f"the carrier at {port.carrier.address()}" for port in self._ports.values()]
        left += [f"{connection} among its connections" for connection in self.connections.values()]
        left += [f"{core} open" for core in self.endpoint.connections() if core.active]
        if self._held:
            left.append(f"bursts held for blocked carriers ({self._held})")
        if self._watchers:
            left.append(f"watchers of progress ({len(self._watchers)})")
        return left

    def now(self) -> float:
        """The clock of the core: the event loop's."""
        return current_time()

    # -- carriers

    def add(self, carrier: Carrier) -> Port:
        """Use a carrier from now on, and own it."""
        if self._tasks is None:
            raise RuntimeError("the driver is not running")
        port = self._ports[carrier.local] = Port(carrier)
        self.endpoint.on_local(carrier.local, LocalChange(ADDED), self.now())
        self._tasks.start_soon(self._run_receiver, port, name="ropewalk receiver")
        self._tasks.start_soon(self._run_sender, port, name="ropewalk sender")
        return port

    def remove(self, local: int) -> None:
        """Stop using a carrier and close it. Unknown numbers do nothing."""
        port = self._ports.pop(local, None)
        if port is None:
            return
        port.receiving.cancel()
        port.sending.cancel()
        self._held -= len(port.held)
        port.held.clear()
        port.carrier.close()
        self.endpoint.on_local(local, LocalChange(REMOVED), self.now())

    # -- connections

    def open(
        self,
        configuration: Configuration,
        remote: Address,
        local: int,
        application: ApplicationFactory | None = None,
    ) -> Connection:
        """Begin a client connection; its first flight leaves at once."""
        now = self.now()
        core = self.endpoint.open(configuration, remote, local, now)
        connection = self.adopt(core, local, application)
        self.pump(now)
        return connection

    def adopt(
        self, core: CoreConnection, local: int, application: ApplicationFactory | None = None
    ) -> Connection:
        """Route a core connection's events to a new :class:`Connection`."""
        connection = self.connections[core] = Connection(self, core, local)
        if self._auditor is not None:
            self._auditor.on_connection(connection)
        if application is not None:
            connection.install(application(connection))
        return connection

    def forget(self, core: CoreConnection) -> None:
        """The core has let go of a connection."""
        self.connections.pop(core, None)
        self._gone.notify()

    def local_address(self, local: int) -> Address:
        """The address of one of the carriers."""
        return self._ports[local].carrier.address()

    async def drain(self, limit: float) -> None:
        """Wait until all connections that this side closed are gone, at most ``limit`` s.

        Shielded: a cancelled owner still tells its peers.
        """
        with move_on_after(limit, shield=True):
            while any(connection.draining for connection in self.connections.values()):
                await self._gone.wait()

    @contextmanager
    def watch(self, signal: Signal) -> Iterator[None]:
        """Notify a signal after each turn, as acknowledgements cause no event."""
        self._watchers.append(signal)
        try:
            yield
        finally:
            self._watchers.remove(signal)

    # -- the work of one turn

    def kick(self, core: CoreConnection) -> None:
        """A task changed something on a connection: send what follows from it."""
        self.endpoint.touch(core)
        if self._handing_out:
            self._unfinished = True  # an application answers an event; see the end of pump
        else:
            self.pump(self.now())

    def pump(self, now: float) -> None:
        """Send what may be sent now, hand out events, set the timer. Bounded."""
        endpoint = self.endpoint
        if self._on_incoming is not None:
            for incoming in endpoint.incoming():
                self._on_incoming(incoming, now)
        self._unfinished = False
        if self._held < _BURSTS_PER_TURN:
            for _ in range(_BURSTS_PER_TURN):
                burst = endpoint.transmit(now)
                if burst is None:
                    break
                self._send(burst, now)
            else:
                self._unfinished = True
        for port in list(self._ports.values()):
            self._report_failures(port, now)
        self._handing_out = True
        for core in endpoint.eventful():
            connection = self.connections.get(core)
            for event in core.events():
                if connection is not None:
                    connection.handle(event)
        self._handing_out = False
        for fault in endpoint.take_faults():
            _logger.error("a fault of Ropewalk's own closed one connection", exc_info=fault)
        for signal in self._watchers:
            signal.notify()
        if self._unfinished or endpoint.deadline() < self._armed:
            self._wake.set()

    def _send(self, burst: Burst, now: float) -> None:
        port = self._ports.get(burst.local)
        if port is None:
            return  # the carrier was removed; the core will see a loss
        if not port.held and port.carrier.send(burst):
            return
        port.held.append(burst)
        self._held += 1
        self.endpoint.on_local(burst.local, LocalChange(BLOCKED), now)
        port.blocked.notify()

    def _report_failures(self, port: Port, now: float) -> None:
        for failure in port.carrier.failures():
            change = LocalChange(SEND_FAILED, failure.kind, failure.remote, failure.size)
            self.endpoint.on_local(port.carrier.local, change, now)

    # -- tasks

    async def _run_receiver(self, port: Port) -> None:
        """Receive in batches. One turn: some buffers in, the answers out, others' turn."""
        carrier = port.carrier
        endpoint = self.endpoint
        with port.receiving, suppress(ClosedResourceError):
            while True:
                batch = carrier.receive(_BUFFERS_PER_TURN)
                now = self.now()
                for datagrams in batch:
                    endpoint.receive(datagrams, now)
                # Also for an empty batch: what woke us may be a refusal to report.
                self.pump(now)
                if len(batch) < _BUFFERS_PER_TURN:
                    await carrier.readable()
                else:
                    await checkpoint()

    async def _run_sender(self, port: Port) -> None:
        """Send what the system refused to take at once, as soon as it does."""
        carrier = port.carrier
        with port.sending, suppress(ClosedResourceError):
            while True:
                if not port.held:
                    await port.blocked.wait()
                await carrier.writable()
                while port.held and carrier.send(port.held[0]):
                    port.held.popleft()
                    self._held -= 1
                if not port.held:
                    now = self.now()
                    self.endpoint.on_local(carrier.local, LocalChange(WRITABLE), now)
                    self.pump(now)

    async def _run_timer(self) -> None:
        """Keep the endpoint's one deadline, and go on with sending that was cut short."""
        with self._timer_scope:
            while True:
                self._armed = -inf
                now = self.now()
                due = self.endpoint.deadline() <= now
                if due:
                    self.endpoint.on_timeout(now)
                self.pump(now)
                if due and self._auditor is not None:
                    self._auditor.on_timeout(self)
                if self._unfinished:
                    await checkpoint()
                    continue
                # A deadline that moves away is found out at the next waking; only one that
                # comes nearer wakes us, so that acknowledgements do not re-arm anything.
                self._armed = self.endpoint.deadline()
                self._wake = Event()
                if self._armed == inf:
                    await self._wake.wait()
                else:
                    with move_on_after(max(self._armed - self.now(), _SHORTEST_SLEEP)):
                        await self._wake.wait()

    def _stop(self) -> None:
        for connection in list(self.connections.values()):
            connection.abort()
        self._timer_scope.cancel()
        for local in list(self._ports):
            self.remove(local)
