"""Watch a coroutine suspend: the same way on every event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar, final

T = TypeVar("T")


@final
class Steps(Generator[Any, Any, T]):
    """Drives a coroutine from one suspension to the next; ``await`` it in the coroutine's place.

    What the coroutine yields to its event loop passes through, whichever loop it is.
    ``on_suspend`` is called before each time: the task has not begun to wait yet.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, T], on_suspend: Callable[[object], None]
    ) -> None:
        #: what is driven; ``await_frames`` looks through it
        self.stepped = coroutine
        self._on_suspend = on_suspend

    def __await__(self) -> Generator[Any, Any, T]:
        return self

    def send(self, value: Any) -> Any:
        """Go on to the next suspension."""
        yielded = self.stepped.send(value)
        self._on_suspend(self.stepped)
        return yielded

    def throw(self, *exception: Any) -> Any:
        """Go on with an exception: how loops cancel."""
        yielded = self.stepped.throw(*exception)
        self._on_suspend(self.stepped)
        return yielded

    def close(self) -> None:
        """Give the coroutine up."""
        self.stepped.close()
