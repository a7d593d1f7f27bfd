"""Short hands for tests of one packet space."""

from __future__ import annotations

from mypy_extensions import i64

from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.quic.recovery.sent_packet import SentPacket
from ropewalk.quic.recovery.space import PacketSpace
from ropewalk.quic.types.congestion import CongestionController, RateSample
from ropewalk.quic.types.handshake import ONE_RTT
from ropewalk.quic.wire.ack import AckFrame

SIZE = 1200
MAX_ACK_DELAY = 0.025


class Recorder(CongestionController):
    """A controller that keeps its window and writes down what it is told."""

    def __init__(self, window: int = 1_000_000) -> None:
        super().__init__(SIZE, None)
        self.congestion_window = window
        self.acked: list[int] = []
        self.lost: list[tuple[int, int, bool]] = []
        self.spurious: list[int] = []
        self.ecn: list[int] = []
        self.samples: list[tuple[float, float, bool]] = []

    def on_acked(
        self, now: float, sample: RateSample, bytes_in_flight: i64, smoothed_rtt: float
    ) -> None:
        self.acked.append(sample.acked)
        self.samples.append((sample.rtt, sample.delivery_rate, sample.app_limited))

    def on_lost(
        self,
        now: float,
        lost_bytes: i64,
        largest_lost_sent_time: float,
        largest_lost: i64,
        bytes_in_flight: i64,
        persistent: bool,
    ) -> None:
        self.lost.append((lost_bytes, largest_lost, persistent))

    def on_ecn(self, now: float, sent_time: float, ce_count: i64, bytes_in_flight: i64) -> None:
        self.ecn.append(ce_count)

    def on_spurious(self, now: float, acked_bytes: i64, sent_time: float) -> None:
        self.spurious.append(acked_bytes)


def make_route() -> tuple[RouteRecovery, Recorder]:
    recorder = Recorder()
    return RouteRecovery(recorder, SIZE, 0.333), recorder


def make_space(level: int = ONE_RTT) -> PacketSpace:
    return PacketSpace(level, 0)


def send(
    space: PacketSpace,
    route: RouteRecovery,
    now: float,
    count: int = 1,
    *,
    size: int = SIZE,
    ack_eliciting: bool = True,
    in_flight: bool = True,
) -> SentPacket:
    """Send ``count`` packets; the last one's slot is returned."""
    assert count > 0
    for _ in range(count):
        slot = space.reserve()
        slot.route = route
        slot.size = size
        slot.ack_eliciting = ack_eliciting
        slot.in_flight = in_flight
        space.commit(slot, now)
    return slot


def ack_frame(*ranges: tuple[int, int]) -> AckFrame:
    """An ACK of inclusive (low, high) ranges, given in descending order."""
    frame = AckFrame()
    for low, high in ranges:
        frame.ranges += [high, low]
    frame.largest = frame.ranges[0]
    return frame


def ack(
    space: PacketSpace,
    now: float,
    *ranges: tuple[int, int],
    delay: float = 0.0,
    confirmed: bool = True,
    reset_backoff: bool = True,
) -> None:
    space.on_ack(ack_frame(*ranges), delay, now, confirmed, MAX_ACK_DELAY, reset_backoff)


def numbers(slots: list[SentPacket]) -> list[int]:
    return [slot.packet_number for slot in slots]
