"""The one primitive that tasks wait on."""

from __future__ import annotations

from typing import final

from anyio import Event


@final
class Signal:
    """Wakes every task that waits, and remembers nothing.

    Whoever waits has looked at the state just before, without an await in between, so that
    no wake-up can fall between the look and the wait. Each task looks again afterwards.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: Event | None = None

    def notify(self) -> None:
        """Wake all that wait now."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Wait for the next :meth:`notify`. Cancelling has no effect on anything."""
        if self._event is None:
            self._event = Event()
        await self._event.wait()
