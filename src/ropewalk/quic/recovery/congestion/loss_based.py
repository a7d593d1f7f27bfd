"""What controllers that answer loss with a smaller window have in common (RFC 9002 7)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from ropewalk.quic.recovery.congestion.hystart import CONSERVATIVE, DONE, HyStart
from ropewalk.quic.recovery.congestion.recovery_period import RecoveryPeriod
from ropewalk.quic.recovery.congestion.window_use import WindowUse
from ropewalk.quic.types.congestion import (
    NO_THRESHOLD,
    CongestionController,
    CongestionGroup,
    RateSample,
)

#: kMinimumWindow in datagrams (RFC 9002 7.2).
MINIMUM_WINDOW: Final = 2


def initial_window(max_datagram_size: i64) -> i64:
    """Ten datagrams, but no more than the larger of 14,720 bytes and two (RFC 9002 7.2)."""
    bound: i64 = max(14720, 2 * max_datagram_size)
    return min(10 * max_datagram_size, bound)


@mypyc_attr(allow_interpreted_subclasses=True)
class LossBasedController(CongestionController):
    """Slow start with HyStart++, one reduction per recovery period, and its undoing when the
    losses behind it were spurious. A subclass says how the window grows after slow start
    (:meth:`avoid_congestion`) and what a congestion event leaves of it (:meth:`reduce`).
    """

    def __init__(self, max_datagram_size: i64, group: CongestionGroup | None = None) -> None:
        super().__init__(max_datagram_size, group)
        self.congestion_window = initial_window(max_datagram_size)
        self.period = RecoveryPeriod()
        self._hystart = HyStart()
        self._use = WindowUse()
        #: nothing sent since the last reduction has been acknowledged yet
        self._recovering = False
        self._window_before: i64 = 0
        self._threshold_before: i64 = NO_THRESHOLD

    # -- what a subclass fills in

    def avoid_congestion(self, now: float, sample: RateSample, smoothed_rtt: float) -> None:
        """An ACK came in congestion avoidance while the window was in use: let it grow."""
        raise NotImplementedError

    def reduce(self, now: float) -> i64:
        """A congestion event: the window, in bytes, to go on with."""
        raise NotImplementedError

    def undo(self, now: float) -> None:
        """The last :meth:`reduce` was a mistake; window and threshold are restored already."""

    def collapse(self, now: float) -> None:
        """Persistent congestion or a new route: forget what was learned about the path."""

    def exclude(self, now: float) -> None:
        """Until now the window was not in use (idle, or limited by the application)."""

    # -- the seam

    def on_sent(self, now: float, size: i64, bytes_in_flight: i64, packet_number: i64) -> None:
        """See the base class."""
        self._use.on_sent(bytes_in_flight, packet_number)
        self._hystart.on_sent(packet_number)
        if bytes_in_flight == size:
            self.exclude(now)

    def on_acked(
        self, now: float, sample: RateSample, bytes_in_flight: i64, smoothed_rtt: float
    ) -> None:
        """See the base class."""
        self._use.on_acked(sample, bytes_in_flight)
        # RFC 9002 7.3.2: the window stays as it is until a packet sent after the reduction
        # is acknowledged.
        if sample.acked == 0 or self.period.covers(sample.largest_sent_time):
            return
        self._recovering = False
        window = self.congestion_window
        if window < self.slow_start_threshold:
            growth = self._hystart.growth(sample)
            if self._use.allows_doubling(window):
                self.congestion_window = window + growth
            if self._hystart.phase == DONE and self.slow_start_threshold == NO_THRESHOLD:
                self.slow_start_threshold = self.congestion_window
        elif self._use.allows_growth(window, sample, self.max_datagram_size):
            self.avoid_congestion(now, sample, smoothed_rtt)
        else:
            self.exclude(now)

    def on_lost(
        self,
        now: float,
        lost_bytes: i64,
        largest_lost_sent_time: float,
        largest_lost: i64,
        bytes_in_flight: i64,
        persistent: bool,
    ) -> None:
        """See the base class."""
        if self.period.covers(largest_lost_sent_time):
            self.period.add_lost(lost_bytes)
        else:
            self._on_congestion(now, lost_bytes)
        if persistent:
            # RFC 9002 7.6.2 and B.8.
            self.congestion_window = self.minimum_window()
            self.period.forget()
            self._recovering = False
            self.collapse(now)

    def on_ecn(self, now: float, sent_time: float, ce_count: i64, bytes_in_flight: i64) -> None:
        """See the base class."""
        if not self.period.covers(sent_time):
            self._on_congestion(now, 0)

    def on_spurious(self, now: float, acked_bytes: i64, sent_time: float) -> None:
        """See the base class."""
        if self.period.was_spurious(acked_bytes, sent_time):
            self.congestion_window = max(self.congestion_window, self._window_before)
            self.slow_start_threshold = self._threshold_before
            self._hystart.resume()
            self._recovering = False
            self.undo(now)

    def on_mtu(self, max_datagram_size: i64) -> None:
        """See the base class."""
        self.max_datagram_size = max_datagram_size
        self.congestion_window = max(self.congestion_window, self.minimum_window())

    def on_route_change(self, now: float) -> None:
        """See the base class."""
        self.congestion_window = initial_window(self.max_datagram_size)
        self.slow_start_threshold = NO_THRESHOLD
        self._hystart = HyStart()
        self._use = WindowUse()
        self.period.forget()
        self._recovering = False
        self.collapse(now)

    def phase_name(self) -> str:
        """See the base class."""
        if self._recovering:
            return "recovery"
        if self.congestion_window >= self.slow_start_threshold:
            return "congestion_avoidance"
        if self._hystart.phase == CONSERVATIVE:
            return "conservative_slow_start"
        return "slow_start"

    def minimum_window(self) -> i64:
        """Two datagrams, in bytes."""
        return MINIMUM_WINDOW * self.max_datagram_size

    def _on_congestion(self, now: float, lost_bytes: i64) -> None:
        self._window_before = self.congestion_window
        self._threshold_before = self.slow_start_threshold
        self._hystart.stop()
        self.period.begin(now, lost_bytes)
        self._recovering = True
        self.congestion_window = max(self.reduce(now), self.minimum_window())
        self.slow_start_threshold = self.congestion_window
