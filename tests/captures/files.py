"""Reads packet captures and key logs, as far as the files in ``tests/data/captures`` need it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

LINK_LOOPBACK = 0
LINK_ETHERNET = 1

_PCAP = 0xA1B2C3D4
_SECTION = 0x0A0D0D0A
_INTERFACE = 1
_ENHANCED_PACKET = 6
_IPV4 = 0x0800
_UDP = 17


@dataclass(frozen=True)
class Captured:
    """One UDP datagram; addresses as ``ip:port``, ``ecn`` as in the IP header."""

    source: str
    destination: str
    ecn: int
    payload: bytes


def read_capture(data: bytes) -> list[Captured]:
    """The UDP datagrams of a little-endian pcap or pcapng file, in the order of the file."""
    (magic,) = struct.unpack_from("<I", data)
    if magic == _PCAP:
        frames = _pcap_frames(data)
    elif magic == _SECTION:
        frames = _pcapng_frames(data)
    else:
        raise ValueError(f"0x{magic:08x} begins neither a pcap nor a pcapng file")
    return [_udp(link_type, frame) for link_type, frame in frames]


def _pcap_frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    (link_type,) = struct.unpack_from("<I", data, 20)
    position = 24
    while position < len(data):
        captured, original = struct.unpack_from("<II", data, position + 8)
        assert captured == original, "the capture cut a packet short"
        yield link_type, data[position + 16 : position + 16 + captured]
        position += 16 + captured


def _pcapng_frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    link_types: list[int] = []
    position = 0
    while position < len(data):
        block_type, length = struct.unpack_from("<II", data, position)
        body = position + 8
        if block_type == _INTERFACE:
            link_types.append(struct.unpack_from("<H", data, body)[0])
        elif block_type == _ENHANCED_PACKET:
            interface, _high, _low, captured, original = struct.unpack_from("<5I", data, body)
            assert captured == original, "the capture cut a packet short"
            yield link_types[interface], data[body + 20 : body + 20 + captured]
        position += length


def _udp(link_type: int, frame: bytes) -> Captured:
    if link_type == LINK_ETHERNET:
        assert int.from_bytes(frame[12:14], "big") == _IPV4
        packet = frame[14:]
    else:
        assert link_type == LINK_LOOPBACK
        packet = frame[4:]
    assert packet[0] >> 4 == 4
    assert packet[9] == _UDP
    source, destination = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    segment = packet[(packet[0] & 0x0F) * 4 :]
    source_port, destination_port, length = struct.unpack_from(">HHH", segment)
    return Captured(
        f"{source}:{source_port}",
        f"{destination}:{destination_port}",
        packet[1] & 0x03,
        segment[8:length],
    )


def read_key_log(text: str) -> dict[bytes, dict[str, bytes]]:
    """The secrets of an ``SSLKEYLOGFILE`` by client random, then by label."""
    secrets: dict[bytes, dict[str, bytes]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            label, client_random, secret = line.split()
            secrets.setdefault(bytes.fromhex(client_random), {})[label] = bytes.fromhex(secret)
    return secrets
