"""The application on either side: acts when a rule says so, and believes no event unchecked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ropewalk.lab.machine.model import (
    CALLS,
    DATAGRAMS,
    EVENTS,
    MOST_AT_ONCE,
    NAMES,
    Half,
    Model,
    content,
)
from ropewalk.quic.streams.datagrams import DatagramTooLarge
from ropewalk.quic.types.errors import (
    ConnectionLost,
    StopSending,
    StreamReset,
    StreamStateError,
)
from ropewalk.quic.types.events import (
    ConnectionClosing,
    DatagramsReadable,
    Event,
    HandshakeComplete,
    HandshakeConfirmed,
    StreamOpened,
    StreamReadable,
    StreamResetByPeer,
    StreamsAvailable,
    StreamStoppedByPeer,
    StreamWritable,
)
from ropewalk.sim.network import Application, Host

if TYPE_CHECKING:
    from ropewalk.quic.connection import Connection
    from ropewalk.quic.endpoint import Incoming

_READ_ALL = 1 << 20


@dataclass(frozen=True)
class Closing:
    """A CONNECTION_CLOSE that the application asked for."""

    code: int
    #: before that the peer is told APPLICATION_ERROR in place of the code (RFC 9000 10.2.3)
    confirmed: bool


class Party(Application):
    """One side of the connection. Rules call its verbs; ``Violation`` tells of a broken law."""

    def __init__(self, index: int, model: Model, eager: bool) -> None:
        self.index = index
        self.name = NAMES[index]
        self.model = model
        #: reads everything as soon as it hears of it
        self.eager = eager
        #: takes no notice of events until it goes on
        self.paused = False
        #: finishes every stream that it may write to
        self.finishing = False
        self.connection: Connection | None = None
        self.began = 0.0
        self.closing: Closing | None = None
        self.known: list[int] = []
        self.events_held: list[Event] = []
        self.complete = False
        self.confirmed = False
        self.refused_open = [False, False]
        self.datagrams_promised = False
        self.datagrams_unread = False

    # -- the connection

    @property
    def active(self) -> bool:
        """Whether there is a connection that can be used."""
        return self.connection is not None and self.connection.active

    def use(self) -> Connection:
        """The connection; only called when there is one."""
        if self.connection is None:
            raise LookupError(f"the {self.name} has no connection yet")
        return self.connection

    def expect(self, holds: bool, law: str, what: str) -> None:
        """Raise ``Violation`` when a law does not hold at this side."""
        self.model.expect(self.index, holds, law, what)

    # -- streams to write

    def writing(self, pick: int) -> Half | None:
        """One of the halves that this side writes and knows of."""
        mine = self.model.halves[self.index]
        known = [mine[key] for key in self.known if key in mine]
        return known[pick % len(known)] if known else None

    def reading(self, pick: int) -> Half | None:
        """One of the halves that this side reads and knows of, those that go on first."""
        theirs = self.model.halves[1 - self.index]
        known = [theirs[key] for key in self.known if key in theirs]
        going_on = [half for half in known if not half.over] or known
        return going_on[pick % len(going_on)] if going_on else None

    def open(self, bidirectional: bool) -> None:
        """Open a stream; when it is refused, ``StreamsAvailable`` must come before one opens."""
        stream_id = self.use().open_stream(bidirectional)
        if stream_id is None:
            self.refused_open[bidirectional] = True
            return
        self.expect(not self.refused_open[bidirectional], CALLS, "may open, and was not told so")
        self.model.opened(self.index, stream_id)
        self.known.append(stream_id)
        if self.finishing:
            self.finish(self.model.halves[self.index][stream_id])

    def write(self, half: Half, size: int) -> None:
        """Write; what is not taken follows when the stream says that it has room."""
        data = content(half.stream_id, half.writer, half.written, min(size, MOST_AT_ONCE))
        try:
            taken = self.use().write(half.stream_id, data)
        except StopSending as error:
            half.expect(error.code == half.stop_code, CALLS, f"StopSending({error.code})")
            half.backlog = 0
            return
        except StreamStateError as error:
            half.expect(half.finished or half.given_up, CALLS, f"a write was refused: {error}")
            half.backlog = 0
            return
        half.expect(not half.finished, CALLS, "a write after the end was taken")
        half.expect(half.reset_code is None, CALLS, "a write after the reset was taken")
        half.expect(0 <= taken <= len(data), CALLS, f"{taken} of {len(data)} bytes were taken")
        half.written += taken
        half.backlog = len(data) - taken
        half.refused = half.refused or taken < len(data)

    def finish(self, half: Half) -> None:
        """End a stream; what still waits for room is not written any more."""
        half.backlog = 0
        try:
            self.use().finish(half.stream_id)
        except StopSending as error:
            half.expect(error.code == half.stop_code, CALLS, f"StopSending({error.code})")
            return
        except StreamStateError as error:
            half.expect(half.finished or half.given_up, CALLS, f"an end was refused: {error}")
            return
        again = half.finished
        half.expect(again or half.reset_code is None, CALLS, "an end after the reset was taken")
        half.finished = True

    def reset(self, half: Half, code: int) -> None:
        """Give up writing."""
        self.use().reset(half.stream_id, code)
        half.backlog = 0
        if half.reset_code is None:
            half.reset_code = code

    # -- streams to read

    def stop(self, half: Half, code: int) -> None:
        """Give up reading."""
        self.use().stop(half.stream_id, code)
        half.promised = half.unread = False
        if not half.over:
            half.stop_code = code
            half.over = True

    def take(self, stream_id: int, limit: int) -> tuple[bytes, bool]:
        """What the connection gives to read: the place for a test to break the world."""
        return self.use().read(stream_id, limit)

    def read(self, half: Half, limit: int) -> bool:
        """Read once. True when there may be more."""
        promised = half.promised
        half.promised = False
        was_over = half.over
        try:
            data, end = self.take(half.stream_id, limit)
        except StreamReset as error:
            codes = (half.reset_code, half.stop_code)
            half.expect(error.code in codes, CALLS, f"reset with {error.code}, which nobody said")
            half.over = True
            half.unread = False
            return False
        except StreamStateError as error:
            half.expect(was_over, CALLS, f"a read was refused: {error}")
            return False
        if was_over:
            half.expect(end and not data, CALLS, f"{len(data)} bytes after the end")
            return False
        half.expect(len(data) <= limit, CALLS, f"a read of {limit} bytes gave {len(data)}")
        half.take(data, end)
        if self.active and promised and limit:
            half.expect(bool(data) or end, CALLS, "StreamReadable, and nothing to read")
        if limit or end:
            half.unread = bool(data) and not end
        return half.unread

    def read_all(self, half: Half) -> None:
        """Read until there is nothing."""
        while self.read(half, _READ_ALL):
            """There may be more."""

    # -- datagrams

    def send_datagrams(self, count: int, size: int, deadline: float) -> None:
        """Send a few datagrams, one by one; one too many for the queue is not taken."""
        for _ in range(count):
            limit = self.use().max_datagram_size()
            if limit == 0:
                return
            data = self.model.next_datagram(self.index, size)
            try:
                accepted = self.use().send_datagrams([data], 0, deadline)
            except DatagramTooLarge:
                self.expect(
                    size > limit, DATAGRAMS, f"{size} bytes are too large for a datagram of {limit}"
                )
                return
            self.expect(
                size <= limit, DATAGRAMS, f"{size} bytes were taken for a datagram of {limit}"
            )
            if not accepted:
                return
            self.model.datagram_accepted(self.index, size)

    def read_datagrams(self, limit: int) -> None:
        """Take what has arrived, at most so many."""
        received = self.use().receive_datagrams(limit)
        if self.datagrams_promised and limit:
            self.expect(bool(received), DATAGRAMS, "DatagramsReadable, and there is none")
        self.datagrams_promised = False
        for data in received:
            self.model.datagram_received(1 - self.index, data)

    # -- life

    def close(self, code: int, now: float) -> None:
        """Close the connection."""
        connection = self.use()
        if connection.active:
            self.closing = Closing(code, connection.handshake_confirmed)
        connection.close(code, f"closed by the {self.name}", now)

    def check_closed(self) -> None:
        """A connection that is ending takes no more orders and says why."""
        connection = self.use()
        try:
            connection.open_stream()
        except ConnectionLost as error:
            self.expect(error is connection.close_error, CALLS, f"refused with {error!r}")
            return
        self.expect(False, CALLS, "a stream was opened on a connection that is over")

    # -- events

    def on_incoming(self, host: Host, incoming: Incoming) -> None:
        """Overridden at the server."""
        incoming.ignore()

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        """Take notice of an event, or keep it for when the application goes on."""
        if connection is not self.connection:
            return
        if self.paused:
            self.events_held.append(event)
        else:
            self.notice(event)

    def go_on(self) -> None:
        """Take notice of all that happened during a pause."""
        self.paused = False
        events = self.events_held
        self.events_held = []
        for event in events:
            self.notice(event)

    def notice(self, event: Event) -> None:
        """Check an event and act on it."""
        match event:
            case HandshakeComplete():
                self.expect(not self.complete, EVENTS, "the handshake was completed twice")
                self.complete = True
            case HandshakeConfirmed():
                self.expect(self.complete and not self.confirmed, EVENTS, "confirmed out of turn")
                self.confirmed = True
            case StreamOpened(stream_id):
                self._opened_by_peer(stream_id)
            case StreamReadable(stream_id):
                self._readable(self._half(1 - self.index, stream_id, event))
            case StreamWritable(stream_id):
                self._writable(self._half(self.index, stream_id, event))
            case StreamResetByPeer(stream_id, code):
                half = self._half(1 - self.index, stream_id, event)
                half.expect(
                    code in (half.reset_code, half.stop_code), EVENTS, f"{event}, wrong code"
                )
                half.expect(not half.told_of_reset, EVENTS, "told of the reset twice")
                half.told_of_reset = half.unread = True
                half.promised = False
                if self.eager:
                    self.read_all(half)
            case StreamStoppedByPeer(stream_id, code):
                half = self._half(self.index, stream_id, event)
                half.expect(code == half.stop_code, EVENTS, f"{event}, wrong code")
                half.expect(not half.told_of_stop, EVENTS, "told of the stop twice")
                half.told_of_stop = True
            case StreamsAvailable(bidirectional):
                self.expect(
                    self.refused_open[bidirectional], EVENTS, f"{event}, though none was refused"
                )
                self.refused_open[bidirectional] = False
                if self.active:
                    self.open(bidirectional)
                    self.expect(
                        not self.refused_open[bidirectional], EVENTS, f"{event}, and none is"
                    )
            case DatagramsReadable():
                self.expect(
                    not self.datagrams_promised, EVENTS, f"{event} twice, and no read between"
                )
                self.datagrams_promised = True
                if self.eager:
                    self.read_datagrams(1000)
            case ConnectionClosing():
                self.datagrams_promised = False

    def _half(self, writer: int, stream_id: int, event: Event) -> Half:
        self.expect(stream_id in self.known, EVENTS, f"{event} on a stream it was not told of")
        half = self.model.halves[writer].get(stream_id)
        self.expect(half is not None, EVENTS, f"{event}: the stream has no such direction")
        assert half is not None
        return half

    def _opened_by_peer(self, stream_id: int) -> None:
        self.expect(
            stream_id & 1 != self.index and stream_id in self.model.halves[1 - self.index],
            EVENTS,
            f"told of stream {stream_id}, which the peer did not open",
        )
        self.expect(stream_id not in self.known, EVENTS, f"told twice of stream {stream_id}")
        self.expect(
            stream_id < 4 or stream_id - 4 in self.known,
            EVENTS,
            f"stream {stream_id} is out of turn",
        )
        self.known.append(stream_id)
        half = self.model.halves[self.index].get(stream_id)
        if half is not None and self.finishing and self.active:
            self.finish(half)

    def _readable(self, half: Half) -> None:
        if half.over:
            # It came before the stop and was still under way.
            half.expect(half.stop_code is not None, EVENTS, "StreamReadable after the end")
            return
        half.expect(not half.promised, EVENTS, "StreamReadable twice, and no read between")
        half.promised = half.unread = True
        if self.eager:
            self.read_all(half)

    def _writable(self, half: Half) -> None:
        half.expect(half.refused, EVENTS, "StreamWritable, though no write was cut short")
        half.refused = False
        if half.backlog and self.active:
            before = half.written
            self.write(half, half.backlog)
            half.expect(
                half.written > before or half.given_up, EVENTS, "StreamWritable, and nothing fits"
            )
