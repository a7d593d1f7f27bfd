"""What holds a line or an interface down, and what changes a line, one on top of the other.

Two spans may overlap: what one of them ends, the other still holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

from ropewalk.lab.profiles import change_profile
from ropewalk.sim.link import Link, LinkProfile


@final
class Switch:
    """Up as long as nothing holds it down."""

    def __init__(self, set_up: Callable[[bool], None]) -> None:
        self._set_up = set_up
        self._held_by: list[object] = []

    def hold_down(self) -> Callable[[], None]:
        """Take it down; the answer ends that, unless :meth:`raise_all` did."""
        hold = object()
        self._held_by.append(hold)
        self._set_up(False)

        def release() -> None:
            if hold in self._held_by:
                self._held_by.remove(hold)
                self._set_up(not self._held_by)

        return release

    def raise_all(self) -> None:
        """Take it up, whatever still held it down."""
        self._held_by.clear()
        self._set_up(True)


@final
class Profiles:
    """A link's profile: the first one, and the changes that are in force, in their order."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._first = link.profile
        self._changes: list[tuple[object, Mapping[str, object], str]] = []

    def change(self, figures: Mapping[str, object], where: str) -> Callable[[], None]:
        """Add a change; the answer takes it away again and leaves the others."""
        change = (object(), figures, where)
        self._changes.append(change)
        self._link.set_profile(self._now())

        def take_away() -> None:
            self._changes = [one for one in self._changes if one[0] is not change[0]]
            self._link.set_profile(self._now())

        return take_away

    def _now(self) -> LinkProfile:
        profile = self._first
        for _, figures, where in self._changes:
            profile = change_profile(profile, figures, where)
        return profile
