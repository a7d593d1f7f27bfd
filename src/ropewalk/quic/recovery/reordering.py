"""How much reordering a path shows before a packet counts as lost (RFC 9002 6.1)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

#: kPacketThreshold and kTimeThreshold - 1 (RFC 9002 6.1.1, 6.1.2).
PACKET_THRESHOLD: Final = 3
TIME_FRACTION: Final = 0.125
_MOST_PACKETS: Final = 64
_LARGEST_FRACTION: Final = 1.0
#: Loss events in a row without a spurious one after which the thresholds come down.
_HONEST_LOSSES: Final = 16


@final
class ReorderingTolerance:
    """The two loss thresholds of a packet-number space.

    They start at the RFC's values, rise to what a packet that was wrongly declared lost
    shows to be needed (both bounded), and come back by halves after a series of true losses.
    """

    def __init__(self) -> None:
        #: A packet this far behind the largest acknowledged one is lost.
        self.packets: i64 = PACKET_THRESHOLD
        #: So is one that is older than (1 + fraction) round trips.
        self.fraction = TIME_FRACTION
        self._honest: i64 = 0

    def on_spurious(self, distance: i64, age: float, rtt: float) -> None:
        """A packet ``distance`` behind the largest was acknowledged ``age`` seconds after it
        was sent although it had been declared lost."""
        self._honest = 0
        if distance >= self.packets:
            self.packets = min(distance + 1, _MOST_PACKETS)
        if rtt > 0:
            self.fraction = min(max(self.fraction, age / rtt - 1.0), _LARGEST_FRACTION)

    def on_loss(self, persistent: bool) -> None:
        """Packets were declared lost in one go."""
        self._honest += 1
        if persistent or self._honest >= _HONEST_LOSSES:
            self._honest = 0
            self.packets = max(self.packets // 2, PACKET_THRESHOLD)
            self.fraction = max(self.fraction / 2, TIME_FRACTION)

    def loss_delay(self, rtt: float, granularity: float) -> float:
        """Seconds that a packet may stay behind a later acknowledged one."""
        return max((1.0 + self.fraction) * rtt, granularity)
