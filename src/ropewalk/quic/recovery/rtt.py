"""Round-trip time estimation (RFC 9002 5)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

#: Timer granularity in seconds (RFC 9002 6.1.2).
GRANULARITY: Final = 0.001


@final
class RttEstimator:
    """Smoothed RTT, its variation and its minimum; all in seconds.

    Before the first sample ``smoothed`` is the configured initial RTT and ``variation``
    half of it (RFC 9002 5.3), so that timeouts can be computed from the start.
    """

    def __init__(self, initial_rtt: float) -> None:
        self.initial: float = initial_rtt
        self.latest = 0.0
        self.minimum = 0.0
        self.smoothed: float = initial_rtt
        self.variation: float = initial_rtt / 2
        self.has_sample = False
        self.samples: i64 = 0
        #: When the first sample was taken; packets sent before cannot prove persistent
        #: congestion (RFC 9002 7.6.2).
        self.first_sample_time = 0.0
        self._restart_minimum = False

    def update(self, latest: float, ack_delay: float, now: float) -> None:
        """Take a sample. ``ack_delay`` is what the peer reported, already limited to its
        max_ack_delay where that applies and 0.0 for Initial packets (RFC 9002 5.3)."""
        latest = max(latest, 0.0)
        self.latest = latest
        self.samples += 1
        if not self.has_sample:
            self.has_sample = True
            self.first_sample_time = now
            self.minimum = latest
            self.smoothed = latest
            self.variation = latest / 2
            return
        if self._restart_minimum:
            self._restart_minimum = False
            self.minimum = latest
        elif latest < self.minimum:
            self.minimum = latest
        # The delay is believed only as far as it leaves the minimum intact.
        adjusted = latest
        if latest >= self.minimum + ack_delay:
            adjusted = latest - ack_delay
        self.variation = 0.75 * self.variation + 0.25 * abs(self.smoothed - adjusted)
        self.smoothed = 0.875 * self.smoothed + 0.125 * adjusted

    def restart_minimum(self) -> None:
        """Persistent congestion: the next sample becomes the minimum (RFC 9002 5.2)."""
        self._restart_minimum = True

    def probe_timeout(self) -> float:
        """smoothed + max(4 × variation, granularity), without max_ack_delay or backoff."""
        return self.smoothed + max(4 * self.variation, GRANULARITY)
