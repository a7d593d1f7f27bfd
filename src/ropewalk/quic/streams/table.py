"""All streams of one connection."""

from __future__ import annotations

from typing import final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.quic.recovery.sent_packet import (
    TOKEN_DATA_BLOCKED,
    TOKEN_MAX_DATA,
    TOKEN_MAX_STREAM_DATA,
    TOKEN_MAX_STREAMS,
    TOKEN_RESET_STREAM,
    TOKEN_STOP_SENDING,
    TOKEN_STREAM,
    TOKEN_STREAM_DATA_BLOCKED,
    TOKEN_STREAM_FIN,
    TOKEN_STREAMS_BLOCKED,
    SentPacket,
    Token,
)
from ropewalk.quic.streams.control_frames import ControlFrames
from ropewalk.quic.streams.flow_control import ReceiveWindow, SendCredit, WindowClock
from ropewalk.quic.streams.frame_scheduler import FrameScheduler
from ropewalk.quic.streams.limits import MAX_STREAMS_LIMIT
from ropewalk.quic.streams.registry import RECEIVING, SENDING, Stream, StreamRegistry
from ropewalk.quic.streams.send_stream import DATA_SENT, URGENCIES, SendStream
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.error_codes import (
    FRAME_ENCODING_ERROR,
)
from ropewalk.quic.types.errors import (
    ConfigurationError,
    StreamReset,
    StreamStateError,
    TransportError,
)
from ropewalk.quic.types.events import (
    Event,
    StreamReadable,
    StreamResetByPeer,
    StreamsAvailable,
    StreamStoppedByPeer,
    StreamWritable,
)
from ropewalk.quic.types.watch import Watch
from ropewalk.quic.wire.frame_types import (
    MAX_STREAM_DATA,
    MAX_STREAMS_BIDI,
    MAX_STREAMS_UNI,
    RESET_STREAM,
    STOP_SENDING,
    STREAM,
    STREAM_DATA_BLOCKED,
    STREAMS_BLOCKED_BIDI,
    STREAMS_BLOCKED_UNI,
)
from ropewalk.quic.wire.varint import MAX_VARINT


@final
class Streams:
    """Opens, feeds, drains and forgets streams, and obeys every limit of RFC 9000 2 to 4.

    Calls come from three sides: the application (``open`` to ``read``), the frames that
    arrive (``on_stream`` to ``on_streams_blocked``), and packet assembly with the fate of
    what it sent (``has_frames`` to ``on_token_lost``). News for the application go into the
    list of events that was handed in.

    A stream is forgotten when the peer has acknowledged our part of it and the application
    has read the other part to its end, or heard of its reset. Late frames for a forgotten
    stream are ignored.
    """

    def __init__(
        self,
        is_client: bool,
        config: Configuration,
        events: list[Event],
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch
        self._events = events
        self._clock = WindowClock()
        self._credit = SendCredit()
        window = ReceiveWindow(
            config.connection_window, config.connection_window_limit, self._clock
        )
        self._window = window
        registry = StreamRegistry(is_client, config, events, window, self._clock, watch)
        self._registry = registry
        self._streams = registry.streams
        self._control = ControlFrames(window, self._credit, registry.local, registry.remote, watch)
        self._scheduler = FrameScheduler(self._credit, self._control)

    # -- set-up and tuning

    def set_peer_limits(
        self,
        max_data: i64,
        max_stream_data_bidi_local: i64,
        max_stream_data_bidi_remote: i64,
        max_stream_data_uni: i64,
        max_streams_bidi: i64,
        max_streams_uni: i64,
    ) -> None:
        """Take the limits of the peer's transport parameters, named as the peer names them:
        its "local" streams are those that it opens (RFC 9000 18.2)."""
        registry = self._registry
        registry.set_first_limits(
            max_stream_data_bidi_local, max_stream_data_bidi_remote, max_stream_data_uni
        )
        for stream in self._streams.values():
            if stream.send is not None:
                self._raise_stream_limit(stream.send, registry.first_limit(stream.stream_id))
        self.on_max_data(max_data)
        self.on_max_streams(max_streams_bidi, True)
        self.on_max_streams(max_streams_uni, False)

    def tune_windows(self, rtt: float, now: float) -> None:
        """Tell the time and the smoothed RTT (seconds; 0.0 for unknown), by which windows
        learn how quickly they are consumed. Once per receive batch is plenty."""
        self._clock.now = now
        self._clock.rtt = rtt

    # -- the application

    def open(self, bidirectional: bool) -> int | None:
        """The ID of a new stream, or None when the peer's limit is reached; then
        ``StreamsAvailable`` tells when it is worth trying again."""
        stream_id: i64 = self._registry.open(bidirectional)
        if stream_id < 0:
            self._control.limits_due = True
            return None
        return int(stream_id)

    def write(self, stream_id: i64, data: bytes) -> int:
        """Queue bytes, by reference, and return how many were taken.

        When that is less than all, ``StreamWritable`` follows as soon as there is room.
        Raises ``StopSending`` when the peer reads no more, ``StreamStateError`` when the
        stream is finished, reset, unknown or not ours to write.
        """
        send = self._sender(stream_id)
        size: i64 = send.write(data)
        if size > 0:
            self._scheduler.update(send)
            if self._watch is not None:
                offset = send.buffer.chunks.end - size
                self._watch.observer.stream_data(self._watch.now, stream_id, offset, size, True)
        return int(size)

    def finish(self, stream_id: i64) -> None:
        """End the stream after what was written. Raises as :meth:`write`; again is harmless."""
        send = self._sender(stream_id)
        send.finish()
        self._scheduler.update(send)

    def reset(self, stream_id: i64, code: i64) -> None:
        """Give up sending; what is buffered is dropped and the peer is told ``code``.

        Too late (all acknowledged, reset already, stream forgotten) changes nothing. Raises
        ``StreamStateError`` for a stream that never was or that only receives.
        """
        _check_code(code)
        stream = self._registry.known(stream_id, SENDING)
        if stream is not None and stream.send is not None:
            self._reset(stream, stream.send, code)

    def stop(self, stream_id: i64, code: i64) -> None:
        """Read no more; what waits is dropped and the peer is asked to stop with ``code``.

        Too late changes nothing. Raises ``StreamStateError`` for a stream that never was or
        that only sends.
        """
        _check_code(code)
        stream = self._registry.known(stream_id, RECEIVING)
        if stream is not None and stream.receive is not None:
            if stream.receive.stop(code):
                self._control.queue_receiving(stream.receive)
            self._retire(stream)

    def priority(self, stream_id: i64, urgency: int, incremental: bool) -> None:
        """Set the urgency (0 first, 7 last, 3 unless set) and whether the stream shares its
        urgency's turns with others (True unless set), after RFC 9218 4.

        Raises ``ConfigurationError`` for an urgency out of range.
        """
        if not 0 <= urgency < URGENCIES:
            raise ConfigurationError(f"urgency is {urgency}; it goes from 0 to {URGENCIES - 1}")
        stream = self._registry.known(stream_id, SENDING)
        if stream is not None and stream.send is not None:
            self._scheduler.prioritise(stream.send, urgency, incremental)

    def read(self, stream_id: i64, limit: i64) -> tuple[bytes, bool]:
        """At most ``limit`` bytes, and whether the stream ends after them.

        (b"", False) means nothing now: ``StreamReadable`` follows. Raises ``StreamReset``
        once the peer has reset the stream, ``StreamStateError`` after :meth:`stop` and for a
        stream that is unknown, forgotten or only sends.
        """
        stream = self._streams.get(stream_id)
        if stream is None or stream.receive is None:
            raise StreamStateError(f"stream {stream_id} has nothing to read")
        receive = stream.receive
        try:
            data = receive.read(limit)
        except StreamReset:
            self._retire(stream)
            raise
        if data and self._watch is not None:
            size: i64 = len(data)
            offset = receive.window.consumed - size
            self._watch.observer.stream_data(self._watch.now, stream_id, offset, size, False)
        if receive.credit_due():
            self._control.queue_receiving(receive)
        if receive.is_done():
            self._retire(stream)
            return data, True
        return data, False

    def is_open(self, stream_id: i64) -> bool:
        """Whether the stream is known and not forgotten."""
        return stream_id in self._streams

    def send_capacity(self, stream_id: i64) -> int:
        """Bytes that a write would take now; 0 when it would raise."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.send is None:
            return 0
        return int(stream.send.room())

    def live(self) -> int:
        """Number of streams that are not forgotten."""
        return len(self._streams)

    def undelivered(self) -> int:
        """Bytes written that the peer has not acknowledged; an end or a reset counts as one.

        Looks at every living stream: meant for the end of a connection.
        """
        left = 0
        for stream in self._streams.values():
            send = stream.send
            if send is None or send.is_settled():
                continue
            if send.state <= DATA_SENT:
                left += int(send.buffer.held())
            if send.state > DATA_SENT or (send.final_size >= 0 and not send.fin_acked):
                left += 1
        return left

    def opened(self) -> int:
        """Streams that ever were, by either side: always closed + reset + live."""
        return int(self._registry.opened)

    def closed(self) -> int:
        """Streams that ended in order."""
        return int(self._registry.closed)

    def reset_count(self) -> int:
        """Streams of which at least one direction was reset."""
        return int(self._registry.reset)

    # -- frames that arrive

    def on_stream(self, stream_id: i64, offset: i64, data: bytes, fin: bool) -> None:
        """A STREAM frame (RFC 9000 19.8)."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.receive is None:
            stream = self._registry.from_peer(stream_id, STREAM, RECEIVING)
            if stream is None:
                return
        receive = stream.receive
        if receive is None:
            return
        if receive.on_data(offset, data, fin):
            self._events.append(StreamReadable(int(stream_id)))
        elif fin and receive.is_done():
            self._retire(stream)

    def on_reset_stream(self, stream_id: i64, code: i64, final_size: i64) -> None:
        """A RESET_STREAM frame (RFC 9000 19.4)."""
        stream = self._registry.from_peer(stream_id, RESET_STREAM, RECEIVING)
        if stream is None or stream.receive is None:
            return
        if stream.receive.on_reset(code, final_size):
            stream.was_reset = True
            self._events.append(StreamResetByPeer(int(stream_id), int(code)))
        self._retire(stream)

    def on_stop_sending(self, stream_id: i64, code: i64) -> None:
        """A STOP_SENDING frame (RFC 9000 19.5), answered with RESET_STREAM and its code."""
        stream = self._registry.from_peer(stream_id, STOP_SENDING, SENDING)
        if stream is None or stream.send is None:
            return
        send = stream.send
        if send.state > DATA_SENT or send.stop_code >= 0:
            return
        send.stop_code = code
        self._reset(stream, send, code)
        self._events.append(StreamStoppedByPeer(int(stream_id), int(code)))

    def on_max_data(self, maximum: i64) -> None:
        """A MAX_DATA frame (RFC 9000 19.9)."""
        self._credit.raise_limit(maximum)

    def on_max_stream_data(self, stream_id: i64, maximum: i64) -> None:
        """A MAX_STREAM_DATA frame (RFC 9000 19.10)."""
        stream = self._registry.from_peer(stream_id, MAX_STREAM_DATA, SENDING)
        if stream is not None and stream.send is not None:
            self._raise_stream_limit(stream.send, maximum)

    def on_max_streams(self, maximum: i64, bidirectional: bool) -> None:
        """A MAX_STREAMS frame (RFC 9000 19.11)."""
        if maximum > MAX_STREAMS_LIMIT:
            raise TransportError(
                FRAME_ENCODING_ERROR,
                f"a limit of {maximum} streams exceeds 2**60",
                MAX_STREAMS_BIDI if bidirectional else MAX_STREAMS_UNI,
            )
        if self._registry.local[0 if bidirectional else 1].raise_limit(maximum):
            self._events.append(StreamsAvailable(bidirectional))

    def on_data_blocked(self, limit: i64) -> None:
        """A DATA_BLOCKED frame (RFC 9000 19.12): for information only, because credit moves
        when the application reads, and the frame that grants it is sent until it arrives."""

    def on_stream_data_blocked(self, stream_id: i64, limit: i64) -> None:
        """A STREAM_DATA_BLOCKED frame (RFC 9000 19.13): checked, otherwise as above."""
        self._registry.from_peer(stream_id, STREAM_DATA_BLOCKED, RECEIVING)

    def on_streams_blocked(self, limit: i64, bidirectional: bool) -> None:
        """A STREAMS_BLOCKED frame (RFC 9000 19.14)."""
        if limit > MAX_STREAMS_LIMIT:
            raise TransportError(
                FRAME_ENCODING_ERROR,
                f"a limit of {limit} streams exceeds 2**60",
                STREAMS_BLOCKED_BIDI if bidirectional else STREAMS_BLOCKED_UNI,
            )
        if self._registry.remote[0 if bidirectional else 1].on_blocked():
            self._control.limits_due = True

    # -- packet assembly

    def has_frames(self) -> bool:
        """Whether there is anything to write, control or data."""
        return self._scheduler.pending() or self._control.pending()

    def sendable_bytes(self) -> i64:
        """Stream data that could be sent now: lost, and new within the peer's limits."""
        return self._scheduler.sendable()

    def credit_left(self) -> i64:
        """Bytes of new data that the peer's MAX_DATA still allows."""
        return self._credit.left()

    def write_control_frames(self, writer: BytesWriter, room: i64, slot: SentPacket) -> None:
        """Write due MAX_*, *_BLOCKED, RESET_STREAM and STOP_SENDING frames, with a token each,
        until the writer's length reaches ``room``."""
        if self._control.pending():
            self._control.write(writer, room, slot)

    def write_stream_frames(self, writer: BytesWriter, room: i64, slot: SentPacket) -> None:
        """Fill the packet with STREAM frames until the writer's length reaches ``room``, the end
        of the packet. The first goes into the slot's own fields, others become tokens.
        Nothing may follow when there is no room left."""
        self._scheduler.write(writer, room, slot)

    # -- the fate of frames

    def on_stream_acked(self, stream_id: i64, offset: i64, length: i64, fin: bool) -> None:
        """A STREAM frame was acknowledged."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        send = stream.send
        if send is None:
            return
        send.on_acked(offset, length, fin)
        if send.again_link.queued:
            self._scheduler.update(send)
        if send.refused and send.room_regained():
            self._events.append(StreamWritable(int(stream_id)))
        if send.state > DATA_SENT:
            self._retire(stream)

    def on_stream_lost(self, stream_id: i64, offset: i64, length: i64, fin: bool) -> None:
        """A STREAM frame was lost, or shall be sent again for another reason."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.send is None:
            return
        stream.send.on_lost(offset, length, fin)
        self._scheduler.update(stream.send)

    def on_token_acked(self, token: Token) -> None:
        """Any frame written here was acknowledged; others' tokens are ignored."""
        kind: i64 = token.kind
        if kind in (TOKEN_STREAM, TOKEN_STREAM_FIN):
            self.on_stream_acked(token.a, token.b, token.c, kind == TOKEN_STREAM_FIN)
        elif kind == TOKEN_RESET_STREAM:
            stream = self._streams.get(token.a)
            if stream is not None and stream.send is not None:
                stream.send.on_reset_acked()
                self._retire(stream)

    def on_token_lost(self, token: Token) -> None:
        """Any frame written here was lost; it goes again if it still says something."""
        kind: i64 = token.kind
        control = self._control
        if kind in (TOKEN_STREAM, TOKEN_STREAM_FIN):
            self.on_stream_lost(token.a, token.b, token.c, kind == TOKEN_STREAM_FIN)
        elif kind == TOKEN_MAX_DATA:
            control.on_max_data_lost(token.a)
        elif kind == TOKEN_MAX_STREAMS:
            control.on_max_streams_lost(token.a == 1, token.b)
        elif kind == TOKEN_DATA_BLOCKED:
            control.on_data_blocked_lost(token.a)
        elif kind == TOKEN_STREAMS_BLOCKED:
            control.on_streams_blocked_lost(token.a == 1, token.b)
        elif TOKEN_MAX_STREAM_DATA <= kind <= TOKEN_STREAM_DATA_BLOCKED:
            stream = self._streams.get(token.a)
            if stream is not None:
                self._on_stream_token_lost(stream, token)

    def _on_stream_token_lost(self, stream: Stream, token: Token) -> None:
        send = stream.send
        receive = stream.receive
        if send is not None:
            if token.kind == TOKEN_RESET_STREAM:
                self._control.on_reset_lost(send)
            elif token.kind == TOKEN_STREAM_DATA_BLOCKED:
                self._control.on_stream_data_blocked_lost(send, token.b)
        if receive is not None:
            if token.kind == TOKEN_STOP_SENDING:
                self._control.on_stop_lost(receive)
            elif token.kind == TOKEN_MAX_STREAM_DATA:
                self._control.on_max_stream_data_lost(receive, token.b)

    # -- within

    def _sender(self, stream_id: i64) -> SendStream:
        """The sending part that an application wants to use."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.send is None:
            self._registry.known(stream_id, SENDING)
            raise StreamStateError(f"stream {stream_id} is closed")
        return stream.send

    def _raise_stream_limit(self, send: SendStream, maximum: i64) -> None:
        """Smaller limits than before are ignored (RFC 9000 4.1)."""
        if maximum > send.max_data:
            send.max_data = maximum
            send.blocked_due = False
            self._scheduler.update(send)

    def _reset(self, stream: Stream, send: SendStream, code: i64) -> None:
        if send.reset(code):
            stream.was_reset = True
            self._scheduler.update(send)
            self._control.queue_sending(send)

    def _retire(self, stream: Stream) -> None:
        """Forget the stream if it is done."""
        if stream.is_done():
            if stream.send is not None:
                self._scheduler.forget(stream.send)
            if self._registry.forget(stream):
                self._control.limits_due = True


def _check_code(code: i64) -> None:
    if not 0 <= code <= MAX_VARINT:
        raise ConfigurationError(f"application error code {code} is not within 0 to 2**62 - 1")
