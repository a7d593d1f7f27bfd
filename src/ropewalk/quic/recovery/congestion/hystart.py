"""HyStart++: leave slow start before the queue overflows (RFC 9406)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.types.congestion import RateSample

#: RFC 9406 4.3. The limit L on growth per ACK is infinite, as it recommends for paced senders.
MIN_RTT_THRESHOLD: Final = 0.004
MAX_RTT_THRESHOLD: Final = 0.016
MIN_RTT_DIVISOR: Final = 8.0
RTT_SAMPLES: Final = 8
CSS_GROWTH_DIVISOR: Final = 4
CSS_ROUNDS: Final = 5

_INFINITY: Final = float("inf")

#: Phases.
SLOW_START: Final = 0
CONSERVATIVE: Final = 1
DONE: Final = 2


@final
class HyStart:
    """Watches the RTT of each round of the initial slow start.

    A round ends when a packet is acknowledged that was sent after the round began; rounds
    are told by packet number. When a round's smallest RTT exceeds the last round's by a
    threshold, growth becomes conservative for five rounds; if the rise does not vanish
    until then, slow start is over.
    """

    def __init__(self) -> None:
        self.phase: i64 = SLOW_START
        self._last_sent: i64 = -1
        self._round_end: i64 = -1
        self._last_round_min = _INFINITY
        self._round_min = _INFINITY
        self._samples: i64 = 0
        self._baseline = _INFINITY
        self._css_rounds: i64 = 0
        self._stopped_in: i64 = SLOW_START

    def on_sent(self, packet_number: i64) -> None:
        """A packet was sent."""
        self._last_sent = packet_number

    def stop(self) -> None:
        """Loss or ECN ended the initial slow start."""
        self._stopped_in = self.phase
        self.phase = DONE

    def resume(self) -> None:
        """The loss that ended it was spurious."""
        self.phase = self._stopped_in

    def growth(self, sample: RateSample) -> i64:
        """Bytes by which an ACK in slow start enlarges the window; read ``phase`` after."""
        if self.phase == DONE:
            return sample.acked
        if sample.rtt >= 0.0:
            self._samples += 1
            if sample.rtt < self._round_min:
                self._round_min = sample.rtt
        if self._samples >= RTT_SAMPLES:
            self._judge()
        growth = sample.acked
        if self.phase == CONSERVATIVE:
            growth = sample.acked // CSS_GROWTH_DIVISOR
        if sample.largest_acked >= self._round_end or self._round_end > self._last_sent:
            self._end_round()
        return growth

    def _judge(self) -> None:
        if self.phase == CONSERVATIVE:
            # The rise was noise: the delay is back below what it was when it began.
            if self._round_min < self._baseline:
                self.phase = SLOW_START
                self._baseline = _INFINITY
            return
        if self._last_round_min == _INFINITY:
            return
        threshold = self._last_round_min / MIN_RTT_DIVISOR
        threshold = min(max(threshold, MIN_RTT_THRESHOLD), MAX_RTT_THRESHOLD)
        if self._round_min >= self._last_round_min + threshold:
            self._baseline = self._round_min
            self._css_rounds = 0
            self.phase = CONSERVATIVE

    def _end_round(self) -> None:
        self._round_end = self._last_sent
        self._last_round_min = self._round_min
        self._round_min = _INFINITY
        self._samples = 0
        if self.phase == CONSERVATIVE:
            self._css_rounds += 1
            if self._css_rounds >= CSS_ROUNDS:
                self.phase = DONE
