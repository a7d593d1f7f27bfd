"""A second, independent reading of packet payloads, for the witness.

It shares no code with :mod:`ropewalk.quic.wire`: where the two disagree, one is wrong. It
tells only what laws are made of, as tuples ``(frame type, values...)``.
"""

from __future__ import annotations

from collections.abc import Callable

#: (type, values) of one frame; what the values are is told at :func:`frames_of`.
Seen = tuple[int, ...]

# Fields of the frames that are nothing but variable-length integers (RFC 9000 19).
_VARINTS = {
    0x04: 3,  # RESET_STREAM: stream, code, final size
    0x05: 2,  # STOP_SENDING: stream, code
    0x10: 1,  # MAX_DATA
    0x11: 2,  # MAX_STREAM_DATA: stream, limit
    0x12: 1,  # MAX_STREAMS, bidirectional
    0x13: 1,  # MAX_STREAMS, unidirectional
    0x14: 1,
    0x15: 2,
    0x16: 1,
    0x17: 1,
    0x19: 1,
}


class Unreadable(Exception):
    """The payload is not a sequence of frames."""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise Unreadable(f"a varint is missing at byte {at}")
    size = 1 << (data[at] >> 6)
    if at + size > len(data):
        raise Unreadable(f"the varint at byte {at} is cut short")
    value = int.from_bytes(data[at : at + size], "big") & ((1 << (8 * size - 2)) - 1)
    return value, at + size


def frames_of(payload: bytes) -> list[Seen]:
    """The frames of a payload, in order.

    PADDING runs count once. STREAM is ``(0x08, stream, offset, length, fin)``, CRYPTO
    ``(0x06, offset, length)``, ACK ``(0x02, high, low, high, low, ...)``, DATAGRAM
    ``(0x30, length)``; the frames of :data:`_VARINTS` carry their fields; others nothing.
    Raises :class:`Unreadable`.
    """
    frames: list[Seen] = []
    at = 0
    while at < len(payload):
        kind = payload[at]
        at += 1
        if kind == 0x00:
            while at < len(payload) and payload[at] == 0x00:
                at += 1
            frames.append((0x00,))
        elif 0x08 <= kind <= 0x0F:
            at = _stream(payload, at, kind, frames)
        elif kind in _VARINTS:
            values = [kind]
            for _ in range(_VARINTS[kind]):
                value, at = _varint(payload, at)
                values.append(value)
            frames.append(tuple(values))
        else:
            reader = _OTHERS.get(kind)
            if reader is None:
                raise Unreadable(f"frame type 0x{kind:02x} at byte {at - 1}")
            at = reader(payload, at, kind, frames)
        if at > len(payload):
            raise Unreadable(f"frame 0x{kind:02x} ends {at - len(payload)} bytes too late")
    return frames


def _stream(data: bytes, at: int, kind: int, frames: list[Seen]) -> int:
    stream, at = _varint(data, at)
    offset = 0
    if kind & 0x04:
        offset, at = _varint(data, at)
    length = len(data) - at
    if kind & 0x02:
        length, at = _varint(data, at)
    frames.append((0x08, stream, offset, length, kind & 0x01))
    return at + length


def _ack(data: bytes, at: int, kind: int, frames: list[Seen]) -> int:
    high, at = _varint(data, at)
    _, at = _varint(data, at)
    more, at = _varint(data, at)
    length, at = _varint(data, at)
    ends = [0x02, high, high - length]
    for _ in range(more):
        gap, at = _varint(data, at)
        length, at = _varint(data, at)
        high = ends[-1] - gap - 2
        ends += [high, high - length]
    if kind == 0x03:
        for _ in range(3):
            _, at = _varint(data, at)
    if min(ends) < 0:
        raise Unreadable("an ACK reaches below packet number 0")
    frames.append(tuple(ends))
    return at


def _crypto(data: bytes, at: int, kind: int, frames: list[Seen]) -> int:
    offset, at = _varint(data, at)
    length, at = _varint(data, at)
    frames.append((0x06, offset, length))
    return at + length


def _new_token(data: bytes, at: int, kind: int, frames: list[Seen]) -> int:
    length, at = _varint(data, at)
    frames.append((kind,))
    return at + length


def _new_connection_id(data: bytes, at: int, kind: int, frames: list[Seen]) -> int:
    _, at = _varint(data, at)
    _, at = _varint(data, at)
    if at >= len(data):
        raise Unreadable("NEW_CONNECTION_ID is cut short")
    frames.append((kind,))
    return at + 1 + data[at] + 16


def _close(data: bytes, at: int, kind: int, frames: list[Seen]) -> int:
    code, at = _varint(data, at)
    if kind == 0x1C:
        _, at = _varint(data, at)
    length, at = _varint(data, at)
    frames.append((kind, code))
    return at + length


def _eight_bytes(data: bytes, at: int, kind: int, frames: list[Seen]) -> int:
    frames.append((kind,))
    return at + 8


def _bare(data: bytes, at: int, kind: int, frames: list[Seen]) -> int:
    frames.append((kind,))
    return at


def _datagram(data: bytes, at: int, kind: int, frames: list[Seen]) -> int:
    length = len(data) - at
    if kind == 0x31:
        length, at = _varint(data, at)
    frames.append((0x30, length))
    return at + length


_OTHERS: dict[int, Callable[[bytes, int, int, list[Seen]], int]] = {
    0x01: _bare,
    0x02: _ack,
    0x03: _ack,
    0x06: _crypto,
    0x07: _new_token,
    0x18: _new_connection_id,
    0x1A: _eight_bytes,
    0x1B: _eight_bytes,
    0x1C: _close,
    0x1D: _close,
    0x1E: _bare,
    0x30: _datagram,
    0x31: _datagram,
}
