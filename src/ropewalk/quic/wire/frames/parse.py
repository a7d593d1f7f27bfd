"""From bytes to frames (RFC 9000 12.4, 19): one frame, or all of a packet's payload."""

from __future__ import annotations

from mypy_extensions import i64

from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.ack import AckFrame, parse_ack
from ropewalk.quic.wire.frame import Frame, malformed_frame, truncated_frame
from ropewalk.quic.wire.frame_types import (
    ACK,
    ACK_ECN,
    ACK_FREQUENCY,
    CONNECTION_CLOSE,
    CONNECTION_CLOSE_APPLICATION,
    CRYPTO,
    DATA_BLOCKED,
    DATAGRAM,
    DATAGRAM_LENGTH,
    HANDSHAKE_DONE,
    IMMEDIATE_ACK,
    MAX_DATA,
    MAX_STREAM_DATA,
    MAX_STREAMS_BIDI,
    MAX_STREAMS_UNI,
    NEW_CONNECTION_ID,
    NEW_TOKEN,
    PADDING,
    PATH_CHALLENGE,
    PATH_RESPONSE,
    PING,
    RESET_STREAM,
    RETIRE_CONNECTION_ID,
    STOP_SENDING,
    STREAM,
    STREAM_DATA_BLOCKED,
    STREAM_LAST,
    STREAMS_BLOCKED_BIDI,
    STREAMS_BLOCKED_UNI,
    read_frame_type,
)
from ropewalk.quic.wire.frames.acks import ImmediateAckFrame, parse_ack_frequency
from ropewalk.quic.wire.frames.basic import (
    HandshakeDoneFrame,
    PaddingFrame,
    PingFrame,
    parse_connection_close,
    parse_crypto,
    parse_datagram,
    parse_new_token,
)
from ropewalk.quic.wire.frames.flow_control import (
    DataBlockedFrame,
    MaxDataFrame,
    parse_max_stream_data,
    parse_max_streams,
    parse_stream_data_blocked,
    parse_streams_blocked,
)
from ropewalk.quic.wire.frames.paths import (
    PATH_DATA_LENGTH,
    PathChallengeFrame,
    PathResponseFrame,
    RetireConnectionIdFrame,
    parse_new_connection_id,
)
from ropewalk.quic.wire.frames.streams import (
    parse_reset_stream,
    parse_stop_sending,
    parse_stream,
)
from ropewalk.quic.wire.reader import Reader, Truncated


def parse_frame(reader: Reader, frame_type: i64) -> Frame:
    """Read the fields that follow a frame type, and leave the reader behind the frame.

    For PADDING the whole run of it becomes one :class:`PaddingFrame`. Raises
    ``TransportError`` FRAME_ENCODING_ERROR for a malformed frame and for an unknown type.
    """
    try:
        if STREAM <= frame_type <= STREAM_LAST:
            return parse_stream(reader, frame_type)
        if frame_type < STREAM:
            return _parse_low(reader, frame_type)
        if frame_type <= STREAMS_BLOCKED_UNI:
            return _parse_flow_control(reader, frame_type)
        return _parse_high(reader, frame_type)
    except Truncated:
        raise truncated_frame(frame_type) from None


def parse_frames(payload: bytes) -> list[Frame]:
    """All frames of an unprotected payload, in order.

    Raises ``TransportError`` like :func:`parse_frame`; PROTOCOL_VIOLATION for a payload
    without any frame and for a frame type that is not in its shortest encoding (12.4).
    """
    if not payload:
        raise TransportError(PROTOCOL_VIOLATION, "a packet without frames")
    reader = Reader(payload)
    frames: list[Frame] = []
    while reader.remaining() > 0:
        try:
            frame_type: i64 = read_frame_type(reader)
        except Truncated:
            raise malformed_frame(PADDING, "the packet ends within a frame type") from None
        frames.append(parse_frame(reader, frame_type))
    return frames


def _parse_low(reader: Reader, frame_type: i64) -> Frame:
    """Types 0x00 to 0x07."""
    if frame_type == PADDING:
        size: i64 = 1 + reader.skip_zeros()
        return PaddingFrame(size)
    if frame_type == PING:
        return PingFrame()
    if ACK <= frame_type <= ACK_ECN:
        ack = AckFrame()
        parse_ack(reader, frame_type, ack)
        return ack
    if frame_type == RESET_STREAM:
        return parse_reset_stream(reader)
    if frame_type == STOP_SENDING:
        return parse_stop_sending(reader)
    if frame_type == CRYPTO:
        return parse_crypto(reader)
    if frame_type == NEW_TOKEN:
        return parse_new_token(reader)
    raise _unknown(frame_type)


def _parse_flow_control(reader: Reader, frame_type: i64) -> Frame:
    """Types 0x10 to 0x17."""
    if frame_type == MAX_DATA:
        return MaxDataFrame(reader.varint())
    if frame_type == MAX_STREAM_DATA:
        return parse_max_stream_data(reader)
    if MAX_STREAMS_BIDI <= frame_type <= MAX_STREAMS_UNI:
        return parse_max_streams(reader, frame_type)
    if frame_type == DATA_BLOCKED:
        return DataBlockedFrame(reader.varint())
    if frame_type == STREAM_DATA_BLOCKED:
        return parse_stream_data_blocked(reader)
    if STREAMS_BLOCKED_BIDI <= frame_type <= STREAMS_BLOCKED_UNI:
        return parse_streams_blocked(reader, frame_type)
    raise _unknown(frame_type)


def _parse_high(reader: Reader, frame_type: i64) -> Frame:
    """Types from 0x18 up."""
    if frame_type == NEW_CONNECTION_ID:
        return parse_new_connection_id(reader)
    if frame_type == RETIRE_CONNECTION_ID:
        return RetireConnectionIdFrame(reader.varint())
    if frame_type == PATH_CHALLENGE:
        return PathChallengeFrame(reader.take(PATH_DATA_LENGTH))
    if frame_type == PATH_RESPONSE:
        return PathResponseFrame(reader.take(PATH_DATA_LENGTH))
    if CONNECTION_CLOSE <= frame_type <= CONNECTION_CLOSE_APPLICATION:
        return parse_connection_close(reader, frame_type)
    if frame_type == HANDSHAKE_DONE:
        return HandshakeDoneFrame()
    if DATAGRAM <= frame_type <= DATAGRAM_LENGTH:
        return parse_datagram(reader, frame_type)
    if frame_type == IMMEDIATE_ACK:
        return ImmediateAckFrame()
    if frame_type == ACK_FREQUENCY:
        return parse_ack_frequency(reader)
    raise _unknown(frame_type)


def _unknown(frame_type: i64) -> TransportError:
    # 12.4: an unknown type is an encoding error. Extensions are asked before this.
    return malformed_frame(frame_type, "a frame type that was not negotiated")
