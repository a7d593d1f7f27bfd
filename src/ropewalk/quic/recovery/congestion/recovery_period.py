"""One reduction of the window per round trip (RFC 9002 7.3.2)."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64


@final
class RecoveryPeriod:
    """Tells new congestion from what an earlier reduction already answered, and whether all
    losses behind that reduction proved to be spurious."""

    def __init__(self) -> None:
        #: When the window was last reduced; negative before that.
        self.start = -1.0
        self._suspect_bytes: i64 = 0

    def covers(self, sent_time: float) -> bool:
        """Whether a packet sent then belongs to the recovery period (or is older)."""
        return sent_time <= self.start

    def begin(self, now: float, lost_bytes: i64) -> None:
        """The window is reduced at ``now``; 0 bytes when the signal was ECN, which cannot
        turn out to be spurious."""
        self.start = now
        self._suspect_bytes = lost_bytes

    def add_lost(self, lost_bytes: i64) -> None:
        """More of the packets that the reduction answered are lost."""
        if self._suspect_bytes > 0:
            self._suspect_bytes += lost_bytes

    def was_spurious(self, acked_bytes: i64, sent_time: float) -> bool:
        """A packet declared lost was acknowledged. True once, when with it every loss behind
        the last reduction is refuted: the reduction should be undone."""
        if self._suspect_bytes <= 0 or not self.covers(sent_time):
            return False
        self._suspect_bytes -= acked_bytes
        return self._suspect_bytes <= 0

    def forget(self) -> None:
        """Persistent congestion or another route: nothing is being recovered (B.8)."""
        self.start = -1.0
        self._suspect_bytes = 0
