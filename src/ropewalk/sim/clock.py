"""Virtual time: a heap of things to come, and a now that jumps from one to the next."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import final

from mypy_extensions import i64, mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Occurrence:
    """Something that happens at one virtual time.

    What happens for every packet is a class of its own with :meth:`happen`, so that nothing
    is made but the object itself; for the rest there is :class:`Timer`.
    """

    def __init__(self) -> None:
        self.when = math.inf
        self.order: i64 = 0
        #: whether it is planned and neither happened nor was cancelled
        self.pending = False

    def __lt__(self, other: Occurrence) -> bool:
        # What was planned first happens first: equal times never depend on the heap's shape.
        if self.when != other.when:
            return self.when < other.when
        return self.order < other.order

    def happen(self) -> None:
        """Do it. The clock stands at ``when``."""
        raise NotImplementedError


@final
class Timer(Occurrence):
    """One thing to do at one time. :meth:`cancel` may be called at any time, also twice."""

    def __init__(self, action: Callable[[], None]) -> None:
        super().__init__()
        self._action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Do not do it."""
        self.pending = False
        self._action = None

    def happen(self) -> None:
        """Do it, unless it was done or cancelled."""
        action = self._action
        self.cancel()
        if action is not None:
            action()


@final
class Ticker(Occurrence):
    """Something done again and again; see :meth:`VirtualClock.every`."""

    def __init__(self, clock: VirtualClock, interval: float, action: Callable[[float], None]):
        super().__init__()
        self._clock = clock
        self._interval = interval
        self._action = action
        self._stopped = False

    def stop(self) -> None:
        """Never again. May be called from the action, also twice."""
        self._stopped = True
        self.pending = False

    def happen(self) -> None:
        """Do it and plan the next time."""
        now = self.when
        self._action(now)
        if not self._stopped:
            self._clock.schedule(self, now + self._interval)


@final
class VirtualClock:
    """Seconds that pass only when there is something to do.

    ``now`` starts at ``start`` and never goes back. ``fired`` counts what has been done.
    """

    def __init__(self, start: float = 0.0) -> None:
        self.now = start
        self.fired: i64 = 0
        self._order: i64 = 0
        self._heap: list[Occurrence] = []
        #: told the time of everything that is planned; who lets time pass may have to wake up
        self.on_planned: Callable[[float], None] | None = None

    def schedule(self, occurrence: Occurrence, when: float) -> None:
        """Plan an occurrence that is not pending. A time that is past means now, after what
        is due. Raises ``ValueError`` for a time that never comes."""
        if not math.isfinite(when):
            raise ValueError(f"nothing can be planned for the time {when}")
        self._order += 1
        occurrence.when = when if when > self.now else self.now
        occurrence.order = self._order
        occurrence.pending = True
        heapq.heappush(self._heap, occurrence)
        if self.on_planned is not None:
            self.on_planned(occurrence.when)

    def at(self, when: float, action: Callable[[], None]) -> Timer:
        """Plan ``action`` for ``when``. A time that is past means now, after what is due.

        Raises ``ValueError`` for a time that never comes (infinite or not a number).
        """
        timer = Timer(action)
        self.schedule(timer, when)
        return timer

    def after(self, delay: float, action: Callable[[], None]) -> Timer:
        """Plan ``action`` for ``delay`` seconds from now."""
        return self.at(self.now + delay, action)

    def every(self, interval: float, action: Callable[[float], None]) -> Ticker:
        """Call ``action`` with the time, now and every ``interval`` seconds until stopped.

        This is how series are sampled. A running ticker keeps the clock from ever being
        out of things to do. Raises ``ValueError`` unless the interval is positive and finite.
        """
        if not 0.0 < interval < math.inf:
            raise ValueError(f"nothing can be done every {interval} seconds")
        ticker = Ticker(self, interval, action)
        self.schedule(ticker, self.now)
        return ticker

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
        self._do_next()
        return True

    def run_until(self, when: float, done: Callable[[], bool] | None = None) -> bool:
        """Do all that is planned up to ``when``, or until ``done()`` says so.

        Returns whether ``done()`` held; without ``done``, False. The clock stands at ``when``
        afterwards unless it stopped early.
        """
        while True:
            if done is not None and done():
                return True
            following = self.next_time()
            if following > when or following == math.inf:
                break
            self._do_next()
        if math.isfinite(when):
            self.now = max(self.now, when)
        return False

    def _do_next(self) -> None:
        occurrence = heapq.heappop(self._heap)
        self.now = occurrence.when
        self.fired += 1
        occurrence.pending = False
        occurrence.happen()
