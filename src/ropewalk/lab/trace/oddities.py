"""Counts what is odd in a file."""

from __future__ import annotations

from typing import Final, final

#: Kinds; a hostile file must not make up more.
_MOST: Final = 100


@final
class Oddities:
    """How often each oddity was met, in the order of their first time."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def count(self, what: str, times: int = 1) -> None:
        """Meet one."""
        if what not in self.counts and len(self.counts) >= _MOST:
            what = "other oddities"
        self.counts[what] = self.counts.get(what, 0) + times
