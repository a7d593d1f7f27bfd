"""Queues of streams that have something to send; every operation is O(1)."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from ropewalk.quic.streams.send_stream import URGENCIES, Link


@final
class StreamQueue:
    """A doubly linked list of streams, so that one may leave from the middle."""

    def __init__(self) -> None:
        self.head: Link | None = None
        self.tail: Link | None = None

    def append(self, link: Link) -> None:
        """Put a stream at the end. It must not be queued."""
        tail = self.tail
        link.before = tail
        link.queued = True
        if tail is None:
            self.head = link
        else:
            tail.after = link
        self.tail = link

    def remove(self, link: Link) -> None:
        """Take a stream out. It must be queued here."""
        before = link.before
        after = link.after
        if before is None:
            self.head = after
        else:
            before.after = after
        if after is None:
            self.tail = before
        else:
            after.before = before
        link.before = None
        link.after = None
        link.queued = False

    def rotate(self, link: Link) -> None:
        """Send a queued stream to the end."""
        if link.after is not None:
            self.remove(link)
            self.append(link)


@final
class UrgencyQueues:
    """One queue per urgency, 0 served first."""

    def __init__(self) -> None:
        self._queues = [StreamQueue() for _ in range(URGENCIES)]
        #: no queue before this index has a stream
        self._first: i64 = URGENCIES

    def append(self, link: Link, urgency: i64) -> None:
        """Put a stream at the end of its urgency's queue."""
        self._queues[urgency].append(link)
        if urgency < self._first:
            self._first = urgency

    def remove(self, link: Link, urgency: i64) -> None:
        """Take a stream out of its urgency's queue."""
        self._queues[urgency].remove(link)

    def rotate(self, link: Link, urgency: i64) -> None:
        """Let the others of the same urgency go first."""
        if link.after is not None:
            self._queues[urgency].rotate(link)

    def head(self) -> Link | None:
        """The stream whose turn it is."""
        index: i64 = self._first
        while index < URGENCIES:
            head = self._queues[index].head
            if head is not None:
                self._first = index
                return head
            index += 1
        self._first = URGENCIES
        return None
