"""Frames with any contents, sensible or not (RFC 9000 19, RFC 9221).

The writers of the core refuse what a frame must not say; these write it. Each function gives
the bytes of one frame. Values may be anything that a varint holds; :func:`varint` can also
spend more bytes on a value than it needs.
"""

from __future__ import annotations

PADDING = b"\x00"
PING = b"\x01"
HANDSHAKE_DONE = b"\x1e"

#: The largest value of a varint.
LARGEST = (1 << 62) - 1


def varint(value: int, size: int = 0) -> bytes:
    """A variable-length integer in ``size`` bytes (1, 2, 4 or 8), by default in the fewest.

    Raises ``ValueError`` for a value that does not fit.
    """
    for prefix, width in enumerate((1, 2, 4, 8)):
        if value < 1 << (8 * width - 2) and width >= size:
            return (prefix << (8 * width - 2) | value).to_bytes(width, "big")
    raise ValueError(f"{value} does not fit into a varint of {size or 8} bytes")


def _fields(frame_type: int, *values: int) -> bytes:
    return varint(frame_type) + b"".join(varint(value) for value in values)


def ack(largest: int, first_range: int = 0, *rest: int, delay: int = 0) -> bytes:
    """ACK; ``rest`` is gap, length, gap, length, …"""
    return _fields(0x02, largest, delay, len(rest) // 2, first_range, *rest)


def ack_ecn(largest: int, first_range: int, ect0: int, ect1: int, ce: int) -> bytes:
    """ACK with the three ECN counts."""
    return _fields(0x03, largest, 0, 0, first_range, ect0, ect1, ce)


def reset_stream(stream_id: int, code: int = 0, final_size: int = 0) -> bytes:
    """RESET_STREAM."""
    return _fields(0x04, stream_id, code, final_size)


def stop_sending(stream_id: int, code: int = 0) -> bytes:
    """STOP_SENDING."""
    return _fields(0x05, stream_id, code)


def crypto(offset: int, data: bytes) -> bytes:
    """CRYPTO."""
    return _fields(0x06, offset, len(data)) + data


def new_token(token: bytes) -> bytes:
    """NEW_TOKEN."""
    return _fields(0x07, len(token)) + token


def stream(stream_id: int, data: bytes = b"", offset: int = 0, fin: bool = False) -> bytes:
    """STREAM with a length, and with an offset unless that is 0."""
    flags = 0x0A | (0x04 if offset else 0) | (0x01 if fin else 0)
    position = varint(offset) if offset else b""
    return varint(flags) + varint(stream_id) + position + varint(len(data)) + data


def max_data(maximum: int) -> bytes:
    """MAX_DATA."""
    return _fields(0x10, maximum)


def max_stream_data(stream_id: int, maximum: int) -> bytes:
    """MAX_STREAM_DATA."""
    return _fields(0x11, stream_id, maximum)


def max_streams(maximum: int, bidirectional: bool = True) -> bytes:
    """MAX_STREAMS."""
    return _fields(0x12 if bidirectional else 0x13, maximum)


def data_blocked(limit: int) -> bytes:
    """DATA_BLOCKED."""
    return _fields(0x14, limit)


def stream_data_blocked(stream_id: int, limit: int) -> bytes:
    """STREAM_DATA_BLOCKED."""
    return _fields(0x15, stream_id, limit)


def streams_blocked(limit: int, bidirectional: bool = True) -> bytes:
    """STREAMS_BLOCKED."""
    return _fields(0x16 if bidirectional else 0x17, limit)


def new_connection_id(
    sequence: int,
    connection_id: bytes,
    retire_prior_to: int = 0,
    token: bytes | None = None,
    length: int | None = None,
) -> bytes:
    """NEW_CONNECTION_ID. ``length`` is the length that the frame claims."""
    claimed = len(connection_id) if length is None else length
    reset_token = bytes([sequence & 0xFF]) * 16 if token is None else token
    return _fields(0x18, sequence, retire_prior_to) + bytes([claimed]) + connection_id + reset_token


def retire_connection_id(sequence: int) -> bytes:
    """RETIRE_CONNECTION_ID."""
    return _fields(0x19, sequence)


def path_challenge(data: bytes) -> bytes:
    """PATH_CHALLENGE; eight bytes make it a whole one."""
    return varint(0x1A) + data


def path_response(data: bytes) -> bytes:
    """PATH_RESPONSE; eight bytes make it a whole one."""
    return varint(0x1B) + data


def connection_close(code: int, frame_type: int = 0, reason: bytes = b"") -> bytes:
    """CONNECTION_CLOSE of the transport."""
    return _fields(0x1C, code, frame_type, len(reason)) + reason


def application_close(code: int, reason: bytes = b"") -> bytes:
    """CONNECTION_CLOSE of the application."""
    return _fields(0x1D, code, len(reason)) + reason


def datagram(data: bytes) -> bytes:
    """DATAGRAM with a length."""
    return _fields(0x31, len(data)) + data


def unknown(frame_type: int) -> bytes:
    """A frame of any type, with nothing in it."""
    return varint(frame_type)
