"""The dynamic table (RFC 9204 3.2): first in, first out, bounded by its capacity.

Entries are known by their absolute index: 0 is the first one ever inserted, and an index is
never given twice.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

#: What an entry costs beyond its name and value (RFC 9204 3.2.1).
ENTRY_OVERHEAD: Final = 32


@final
class DynamicTable:
    """The fields that one side has told the other about.

    It starts empty with a capacity of 0. Sizes are in bytes and include the overhead of 32
    for each entry.
    """

    def __init__(self) -> None:
        #: The size that the entries together may have now.
        self.capacity: i64 = 0
        #: The size that they do have.
        self.size: i64 = 0
        #: How many entries were ever inserted: the absolute index of the next one.
        self.inserted: i64 = 0
        #: How many were evicted: the absolute index of the oldest entry that is left.
        self.evicted: i64 = 0
        # Entry ``absolute`` is at ``absolute - _first`` here. What was evicted is cut off in
        # pieces, so that an eviction need not move all entries.
        self._fields: list[tuple[bytes, bytes]] = []
        self._first: i64 = 0

    def holds(self, absolute: i64) -> bool:
        """Whether the entry was inserted and is not evicted yet."""
        return self.evicted <= absolute < self.inserted

    def field(self, absolute: i64) -> tuple[bytes, bytes]:
        """Name and value of an entry that the table holds."""
        return self._fields[absolute - self._first]

    def set_capacity(self, capacity: i64) -> None:
        """Change the capacity; the oldest entries give way if need be."""
        self.capacity = capacity
        self._evict(capacity)

    def insert(self, name: bytes, value: bytes) -> bool:
        """Add an entry, evicting as many of the oldest as it needs.

        False, and nothing is changed, when it is larger than the whole table.
        """
        size: i64 = i64(len(name)) + i64(len(value)) + ENTRY_OVERHEAD
        if size > self.capacity:
            return False
        self._evict(self.capacity - size)
        self._fields.append((name, value))
        self.size += size
        self.inserted += 1
        return True

    def _evict(self, limit: i64) -> None:
        """Drop the oldest entries until the size is at most ``limit``."""
        while self.size > limit:
            name, value = self.field(self.evicted)
            self.size -= i64(len(name)) + i64(len(value)) + ENTRY_OVERHEAD
            self.evicted += 1
        stale: i64 = self.evicted - self._first
        if stale > 32 and stale * 2 > i64(len(self._fields)):
            del self._fields[:stale]
            self._first = self.evicted
