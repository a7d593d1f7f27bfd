"""Parses the frames of a payload in place and hands each to the part that owns it."""

from __future__ import annotations

import hmac
from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.connection.accounting import Accounting
from ropewalk.quic.connection.ack_frequency import AckFrequency
from ropewalk.quic.connection.handshaking import Handshaking
from ropewalk.quic.connection.lifecycle import Lifecycle
from ropewalk.quic.connection.routing import Routing
from ropewalk.quic.connection.state import ACTIVE, ConnectionState
from ropewalk.quic.connection.watching import tell_recovery
from ropewalk.quic.connection.workspace import Workspace
from ropewalk.quic.path.route import Route
from ropewalk.quic.recovery.space import PacketSpace
from ropewalk.quic.types.error_codes import (
    FRAME_ENCODING_ERROR,
    PROTOCOL_VIOLATION,
)
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.events import TokenReceived
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.wire.ack import parse_ack
from ropewalk.quic.wire.frame_types import (
    ACK,
    ACK_ECN,
    ACK_FREQUENCY,
    CONNECTION_CLOSE,
    CONNECTION_CLOSE_APPLICATION,
    CRYPTO,
    DATAGRAM,
    DATAGRAM_LENGTH,
    HANDSHAKE_DONE,
    IMMEDIATE_ACK,
    MAX_DATA,
    MAX_STREAMS_BIDI,
    PADDING,
    PING,
    RESET_STREAM,
    STOP_SENDING,
    STREAM,
    STREAMS_BLOCKED_BIDI,
    STREAMS_BLOCKED_UNI,
    allowed_in,
    is_known,
    is_probing,
    read_frame_type,
)
from ropewalk.quic.wire.frames import (
    AckFrequencyFrame,
    ConnectionCloseFrame,
    CryptoFrame,
    DataBlockedFrame,
    ImmediateAckFrame,
    MaxDataFrame,
    MaxStreamDataFrame,
    MaxStreamsFrame,
    NewConnectionIdFrame,
    NewTokenFrame,
    PathChallengeFrame,
    PathResponseFrame,
    ResetStreamFrame,
    RetireConnectionIdFrame,
    StopSendingFrame,
    StreamDataBlockedFrame,
    StreamsBlockedFrame,
    parse_frame,
)
from ropewalk.quic.wire.reader import Reader, Truncated
from ropewalk.quic.wire.stream_header import parse_stream_header

_STREAM_MASK: Final = 0xF8
_ABSURD_DELAY: Final = 0x1000000


@final
class Dispatcher:
    """Owns the parsing of payloads."""

    def __init__(
        self,
        state: ConnectionState,
        lifecycle: Lifecycle,
        handshaking: Handshaking,
        routing: Routing,
        accounting: Accounting,
        ack_frequency: AckFrequency,
        workspace: Workspace,
    ) -> None:
        self._state = state
        self._lifecycle = lifecycle
        self._handshaking = handshaking
        self._routing = routing
        self._accounting = accounting
        self._ack_frequency = ack_frequency
        self._reader = workspace.reader
        self._ack = workspace.ack
        self._stream_header = workspace.stream_header
        self._destination_cid = b""
        #: whether the last payload had a frame that is not a probing one (RFC 9000 9.1)
        self.non_probing = False

    def process(self, payload: bytes, level: i64, route: Route, now: float) -> bool:
        """Process a payload; whether it elicits an ACK. Raises ``TransportError``."""
        state = self._state
        reader = self._reader
        header = self._stream_header
        reader.reset(payload)
        if reader.end == 0:
            raise TransportError(PROTOCOL_VIOLATION, "a packet without frames")
        ack_eliciting = False
        self.non_probing = False
        frame_type: i64 = 0
        try:
            while reader.position < reader.end:
                frame_type = payload[reader.position]
                if frame_type & _STREAM_MASK == STREAM and level == ONE_RTT:
                    reader.position += 1
                    parse_stream_header(reader, frame_type, header)
                    data = reader.take(header.length)
                    state.streams.on_stream(header.stream_id, header.offset, data, header.fin)
                    ack_eliciting = True
                    self.non_probing = True
                elif frame_type == PADDING:
                    reader.skip_zeros()
                else:
                    frame_type = read_frame_type(reader)
                    if self._frame(reader, frame_type, level, route, now):
                        ack_eliciting = True
                    if not self.non_probing and not is_probing(frame_type):
                        self.non_probing = True
                    if state.life != ACTIVE:
                        return ack_eliciting
        except Truncated:
            raise TransportError(
                FRAME_ENCODING_ERROR, "the frame is longer than its packet", int(frame_type)
            ) from None
        except TransportError as error:
            if error.frame_type == STREAM:
                # The owner of streams does not see the flags that are part of the type.
                error.frame_type = int(frame_type)
            raise
        return ack_eliciting

    def carries_close(self, payload: bytes) -> bool:
        """Whether a payload begins with CONNECTION_CLOSE; used once we are closing."""
        return len(payload) > 0 and payload[0] in (CONNECTION_CLOSE, CONNECTION_CLOSE_APPLICATION)

    def is_reset_token(self, candidate: bytes) -> bool:
        """Whether 16 bytes are the reset token of the peer's ID in use, in constant time."""
        token = self._state.path.peer_ids.current.reset_token
        return len(token) == 16 and hmac.compare_digest(token, candidate)

    def _frame(self, reader: Reader, frame_type: i64, level: i64, route: Route, now: float) -> bool:
        """One frame that is neither STREAM nor PADDING; whether it elicits an ACK."""
        state = self._state
        if state.extensions and level == ONE_RTT and int(frame_type) in state.extensions:
            extension = state.extensions[int(frame_type)]
            reader.position = extension.receive(
                state.path.path_id, frame_type, reader.data, reader.position
            )
            return True
        if not allowed_in(frame_type, level):
            if not is_known(frame_type):
                raise TransportError(FRAME_ENCODING_ERROR, "unknown frame type", int(frame_type))
            raise TransportError(
                PROTOCOL_VIOLATION, "this packet type may not carry the frame", int(frame_type)
            )
        if frame_type in (ACK_FREQUENCY, IMMEDIATE_ACK) and not state.config.ack_frequency:
            raise TransportError(
                FRAME_ENCODING_ERROR, "ACK frequency was not negotiated", int(frame_type)
            )
        if frame_type == ACK or frame_type == ACK_ECN:
            parse_ack(reader, frame_type, self._ack)
            self._on_ack(level, now)
            return False
        if frame_type == PING:
            return True
        if frame_type == DATAGRAM or frame_type == DATAGRAM_LENGTH:
            self._on_datagram(reader, frame_type)
            return True
        if frame_type == HANDSHAKE_DONE:
            if not state.is_client:
                raise TransportError(
                    PROTOCOL_VIOLATION, "a client sent HANDSHAKE_DONE", int(frame_type)
                )
            self._handshaking.confirm(now)
            return True
        if frame_type == CRYPTO:
            crypto = parse_frame(reader, frame_type)
            assert isinstance(crypto, CryptoFrame)
            self._handshaking.on_crypto(level, crypto.offset, crypto.data)
            return True
        if MAX_DATA <= frame_type <= STREAMS_BLOCKED_UNI or frame_type in (
            RESET_STREAM,
            STOP_SENDING,
        ):
            self._stream_frame(reader, frame_type)
            return True
        return self._connection_frame(reader, frame_type, route, now)

    def _space(self, level: i64) -> PacketSpace | None:
        state = self._state
        if level == ONE_RTT:
            return state.path.space
        owner = state.initial if level == INITIAL else state.handshake_level
        return None if owner is None else owner.space

    def _on_ack(self, level: i64, now: float) -> None:
        state = self._state
        space = self._space(level)
        if space is None:
            return
        ack = self._ack
        delay = 0.0
        if level == ONE_RTT:
            # An absurd delay is cut off here; RFC 9002 5.3 bounds it by max_ack_delay anyway.
            raw: i64 = min(ack.delay, _ABSURD_DELAY)
            delay = float(raw) * state.peer_ack_delay_unit
        space.on_ack(
            ack,
            delay,
            now,
            state.handshake_confirmed,
            state.peer_max_ack_delay,
            state.peer_validated_address,
        )
        if level == HANDSHAKE:
            # RFC 9002 6.2.2.1: the server has validated our address.
            state.peer_validated_address = True
        elif level == ONE_RTT and state.keys is not None:
            self._ack_frequency.look(state.path.active.recovery, now)
            state.keys.on_acked(ack.largest, now, state.path.path_id)
            # RFC 9001 6.5: old keys serve for three PTO after an update.
            state.keys.set_previous_lifetime(3 * state.probe_timeout())
            if state.is_client and not state.handshake_confirmed and state.handshake_complete:
                # RFC 9001 4.1.2: an acknowledged 1-RTT packet confirms the handshake, too.
                self._handshaking.confirm(now)
        self._accounting.settle(space, now)
        if state.observer is not None:
            tell_recovery(state.observer, state, now)

    def _on_datagram(self, reader: Reader, frame_type: i64) -> None:
        state = self._state
        limit = state.config.max_datagram_frame_size
        if frame_type == DATAGRAM_LENGTH:
            data = reader.take(reader.varint())
        else:
            data = reader.take(reader.remaining())
        # RFC 9221 3: the limit covers the whole frame, its type and length included.
        if limit == 0 or 1 + len(data) > limit:
            raise TransportError(
                PROTOCOL_VIOLATION,
                f"a datagram of {len(data)} bytes; the limit is {limit}",
                int(frame_type),
            )
        state.datagrams.on_received(data)

    def _stream_frame(self, reader: Reader, frame_type: i64) -> None:
        streams = self._state.streams
        frame = parse_frame(reader, frame_type)
        if isinstance(frame, MaxDataFrame):
            streams.on_max_data(frame.maximum)
        elif isinstance(frame, MaxStreamDataFrame):
            streams.on_max_stream_data(frame.stream_id, frame.maximum)
        elif isinstance(frame, MaxStreamsFrame):
            streams.on_max_streams(frame.maximum, frame_type == MAX_STREAMS_BIDI)
        elif isinstance(frame, ResetStreamFrame):
            streams.on_reset_stream(frame.stream_id, frame.code, frame.final_size)
        elif isinstance(frame, StopSendingFrame):
            streams.on_stop_sending(frame.stream_id, frame.code)
        elif isinstance(frame, DataBlockedFrame):
            streams.on_data_blocked(frame.limit)
        elif isinstance(frame, StreamDataBlockedFrame):
            streams.on_stream_data_blocked(frame.stream_id, frame.limit)
        elif isinstance(frame, StreamsBlockedFrame):
            streams.on_streams_blocked(frame.limit, frame_type == STREAMS_BLOCKED_BIDI)

    def _connection_frame(self, reader: Reader, frame_type: i64, route: Route, now: float) -> bool:
        state = self._state
        path = state.path
        frame = parse_frame(reader, frame_type)
        if isinstance(frame, NewConnectionIdFrame):
            before = path.peer_ids.current.connection_id
            path.peer_ids.add(
                frame.sequence_number,
                frame.retire_prior_to,
                frame.connection_id,
                frame.stateless_reset_token,
            )
            if state.observer is not None and path.peer_ids.current.connection_id != before:
                current = path.peer_ids.current.connection_id
                state.observer.connection_id(now, False, before, current)
        elif isinstance(frame, RetireConnectionIdFrame):
            gone = path.own_ids.retire(frame.sequence_number, self._destination_cid)
            if gone is not None:
                state.removed_cids.append(gone.connection_id)
                if state.observer is not None:
                    state.observer.connection_id(now, True, gone.connection_id, b"")
        elif isinstance(frame, PathChallengeFrame):
            path.respond(frame.data, route)
        elif isinstance(frame, PathResponseFrame):
            self._routing.on_path_response(frame.data, now)
        elif isinstance(frame, AckFrequencyFrame):
            self._ack_frequency.on_frame(frame)
        elif isinstance(frame, ImmediateAckFrame):
            path.space.received.ack_deadline = now
        elif isinstance(frame, NewTokenFrame):
            if not state.is_client:
                raise TransportError(PROTOCOL_VIOLATION, "a client sent NEW_TOKEN", int(frame_type))
            state.events.append(TokenReceived(frame.token))
        elif isinstance(frame, ConnectionCloseFrame):
            self._lifecycle.on_peer_close(
                int(frame.code),
                int(frame.frame_type or 0),
                frame.reason.decode("utf-8", "replace"),
                frame_type == CONNECTION_CLOSE_APPLICATION,
                now,
            )
            return False
        return True

    def set_destination(self, destination_cid: bytes) -> None:
        """The ID the packets about to be processed were sent to."""
        self._destination_cid = destination_cid
