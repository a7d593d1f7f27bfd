"""How many streams each side may open (RFC 9000 4.6)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

#: The first two bits of a stream ID (RFC 9000 2.1).
SERVER_INITIATED: Final = 1
UNIDIRECTIONAL: Final = 2

#: Stream counts above this could not be encoded as stream IDs.
MAX_STREAMS_LIMIT: Final = 1 << 60


@final
class LocalStreams:
    """Streams of one kind that we open, as far as the peer allows."""

    def __init__(self, kind: i64) -> None:
        #: the low two bits of the IDs
        self.kind: i64 = kind
        self.bidirectional = kind & UNIDIRECTIONAL == 0
        self.opened: i64 = 0
        self.limit: i64 = 0
        #: an open was refused since the limit last rose
        self.refused = False
        self.blocked_due = False

    def open(self) -> i64:
        """The ID of a new stream, or -1 when the peer's limit is reached."""
        if self.opened >= self.limit:
            if not self.refused:
                self.refused = True
                self.blocked_due = True
            return -1
        stream_id: i64 = self.opened * 4 + self.kind
        self.opened += 1
        return stream_id

    def raise_limit(self, limit: i64) -> bool:
        """Take a MAX_STREAMS; smaller values are ignored. True when an open was waiting."""
        if limit <= self.limit:
            return False
        self.limit = limit
        waited = self.refused
        self.refused = False
        self.blocked_due = False
        return waited


@final
class RemoteStreams:
    """Streams of one kind that the peer opens, as far as we allow.

    At most ``capacity`` of them live at a time: as streams finish, the limit moves on.
    """

    def __init__(self, kind: i64, capacity: i64) -> None:
        self.kind: i64 = kind
        self.bidirectional = kind & UNIDIRECTIONAL == 0
        self.capacity: i64 = capacity
        self.opened: i64 = 0
        self.finished: i64 = 0
        #: what the peer was last told
        self.limit: i64 = capacity
        self.due = False

    def on_finished(self) -> bool:
        """A stream is forgotten. True when this makes a MAX_STREAMS due.

        While more than half the capacity is unused, telling can wait; below that each
        finished stream counts, else long-lived streams could keep the peer from opening
        what it may.
        """
        self.finished += 1
        if self.due or (self.limit - self.opened) * 2 > self.capacity:
            return False
        self.due = True
        return True

    def on_blocked(self) -> bool:
        """The peer says that it waits. True when there is something new to tell."""
        if self.due or self.finished + self.capacity <= self.limit:
            return False
        self.due = True
        return True

    def take_update(self) -> i64:
        """The limit to tell the peer now."""
        self.due = False
        self.limit = min(max(self.limit, self.finished + self.capacity), MAX_STREAMS_LIMIT)
        return self.limit
