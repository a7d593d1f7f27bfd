"""The sending part of a stream (RFC 9000 3.1)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.streams.send_buffer import SendBuffer
from ropewalk.quic.types.errors import StopSending, StreamStateError
from ropewalk.quic.types.watch import Watch

READY: Final = 0
SEND: Final = 1
DATA_SENT: Final = 2
DATA_RECVD: Final = 3
RESET_SENT: Final = 4
RESET_RECVD: Final = 5

#: What moves a sending part from one state to the next.
SENT_FRAME: Final = 0
SENT_FIN: Final = 1
RESET: Final = 2
ALL_ACKED: Final = 3
RESET_ACKED: Final = 4

_STATE_NAMES: Final = ("Ready", "Send", "Data Sent", "Data Recvd", "Reset Sent", "Reset Recvd")
#: The same as observers know them.
_WATCHED_NAMES: Final = (
    "ready",
    "send",
    "data_sent",
    "data_received",
    "reset_sent",
    "reset_received",
)

#: Figure 2 of RFC 9000; a row for each state, a column for each of the events above.
#: -1 marks what cannot happen.
_TRANSITIONS: Final[tuple[tuple[int, ...], ...]] = (
    # SENT_FRAME, SENT_FIN, RESET, ALL_ACKED, RESET_ACKED
    (SEND, DATA_SENT, RESET_SENT, -1, -1),  # Ready
    (SEND, DATA_SENT, RESET_SENT, -1, -1),  # Send
    (DATA_SENT, DATA_SENT, RESET_SENT, DATA_RECVD, -1),  # Data Sent
    (-1, -1, DATA_RECVD, DATA_RECVD, -1),  # Data Recvd: a reset comes too late
    (-1, -1, RESET_SENT, -1, RESET_RECVD),  # Reset Sent
    (-1, -1, RESET_RECVD, -1, RESET_RECVD),  # Reset Recvd
)

DEFAULT_URGENCY: Final = 3
URGENCIES: Final = 8


@final
class Link:
    """A stream's place in a queue. ``stream`` is None once the stream is forgotten."""

    def __init__(self, stream: SendStream) -> None:
        self.stream: SendStream | None = stream
        self.before: Link | None = None
        self.after: Link | None = None
        self.queued = False


@final
class SendStream:
    """State, buffer and credit of one stream's sending part.

    It belongs to a ``FrameScheduler`` queue while it has something to send; the counters in
    the last block are that scheduler's notes.
    """

    def __init__(
        self, stream_id: i64, max_data: i64, capacity: i64, watch: Watch | None = None
    ) -> None:
        self._watch = watch
        self.stream_id: i64 = stream_id
        self.state: i64 = READY
        self.buffer = SendBuffer()
        #: the peer's MAX_STREAM_DATA
        self.max_data: i64 = max_data
        #: bytes that the buffer holds before it refuses writes
        self.capacity: i64 = capacity
        #: -1 until ``finish`` fixes it
        self.final_size: i64 = -1
        self.fin_acked = False
        #: the FIN was written and must go out, for the first time or again
        self.fin_due = False
        self.reset_code: i64 = 0
        #: the code of the peer's STOP_SENDING, -1 without one
        self.stop_code: i64 = -1
        #: a write was cut short: the application waits for room
        self.refused = False

        #: control frames to write, and whether ``ControlFrames`` has the stream in its list
        self.reset_due = False
        self.blocked_due = False
        self.blocked_at: i64 = -1
        self.control_queued = False

        self.urgency: i64 = DEFAULT_URGENCY
        self.incremental = True
        #: new bytes that the stream's own credit allows to send
        self.ready: i64 = 0
        #: lost bytes, as the scheduler last counted them
        self.lost: i64 = 0
        #: bytes sent in the current turn of the round-robin
        self.turn: i64 = 0
        self.new_link: Link = Link(self)
        self.again_link: Link = Link(self)

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
                True,
                _WATCHED_NAMES[self.state],
                _WATCHED_NAMES[following],
            )
        self.state = following

    def is_open(self) -> bool:
        """Whether it still takes writes."""
        return self.state <= SEND and self.final_size < 0

    def is_done(self) -> bool:
        """Whether the peer has acknowledged everything, or the reset."""
        return self.state in (DATA_RECVD, RESET_RECVD)

    def is_blocked(self) -> bool:
        """Whether bytes wait for the peer's MAX_STREAM_DATA."""
        return self.buffer.unsent() > 0 and self.buffer.sent >= self.max_data

    def is_settled(self) -> bool:
        """Whether all that was asked of it so far has arrived."""
        if self.state >= DATA_SENT or self.final_size >= 0:
            return self.is_done()
        return self.buffer.all_acked()

    def check_writable(self) -> None:
        """Raises ``StopSending`` or ``StreamStateError`` when a write comes too late."""
        if self.stop_code >= 0:
            raise StopSending(int(self.stop_code))
        if self.state >= RESET_SENT:
            raise StreamStateError(f"stream {self.stream_id} was reset; open another one")
        if self.final_size >= 0:
            raise StreamStateError(f"stream {self.stream_id} is finished; nothing can follow")

    def room(self) -> i64:
        """Bytes that a write would be granted now."""
        if not self.is_open():
            return 0
        return max(0, self.capacity - self.buffer.held())

    def write(self, data: bytes) -> i64:
        """Take as much as fits; returns how much. Raises as :meth:`check_writable`."""
        self.check_writable()
        buffer = self.buffer
        room: i64 = self.capacity - buffer.held()
        size: i64 = len(data)
        if size > room:
            self.refused = True
            if room <= 0:
                return 0
            data = data[:room]
            size = room
        buffer.write(data)
        return size

    def finish(self) -> None:
        """No more bytes will follow. A second call changes nothing."""
        if self.final_size >= 0 and self.state < RESET_SENT:
            return
        self.check_writable()
        self.final_size = self.buffer.chunks.end
        self.fin_due = True
        self.refused = False

    def reset(self, code: i64) -> bool:
        """Give up; True when a RESET_STREAM becomes due. Too late or twice changes nothing."""
        before = self.state
        self.move(RESET)
        if before == self.state:
            return False
        self.reset_code = code
        self.reset_due = True
        # The final size is what was sent, not what was written (RFC 9000 4.5).
        self.final_size = self.buffer.sent
        self.fin_due = False
        self.blocked_due = False
        self.refused = False
        self.buffer.clear()
        return True

    def on_acked(self, offset: i64, length: i64, fin: bool) -> None:
        """A STREAM frame arrived."""
        if self.state > DATA_SENT:
            return
        self.buffer.on_acked(offset, length)
        if fin:
            self.fin_acked = True
            self.fin_due = False
        if self.fin_acked and self.buffer.all_acked():
            self.move(ALL_ACKED)

    def on_lost(self, offset: i64, length: i64, fin: bool) -> None:
        """A STREAM frame was lost: what of it did not arrive otherwise must go again."""
        if self.state > DATA_SENT:
            return
        self.buffer.on_lost(offset, length)
        if fin and not self.fin_acked:
            self.fin_due = True

    def on_reset_acked(self) -> None:
        """The RESET_STREAM arrived."""
        if self.state == RESET_SENT:
            self.move(RESET_ACKED)

    def room_regained(self) -> bool:
        """Whether an application that was refused should be told to write again.

        Not for every freed byte: the write should be worth the call.
        """
        if not self.refused:
            return False
        if self.room() < max(1, min(self.capacity // 4, 65536)):
            return False
        self.refused = False
        return True
