"""NewReno as RFC 9002 7 and its appendix B describe it, with HyStart++."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from ropewalk.quic.recovery.congestion.hystart import DONE, HyStart
from ropewalk.quic.recovery.congestion.recovery_period import RecoveryPeriod
from ropewalk.quic.recovery.congestion.window_use import WindowUse
from ropewalk.quic.types.congestion import CongestionController, CongestionGroup, RateSample

#: kLossReductionFactor, as a divisor.
_REDUCTION_DIVISOR: Final = 2
#: kMinimumWindow in datagrams.
_MINIMUM_WINDOW: Final = 2
#: A slow-start threshold that no window reaches.
_UNLIMITED: Final = 0x3FFF_FFFF_FFFF_FFFF


@mypyc_attr(allow_interpreted_subclasses=True)
class NewReno(CongestionController):
    """The simple reference: double per round trip in slow start, one datagram per round
    trip after it, half the window at each loss event."""

    def __init__(self, max_datagram_size: i64, group: CongestionGroup | None = None) -> None:
        super().__init__(max_datagram_size, group)
        self.name = "newreno"
        self.slow_start_threshold: i64 = _UNLIMITED
        self._initial_window: i64 = self.congestion_window
        self._hystart = HyStart()
        self._period = RecoveryPeriod()
        self._use = WindowUse()
        # Bytes acknowledged towards the next datagram of congestion avoidance.
        self._credit: i64 = 0
        self._window_before: i64 = 0
        self._threshold_before: i64 = _UNLIMITED

    def on_sent(self, now: float, size: i64, bytes_in_flight: i64, packet_number: i64) -> None:
        self._use.on_sent(bytes_in_flight, packet_number)
        self._hystart.on_sent(packet_number)

    def on_acked(
        self, now: float, sample: RateSample, bytes_in_flight: i64, smoothed_rtt: float
    ) -> None:
        use = self._use
        use.on_acked(sample, bytes_in_flight)
        window = self.congestion_window
        if sample.acked == 0 or self._period.covers(sample.largest_sent_time):
            return
        if window < self.slow_start_threshold:
            growth = self._hystart.growth(sample)
            if use.allows_doubling(window):
                self.congestion_window = window + growth
            if self._hystart.phase == DONE and self.slow_start_threshold == _UNLIMITED:
                self.slow_start_threshold = self.congestion_window
            return
        if not use.allows_growth(window, sample, self.max_datagram_size):
            return
        self._credit += sample.acked
        while self._credit >= self.congestion_window:
            self._credit -= self.congestion_window
            self.congestion_window += self.max_datagram_size

    def on_lost(
        self,
        now: float,
        lost_bytes: i64,
        largest_lost_sent_time: float,
        largest_lost: i64,
        bytes_in_flight: i64,
        persistent: bool,
    ) -> None:
        if self._period.covers(largest_lost_sent_time):
            self._period.add_lost(lost_bytes)
        else:
            self._reduce(now, lost_bytes)
        if persistent:
            self.congestion_window = self._minimum()
            self._credit = 0
            self._period.forget()

    def on_ecn(self, now: float, sent_time: float, ce_count: i64, bytes_in_flight: i64) -> None:
        if not self._period.covers(sent_time):
            self._reduce(now, 0)

    def on_spurious(self, now: float, acked_bytes: i64, sent_time: float) -> None:
        if self._period.was_spurious(acked_bytes, sent_time):
            self.congestion_window = max(self.congestion_window, self._window_before)
            self.slow_start_threshold = self._threshold_before

    def on_mtu(self, max_datagram_size: i64) -> None:
        self.max_datagram_size = max_datagram_size
        self.congestion_window = max(self.congestion_window, self._minimum())

    def on_route_change(self, now: float) -> None:
        self.congestion_window = self._initial_window
        self.slow_start_threshold = _UNLIMITED
        self._hystart = HyStart()
        self._use = WindowUse()
        self._credit = 0
        self._period.forget()

    def _minimum(self) -> i64:
        return _MINIMUM_WINDOW * self.max_datagram_size

    def _reduce(self, now: float, lost_bytes: i64) -> None:
        self._window_before = self.congestion_window
        self._threshold_before = self.slow_start_threshold
        self._period.begin(now, lost_bytes)
        self._hystart.stop()
        self._credit = 0
        self.congestion_window = max(self.congestion_window // _REDUCTION_DIVISOR, self._minimum())
        self.slow_start_threshold = self.congestion_window
