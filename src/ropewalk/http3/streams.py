"""Unidirectional streams: control, QPACK and unknown ones (RFC 9114 6.2; RFC 9204 4.2)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.http3.errors import (
    H3_CLOSED_CRITICAL_STREAM,
    H3_FRAME_UNEXPECTED,
    H3_ID_ERROR,
    H3_MISSING_SETTINGS,
    H3_REQUEST_CANCELLED,
    H3_STREAM_CREATION_ERROR,
    Http3Error,
)
from ropewalk.http3.events import GoawayReceived, RequestUnprocessed, SettingsReceived
from ropewalk.http3.frames import (
    CANCEL_PUSH,
    DATA,
    GOAWAY,
    HEADERS,
    MAX_PUSH_ID,
    NO_FRAME,
    PUSH_PROMISE,
    SETTINGS,
    FrameReader,
    decode_id,
    encode_frame,
    encode_id_frame,
    frame_name,
    is_http2_leftover,
    reserved_number,
)
from ropewalk.http3.settings import decode_settings, encode_settings, watched_settings
from ropewalk.http3.state import Http3State
from ropewalk.quic.connection import Connection
from ropewalk.quic.types.errors import StopSending, StreamReset, StreamStateError
from ropewalk.quic.wire.reader import Reader, Truncated
from ropewalk.quic.wire.varint import encode_varint

CONTROL: Final = 0x00
PUSH: Final = 0x01
QPACK_ENCODER: Final = 0x02
QPACK_DECODER: Final = 0x03

_UNTYPED: Final = -1
_NAMES: Final = ("control", "push", "QPACK encoder", "QPACK decoder")

#: Largest payload of a frame on a control stream: SETTINGS, above all.
_LARGEST_CONTROL_FRAME: Final = 4096
_CHUNK: Final = 4096


@final
class OutgoingStream:
    """One of our critical streams. What QUIC does not take at once waits here."""

    def __init__(self, quic: Connection, stream_id: int) -> None:
        self.stream_id = stream_id
        self._quic = quic
        self._unsent: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send all of it, sooner or later."""
        self._unsent.append(data)
        self.flush()

    def flush(self) -> None:
        """Hand on what waits, as far as QUIC takes it."""
        while self._unsent and self._quic.active:
            data = self._unsent[0]
            try:
                accepted = self._quic.write(self.stream_id, data)
            except (StopSending, StreamStateError):
                # The event about it is on its way, and it ends the connection.
                self._unsent.clear()
                return
            if accepted < len(data):
                self._unsent[0] = data[accepted:]
                return
            del self._unsent[0]


@final
class IncomingStream:
    """One of the peer's unidirectional streams."""

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id
        self.kind: i64 = _UNTYPED
        #: the beginning of a type that is not whole yet
        self.beginning = b""


@final
class UnidirectionalStreams:
    """Opens our control and QPACK streams and obeys, and enforces, the rules for theirs."""

    def __init__(self, state: Http3State) -> None:
        self._state = state
        self._incoming: dict[int, IncomingStream] = {}
        #: the peer's critical streams by kind, -1 while there is none
        self._critical: list[int] = [-1, -1, -1, -1]
        #: ours by kind
        self._outgoing: dict[int, OutgoingStream] = {}
        self._frames = FrameReader()
        self._max_push_id = -1

    # -- ours

    def open(self) -> None:
        """Open what is not open yet, as far as the peer's limit allows (RFC 9114 6.2)."""
        for kind in (CONTROL, QPACK_ENCODER, QPACK_DECODER):
            if kind in self._outgoing:
                continue
            quic = self._state.quic
            stream_id = quic.open_stream(False)
            if stream_id is None:
                return
            # What rules the connection should never wait behind bodies.
            quic.priority(stream_id, 0, True)
            stream = OutgoingStream(quic, stream_id)
            self._outgoing[kind] = stream
            watch = self._state.watch
            if watch is not None:
                watch.observer.http3_stream_type(watch.now, False, stream_id, kind)
            stream.write(encode_varint(kind))
            if kind == CONTROL:
                self._send_settings(stream)
                self.send_goaway()

    def send_goaway(self) -> None:
        """Send the GOAWAY that the state tells of, as soon as there is a control stream."""
        stream = self._outgoing.get(CONTROL)
        if stream is not None and self._state.goaway_sent >= 0:
            frame = encode_id_frame(GOAWAY, self._state.goaway_sent)
            stream.write(frame)
            # Type and length take a byte each.
            self._tell_frame(True, stream.stream_id, GOAWAY, len(frame) - 2, frame[2:])

    def flush_qpack(self) -> None:
        """Send what our decoder has to tell their encoder."""
        stream = self._outgoing.get(QPACK_DECODER)
        if stream is None:
            return
        instructions = self._state.decoder.take_decoder_stream()
        if instructions:
            stream.write(instructions)

    def on_writable(self, stream_id: int) -> None:
        """One of ours has room again."""
        for stream in self._outgoing.values():
            if stream.stream_id == stream_id:
                stream.flush()

    def on_stopped(self, stream_id: int) -> None:
        """The peer asked us to stop sending on one of ours, which it must not (6.2.1)."""
        for kind, stream in self._outgoing.items():
            if stream.stream_id == stream_id:
                raise Http3Error(
                    H3_CLOSED_CRITICAL_STREAM, f"the peer stopped our {_NAMES[kind]} stream"
                )

    def _send_settings(self, stream: OutgoingStream) -> None:
        """SETTINGS first of all (6.2.1), and a reserved setting and frame along with it, so
        that peers do not forget to tolerate what they do not know (RFC 9114 7.2.4.1, 7.2.8)."""
        entropy = self._state.quic.state.config.entropy(8)
        payload = encode_settings(self._state.settings)
        payload += encode_varint(reserved_number(int.from_bytes(entropy[:2], "big") + 1))
        payload += encode_varint(entropy[2])
        stream.write(encode_frame(SETTINGS, payload))
        reserved = reserved_number(int.from_bytes(entropy[3:5], "big"))
        stream.write(encode_frame(reserved, entropy[5:8]))
        watch = self._state.watch
        if watch is not None:
            settings = watched_settings(self._state.settings)
            watch.observer.http3_parameters(watch.now, False, settings)
            self._tell_frame(True, stream.stream_id, SETTINGS, len(payload), payload)
            self._tell_frame(True, stream.stream_id, reserved, 3, b"")

    def _tell_frame(
        self, sending: bool, stream_id: i64, frame_type: i64, length: i64, payload: bytes
    ) -> None:
        watch = self._state.watch
        if watch is not None:
            watch.observer.http3_frame(watch.now, sending, stream_id, frame_type, length, payload)

    # -- theirs

    def on_opened(self, stream_id: int) -> None:
        """The peer opened a unidirectional stream."""
        self._incoming[stream_id] = IncomingStream(stream_id)

    def on_readable(self, stream_id: int) -> None:
        """One of theirs has bytes or its end. Raises ``Http3Error``."""
        stream = self._incoming.get(stream_id)
        while stream is not None:
            try:
                data, end = self._state.quic.read(stream_id, _CHUNK)
            except StreamReset:
                self.on_reset(stream_id)
                return
            except StreamStateError:
                return
            if data:
                self._on_data(stream, data)
            if end:
                self._on_end(stream)
                return
            if not data:
                return
            # It is gone when its type was none of ours to read.
            stream = self._incoming.get(stream_id)

    def on_reset(self, stream_id: int) -> None:
        """The peer gave up one of theirs."""
        stream = self._incoming.get(stream_id)
        if stream is None:
            return
        self._state.drop_reset(stream_id)
        self._on_end(stream)

    def _on_end(self, stream: IncomingStream) -> None:
        self._incoming.pop(stream.stream_id, None)
        if stream.kind != _UNTYPED and self._critical[stream.kind] == stream.stream_id:
            raise Http3Error(
                H3_CLOSED_CRITICAL_STREAM, f"the peer closed its {_NAMES[stream.kind]} stream"
            )

    def _on_data(self, stream: IncomingStream, data: bytes) -> None:
        if stream.kind == _UNTYPED:
            joined = stream.beginning + data
            reader = Reader(joined)
            try:
                kind = reader.varint()
            except Truncated:
                stream.beginning = joined
                return
            stream.beginning = b""
            watch = self._state.watch
            if watch is not None:
                watch.observer.http3_stream_type(watch.now, True, stream.stream_id, kind)
            data = joined[reader.position :]
            self._on_type(stream, kind)
        if stream.kind == CONTROL:
            self._on_control(data)
        elif stream.kind == QPACK_ENCODER:
            self._state.decoder.feed_encoder(data)
        elif stream.kind == QPACK_DECODER:
            self._state.encoder.feed_decoder(data)

    def _on_type(self, stream: IncomingStream, kind: i64) -> None:
        if kind == PUSH:
            if self._state.is_client:
                # RFC 9114 4.6: we never sent MAX_PUSH_ID, so every push ID is too large.
                raise Http3Error(H3_ID_ERROR, "a push stream, but no push was ever allowed")
            raise Http3Error(H3_STREAM_CREATION_ERROR, "a client cannot push")
        if kind > QPACK_DECODER:
            # RFC 9114 6.2: unknown and reserved types are no error, they just go unread.
            self._incoming.pop(stream.stream_id, None)
            self._state.stop(stream.stream_id, H3_STREAM_CREATION_ERROR)
            return
        if self._critical[kind] >= 0:
            raise Http3Error(H3_STREAM_CREATION_ERROR, f"a second {_NAMES[kind]} stream")
        self._critical[kind] = stream.stream_id
        stream.kind = kind

    # -- the peer's control stream

    def _on_control(self, data: bytes) -> None:
        frames = self._frames
        frames.feed(data)
        while True:
            if frames.frame_type == NO_FRAME:
                if frames.available() == 0 or not frames.read_header():
                    return
                if not _is_collected(frames.frame_type):
                    control = self._critical[CONTROL]
                    self._tell_frame(False, control, frames.frame_type, frames.remaining, b"")
                self._check_control_frame(frames.frame_type)
            if not self._on_control_frame(frames):
                return

    def _check_control_frame(self, frame_type: i64) -> None:
        """Which frames a control stream may carry, and when (RFC 9114 6.2.1, 7.2)."""
        state = self._state
        if not state.settings_received:
            if frame_type != SETTINGS:
                raise Http3Error(
                    H3_MISSING_SETTINGS,
                    f"the control stream begins with {frame_name(frame_type)}, not SETTINGS",
                )
            return
        if (
            frame_type == SETTINGS
            or frame_type == DATA
            or frame_type == HEADERS
            or frame_type == PUSH_PROMISE
            or (frame_type == MAX_PUSH_ID and state.is_client)
            or is_http2_leftover(frame_type)
        ):
            raise Http3Error(H3_FRAME_UNEXPECTED, f"{frame_name(frame_type)} on the control stream")

    def _on_control_frame(self, frames: FrameReader) -> bool:
        """Work on the frame at hand; False when more bytes are needed."""
        frame_type = frames.frame_type
        if not _is_collected(frame_type):
            frames.skip()
            return frames.frame_type == NO_FRAME
        payload = frames.collect(_LARGEST_CONTROL_FRAME)
        if payload is None:
            return False
        self._tell_frame(False, self._critical[CONTROL], frame_type, len(payload), payload)
        if frame_type == SETTINGS:
            self._on_settings(payload)
        elif frame_type == GOAWAY:
            self._on_goaway(decode_id(frame_type, payload))
        elif frame_type == MAX_PUSH_ID:
            self._on_max_push_id(decode_id(frame_type, payload))
        else:
            # RFC 9114 7.2.3: nothing was ever promised, neither by us nor to us.
            identifier = decode_id(frame_type, payload)
            raise Http3Error(H3_ID_ERROR, f"CANCEL_PUSH for {identifier}, which was not promised")
        return True

    def _on_settings(self, payload: bytes) -> None:
        state = self._state
        state.peer_settings = decode_settings(payload)
        state.settings_received = True
        if state.watch is not None:
            settings = watched_settings(state.peer_settings)
            state.watch.observer.http3_parameters(state.watch.now, True, settings)
        state.events.append(SettingsReceived(state.peer_settings))

    def _on_max_push_id(self, identifier: int) -> None:
        if identifier < self._max_push_id:
            raise Http3Error(
                H3_ID_ERROR, f"MAX_PUSH_ID falls from {self._max_push_id} to {identifier}"
            )
        self._max_push_id = identifier

    def _on_goaway(self, identifier: int) -> None:
        """RFC 9114 5.2, 7.2.6."""
        state = self._state
        if state.is_client and identifier & 3:
            raise Http3Error(H3_ID_ERROR, f"GOAWAY names stream {identifier}, which is no request")
        if 0 <= state.goaway_received < identifier:
            raise Http3Error(
                H3_ID_ERROR, f"GOAWAY rises from {state.goaway_received} to {identifier}"
            )
        state.goaway_received = identifier
        state.events.append(GoawayReceived(identifier))
        if state.is_client:
            for exchange in list(state.exchanges.values()):
                if exchange.stream_id >= identifier:
                    state.abort(exchange, H3_REQUEST_CANCELLED)
                    state.events.append(RequestUnprocessed(exchange.stream_id))


def _is_collected(frame_type: i64) -> bool:
    """Whether the payload of a control-stream frame is read as a whole."""
    return (
        frame_type == SETTINGS
        or frame_type == GOAWAY
        or frame_type == MAX_PUSH_ID
        or frame_type == CANCEL_PUSH
    )
