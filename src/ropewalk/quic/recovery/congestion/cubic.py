"""CUBIC (RFC 9438) in bytes, with HyStart++ and the undoing of spurious reductions."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from ropewalk.quic.recovery.congestion.hystart import DONE, HyStart
from ropewalk.quic.recovery.congestion.recovery_period import RecoveryPeriod
from ropewalk.quic.recovery.congestion.window_use import WindowUse
from ropewalk.quic.types.congestion import CongestionController, CongestionGroup, RateSample

#: RFC 9438 4.1, 4.6: growth in datagrams per cubic second, and what a loss leaves.
C: Final = 0.4
BETA: Final = 0.7
#: 4.3: growth per window that makes CUBIC as fast as Reno on average.
ALPHA: Final = 3.0 * (1.0 - 0.7) / (1.0 + 0.7)

_MINIMUM_WINDOW: Final = 2
_UNLIMITED: Final = 0x3FFF_FFFF_FFFF_FFFF


@mypyc_attr(allow_interpreted_subclasses=True)
class Cubic(CongestionController):
    """The window follows a cubic of the time since the last reduction, flat around the size
    at which loss occurred; on short paths it grows as Reno would.

    Time in which the application left the window unused does not count, neither in idle
    periods nor while it sends less than the window takes (5.8).
    """

    def __init__(self, max_datagram_size: i64, group: CongestionGroup | None = None) -> None:
        super().__init__(max_datagram_size, group)
        self.name = "cubic"
        self.slow_start_threshold: i64 = _UNLIMITED
        self._initial_window: i64 = self.congestion_window
        self._hystart = HyStart()
        self._period = RecoveryPeriod()
        self._use = WindowUse()

        # The curve, in bytes and seconds; the epoch is negative outside of it.
        self._epoch = -1.0
        self._w_max = 0.0
        self._k = 0.0
        self._w_est = 0.0
        # The window before the last reduction (cwnd_prior).
        self._prior = 0.0
        # What the integer window leaves out.
        self._fraction = 0.0
        # Up to here the time was accounted for, as part of the epoch or as idle.
        self._accounted = 0.0

        # State before the last reduction, in case that it was spurious.
        self._undo_window: i64 = 0
        self._undo_threshold: i64 = _UNLIMITED
        self._undo_epoch = -1.0
        self._undo_w_max = 0.0
        self._undo_k = 0.0
        self._undo_w_est = 0.0
        self._undo_prior = 0.0

    def on_sent(self, now: float, size: i64, bytes_in_flight: i64, packet_number: i64) -> None:
        self._use.on_sent(bytes_in_flight, packet_number)
        self._hystart.on_sent(packet_number)
        if bytes_in_flight == size and self._epoch >= 0.0:
            self._exclude(now)

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
        if use.allows_growth(window, sample, self.max_datagram_size):
            self._avoid_congestion(now, float(sample.acked), smoothed_rtt)
        elif self._epoch >= 0.0:
            self._exclude(now)

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
            # 4.8: the curve after a timeout starts at its plateau.
            self._w_max = 0.0
            self._epoch = -1.0
            self._fraction = 0.0
            self._period.forget()

    def on_ecn(self, now: float, sent_time: float, ce_count: i64, bytes_in_flight: i64) -> None:
        if not self._period.covers(sent_time):
            self._reduce(now, 0)

    def on_spurious(self, now: float, acked_bytes: i64, sent_time: float) -> None:
        if not self._period.was_spurious(acked_bytes, sent_time):
            return
        self.congestion_window = max(self.congestion_window, self._undo_window)
        self.slow_start_threshold = self._undo_threshold
        self._w_max = self._undo_w_max
        self._k = self._undo_k
        self._w_est = self._undo_w_est
        self._prior = self._undo_prior
        self._epoch = self._undo_epoch
        if self._epoch >= 0.0:
            self._exclude(now)

    def on_mtu(self, max_datagram_size: i64) -> None:
        self.max_datagram_size = max_datagram_size
        self.congestion_window = max(self.congestion_window, self._minimum())

    def on_route_change(self, now: float) -> None:
        self.congestion_window = self._initial_window
        self.slow_start_threshold = _UNLIMITED
        self._hystart = HyStart()
        self._use = WindowUse()
        self._epoch = -1.0
        self._w_max = 0.0
        self._fraction = 0.0
        self._period.forget()

    def _minimum(self) -> i64:
        return _MINIMUM_WINDOW * self.max_datagram_size

    def _exclude(self, now: float) -> None:
        """The time since the last ACK was not spent probing: move the epoch with it."""
        if now > self._accounted:
            self._epoch += now - self._accounted
            self._accounted = now

    def _begin_epoch(self, now: float, window: float) -> None:
        """Congestion avoidance starts (4.2): K is the time until the curve is at W_max."""
        self._epoch = now
        self._w_est = window
        if window < self._w_max:
            segments = (self._w_max - window) / float(self.max_datagram_size)
            self._k = (segments / C) ** (1.0 / 3.0)
        else:
            self._k = 0.0
            self._w_max = window
        if self._prior < window:
            self._prior = window

    def _avoid_congestion(self, now: float, acked: float, smoothed_rtt: float) -> None:
        window = float(self.congestion_window) + self._fraction
        segment = float(self.max_datagram_size)
        if self._epoch < 0.0:
            self._begin_epoch(now, window)
        self._accounted = now

        # 4.3: what Reno would have; once it has caught up with the old window, one
        # datagram per round trip.
        alpha = ALPHA if self._w_est < self._prior else 1.0
        self._w_est += alpha * segment * acked / window

        since = now - self._epoch - self._k
        if C * since * since * since * segment + self._w_max < self._w_est:
            window = max(window, self._w_est)
        else:
            # 4.4, 4.5: aim at where the curve will be one round trip from now, in steps
            # of half a window at most.
            ahead = since + smoothed_rtt
            target = C * ahead * ahead * ahead * segment + self._w_max
            target = min(max(target, window), 1.5 * window)
            window += (target - window) * min(acked / window, 1.0)
        self.congestion_window = i64(window)
        self._fraction = window - float(self.congestion_window)

    def _reduce(self, now: float, lost_bytes: i64) -> None:
        """A congestion event (4.6), with fast convergence (4.7)."""
        self._undo_window = self.congestion_window
        self._undo_threshold = self.slow_start_threshold
        self._undo_epoch = self._epoch
        self._undo_w_max = self._w_max
        self._undo_k = self._k
        self._undo_w_est = self._w_est
        self._undo_prior = self._prior

        window = float(self.congestion_window)
        self._w_max = window * (1.0 + BETA) / 2.0 if window < self._w_max else window
        self._prior = window
        self._epoch = -1.0
        self._fraction = 0.0
        self.congestion_window = max(i64(window * BETA), self._minimum())
        self.slow_start_threshold = self.congestion_window
        self._period.begin(now, lost_bytes)
        self._hystart.stop()
