"""A carrier on the simulated network, so that the drivers of real sockets run on it unchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, final

from anyio import ClosedResourceError, Event, current_time
from anyio.lowlevel import checkpoint

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import Carrier, SendFailure
from ropewalk.quic.types.datagrams import Burst, Datagrams
from ropewalk.sim.batching import Coalescing, Received, gather
from ropewalk.sim.clock import Timer
from ropewalk.sim.network import Network

#: Bytes that wait for :meth:`SimCarrier.receive`; more are dropped, as by a real socket.
RECEIVE_BUFFER: Final = 8 * 1024 * 1024
#: Failures kept until somebody asks for them.
_MAX_FAILURES: Final = 64


class CarrierWatch(ABC):
    """Sees every datagram of the carriers that it is given to."""

    @abstractmethod
    def on_send(self, carrier: SimCarrier, datagram: bytes, remote: Address) -> None:
        """A datagram leaves; no link has touched it yet."""

    @abstractmethod
    def on_receive(self, carrier: SimCarrier, datagram: bytes, remote: Address) -> None:
        """A datagram has arrived, and is about to wait for the driver."""


@final
class SimCarrier(Carrier):
    """One UDP socket of a simulated machine. Made by a ``SimulatedNetwork``.

    It sends segmented bursts, gathers what arrives as GRO would (``coalescing``), and carries
    ECN marks. ``blocked`` and :meth:`fail` are for the injection of faults.
    """

    def __init__(
        self,
        network: Network,
        local: int,
        addresses: Sequence[Address],
        *,
        remote: Address | None = None,
        mtu: int = 65507,
        ecn: bool = True,
        coalescing: Coalescing | None = None,
        on_close: Callable[[SimCarrier], None] | None = None,
        watch: CarrierWatch | None = None,
    ) -> None:
        self.local = local
        self.mtu = mtu
        self.reliable = False
        self.ecn = ecn
        self.gso = True
        self.addresses = tuple(addresses)
        #: the one peer that is heard; None hears everybody
        self.remote = remote
        self.closed = False
        #: datagrams that found the receive buffer full
        self.dropped = 0
        self._network = network
        self._coalescing = coalescing or Coalescing()
        self._on_close = on_close
        self._watch = watch
        self._blocked = False
        self._arriving: list[Received] = []
        self._flush: Timer | None = None
        self._waiting: list[Received] = []
        self._waiting_bytes = 0
        self._buffers: deque[Datagrams] = deque()
        self._failures: deque[SendFailure] = deque(maxlen=_MAX_FAILURES)
        self._readable = Event()
        self._writable = Event()
        self._attachments = {
            address.ip: network.attach(address, self._arrive) for address in self.addresses
        }

    def __repr__(self) -> str:
        return f"<SimCarrier {self.addresses[0]}{' closed' if self.closed else ''}>"

    def address(self) -> Address:
        """The local address; its IP is the wildcard where there are several."""
        first = self.addresses[0]
        return first if len(self.addresses) == 1 else Address("::", first.port)

    # -- sending

    def send(self, burst: Burst) -> bool:
        """Send all of a burst, datagram by datagram; False while blocked or closed."""
        if self._blocked:
            return False
        if self.closed:
            return True
        attachment = (
            self._attachments.get(burst.local_ip) or self._attachments[self._source(burst.remote)]
        )
        self._follow()
        size = int(burst.segment_size)
        ecn = int(burst.ecn) if self.ecn else 0
        for start in range(0, len(burst.data), size):
            datagram = burst.data[start : start + size]
            if len(datagram) > self.mtu:
                self.fail(SendFailure("too-large", burst.remote, len(datagram), "too long"))
                continue
            if self._watch is not None:
                self._watch.on_send(self, datagram, burst.remote)
            attachment.send(burst.remote, datagram, ecn)
        return True

    def _source(self, remote: Address) -> str:
        """The address to send from when nobody chose one: the first of the remote's family."""
        is_v6 = ":" in remote.ip
        for ip in self._attachments:
            if (":" in ip) == is_v6:
                return ip
        return self.addresses[0].ip

    def _follow(self) -> None:
        """What the network had to do up to now comes before what is sent now."""
        self._network.clock.run_until(current_time())

    # -- receiving

    def receive(self, limit: int = 64) -> list[Datagrams]:
        """At most ``limit`` buffers, gathered from what has arrived."""
        if self._waiting:
            self._buffers.extend(gather(self._waiting, self._coalescing))
            self._waiting = []
            self._waiting_bytes = 0
        count = min(limit, len(self._buffers))
        return [self._buffers.popleft() for _ in range(count)]

    def _arrive(self, item: Received) -> None:
        if self.remote is not None and item.remote != self.remote:
            return
        if self._watch is not None:
            self._watch.on_receive(self, item.data, item.remote)
        item.local = self.local
        if self._coalescing.window == 0.0:
            self._take([item])
            return
        self._arriving.append(item)
        if self._flush is None:
            self._flush = self._network.clock.after(self._coalescing.window, self._end_window)

    def _end_window(self) -> None:
        self._flush = None
        arrived = self._arriving
        self._arriving = []
        self._take(arrived)

    def _take(self, items: list[Received]) -> None:
        for item in items:
            if self._waiting_bytes + len(item.data) > RECEIVE_BUFFER:
                self.dropped += 1
                continue
            self._waiting_bytes += len(item.data)
            self._waiting.append(item)
        self._wake_reader()

    def _wake_reader(self) -> None:
        self._readable.set()
        self._readable = Event()

    # -- faults

    @property
    def blocked(self) -> bool:
        """Whether sending would block. Set it to fill or to drain the send buffer."""
        return self._blocked

    @blocked.setter
    def blocked(self, blocked: bool) -> None:
        self._blocked = blocked
        if not blocked:
            self._writable.set()
            self._writable = Event()

    def fail(self, failure: SendFailure) -> None:
        """Report a failure, as the system does for a send or after an ICMP message."""
        self._failures.append(failure)
        self._wake_reader()

    def failures(self) -> list[SendFailure]:
        """The failures since the last call."""
        failures = list(self._failures)
        self._failures.clear()
        return failures

    # -- waiting

    async def readable(self) -> None:
        """Wait for a datagram or a failure. Raises ``anyio.ClosedResourceError`` once closed."""
        if self.closed or self._waiting or self._buffers or self._failures:
            await checkpoint()
        else:
            await self._readable.wait()
        if self.closed:
            raise ClosedResourceError

    async def writable(self) -> None:
        """Wait while blocked. Raises ``anyio.ClosedResourceError`` once closed."""
        while self._blocked and not self.closed:
            await self._writable.wait()
        if self.closed:
            raise ClosedResourceError

    def close(self) -> None:
        """Give the addresses back; who waits is told. Idempotent."""
        if self.closed:
            return
        self.closed = True
        if self._flush is not None:
            self._flush.cancel()
        for attachment in self._attachments.values():
            attachment.detach()
        self._waiting.clear()
        self._buffers.clear()
        self._wake_reader()
        self._writable.set()
        if self._on_close is not None:
            self._on_close(self)
