"""Follows sent packets to their fate, one packet-number space of one path at a time."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import final


@final
class SpaceLedger:
    """The sent packets of a space, in the order of their numbers.

    Each ACK repeats what former ones said. To spend no time on that, ``_next`` leads from a
    packet to the nearest one behind it that is not yet acknowledged (a disjoint-set forest).
    """

    __slots__ = ("_next", "_numbers", "_rows")

    def __init__(self) -> None:
        self._numbers = array("q")
        self._rows = array("q")
        self._next = array("q")

    def add(self, number: int, row: int) -> bool:
        """A packet was sent. False for a number that does not rise; it is not followed."""
        if self._numbers and number <= self._numbers[-1]:
            return False
        self._numbers.append(number)
        self._rows.append(row)
        self._next.append(len(self._next))
        return True

    def row(self, number: int) -> int:
        """The row of a packet; -1 for one that was not sent."""
        index = bisect_left(self._numbers, number)
        if index < len(self._numbers) and self._numbers[index] == number:
            return self._rows[index]
        return -1

    def acknowledge(self, first: int, last: int) -> Iterator[int]:
        """The rows of packets first … last that no ACK has named before, ascending."""
        index = self._find(bisect_left(self._numbers, first))
        while index < len(self._numbers) and self._numbers[index] <= last:
            self._next[index] = index + 1
            yield self._rows[index]
            index = self._find(index)

    def _find(self, index: int) -> int:
        following = self._next
        end = len(following)
        root = index
        while root < end and following[root] != root:
            root = following[root]
        while index < end and following[index] != root and index != root:
            following[index], index = root, following[index]
        return root
