"""Whether the congestion window is really in use (RFC 9002 7.8)."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from ropewalk.quic.types.congestion import RateSample


@final
class WindowUse:
    """A window that the application does not fill says nothing about the network, so it
    must not grow.

    The measure is the most that was in flight during this round trip or the last one. A
    sender that only waits for its pacer is not limited by the application.
    """

    def __init__(self) -> None:
        self._most: i64 = 0
        self._most_before: i64 = 0
        self._last_sent: i64 = -1
        self._round_end: i64 = -1

    def on_sent(self, bytes_in_flight: i64, packet_number: i64) -> None:
        """A packet was sent; ``bytes_in_flight`` counts it."""
        self._last_sent = packet_number
        if bytes_in_flight > self._most:
            self._most = bytes_in_flight

    def on_acked(self, sample: RateSample, bytes_in_flight: i64) -> None:
        """An ACK came; call it before asking."""
        if sample.largest_acked >= self._round_end or self._round_end > self._last_sent:
            self._round_end = self._last_sent
            self._most_before = self._most
            # A whole window may have left before this ACK, and nothing since.
            self._most = bytes_in_flight + sample.acked

    def allows_doubling(self, window: i64) -> bool:
        """Slow start may go on: more than half of the window was in flight."""
        return window < 2 * max(self._most, self._most_before)

    def allows_growth(self, window: i64, sample: RateSample, max_datagram_size: i64) -> bool:
        """Congestion avoidance may grow: the window was full but for a burst of three, or
        it was half full and nothing but the pacer held the sender back."""
        most = max(self._most, self._most_before)
        if most + 3 * max_datagram_size >= window:
            return True
        return not sample.app_limited and window < 2 * most
