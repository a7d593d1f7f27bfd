"""Virtual time: a heap of things to do, and a now that jumps from one to the next."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import final


@final
class Timer:
    """One thing to do at one time. :meth:`cancel` may be called at any time, also twice."""

    __slots__ = ("_action", "order", "when")

    def __init__(self, when: float, order: int, action: Callable[[], None]) -> None:
        self.when = when
        self.order = order
        self._action: Callable[[], None] | None = action

    def __lt__(self, other: Timer) -> bool:
        # What was planned first happens first: equal times never depend on the heap's shape.
        return (self.when, self.order) < (other.when, other.order)

    @property
    def pending(self) -> bool:
        """Whether it neither happened nor was cancelled."""
        return self._action is not None

    def cancel(self) -> None:
        """Do not do it."""
        self._action = None

    def fire(self) -> None:
        """Do it, unless it was cancelled. Happens once."""
        action = self._action
        self._action = None
        if action is not None:
            action()


@final
class VirtualClock:
    """Seconds that pass only when there is something to do.

    ``now`` starts at ``start`` and never goes back. ``fired`` counts what has been done.
    """

    def __init__(self, start: float = 0.0) -> None:
        self.now = start
        self.fired = 0
        self._order = 0
        self._heap: list[Timer] = []

    def at(self, when: float, action: Callable[[], None]) -> Timer:
        """Plan ``action`` for ``when``. A time that is past means now, after what is due.

        Raises ``ValueError`` for a time that never comes (infinite or not a number).
        """
        if not math.isfinite(when):
            raise ValueError(f"nothing can be planned for the time {when}")
        self._order += 1
        timer = Timer(max(when, self.now), self._order, action)
        heapq.heappush(self._heap, timer)
        return timer

    def after(self, delay: float, action: Callable[[], None]) -> Timer:
        """Plan ``action`` for ``delay`` seconds from now."""
        return self.at(self.now + delay, action)

    def next_time(self) -> float:
        """When the next thing happens; ``math.inf`` when nothing is planned."""
        heap = self._heap
        while heap and not heap[0].pending:
            heapq.heappop(heap)
        return heap[0].when if heap else math.inf

    def step(self) -> bool:
        """Jump to the next thing and do it. False: nothing is planned."""
        if self.next_time() == math.inf:
            return False
        timer = heapq.heappop(self._heap)
        self.now = timer.when
        self.fired += 1
        timer.fire()
        return True

    def run_until(self, when: float, done: Callable[[], bool] | None = None) -> bool:
        """Do all that is planned up to ``when``, or until ``done()`` says so.

        Returns whether ``done()`` held; without ``done``, False. The clock stands at ``when``
        afterwards unless it stopped early.
        """
        while True:
            if done is not None and done():
                return True
            if self.next_time() > when:
                break
            self.step()
        if math.isfinite(when):
            self.now = max(self.now, when)
        return False
