"""The receiving part of a stream (RFC 9000 3.2)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.streams.flow_control import ReceiveWindow
from ropewalk.quic.streams.receive_buffer import ReceiveBuffer
from ropewalk.quic.types.error_codes import (
    FINAL_SIZE_ERROR,
    FLOW_CONTROL_ERROR,
    INTERNAL_ERROR,
)
from ropewalk.quic.types.errors import StreamReset, StreamStateError, TransportError
from ropewalk.quic.types.watch import Watch
from ropewalk.quic.wire.frame_types import RESET_STREAM, STREAM

RECV: Final = 0
SIZE_KNOWN: Final = 1
DATA_RECVD: Final = 2
RESET_RECVD: Final = 3
DATA_READ: Final = 4
RESET_READ: Final = 5

#: What moves a receiving part from one state to the next.
FIN: Final = 0
ALL_DATA: Final = 1
RESET: Final = 2
#: the application took the last byte, or heard of the reset
READ: Final = 3
#: the application does not want the rest (RFC 9000 3.5)
DISCARD: Final = 4

_STATE_NAMES: Final = ("Recv", "Size Known", "Data Recvd", "Reset Recvd", "Data Read", "Reset Read")
#: The same as observers know them.
_WATCHED_NAMES: Final = (
    "receive",
    "size_known",
    "data_received",
    "reset_received",
    "data_read",
    "reset_read",
)

#: Figure 3 of RFC 9000; a row for each state, a column for each of the events above.
#: -1 marks what cannot happen. Once the size is known, nothing but the missing bytes would
#: come, so a stream whose rest is discarded ends there.
_TRANSITIONS: Final[tuple[tuple[int, ...], ...]] = (
    # FIN, ALL_DATA, RESET, READ, DISCARD
    (SIZE_KNOWN, -1, RESET_RECVD, -1, RECV),  # Recv
    (SIZE_KNOWN, DATA_RECVD, RESET_RECVD, -1, DATA_READ),  # Size Known
    (DATA_RECVD, -1, DATA_RECVD, DATA_READ, DATA_READ),  # Data Recvd: a reset may be ignored
    (RESET_RECVD, -1, RESET_RECVD, RESET_READ, RESET_READ),  # Reset Recvd
    (DATA_READ, -1, DATA_READ, DATA_READ, DATA_READ),  # Data Read
    (RESET_READ, -1, RESET_READ, RESET_READ, RESET_READ),  # Reset Read
)


@final
class PieceBudget:
    """Counts the pieces that wait behind gaps, over all streams of a connection.

    Each costs some hundred bytes however few it carries, and flow control does not see
    them. The allowance follows the connection's window: honest peers leave a gap per lost
    packet and stay far below (RFC 9000 21.6).
    """

    def __init__(self, connection: ReceiveWindow) -> None:
        self.used: i64 = 0
        self._connection = connection

    def allowance(self) -> i64:
        """How many pieces may wait."""
        return 1024 + self._connection.size // 256

    def change(self, difference: i64) -> None:
        """Count pieces that came or went. Raises ``TransportError`` above the allowance."""
        self.used += difference
        if difference > 0 and self.used > self.allowance():
            raise TransportError(
                INTERNAL_ERROR,
                f"stream data waits in {self.used} pieces, more than {self.allowance()}",
                STREAM,
            )


@final
class ReceiveStream:
    """State, buffer and window of one stream's receiving part."""

    def __init__(
        self,
        stream_id: i64,
        window: ReceiveWindow,
        connection: ReceiveWindow,
        budget: PieceBudget,
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch
        self.stream_id: i64 = stream_id
        self.state: i64 = RECV
        self.buffer = ReceiveBuffer()
        self.window = window
        self.final_size: i64 = -1
        #: the code of the peer's RESET_STREAM
        self.reset_code: i64 = 0
        #: the application does not want the rest; ``stop_code`` goes into STOP_SENDING
        self.stopped = False
        self.stop_code: i64 = 0
        #: control frames to write, and whether ``ControlFrames`` has the stream in its list
        self.stop_due = False
        self.control_queued = False
        self._connection = connection
        self._budget = budget

    def move(self, event: i64) -> None:
        """Follow the table of states."""
        following: i64 = _TRANSITIONS[self.state][event]
        if following < 0:
            raise AssertionError(
                f"stream {self.stream_id}: event {event} cannot happen in state "
                f"{_STATE_NAMES[self.state]}"
            )
        if self._watch is not None and following != self.state:
            self._watch.observer.stream_state(
                self._watch.now,
                self.stream_id,
                False,
                _WATCHED_NAMES[self.state],
                _WATCHED_NAMES[following],
            )
        self.state = following

    def is_done(self) -> bool:
        """Whether the application has heard all that there is to hear."""
        return self.state >= DATA_READ

    def credit_due(self) -> bool:
        """Whether a MAX_STREAM_DATA is due: never once the size is known (RFC 9000 3.2)."""
        return self.window.due and self.state == RECV and not self.stopped

    def readable(self) -> bool:
        """Whether a read would give bytes, the end, or the reset."""
        if self.state in (DATA_RECVD, RESET_RECVD):
            return True
        return self.buffer.available() > 0

    def on_data(self, offset: i64, data: bytes, fin: bool) -> bool:
        """A STREAM frame. True when the stream became readable.

        Raises ``TransportError`` FINAL_SIZE_ERROR or FLOW_CONTROL_ERROR.
        """
        end: i64 = offset + len(data)
        if fin or self.final_size >= 0:
            self._check_size(end, fin, STREAM)
        if end > self.window.received:
            self._account(end, STREAM)
        if fin and self.state == RECV:
            self.final_size = end
            self.move(FIN)
        if self.stopped:
            self._end_discarded()
            return False
        if self.state > SIZE_KNOWN:
            return False
        buffer = self.buffer
        empty = buffer.available() == 0
        waiting: i64 = buffer.piece_count()
        buffer.insert(offset, data)
        if waiting != buffer.piece_count():
            self._budget.change(buffer.piece_count() - waiting)
        if self.state == SIZE_KNOWN and buffer.received() == self.final_size:
            self.move(ALL_DATA)
            return empty
        return empty and buffer.available() > 0

    def on_reset(self, code: i64, final_size: i64) -> bool:
        """A RESET_STREAM. True when the application should hear of it."""
        self._check_size(final_size, True, RESET_STREAM)
        if final_size > self.window.received:
            self._account(final_size, RESET_STREAM)
        before = self.state
        self.move(RESET)
        if self.state == before:
            return False
        self.final_size = final_size
        self.reset_code = code
        self._discard()
        if self.stopped:
            self._end_discarded()
            return False
        return True

    def stop(self, code: i64) -> bool:
        """The application wants no more. True when a STOP_SENDING becomes due."""
        if self.stopped or self.state >= DATA_READ:
            return False
        self.stopped = True
        self.stop_code = code
        self._discard()
        self.move(DISCARD)
        self.stop_due = self.state == RECV
        return self.stop_due

    def read(self, limit: i64) -> bytes:
        """At most ``limit`` bytes; b"" when there are none now, or none any more.

        Raises ``StreamReset`` after the peer's reset, ``StreamStateError`` after a stop.
        """
        if self.stopped:
            raise StreamStateError(f"stream {self.stream_id} was stopped; it reads no more")
        if self.state in (RESET_RECVD, RESET_READ):
            self.move(READ)
            raise StreamReset(int(self.reset_code))
        data = self.buffer.read(limit)
        size: i64 = len(data)
        if size > 0:
            self.window.consume(size)
            self._connection.consume(size)
        if self.state == DATA_RECVD and self.buffer.available() == 0:
            self.move(READ)
        return data

    def _check_size(self, end: i64, final: bool, frame_type: i64) -> None:
        """RFC 9000 4.5: the final size never changes, and nothing lies beyond it."""
        known: i64 = self.final_size
        if known >= 0:
            if end > known or (final and end != known):
                raise TransportError(
                    FINAL_SIZE_ERROR,
                    f"stream {self.stream_id} ended at {known}, now it reaches {end}",
                    int(frame_type),
                )
        elif final and end < self.window.received:
            raise TransportError(
                FINAL_SIZE_ERROR,
                f"stream {self.stream_id} ends at {end}, "
                f"but {self.window.received} bytes of it were received",
                int(frame_type),
            )

    def _account(self, end: i64, frame_type: i64) -> None:
        """Count the stream as received up to ``end`` (RFC 9000 4.1)."""
        window = self.window
        connection = self._connection
        if end > window.limit:
            raise TransportError(
                FLOW_CONTROL_ERROR,
                f"stream {self.stream_id} reaches {end}, its limit is {window.limit}",
                int(frame_type),
            )
        grown: i64 = end - window.received
        if grown > connection.limit - connection.received:
            raise TransportError(
                FLOW_CONTROL_ERROR,
                f"all streams together reach {connection.received + grown}, "
                f"the connection's limit is {connection.limit}",
                int(frame_type),
            )
        window.received = end
        connection.received += grown
        if self.stopped:
            # Nobody will read it: the connection's credit goes back at once.
            window.consumed = end
            connection.consume(grown)

    def _end_discarded(self) -> None:
        """A stopped stream ends as soon as its end is known; then nothing need be asked."""
        self.move(DISCARD)
        if self.state != RECV:
            self.stop_due = False

    def _discard(self) -> None:
        """Drop what waits and give its connection credit back."""
        self._budget.change(-self.buffer.piece_count())
        self.buffer.clear()
        window = self.window
        unread: i64 = window.received - window.consumed
        window.consumed = window.received
        self._connection.consume(unread)
