"""One deadline for many connections: a heap with lazily removed entries."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, final

#: Stale entries tolerated beside the live ones before the heap is rebuilt.
_SLACK: Final = 64


@final
class Deadlines:
    """When each owner wants to be woken. Owners are numbers."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._wanted: dict[int, float] = {}

    def set(self, owner: int, deadline: float) -> None:
        """Wake ``owner`` at ``deadline``; inf for not at all."""
        before = self._wanted.get(owner, inf)
        if deadline == before:
            return
        if deadline == inf:
            self._wanted.pop(owner, None)
            return
        self._wanted[owner] = deadline
        heappush(self._heap, (deadline, owner))
        if len(self._heap) > 4 * len(self._wanted) + _SLACK:
            self._heap = [(when, who) for who, when in self._wanted.items()]
            heapify(self._heap)

    def remove(self, owner: int) -> None:
        """Forget an owner."""
        self._wanted.pop(owner, None)

    def earliest(self) -> float:
        """The first deadline of all; inf when there is none."""
        heap = self._heap
        while heap:
            when, who = heap[0]
            if self._wanted.get(who) == when:
                return when
            heappop(heap)
        return inf

    def due(self, now: float) -> list[int]:
        """Owners whose deadline has come, earliest first; they are forgotten here."""
        ready: list[int] = []
        while self.earliest() <= now:
            _when, who = heappop(self._heap)
            del self._wanted[who]
            ready.append(who)
        return ready
