"""Sets of stream offsets as sorted, disjoint ranges."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64


@final
class RangeSet:
    """Half-open ranges ``[start, end)``; neighbours that touch are one range.

    Built for the two shapes that acknowledgments and losses have: growing at the high end
    and shrinking at the low end cost no search.
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        #: sum of the ranges' lengths
        self.total: i64 = 0

    def is_empty(self) -> bool:
        """Whether the set holds no offset at all."""
        return self.total == 0

    def count(self) -> i64:
        """Number of ranges."""
        return len(self._starts)

    def start(self, index: i64) -> i64:
        """First offset of a range."""
        return self._starts[index]

    def end(self, index: i64) -> i64:
        """The offset after a range's last."""
        return self._ends[index]

    def clear(self) -> None:
        """Remove everything."""
        self._starts.clear()
        self._ends.clear()
        self.total = 0

    def find(self, offset: i64) -> i64:
        """Index of the first range that ends after ``offset``; the count when none does."""
        ends = self._ends
        low: i64 = 0
        high: i64 = len(ends)
        while low < high:
            middle: i64 = (low + high) >> 1
            if ends[middle] <= offset:
                low = middle + 1
            else:
                high = middle
        return low

    def add(self, start: i64, end: i64) -> None:
        """Put ``[start, end)`` into the set."""
        if start >= end:
            return
        starts = self._starts
        ends = self._ends
        count: i64 = len(starts)
        if count == 0 or start > ends[count - 1]:
            starts.append(int(start))
            ends.append(int(end))
            self.total += end - start
            return
        # A range that merely touches on the left belongs to the merger, hence start - 1.
        first: i64 = self.find(start - 1)
        after: i64 = first
        covered: i64 = 0
        low: i64 = start
        high: i64 = end
        while after < count and starts[after] <= end:
            range_start: i64 = starts[after]
            range_end: i64 = ends[after]
            covered += range_end - range_start
            low = min(low, range_start)
            high = max(high, range_end)
            after += 1
        self.total += high - low - covered
        if after == first + 1:
            starts[first] = int(low)
            ends[first] = int(high)
        else:
            starts[first:after] = [int(low)]
            ends[first:after] = [int(high)]

    def remove(self, start: i64, end: i64) -> None:
        """Take ``[start, end)`` out of the set, as far as it is in."""
        if start >= end or self.total == 0:
            return
        starts = self._starts
        ends = self._ends
        count: i64 = len(starts)
        first: i64 = 0 if start < ends[0] else self.find(start)
        after: i64 = first
        removed: i64 = 0
        while after < count and starts[after] < end:
            removed += min(end, ends[after]) - max(start, starts[after])
            after += 1
        if after == first:
            return
        self.total -= removed
        left: i64 = starts[first]
        right: i64 = ends[after - 1]
        if left >= start and right <= end:
            del starts[first:after]
            del ends[first:after]
        elif left >= start:
            starts[first:after] = [int(end)]
            ends[first:after] = [int(right)]
        elif right <= end:
            starts[first:after] = [int(left)]
            ends[first:after] = [int(start)]
        else:
            starts[first:after] = [int(left), int(end)]
            ends[first:after] = [int(start), int(right)]
