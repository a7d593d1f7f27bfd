"""Which bytes of a stream have been seen."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final, final

#: A hostile log could have a gap for every byte. Beyond this, the first gaps count as filled.
_MOST_GAPS: Final = 4096


@final
class Coverage:
    """A set of byte ranges, as ascending starts and ends that do not touch."""

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> int:
        """Take start … end - 1 in; how many of these bytes are new."""
        if start >= end:
            return 0
        starts, ends = self._starts, self._ends
        if ends and start == ends[-1]:
            ends[-1] = end
            return end - start
        # The ranges that touch the new one are those from `low` up to `high`.
        low = bisect_left(ends, start)
        high = bisect_right(starts, end)
        if low == high:
            starts.insert(low, start)
            ends.insert(low, end)
            if len(starts) > _MOST_GAPS:
                ends[0:2] = [ends[1]]
                del starts[1]
            return end - start
        known = sum(
            max(0, min(ends[index], end) - max(starts[index], start)) for index in range(low, high)
        )
        starts[low:high] = [min(start, starts[low])]
        ends[low:high] = [max(end, ends[high - 1])]
        return end - start - known
