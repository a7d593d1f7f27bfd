"""Which streams exist: opening, finding and forgetting them (RFC 9000 2.1, 3, 4.6)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.streams.flow_control import ReceiveWindow, WindowClock
from ropewalk.quic.streams.limits import (
    SERVER_INITIATED,
    UNIDIRECTIONAL,
    LocalStreams,
    RemoteStreams,
)
from ropewalk.quic.streams.receive_stream import PieceBudget, ReceiveStream
from ropewalk.quic.streams.send_stream import SendStream
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.error_codes import STREAM_LIMIT_ERROR, STREAM_STATE_ERROR
from ropewalk.quic.types.errors import StreamStateError, TransportError
from ropewalk.quic.types.events import Event, StreamOpened
from ropewalk.quic.types.watch import Watch

#: Which part of a stream a frame or a call is about.
SENDING: Final = 0
RECEIVING: Final = 1


@final
class Stream:
    """The two parts of one stream; a unidirectional one has a single part."""

    def __init__(
        self, stream_id: i64, send: SendStream | None, receive: ReceiveStream | None
    ) -> None:
        self.stream_id: i64 = stream_id
        self.send = send
        self.receive = receive
        #: either direction ended with a reset
        self.was_reset = False

    def is_done(self) -> bool:
        """Whether nothing can happen to either part any more."""
        send = self.send
        receive = self.receive
        return (send is None or send.is_done()) and (receive is None or receive.is_done())


@final
class StreamRegistry:
    """The table of living streams.

    IDs are used in order, so a stream that is not in the table is known to be unopened or
    forgotten by its number alone, and forgotten streams leave no trace.
    """

    def __init__(
        self,
        is_client: bool,
        config: Configuration,
        events: list[Event],
        window: ReceiveWindow,
        clock: WindowClock,
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch
        self._events = events
        self._window = window
        self._clock = clock
        self._budget = PieceBudget(window)
        self._role: i64 = 0 if is_client else SERVER_INITIATED
        self._stream_window: i64 = config.stream_window
        self._stream_window_limit: i64 = config.stream_window_limit
        self._send_buffer: i64 = config.send_buffer
        peer: i64 = SERVER_INITIATED - self._role
        #: bidirectional first, like all pairs here
        self.local = [LocalStreams(self._role), LocalStreams(self._role + UNIDIRECTIONAL)]
        self.remote = [
            RemoteStreams(peer, config.max_bidirectional_streams),
            RemoteStreams(peer + UNIDIRECTIONAL, config.max_unidirectional_streams),
        ]
        self.streams: dict[int, Stream] = {}
        #: what the peer lets us send at first on streams that it opens, that we open in
        #: both directions, and that we open in one
        self._first_on_theirs: i64 = 0
        self._first_on_ours: i64 = 0
        self._first_on_uni: i64 = 0
        #: opened = closed + reset + live, always
        self.opened: i64 = 0
        self.closed: i64 = 0
        self.reset: i64 = 0

    def set_first_limits(self, on_theirs: i64, on_ours: i64, on_uni: i64) -> None:
        """Take the limits with which the sending parts of new streams begin."""
        self._first_on_theirs = on_theirs
        self._first_on_ours = on_ours
        self._first_on_uni = on_uni

    def first_limit(self, stream_id: i64) -> i64:
        """What the peer lets us send at first on a stream."""
        if stream_id & UNIDIRECTIONAL != 0:
            return self._first_on_uni
        if stream_id & SERVER_INITIATED == self._role:
            return self._first_on_ours
        return self._first_on_theirs

    def open(self, bidirectional: bool) -> i64:
        """Open a stream; -1 when the peer's limit is reached."""
        stream_id: i64 = self.local[0 if bidirectional else 1].open()
        if stream_id >= 0:
            self._create(stream_id)
        return stream_id

    def from_peer(self, stream_id: i64, frame_type: i64, part: i64) -> Stream | None:
        """The stream that a frame is about; None when it is forgotten.

        Opens the peer's stream, and all before it, when it is new (RFC 9000 3.2). Raises
        ``TransportError``: STREAM_STATE_ERROR for a part that the stream does not have or
        a stream that we have not opened, STREAM_LIMIT_ERROR beyond our limit.
        """
        ours = stream_id & SERVER_INITIATED == self._role
        if stream_id & UNIDIRECTIONAL != 0 and ours != (part == SENDING):
            raise TransportError(
                STREAM_STATE_ERROR,
                f"stream {stream_id} has no {'sending' if part == SENDING else 'receiving'} part",
                int(frame_type),
            )
        stream = self.streams.get(stream_id)
        if stream is not None:
            return stream
        kind: i64 = 0 if stream_id & UNIDIRECTIONAL == 0 else 1
        number: i64 = stream_id >> 2
        if ours:
            if number >= self.local[kind].opened:
                raise TransportError(
                    STREAM_STATE_ERROR,
                    f"stream {stream_id} is ours and was not opened",
                    int(frame_type),
                )
            return None
        remote = self.remote[kind]
        if number < remote.opened:
            return None
        if number >= remote.limit:
            raise TransportError(
                STREAM_LIMIT_ERROR,
                f"stream {stream_id} exceeds the limit of {remote.limit} such streams",
                int(frame_type),
            )
        while remote.opened <= number:
            opened: i64 = remote.opened * 4 + remote.kind
            remote.opened += 1
            stream = self._create(opened)
            self._events.append(StreamOpened(int(opened)))
        return stream

    def known(self, stream_id: i64, part: i64) -> Stream | None:
        """The stream that an application's call is about; None when it is forgotten.

        Raises ``StreamStateError`` when it never was or lacks that part.
        """
        stream = self.streams.get(stream_id)
        kind: i64 = 0 if stream_id & UNIDIRECTIONAL == 0 else 1
        ours = stream_id & SERVER_INITIATED == self._role
        if stream is None:
            opened: i64 = self.local[kind].opened if ours else self.remote[kind].opened
            if stream_id < 0 or stream_id >> 2 >= opened:
                raise StreamStateError(f"stream {stream_id} was never opened")
        if kind == 1 and ours != (part == SENDING):
            raise StreamStateError(
                f"stream {stream_id} is unidirectional; this side only "
                f"{'receives' if part == SENDING else 'sends'} on it"
            )
        return stream

    def forget(self, stream: Stream) -> bool:
        """Drop a stream that is done. True when the peer should get a new stream limit."""
        stream_id: i64 = stream.stream_id
        del self.streams[int(stream_id)]
        if self._watch is not None:
            self._watch.observer.stream_closed(self._watch.now, stream_id, stream.was_reset)
        if stream.was_reset:
            self.reset += 1
        else:
            self.closed += 1
        if stream_id & SERVER_INITIATED == self._role:
            return False
        return self.remote[0 if stream_id & UNIDIRECTIONAL == 0 else 1].on_finished()

    def _create(self, stream_id: i64) -> Stream:
        both = stream_id & UNIDIRECTIONAL == 0
        ours = stream_id & SERVER_INITIATED == self._role
        send: SendStream | None = None
        receive: ReceiveStream | None = None
        if both or ours:
            send = SendStream(
                stream_id, self.first_limit(stream_id), self._send_buffer, self._watch
            )
        if both or not ours:
            window = ReceiveWindow(self._stream_window, self._stream_window_limit, self._clock)
            receive = ReceiveStream(stream_id, window, self._window, self._budget, self._watch)
        stream = Stream(stream_id, send, receive)
        self.streams[int(stream_id)] = stream
        self.opened += 1
        if self._watch is not None:
            self._watch.observer.stream_opened(self._watch.now, stream_id, not ours)
        return stream
