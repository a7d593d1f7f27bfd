"""The hook for protocols that are built on a connection's events, such as HTTP/3."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from ropewalk.quic.types.events import Event
from ropewalk.runtime.connection import Connection


class Application(ABC):
    """A sans-IO protocol on top of one connection, fed with the core's events.

    Given to ``connect`` or ``serve`` as a factory, it is there from the connection's first
    event on, so that nothing the peer opens early slips past it.
    """

    #: The application code that means "no error": for closes in good order, ours and theirs.
    no_error_code: int = 0

    @abstractmethod
    def on_event(self, event: Event) -> bool:
        """See an event before the connection does; True takes it away from the connection.

        Called in the middle of the driver's turn: it must neither wait nor raise. What it
        writes leaves once it has called the connection's ``kick``. Taken stream events leave
        ``accept_stream`` and the streams of the connection without them.
        """


#: Makes the application of a connection before its first event.
ApplicationFactory = Callable[[Connection], Application]
