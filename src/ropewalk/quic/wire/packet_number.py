"""Packet numbers, cut to the bytes that the receiver needs (RFC 9000 17.1, A.2, A.3)."""

from __future__ import annotations

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

from ropewalk.quic.wire.varint import MAX_VARINT


def packet_number_length(packet_number: i64, largest_acked: i64) -> i64:
    """How many bytes, 1 to 4, to send of a packet number (RFC 9000 A.2).

    ``largest_acked`` is the largest one the peer has acknowledged in the space, -1 when
    none. Four bytes are right while less than 2**31 packets are unacknowledged.
    """
    # 17.1: the range must be more than twice as large as the distance.
    distance: i64 = packet_number - largest_acked
    if distance < 0x80:
        return 1
    if distance < 0x8000:
        return 2
    if distance < 0x800000:
        return 3
    return 4


def write_packet_number(writer: BytesWriter, packet_number: i64, length: i64) -> None:
    """Append the lowest ``length`` bytes, 1 to 4, of a packet number."""
    if length > 3:
        writer.append(u8(packet_number >> 24 & 0xFF))
    if length > 2:
        writer.append(u8(packet_number >> 16 & 0xFF))
    if length > 1:
        writer.append(u8(packet_number >> 8 & 0xFF))
    writer.append(u8(packet_number & 0xFF))


def decode_packet_number(truncated: i64, length: i64, largest: i64) -> i64:
    """The full packet number: the one nearest to what comes next (RFC 9000 A.3).

    ``truncated`` is the number as received in ``length`` bytes (1 to 4), ``largest`` the
    largest number processed in the space, -1 when none. The answer is in 0 to 2**62 - 1.
    """
    window: i64 = 0x100
    if length == 2:
        window = 0x10000
    elif length == 3:
        window = 0x1000000
    elif length == 4:
        window = 0x100000000
    expected: i64 = largest + 1
    half: i64 = window >> 1
    candidate: i64 = expected - (expected & (window - 1)) + truncated
    if candidate > MAX_VARINT:
        return candidate - window
    if candidate <= expected - half and candidate + window <= MAX_VARINT:
        return candidate + window
    if candidate > expected + half and candidate >= window:
        return candidate - window
    return candidate
