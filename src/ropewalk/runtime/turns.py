"""A queue of tasks of which one is awake at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar, final

from anyio import Event

T = TypeVar("T")


@final
class Turns:
    """Hands out something limited in the order in which tasks asked for it.

    Only the first in the queue is woken when there may be some; having taken its own, it
    wakes the next. So what is handed out to N tasks costs on the order of N wake-ups,
    where waking all for each would cost the square of it.
    """

    __slots__ = ("_asked", "_waiting")

    def __init__(self) -> None:
        # Cancelled tasks leave from anywhere in the queue, which this kind of dictionary
        # does without going through the others.
        self._waiting: OrderedDict[int, Event] = OrderedDict()
        self._asked = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def notify(self) -> None:
        """There may be some: wake the first in the queue."""
        for event in self._waiting.values():
            event.set()
            return

    def notify_all(self) -> None:
        """Everybody shall look, for there will be no more."""
        for event in self._waiting.values():
            event.set()

    async def take(self, attempt: Callable[[], T | None]) -> T:
        """Queue up; what ``attempt`` returned at last when it was not None.

        It is called after :meth:`notify`, and what it raises ends the waiting. A task that
        leaves the queue, by a cancellation too, hands on a wake-up that it has had; cancelled,
        it has taken nothing.
        """
        self._asked += 1
        number = self._asked
        event = self._waiting[number] = Event()
        try:
            while True:
                await event.wait()
                taken = attempt()
                if taken is not None:
                    return taken
                event = self._waiting[number] = Event()
        finally:
            del self._waiting[number]
            if event.is_set():
                self.notify()
