"""A toy network for one flow, in virtual time: a sender made of a packet space, a route and
a loss timer, a bottleneck with rate, delay, queue, loss and reordering, and a receiver.

Only recovery is real here: packets carry a chunk number instead of a stream, and ACK frames
cross as the bytes that the receiver really writes.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable

from librt.strings import BytesWriter

from ropewalk.quic.recovery.congestion.registry import make_controller
from ropewalk.quic.recovery.loss_timer import LossTimer
from ropewalk.quic.recovery.received import ReceivedPackets
from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.quic.recovery.sent_packet import OUTSTANDING, SentPacket
from ropewalk.quic.recovery.space import PacketSpace
from ropewalk.quic.types.handshake import ONE_RTT
from ropewalk.quic.wire.ack import AckFrame, parse_ack
from ropewalk.quic.wire.reader import Reader

DATAGRAM = 1200
MAX_ACK_DELAY = 0.025


class Clock:
    """Events in the order of their times; equal times in the order of their making."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(when, self.now), self._count, action))

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> None:
        while self._heap and self._heap[0][0] <= until and not done():
            self.now, _, action = heapq.heappop(self._heap)
            action()
        if not done():
            self.now = max(self.now, until)


class Link:
    """One direction: a drop-tail queue of ``queue`` bytes in front of ``rate`` bytes/s."""

    def __init__(
        self,
        clock: Clock,
        seed: int,
        *,
        rate: float = math.inf,
        delay: float = 0.0,
        queue: float = math.inf,
        loss: float = 0.0,
        duplicate: float = 0.0,
        jitter: float = 0.0,
    ) -> None:
        self.clock = clock
        self.random = random.Random(seed)
        self.rate, self.delay, self.queue = rate, delay, queue
        self.loss, self.duplicate, self.jitter = loss, duplicate, jitter
        self.up = True
        self.free_at = 0.0
        self.offered = self.dropped = self.delivered_bytes = 0

    def send(self, size: int, deliver: Callable[[], None]) -> None:
        now = self.clock.now
        self.offered += 1
        backlog = max(self.free_at - now, 0.0) * self.rate if self.rate < math.inf else 0.0
        if not self.up or backlog + size > self.queue + DATAGRAM:
            self.dropped += 1
            return
        self.free_at = max(self.free_at, now) + size / self.rate
        if self.random.random() < self.loss:
            self.dropped += 1
            return
        copies = 2 if self.random.random() < self.duplicate else 1
        for _ in range(copies):
            extra = self.random.random() * self.jitter
            self.clock.at(self.free_at + self.delay + extra, lambda: self._arrive(size, deliver))

    def _arrive(self, size: int, deliver: Callable[[], None]) -> None:
        self.delivered_bytes += size
        deliver()


class Flow:
    """Sends ``chunks`` packets' worth of data (None: without end) and checks every oracle
    of recovery as it goes."""

    def __init__(
        self,
        clock: Clock,
        forward: Link,
        backward: Link,
        *,
        congestion: str = "cubic",
        chunks: int | None = None,
        initial_rtt: float = 0.333,
    ) -> None:
        self.clock, self.forward, self.backward = clock, forward, backward
        self.controller = make_controller(congestion, DATAGRAM, None)
        self.route = RouteRecovery(self.controller, DATAGRAM, initial_rtt)
        self.space = PacketSpace(ONE_RTT, 0)
        self.timer = LossTimer()
        self.received = ReceivedPackets(MAX_ACK_DELAY)
        self.chunks = chunks
        self.next_chunk = 0
        self.waiting: list[int] = []
        self.acked_chunks = bytearray(chunks or 0)
        self.missing = chunks
        self.arrived: dict[int, int] = {}
        self.acks_sent = 0
        self.probes = 0
        self.persistent_before = 0
        self._wake_at = math.inf
        self._ack_at = math.inf
        self.rtt_peak = 0.0
        self.samples: list[tuple[float, int]] = []
        clock.at(0.0, self._wake)

    # -- what tests ask

    def done(self) -> bool:
        return self.missing == 0

    def supply(self, more: int) -> None:
        """The application writes ``more`` chunks."""
        assert self.chunks is not None
        self.chunks += more
        self.missing = (self.missing or 0) + more
        self.acked_chunks.extend(bytes(more))
        self._wake()

    def check(self) -> None:
        route, space = self.route, self.space
        outstanding = eliciting = 0
        ledger = space.ledger
        for number in range(ledger.oldest, ledger.next_packet_number):
            slot = ledger.get(number)
            if slot is not None and slot.state == OUTSTANDING and slot.in_flight:
                outstanding += slot.size
                eliciting += slot.ack_eliciting
        assert route.bytes_in_flight == outstanding >= 0
        assert space.ack_eliciting_in_flight == eliciting
        self.check_totals()

    def check_totals(self) -> None:
        route = self.route
        settled = route.bytes_acked + route.bytes_lost + route.bytes_discarded
        assert route.bytes_sent == settled + route.bytes_in_flight
        assert route.bytes_in_flight >= 0
        assert self.controller.congestion_window >= 2 * DATAGRAM
        assert route.bytes_spurious <= route.bytes_lost

    # -- the sender

    def _wake(self) -> None:
        now = self.clock.now
        due = self._deadline()
        if due <= now:
            action = self.timer.on_timeout(*self._timer_arguments(now))
            assert action.lost_in is self.space or action.application_probes > 0
            self._requeue(self.space.lost)
            for _ in range(action.application_probes):
                self._probe()
        self._transmit()

    def _transmit(self) -> None:
        now = self.clock.now
        route = self.route
        while True:
            allowed = route.can_send(now)
            if allowed == 0:
                break
            sent = 0
            while sent + DATAGRAM <= allowed:
                chunk = self._take_chunk()
                if chunk < 0:
                    route.on_app_limited(now)
                    self._arm()
                    return
                self._send(chunk)
                sent += DATAGRAM
        self._arm()

    def _take_chunk(self) -> int:
        while self.waiting:
            chunk = self.waiting.pop(0)
            if self.chunks is None or not self.acked_chunks[chunk]:
                return chunk
        if self.chunks is not None and self.next_chunk >= self.chunks:
            return -1
        self.next_chunk += 1
        return self.next_chunk - 1

    def _probe(self) -> None:
        self.probes += 1
        oldest = self.space.outstanding(1)
        chunk = self._take_chunk()
        self._send(chunk if chunk >= 0 else oldest[0].stream_offset)

    def _send(self, chunk: int) -> None:
        slot = self.space.reserve()
        slot.route = self.route
        slot.size = DATAGRAM
        slot.ack_eliciting = slot.in_flight = True
        slot.stream_id, slot.stream_offset = 0, chunk
        number = slot.packet_number
        self.space.commit(slot, self.clock.now)
        self.check_totals()
        self.forward.send(DATAGRAM, lambda: self._arrived(number, chunk))

    def _requeue(self, lost: list[SentPacket]) -> None:
        for slot in lost:
            self.waiting.append(slot.stream_offset)

    def _on_ack_bytes(self, data: bytes) -> None:
        now = self.clock.now
        frame = AckFrame()
        parse_ack(Reader(data, 1, len(data)), data[0], frame)
        self.space.on_ack(frame, frame.delay * 8e-6, now, True, MAX_ACK_DELAY)
        for slot in self.space.acked:
            chunk = slot.stream_offset
            if self.chunks is not None and not self.acked_chunks[chunk]:
                self.acked_chunks[chunk] = 1
                assert self.missing is not None
                self.missing -= 1
        self._requeue(self.space.lost)
        self.rtt_peak = max(self.rtt_peak, self.route.rtt.latest)
        self.samples.append((now, self.controller.congestion_window))
        self.check_totals()
        if len(self.samples) % 8 == 0 or (self.chunks is not None and self.chunks <= 1000):
            self.check()
        self._transmit()

    def _timer_arguments(
        self, now: float
    ) -> tuple[float, None, None, PacketSpace, RouteRecovery, bool, bool, bool, bool, bool, float]:
        return (
            now, None, None, self.space, self.route, True, True, True, True, False, MAX_ACK_DELAY,
        )  # fmt: skip

    def _deadline(self) -> float:
        return self.timer.deadline(*self._timer_arguments(self.clock.now))

    def _arm(self) -> None:
        now = self.clock.now
        when = self._deadline()
        if self.waiting or self.chunks is None or self.next_chunk < self.chunks:
            when = min(when, self.route.next_send_time(now))
        if when != self._wake_at:
            self._wake_at = when
            if when < math.inf:
                assert when > now or self.route.window_room() > 0, "a timer in the past"
                self.clock.at(when, lambda: self._timer(when))

    def _timer(self, when: float) -> None:
        if when == self._wake_at:
            self._wake_at = math.inf
            self._wake()

    # -- the receiver

    def _arrived(self, number: int, chunk: int) -> None:
        now = self.clock.now
        if self.received.is_duplicate(number):
            return
        self.received.record(number, now, True, 0)
        self.arrived[chunk] = self.arrived.get(chunk, 0) + 1
        self.received.end_of_batch(now)
        self._acknowledge()

    def _acknowledge(self) -> None:
        now = self.clock.now
        if self.received.should_ack(now):
            writer = BytesWriter()
            assert self.received.write_ack(writer, 1100, now, 3)
            data = writer.getvalue()
            self.acks_sent += 1
            self.backward.send(len(data) + 40, lambda: self._on_ack_bytes(data))
            return
        due = self.received.ack_deadline
        if due < math.inf and due != self._ack_at:
            self._ack_at = due
            self.clock.at(due, self._acknowledge)


def make_flow(
    *,
    congestion: str = "cubic",
    rate_mbit: float = 20.0,
    rtt: float = 0.040,
    queue: float | None = None,
    loss: float = 0.0,
    duplicate: float = 0.0,
    jitter: float = 0.0,
    chunks: int | None = None,
    seed: int = 1,
) -> tuple[Clock, Flow]:
    """A flow over a symmetric-delay path whose queue holds ``queue`` bytes (default: one
    bandwidth-delay product); loss, duplication and jitter apply in both directions."""
    clock = Clock()
    rate = rate_mbit * 1e6 / 8
    forward = Link(
        clock, seed, rate=rate, delay=rtt / 2, queue=rate * rtt if queue is None else queue,
        loss=loss, duplicate=duplicate, jitter=jitter,
    )  # fmt: skip
    backward = Link(clock, seed + 1, delay=rtt / 2, loss=loss, duplicate=duplicate, jitter=jitter)
    return clock, Flow(clock, forward, backward, congestion=congestion, chunks=chunks)
