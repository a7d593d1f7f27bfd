"""How the parts of a connection that know no time reach its observer."""

from __future__ import annotations

from typing import final

from ropewalk.observe.observer import Observer


@final
class Watch:
    """The observer of one connection, and the time of the last call that brought one.

    What happens in a call of the application's, which brings no time, is reported with it.
    """

    def __init__(self, observer: Observer, now: float) -> None:
        self.observer = observer
        self.now = now
