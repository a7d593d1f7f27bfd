"""Spreading packets over the round trip (RFC 9002 7.7).

A bucket of byte credit fills at the pacing rate. A burst leaves when the bucket holds a
whole quantum, so that bursts are worth a system call; what a late timer overslept stays in
the bucket, up to two quanta.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

#: Bursts follow each other at this distance; epoll rounds timers up to a millisecond.
BURST_INTERVAL: Final = 0.001
#: The most that one segmentation-offload send carries, in bytes.
MAX_BURST: Final = 65536
#: Rounding of the caller's clock that still counts as "in time", in seconds.
_SLACK: Final = 1e-6


@final
class Pacer:
    """Credit in bytes. The route sets ``rate`` (bytes per second) and ``quantum`` (bytes)."""

    def __init__(self) -> None:
        self.rate = 0.0
        self.quantum: i64 = 0
        self.credit = 0.0
        self._filled_at = 0.0
        self._started = False

    def configure(self, now: float, rate: float, max_datagram_size: i64) -> None:
        """Fill the bucket up to ``now`` at the old rate, then go on with the new one."""
        quantum = i64(min(rate * BURST_INTERVAL, float(MAX_BURST)))
        floor: i64 = 2 * max_datagram_size
        if quantum < floor:
            quantum = floor
        if self._started:
            if now > self._filled_at:
                self.credit += (now - self._filled_at) * self.rate
                self._filled_at = now
        else:
            # The first burst after the first RTT sample need not wait.
            self._started = True
            self._filled_at = now
            self.credit = float(quantum)
        self.rate = rate
        self.quantum = quantum
        bound = 2.0 * float(quantum)
        if self.credit > bound:
            self.credit = bound
        elif self.credit < -bound:
            # Probes ignore the pacer; the debt they leave must not silence the route.
            self.credit = -bound

    def allowance(self, wanted: i64) -> i64:
        """Bytes that may leave now, when ``wanted`` (≤ what the window takes) could: 0 as
        long as the bucket holds neither a quantum nor ``wanted``."""
        needed = min(wanted, self.quantum)
        if self.credit + 1.0 + self.rate * _SLACK < float(needed):
            return 0
        return min(wanted, max(i64(self.credit), needed))

    def time_until(self, wanted: i64) -> float:
        """Seconds until :meth:`allowance` is positive."""
        missing = float(min(wanted, self.quantum)) - self.credit
        if missing <= 1.0 + self.rate * _SLACK:
            return 0.0
        return missing / self.rate
