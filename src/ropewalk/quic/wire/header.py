"""Packet headers: long ones (RFC 9000 17.2), short ones (17.3), other versions' (RFC 8999)."""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter, write_i32_be
from mypy_extensions import i32, i64, u8

from ropewalk.quic.types.configuration import QUIC_V1
from ropewalk.quic.wire.packet_number import write_packet_number
from ropewalk.quic.wire.reader import Reader, Truncated
from ropewalk.quic.wire.varint import varint_size, write_varint, write_varint_2, write_varint_4

PACKET_INITIAL: Final = 0
PACKET_ZERO_RTT: Final = 1
PACKET_HANDSHAKE: Final = 2
PACKET_RETRY: Final = 3
PACKET_VERSION_NEGOTIATION: Final = 4
#: A long header of a version we do not speak: only version and connection IDs are known.
PACKET_UNKNOWN: Final = -1

#: The longest connection ID of QUIC version 1 (17.2).
MAX_CID_LENGTH: Final = 20
#: Bytes of the integrity tag that ends a Retry packet (17.2.5).
RETRY_TAG_LENGTH: Final = 16

_LONG_FORM: Final = 0x80
_FIXED_BIT: Final = 0x40

# Each version may number the long packet types its own way (RFC 9369 3.2 does): this is
# the packet type for each value of the two type bits, and the way back.
_TYPE_OF_BITS: Final[dict[int, tuple[int, int, int, int]]] = {
    QUIC_V1: (PACKET_INITIAL, PACKET_ZERO_RTT, PACKET_HANDSHAKE, PACKET_RETRY),
}


@final
class LongHeader:
    """A long header, decoded as far as it is readable without keys.

    ``packet_number_offset`` and ``end`` are positions in the datagram that was parsed: the
    protected packet number begins at the one, the packet stops at the other. Retry, Version
    Negotiation and unknown versions have no packet number (the offset is -1) and fill the
    datagram. ``token`` is an Initial's; ``versions`` belongs to Version Negotiation;
    ``retry_token`` and ``retry_tag`` to Retry.
    """

    def __init__(
        self,
        packet_type: i64,
        version: i64,
        destination_cid: bytes,
        source_cid: bytes,
        end: i64,
    ) -> None:
        self.packet_type: i64 = packet_type
        self.version: i64 = version
        self.destination_cid = destination_cid
        self.source_cid = source_cid
        self.end: i64 = end
        self.packet_number_offset: i64 = -1
        self.token = b""
        self.versions: list[int] = []
        self.retry_token = b""
        self.retry_tag = b""

    def __repr__(self) -> str:
        return (
            f"LongHeader(packet_type={self.packet_type}, version=0x{int(self.version):08x}, "
            f"destination_cid={self.destination_cid.hex()}, source_cid={self.source_cid.hex()}, "
            f"packet_number_offset={self.packet_number_offset}, end={self.end})"
        )


def is_long_header(first_byte: i64) -> bool:
    """Whether a packet that starts with this byte has a long header (RFC 8999 5)."""
    return first_byte & _LONG_FORM != 0


def destination_cid(data: bytes, start: i64, stop: i64, short_cid_length: i64) -> bytes | None:
    """The destination connection ID of the packet at ``data[start:stop]``, of any version.

    Short headers do not tell the ID's length: it is ``short_cid_length``, the length of
    the IDs we hand out. ``None`` means drop: too short, or the fixed bit of a short header
    is 0 (17.3.1).
    """
    if start >= stop:
        return None
    first: i64 = data[start]
    begin: i64 = start + 1
    length: i64 = short_cid_length
    if first & _LONG_FORM != 0:
        begin = start + 6
        if begin > stop:
            return None
        length = data[start + 5]
    elif first & _FIXED_BIT == 0:
        return None
    end: i64 = begin + length
    if end > stop:
        return None
    return data[begin:end]


def parse_long_header(data: bytes, start: i64, stop: i64) -> LongHeader | None:
    """Decode the long header of the packet that starts at ``data[start]``.

    ``stop`` is where the datagram ends. ``None`` means that the rest of the datagram cannot
    be decoded and is to be dropped: it is cut short, its fixed bit is 0, a connection ID is
    longer than the version allows, a Retry has no token (17.2.5.2), or it has a short header.
    """
    try:
        return _parse_long_header(Reader(data, start, stop))
    except Truncated:
        return None


def _parse_long_header(reader: Reader) -> LongHeader | None:
    first: i64 = reader.u8()
    if first & _LONG_FORM == 0:
        return None
    version: i64 = reader.u32()
    destination = reader.take(reader.u8())
    source = reader.take(reader.u8())
    if version == 0:
        return _parse_version_negotiation(reader, destination, source)
    types = _TYPE_OF_BITS.get(version)
    if types is None:
        return LongHeader(PACKET_UNKNOWN, version, destination, source, reader.end)
    if first & _FIXED_BIT == 0:
        return None
    if len(destination) > MAX_CID_LENGTH or len(source) > MAX_CID_LENGTH:
        return None
    packet_type: i64 = types[first >> 4 & 0x03]
    header = LongHeader(packet_type, version, destination, source, reader.end)
    if packet_type == PACKET_RETRY:
        token_length: i64 = reader.remaining() - RETRY_TAG_LENGTH
        if token_length <= 0:
            return None
        header.retry_token = reader.take(token_length)
        header.retry_tag = reader.take(RETRY_TAG_LENGTH)
        return header
    if packet_type == PACKET_INITIAL:
        header.token = reader.take(reader.varint())
    length: i64 = reader.varint()
    if length > reader.remaining():
        return None
    header.packet_number_offset = reader.position
    header.end = reader.position + length
    return header


def _parse_version_negotiation(
    reader: Reader, destination: bytes, source: bytes
) -> LongHeader | None:
    header = LongHeader(PACKET_VERSION_NEGOTIATION, 0, destination, source, reader.end)
    while reader.remaining() > 0:
        header.versions.append(reader.u32())
    return header if header.versions else None


def long_header_size(
    destination_cid_length: i64,
    source_cid_length: i64,
    token_length: i64,
    packet_type: i64,
    packet_number_length: i64,
    payload_length_with_tag: i64 = 0,
) -> i64:
    """How many bytes :func:`write_long_header` yields.

    The payload matters only when it comes near to 16,384 bytes: the Length field then
    takes four bytes instead of two.
    """
    size: i64 = 7 + destination_cid_length + source_cid_length + packet_number_length
    if packet_type == PACKET_INITIAL:
        size += varint_size(token_length) + token_length
    return size + (2 if packet_number_length + payload_length_with_tag < 0x4000 else 4)


def write_long_header(
    packet_type: i64,
    version: i64,
    destination_cid: bytes,
    source_cid: bytes,
    token: bytes,
    packet_number: i64,
    packet_number_length: i64,
    payload_length_with_tag: i64,
) -> bytes:
    """The unprotected header of an Initial, 0-RTT or Handshake packet, packet number included.

    ``token`` goes into Initial packets only. Raises ``ValueError`` for a payload that no
    datagram could hold.
    """
    writer = BytesWriter()
    _write_invariants(
        writer,
        _LONG_FORM | _FIXED_BIT | type_bits(packet_type, version) << 4 | packet_number_length - 1,
        version,
        destination_cid,
        source_cid,
    )
    if packet_type == PACKET_INITIAL:
        write_varint(writer, len(token))
        writer.write(token)
    length: i64 = packet_number_length + payload_length_with_tag
    if length < 0x4000:
        write_varint_2(writer, length)
    else:
        write_varint_4(writer, length)
    write_packet_number(writer, packet_number, packet_number_length)
    return writer.getvalue()


def write_short_header(
    destination_cid: bytes,
    packet_number: i64,
    packet_number_length: i64,
    key_phase: i64,
    spin: i64,
) -> bytes:
    """The unprotected header of a 1-RTT packet, packet number included (17.3.1).

    ``key_phase`` and ``spin`` are 0 or 1.
    """
    writer = BytesWriter()
    writer.append(u8(_FIXED_BIT | spin << 5 | key_phase << 2 | packet_number_length - 1))
    writer.write(destination_cid)
    write_packet_number(writer, packet_number, packet_number_length)
    return writer.getvalue()


def encode_version_negotiation(
    destination_cid: bytes, source_cid: bytes, versions: list[int], first_byte_random: int
) -> bytes:
    """A Version Negotiation packet (17.2.1) that offers ``versions``.

    The IDs are those of the packet it answers, exchanged. ``first_byte_random`` fills the
    bits that carry nothing.
    """
    writer = BytesWriter()
    # The second bit is set like the fixed bit, so that demultiplexers see QUIC (RFC 9443).
    first: i64 = _LONG_FORM | _FIXED_BIT | first_byte_random & 0x3F
    _write_invariants(writer, first, 0, destination_cid, source_cid)
    for version in versions:
        _write_u32(writer, version)
    return writer.getvalue()


def encode_retry_without_tag(
    version: i64, destination_cid: bytes, source_cid: bytes, token: bytes, first_byte_random: int
) -> bytes:
    """A Retry packet (17.2.5) up to its integrity tag, which RFC 9001 5.8 computes from it.

    ``first_byte_random`` fills the four bits that carry nothing.
    """
    writer = BytesWriter()
    first: i64 = _LONG_FORM | _FIXED_BIT | type_bits(PACKET_RETRY, version) << 4
    _write_invariants(
        writer, first | first_byte_random & 0x0F, version, destination_cid, source_cid
    )
    writer.write(token)
    return writer.getvalue()


def type_bits(packet_type: i64, version: i64) -> i64:
    """The two type bits that stand for a packet type in a version.

    Raises ``ValueError`` for a version that this stack does not speak.
    """
    types = _TYPE_OF_BITS.get(version)
    if types is None:
        raise ValueError(f"no packet types are known for version 0x{int(version):08x}")
    return types.index(packet_type)


def _write_invariants(
    writer: BytesWriter, first: i64, version: i64, destination_cid: bytes, source_cid: bytes
) -> None:
    """What long headers of all versions begin with (RFC 8999 5.1)."""
    writer.append(u8(first))
    _write_u32(writer, version)
    writer.append(u8(len(destination_cid)))
    writer.write(destination_cid)
    writer.append(u8(len(source_cid)))
    writer.write(source_cid)


def _write_u32(writer: BytesWriter, value: i64) -> None:
    # librt's writer takes signed integers.
    write_i32_be(writer, i32(value - 0x100000000 if value >= 0x80000000 else value))
