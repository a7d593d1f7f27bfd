"""A view of everything that connections and servers make, to check that nothing is left of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ropewalk.runtime.connection import Connection
    from ropewalk.runtime.driver import Driver


class Auditor(ABC):
    """Told of every driver and connection that tasks in its context make."""

    @abstractmethod
    def on_driver(self, driver: Driver) -> None:
        """``connect`` or ``serve`` made a driver. Its ``leftovers`` are empty at the end."""

    @abstractmethod
    def on_connection(self, connection: Connection) -> None:
        """A driver made a connection: opened, or accepted and still under handshake."""

    def on_timeout(self, driver: Driver) -> None:  # noqa: B027  # not all want to know
        """A driver has served its endpoint's deadline, and sent what followed from it."""


#: Who watches; nobody unless a test or the lab does.
current_auditor: Final[ContextVar[Auditor | None]] = ContextVar("ropewalk_auditor", default=None)


@contextmanager
def audited(auditor: Auditor) -> Iterator[None]:
    """Have an auditor told of what this task, and tasks that it starts, make in the body."""
    token = current_auditor.set(auditor)
    try:
        yield
    finally:
        current_auditor.reset(token)
