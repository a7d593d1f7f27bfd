"""An observer that writes down all it is told."""

from __future__ import annotations

from typing import Any

from ropewalk.observe.observer import Observer

#: The names of all hooks.
HOOKS = [name for name in vars(Observer) if not name.startswith("_")]


class Notebook(Observer):
    """Writes down every hook with its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[tuple[Any, ...]] = []

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """The arguments of one hook's calls, without the time."""
        return [note[2:] for note in self.notes if note[0] == name]


def _noting(name: str) -> Any:
    def hook(self: Notebook, *values: Any) -> None:
        self.notes.append((name, *values))

    return hook


for _name in HOOKS:
    if _name != "connection":
        setattr(Notebook, _name, _noting(_name))
