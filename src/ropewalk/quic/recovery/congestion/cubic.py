"""CUBIC (RFC 9438), in bytes."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from ropewalk.quic.recovery.congestion.loss_based import LossBasedController
from ropewalk.quic.types.congestion import CongestionGroup, RateSample

#: RFC 9438 4.1, 4.6: growth in datagrams per cubic second, and what a loss leaves.
C: Final = 0.4
BETA: Final = 0.7
#: 4.3: growth per window that makes CUBIC as fast as Reno on average.
ALPHA: Final = 3.0 * (1.0 - 0.7) / (1.0 + 0.7)


@mypyc_attr(allow_interpreted_subclasses=True)
class Cubic(LossBasedController):
    """The window follows a cubic of the time since the last reduction, flat around the size
    at which loss occurred; on short paths it grows as Reno would.

    Time in which the window was not in use does not count, neither idle periods nor times
    of little demand (5.8).
    """

    def __init__(self, max_datagram_size: i64, group: CongestionGroup | None = None) -> None:
        super().__init__(max_datagram_size, group)
        self.name = "cubic"
        # The curve, in bytes and seconds. Its time base, the epoch, is negative before
        # congestion avoidance begins.
        self._epoch = -1.0
        self._w_max = 0.0
        self._k = 0.0
        self._w_est = 0.0
        # The window before the last reduction (cwnd_prior).
        self._prior = 0.0
        # What the integer window leaves out.
        self._fraction = 0.0
        # Up to here the time is accounted for, as part of the epoch or as excluded.
        self._accounted = 0.0
        # The curve before the last reduction, in case that was a mistake.
        self._undo_epoch = -1.0
        self._undo_w_max = 0.0
        self._undo_k = 0.0
        self._undo_w_est = 0.0
        self._undo_prior = 0.0

    def avoid_congestion(self, now: float, sample: RateSample, smoothed_rtt: float) -> None:
        """RFC 9438 4.2 to 4.5."""
        window = float(self.congestion_window) + self._fraction
        segment = float(self.max_datagram_size)
        acked = float(sample.acked)
        if self._epoch < 0.0:
            self._begin_epoch(now, window)
        self._accounted = now

        # 4.3: what Reno would have; once that has caught up with the old window, it too
        # grows by a datagram per round trip.
        alpha = ALPHA if self._w_est < self._prior else 1.0
        self._w_est += alpha * segment * acked / window

        since = now - self._epoch - self._k
        if C * since * since * since * segment + self._w_max < self._w_est:
            window = max(window, self._w_est)
        else:
            # 4.4, 4.5: aim at where the curve will be one round trip from now, half a
            # window higher at most.
            ahead = since + smoothed_rtt
            target = C * ahead * ahead * ahead * segment + self._w_max
            target = min(max(target, window), 1.5 * window)
            window += (target - window) * min(acked / window, 1.0)
        self.congestion_window = i64(window)
        self._fraction = window - float(self.congestion_window)

    def reduce(self, now: float) -> i64:
        """A congestion event (4.6), with fast convergence (4.7)."""
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
        return i64(window * BETA)

    def undo(self, now: float) -> None:
        """Back onto the old curve, at the place where it was left (4.9)."""
        self._w_max = self._undo_w_max
        self._k = self._undo_k
        self._w_est = self._undo_w_est
        self._prior = self._undo_prior
        self._epoch = self._undo_epoch
        self._fraction = 0.0
        self.exclude(now)

    def collapse(self, now: float) -> None:
        """The next curve starts at its plateau (4.8)."""
        self._w_max = 0.0
        self._prior = 0.0
        self._epoch = -1.0
        self._fraction = 0.0

    def exclude(self, now: float) -> None:
        """Move the epoch along with time in which the window was not probed."""
        if self._epoch >= 0.0 and now > self._accounted:
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
