"""One direction of one stream: who writes content, and who checks what was read."""

from __future__ import annotations

import struct
from typing import Final, final

from ropewalk.lab.traffic.content import Content
from ropewalk.quic.connection import Connection
from ropewalk.quic.types.errors import ConnectionLost, StreamError
from ropewalk.sim.invariants import Violation

#: What opens each of the client's streams: flow, stream number, bytes wanted, bytes that
#: follow, seconds between messages (0: all at once), message size, and whether the answer
#: waits for the whole request.
HEADER: Final = struct.Struct("!HIQQdI?")
#: A direction that goes on until it is told to stop.
ENDLESS: Final = 1 << 60
READ_LIMIT: Final = 1 << 18


@final
class Header:
    """The first bytes of a stream."""

    __slots__ = ("flow", "following", "interval", "number", "patient", "size", "wanted")

    def __init__(
        self,
        flow: int,
        number: int,
        wanted: int,
        following: int,
        interval: float,
        size: int,
        patient: bool,
    ) -> None:
        self.flow = flow
        self.number = number
        self.wanted = wanted
        self.following = following
        self.interval = interval
        self.size = size
        self.patient = patient

    def pack(self) -> bytes:
        """As it is sent."""
        return HEADER.pack(
            self.flow,
            self.number,
            self.wanted,
            self.following,
            self.interval,
            self.size,
            self.patient,
        )

    @classmethod
    def unpack(cls, data: bytes) -> Header:
        """As it was received."""
        return cls(*HEADER.unpack_from(data))


@final
class Sender:
    """Writes ``size`` bytes of content as fast as the stream takes them, or as fast as they
    are released."""

    def __init__(
        self,
        connection: Connection,
        stream_id: int,
        content: Content,
        salt: int,
        size: int,
        chunk: int,
        head: bytes = b"",
    ) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self._content = content
        self._salt = salt
        self._size = size
        self._chunk = chunk
        self._head = head
        #: content bytes that were accepted, and how many may be written by now
        self.position = 0
        self.released = size
        #: the end is held back until this is true
        self.may_finish = True
        #: nothing more is written: finished, reset, or the peer does not read
        self.over = False

    def go_on(self) -> None:
        """Write what is accepted now, and the end when it is time."""
        try:
            self._write()
        except (StreamError, ConnectionLost):
            # The peer has stopped it or closed the connection, and the event is yet to come.
            self.over = True

    def _write(self) -> None:
        connection = self._connection
        while self._head and not self.over:
            self._head = self._head[connection.write(self._stream_id, self._head) :]
        while not self.over and self.position < self.released:
            size = min(self._chunk, self.released - self.position)
            piece = self._content.piece(self._salt, self.position, size)
            accepted = connection.write(self._stream_id, piece)
            self.position += accepted
            if accepted < size:
                return
        if self.position == self._size and self.may_finish and not self.over:
            self.over = True
            connection.finish(self._stream_id)


@final
class Receiver:
    """Reads content and compares it with what must be there."""

    def __init__(self, content: Content, salt: int, host: str, what: str) -> None:
        self._content = content
        self._salt = salt
        self._host = host
        self._what = what
        self.received = 0
        #: ended, reset, or given up
        self.over = False

    def take(self, data: bytes, now: float) -> None:
        """The next bytes. Raises :class:`Violation` when they are not the right ones."""
        if not self._content.matches(self._salt, self.received, data):
            raise Violation(
                "inv.quic.delivered_as_written",
                self._host,
                now,
                f"{self._what}: the {len(data)} bytes read at {self.received} are not those "
                "that were written there",
            )
        self.received += len(data)
