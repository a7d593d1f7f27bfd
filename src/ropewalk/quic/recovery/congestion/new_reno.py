"""NewReno as RFC 9002 7 and its appendix B describe it."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from ropewalk.quic.recovery.congestion.loss_based import LossBasedController
from ropewalk.quic.types.congestion import CongestionGroup, RateSample

#: kLossReductionFactor, as a divisor.
_REDUCTION_DIVISOR: Final = 2


@mypyc_attr(allow_interpreted_subclasses=True)
class NewReno(LossBasedController):
    """The simple reference: after slow start one datagram more per round trip, and half the
    window at each congestion event."""

    def __init__(self, max_datagram_size: i64, group: CongestionGroup | None = None) -> None:
        super().__init__(max_datagram_size, group)
        self.name = "newreno"
        # What the last division left over, in bytes times datagram size.
        self._credit: i64 = 0

    def avoid_congestion(self, now: float, sample: RateSample, smoothed_rtt: float) -> None:
        """One datagram for each window's worth of acknowledged bytes (7.3.3), byte by byte:
        whole datagrams at a time would lose half of one at each reduction."""
        self._credit += sample.acked * self.max_datagram_size
        growth = self._credit // self.congestion_window
        self._credit -= growth * self.congestion_window
        self.congestion_window += growth

    def reduce(self, now: float) -> i64:
        """Half (7.3.2)."""
        self._credit = 0
        return self.congestion_window // _REDUCTION_DIVISOR
