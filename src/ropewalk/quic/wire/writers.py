"""Writes frames straight into a packet, without making an object first (RFC 9000 19, RFC 9221).

Every function appends one whole frame, type included, and raises ``ValueError`` when a value
does not fit into its variable-length integer. The caller sees to it that there is room.
ACK frames are written in :mod:`ropewalk.quic.wire.ack`.
"""

from __future__ import annotations

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

from ropewalk.quic.wire.frame_types import (
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
    PATH_CHALLENGE,
    PATH_RESPONSE,
    PING,
    RESET_STREAM,
    RETIRE_CONNECTION_ID,
    STOP_SENDING,
    STREAM,
    STREAM_DATA_BLOCKED,
    STREAM_FIN,
    STREAM_LEN,
    STREAM_OFF,
    STREAMS_BLOCKED_BIDI,
    STREAMS_BLOCKED_UNI,
)
from ropewalk.quic.wire.varint import varint_size, write_varint

# -- 19.1 and 19.2


def write_padding(writer: BytesWriter, size: i64) -> None:
    """Append ``size`` PADDING frames of one byte each (19.1)."""
    if size > 0:
        writer.write(bytes(size))


def write_ping(writer: BytesWriter) -> None:
    """Append a PING frame (19.2)."""
    writer.append(u8(PING))


# -- 19.4 to 19.8: streams and the handshake's bytes


def write_reset_stream(writer: BytesWriter, stream_id: i64, code: i64, final_size: i64) -> None:
    """Append a RESET_STREAM frame (19.4); ``code`` is the application's."""
    writer.append(u8(RESET_STREAM))
    write_varint(writer, stream_id)
    write_varint(writer, code)
    write_varint(writer, final_size)


def write_stop_sending(writer: BytesWriter, stream_id: i64, code: i64) -> None:
    """Append a STOP_SENDING frame (19.5); ``code`` is the application's."""
    writer.append(u8(STOP_SENDING))
    write_varint(writer, stream_id)
    write_varint(writer, code)


def write_crypto(writer: BytesWriter, offset: i64, data: bytes) -> None:
    """Append a CRYPTO frame (19.6)."""
    writer.append(u8(CRYPTO))
    write_varint(writer, offset)
    write_varint(writer, len(data))
    writer.write(data)


def crypto_header_size(offset: i64, length: i64) -> i64:
    """Bytes that a CRYPTO frame adds to ``length`` bytes of data."""
    return 1 + varint_size(offset) + varint_size(length)


def write_new_token(writer: BytesWriter, token: bytes) -> None:
    """Append a NEW_TOKEN frame (19.7); the token must not be empty."""
    writer.append(u8(NEW_TOKEN))
    write_varint(writer, len(token))
    writer.write(token)


def write_stream_header(
    writer: BytesWriter, stream_id: i64, offset: i64, length: i64, fin: bool
) -> None:
    """Append a STREAM frame up to its data (19.8).

    A ``length`` of -1 leaves the field out: the data then reaches to the packet's end.
    """
    frame_type: i64 = STREAM
    if offset > 0:
        frame_type |= STREAM_OFF
    if length >= 0:
        frame_type |= STREAM_LEN
    if fin:
        frame_type |= STREAM_FIN
    writer.append(u8(frame_type))
    write_varint(writer, stream_id)
    if offset > 0:
        write_varint(writer, offset)
    if length >= 0:
        write_varint(writer, length)


def stream_header_size(stream_id: i64, offset: i64, length: i64) -> i64:
    """Bytes that :func:`write_stream_header` appends for the same arguments."""
    size: i64 = 1 + varint_size(stream_id)
    if offset > 0:
        size += varint_size(offset)
    if length >= 0:
        size += varint_size(length)
    return size


# -- 19.9 to 19.14: flow control and stream limits


def write_max_data(writer: BytesWriter, maximum: i64) -> None:
    """Append a MAX_DATA frame (19.9)."""
    writer.append(u8(MAX_DATA))
    write_varint(writer, maximum)


def write_max_stream_data(writer: BytesWriter, stream_id: i64, maximum: i64) -> None:
    """Append a MAX_STREAM_DATA frame (19.10)."""
    writer.append(u8(MAX_STREAM_DATA))
    write_varint(writer, stream_id)
    write_varint(writer, maximum)


def write_max_streams(writer: BytesWriter, maximum: i64, bidirectional: bool) -> None:
    """Append a MAX_STREAMS frame (19.11); at most 2**60 streams exist."""
    writer.append(u8(MAX_STREAMS_BIDI if bidirectional else MAX_STREAMS_UNI))
    write_varint(writer, maximum)


def write_data_blocked(writer: BytesWriter, limit: i64) -> None:
    """Append a DATA_BLOCKED frame (19.12)."""
    writer.append(u8(DATA_BLOCKED))
    write_varint(writer, limit)


def write_stream_data_blocked(writer: BytesWriter, stream_id: i64, limit: i64) -> None:
    """Append a STREAM_DATA_BLOCKED frame (19.13)."""
    writer.append(u8(STREAM_DATA_BLOCKED))
    write_varint(writer, stream_id)
    write_varint(writer, limit)


def write_streams_blocked(writer: BytesWriter, limit: i64, bidirectional: bool) -> None:
    """Append a STREAMS_BLOCKED frame (19.14); at most 2**60 streams exist."""
    writer.append(u8(STREAMS_BLOCKED_BIDI if bidirectional else STREAMS_BLOCKED_UNI))
    write_varint(writer, limit)


# -- 19.15 to 19.18: connection IDs and paths


def write_new_connection_id(
    writer: BytesWriter,
    sequence_number: i64,
    retire_prior_to: i64,
    connection_id: bytes,
    stateless_reset_token: bytes,
) -> None:
    """Append a NEW_CONNECTION_ID frame (19.15): an ID of 1 to 20 bytes, a token of 16."""
    writer.append(u8(NEW_CONNECTION_ID))
    write_varint(writer, sequence_number)
    write_varint(writer, retire_prior_to)
    writer.append(u8(len(connection_id)))
    writer.write(connection_id)
    writer.write(stateless_reset_token)


def write_retire_connection_id(writer: BytesWriter, sequence_number: i64) -> None:
    """Append a RETIRE_CONNECTION_ID frame (19.16)."""
    writer.append(u8(RETIRE_CONNECTION_ID))
    write_varint(writer, sequence_number)


def write_path_challenge(writer: BytesWriter, data: bytes) -> None:
    """Append a PATH_CHALLENGE frame (19.17) with its 8 bytes."""
    writer.append(u8(PATH_CHALLENGE))
    writer.write(data)


def write_path_response(writer: BytesWriter, data: bytes) -> None:
    """Append a PATH_RESPONSE frame (19.18) with the 8 bytes of the challenge."""
    writer.append(u8(PATH_RESPONSE))
    writer.write(data)


# -- 19.19 and 19.20: the end of the connection, and of the handshake


def write_connection_close(
    writer: BytesWriter, code: i64, frame_type: i64, reason: bytes, application: bool
) -> None:
    """Append a CONNECTION_CLOSE frame (19.19).

    ``reason`` is UTF-8. The application's variant (0x1d) has no ``frame_type``.
    """
    writer.append(u8(CONNECTION_CLOSE_APPLICATION if application else CONNECTION_CLOSE))
    write_varint(writer, code)
    if not application:
        write_varint(writer, frame_type)
    write_varint(writer, len(reason))
    writer.write(reason)


def write_handshake_done(writer: BytesWriter) -> None:
    """Append a HANDSHAKE_DONE frame (19.20)."""
    writer.append(u8(HANDSHAKE_DONE))


# -- RFC 9221 4


def write_datagram(writer: BytesWriter, data: bytes, with_length: bool) -> None:
    """Append a DATAGRAM frame; without a length it reaches to the packet's end."""
    if with_length:
        writer.append(u8(DATAGRAM_LENGTH))
        write_varint(writer, len(data))
    else:
        writer.append(u8(DATAGRAM))
    writer.write(data)


def datagram_size(length: i64, with_length: bool) -> i64:
    """Bytes of a DATAGRAM frame that carries ``length`` bytes."""
    return 1 + length + (varint_size(length) if with_length else 0)


def write_ack_frequency(
    writer: BytesWriter, sequence: i64, threshold: i64, max_ack_delay_us: i64, reordering: i64
) -> None:
    """Append an ACK_FREQUENCY frame (draft-ietf-quic-ack-frequency-14 4)."""
    write_varint(writer, ACK_FREQUENCY)
    write_varint(writer, sequence)
    write_varint(writer, threshold)
    write_varint(writer, max_ack_delay_us)
    write_varint(writer, reordering)


def write_immediate_ack(writer: BytesWriter) -> None:
    """Append an IMMEDIATE_ACK frame (draft-ietf-quic-ack-frequency-14 5)."""
    writer.append(u8(IMMEDIATE_ACK))
