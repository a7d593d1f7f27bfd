"""Packets with any header, sealed rightly or wrongly (RFC 9000 17, RFC 9001 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypedDict

from ropewalk.lab.hostile.frames import varint
from ropewalk.quic.protection.burst import BurstWriter
from ropewalk.quic.protection.retry import retry_integrity_tag
from ropewalk.quic.types.configuration import QUIC_V1
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT, ZERO_RTT
from ropewalk.quic.types.protection import PacketProtection

#: The packet type bits of long headers, by encryption level.
_TYPE_BITS: Final = {INITIAL: 0, ZERO_RTT: 1, HANDSHAKE: 2}
_TAG: Final = 16


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a packet's header says. The defaults are those of a well-behaved packet.

    ``reserved`` are bits to set in the first byte before header protection (0x0c of a long
    header, 0x18 of a short one); ``length`` is what the Length field of a long header claims.
    """

    level: int
    destination_cid: bytes
    packet_number: int
    source_cid: bytes = b""
    version: int = QUIC_V1
    token: bytes = b""
    number_length: int = 4
    key_phase: int = 0
    spin: int = 0
    fixed_bit: bool = True
    reserved: int = 0
    length: int | None = None

    def encode(self, payload_length: int) -> bytes:
        """The unprotected header, packet number included, for a payload of that length."""
        first = self.reserved | self.number_length - 1 | (0x40 if self.fixed_bit else 0)
        shown = self.packet_number & ((1 << 8 * self.number_length) - 1)
        number = shown.to_bytes(self.number_length, "big")
        if self.level == ONE_RTT:
            first |= self.key_phase << 2 | self.spin << 5
            return bytes([first]) + self.destination_cid + number
        first |= 0x80 | _TYPE_BITS[self.level] << 4
        length = self.length
        if length is None:
            length = self.number_length + payload_length + _TAG
        token = varint(len(self.token)) + self.token if self.level == INITIAL else b""
        invariant = long_invariant(first, self.version, self.destination_cid, self.source_cid)
        return invariant + token + varint(length, 2) + number


class Bent(TypedDict, total=False):
    """The fields of a :class:`Header` that a story may set."""

    destination_cid: bytes
    packet_number: int
    source_cid: bytes
    version: int
    token: bytes
    number_length: int
    key_phase: int
    spin: int
    fixed_bit: bool
    reserved: int
    length: int


def long_invariant(first: int, version: int, destination: bytes, source: bytes) -> bytes:
    """What a long header of any version begins with (RFC 8999 5.1)."""
    return (
        bytes([first])
        + version.to_bytes(4, "big")
        + bytes([len(destination)])
        + destination
        + bytes([len(source)])
        + source
    )


def seal(header: Header, payload: bytes, protection: PacketProtection) -> bytes:
    """The packet, with packet and header protection. ``payload`` may be empty."""
    if header.number_length + len(payload) < 4:
        payload += bytes(4 - header.number_length - len(payload))
    burst = BurstWriter()
    burst.add(
        protection,
        0,
        header.packet_number,
        header.encode(len(payload)),
        header.number_length,
        payload,
    )
    return burst.finish()


def damaged(packet: bytes) -> bytes:
    """The packet with one bit of its authentication tag turned over."""
    return packet[:-1] + bytes([packet[-1] ^ 1])


def retry(
    destination: bytes,
    source: bytes,
    token: bytes,
    original_destination: bytes,
    *,
    unused_bits: int = 0,
) -> bytes:
    """A Retry packet (RFC 9000 17.2.5) with the tag for ``original_destination``."""
    packet = long_invariant(0xF0 | unused_bits, QUIC_V1, destination, source) + token
    return packet + retry_integrity_tag(QUIC_V1, original_destination, packet)


def version_negotiation(
    destination: bytes, source: bytes, versions: list[int], *, first: int = 0xC0
) -> bytes:
    """A Version Negotiation packet (RFC 9000 17.2.1)."""
    listed = b"".join(version.to_bytes(4, "big") for version in versions)
    return long_invariant(first, 0, destination, source) + listed
