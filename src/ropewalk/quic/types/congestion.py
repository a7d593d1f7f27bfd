"""The seam behind which congestion controllers live (RFC 9002 7)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64, mypyc_attr

#: A slow-start threshold that no window reaches.
NO_THRESHOLD: Final = 0x3FFF_FFFF_FFFF_FFFF


@final
class RateSample:
    """What one ACK says about delivery (draft-ietf-ccwg-bbr 4.1; delivery-rate estimation).

    Refilled for each ACK: a controller copies what it wants to keep. Times in seconds,
    amounts in bytes, ``delivery_rate`` in bytes per second (0.0 when the ACK gave none).
    """

    def __init__(self) -> None:
        self.delivery_rate = 0.0
        self.interval = 0.0
        #: bytes newly acknowledged by this ACK, and lost as found by it
        self.acked: i64 = 0
        self.lost: i64 = 0
        #: bytes delivered over the sample's interval, and the total before it began
        self.delivered: i64 = 0
        self.prior_delivered: i64 = 0
        self.prior_in_flight: i64 = 0
        self.tx_in_flight: i64 = 0
        self.app_limited = False
        #: RTT of the newest packet acknowledged, -1.0 when the ACK gave none
        self.rtt = -1.0
        #: newest packet that this ACK acknowledged, and when it was sent
        self.largest_acked: i64 = -1
        self.largest_sent_time = 0.0


@mypyc_attr(allow_interpreted_subclasses=True)
class CongestionController:
    """One controller steers one route. All calls are synchronous and do no I/O.

    ``congestion_window`` (bytes) and ``pacing_rate`` (bytes per second, 0.0 for "derive it
    from window and smoothed RTT") are read after each call. Subclasses may be compiled or
    interpreted. ``group`` is shared by the controllers of one connection, for coupling.
    """

    name: str
    congestion_window: i64
    pacing_rate: float

    def __init__(self, max_datagram_size: i64, group: CongestionGroup | None) -> None:
        self.name = ""
        self.max_datagram_size: i64 = max_datagram_size
        self.group = group
        # RFC 9002 7.2: ten datagrams, but no more than the larger of 14,720 bytes and two.
        window: i64 = 10 * max_datagram_size
        bound: i64 = max(14720, 2 * max_datagram_size)
        self.congestion_window = min(window, bound)
        self.pacing_rate = 0.0
        #: bytes; steers nothing here, observers are told of it
        self.slow_start_threshold: i64 = NO_THRESHOLD

    def phase_name(self) -> str:
        """What the controller is doing, for observers: "slow_start", "congestion_avoidance",
        "recovery" or a word of its own."""
        return ""

    def on_sent(self, now: float, size: i64, bytes_in_flight: i64, packet_number: i64) -> None:
        """A packet in flight was sent; ``bytes_in_flight`` already counts it."""

    def on_acked(
        self, now: float, sample: RateSample, bytes_in_flight: i64, smoothed_rtt: float
    ) -> None:
        """One ACK was processed; ``bytes_in_flight`` no longer counts what it acknowledged."""
        raise NotImplementedError

    def on_lost(
        self,
        now: float,
        lost_bytes: i64,
        largest_lost_sent_time: float,
        largest_lost: i64,
        bytes_in_flight: i64,
        persistent: bool,
    ) -> None:
        """Packets were declared lost, ``persistent`` when RFC 9002 7.6 is met."""
        raise NotImplementedError

    def on_ecn(self, now: float, sent_time: float, ce_count: i64, bytes_in_flight: i64) -> None:
        """The peer reported ``ce_count`` more CE marks; the newest acknowledged packet was
        sent at ``sent_time``."""
        raise NotImplementedError

    def on_spurious(self, now: float, acked_bytes: i64, sent_time: float) -> None:
        """Packets that were declared lost have been acknowledged after all."""

    def on_mtu(self, max_datagram_size: i64) -> None:
        """The route carries datagrams of another size from now on."""
        self.max_datagram_size = max_datagram_size

    def on_route_change(self, now: float) -> None:
        """The network below changed: start again from the initial window (RFC 9000 9.4)."""
        raise NotImplementedError

    def on_app_limited(self, now: float, bytes_in_flight: i64) -> None:
        """The application, not the network, kept the window from being filled."""


@mypyc_attr(allow_interpreted_subclasses=True)
class CongestionGroup:
    """The controllers of one connection, so that coupled algorithms see their siblings."""

    def __init__(self) -> None:
        self.controllers: list[CongestionController] = []

    def join(self, controller: CongestionController) -> None:
        """Add a controller; it leaves when its route dies."""
        self.controllers.append(controller)

    def leave(self, controller: CongestionController) -> None:
        """Remove a controller."""
        if controller in self.controllers:
            self.controllers.remove(controller)
