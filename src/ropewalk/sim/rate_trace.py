"""Rates that change from millisecond to millisecond, in the format of Mahimahi.

A trace is a text file of whole milliseconds, one in a line, never falling. Each line is an
opportunity to deliver 1,504 bytes at that time, and is lost if nothing waits; a packet that
needs more takes part of the next one, and small ones share one. After the last line the
trace begins again, that line's time later (Netravali et al., USENIX ATC 2015; mm-link(1)).
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, final

from ropewalk.quic.types.errors import ConfigurationError

#: What one opportunity delivers: an Ethernet payload and the 4 bytes by which a TUN device
#: precedes each packet.
OPPORTUNITY_BYTES: Final = 1504
TUN_BYTES: Final = 4


@final
@dataclass(frozen=True)
class RateTrace:
    """The opportunities of one period, in milliseconds from its beginning."""

    opportunities: tuple[int, ...]

    def __post_init__(self) -> None:
        times = self.opportunities
        if not times or times[0] < 0 or times[-1] == 0:
            raise ConfigurationError("a rate trace needs opportunities, the last one after 0 ms")
        if any(later < earlier for earlier, later in pairwise(times)):
            raise ConfigurationError("the times of a rate trace must not fall")

    @classmethod
    def parse(cls, text: str) -> RateTrace:
        """Read a trace. Raises ``ConfigurationError`` with the line that is no time."""
        times: list[int] = []
        for number, line in enumerate(text.splitlines(), 1):
            word = line.strip()
            if not word:
                continue
            if not word.isdecimal():
                raise ConfigurationError(f"line {number} of a rate trace is {word!r}")
            times.append(int(word))
        return cls(tuple(times))

    @classmethod
    def load(cls, path: str | Path) -> RateTrace:
        """Read a trace from a file."""
        return cls.parse(Path(path).read_text())

    @property
    def mean_rate(self) -> float:
        """Bytes on the wire per second, over a whole period."""
        return len(self.opportunities) * OPPORTUNITY_BYTES * 1000.0 / self.opportunities[-1]


@final
class Opportunities:
    """Walks through a trace, period after period, from virtual time 0."""

    def __init__(self, trace: RateTrace) -> None:
        self._times = list(trace.opportunities)
        self._period = self._times[-1]
        self._index = 0

    def next_after(self, now: float) -> float:
        """The time of the first opportunity later than ``now``; those before are lost."""
        # A long silence is jumped over, up to the millisecond before last.
        turn, within = divmod(max(math.floor(now * 1000.0) - 1, 0), self._period)
        self._index = turn * len(self._times) + bisect.bisect_left(self._times, within)
        while self._time() <= now:
            self._index += 1
        return self._time()

    def take(self, now: float) -> int:
        """The bytes that may be delivered at the time that :meth:`next_after` told."""
        total = 0
        while self._time() <= now:
            self._index += 1
            total += OPPORTUNITY_BYTES
        return total

    def _time(self) -> float:
        turn, within = divmod(self._index, len(self._times))
        return (turn * self._period + self._times[within]) / 1000.0
