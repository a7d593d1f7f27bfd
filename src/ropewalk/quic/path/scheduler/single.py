"""The scheduler of a connection that has one path."""

from __future__ import annotations

from typing import final

from ropewalk.quic.types.scheduling import (
    CLASS_DEFAULT,
    SEND_NEW,
    Demand,
    PathScheduler,
    PathView,
    Selection,
)


@final
class SinglePath(PathScheduler):
    """New data on the first path that may send."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "single"
        self._choice = [Selection(0, CLASS_DEFAULT, SEND_NEW)]
        self._wait: list[Selection] = []

    def select(self, paths: list[PathView], demand: Demand) -> list[Selection]:
        """The only path when it has an allowance, else nothing."""
        if not paths or paths[0].allowance <= 0:
            return self._wait
        self._choice[0].path_id = paths[0].path_id
        return self._choice
