"""Packet headers: RFC 9000 17.2 and 17.3, RFC 8999, and the headers printed in RFC 9001 A."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.quic.types.configuration import QUIC_V1
from ropewalk.quic.wire.header import (
    PACKET_HANDSHAKE,
    PACKET_INITIAL,
    PACKET_RETRY,
    PACKET_UNKNOWN,
    PACKET_VERSION_NEGOTIATION,
    PACKET_ZERO_RTT,
    destination_cid,
    encode_retry_without_tag,
    encode_version_negotiation,
    is_long_header,
    long_header_size,
    parse_long_header,
    type_bits,
    write_long_header,
    write_short_header,
)

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=300)
CLIENT_CID = bytes.fromhex("8394c8f03e515708")
SERVER_CID = bytes.fromhex("f067a5502a4262b5")
#: RFC 9001 A.4.
RETRY = bytes.fromhex("ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba")

cids = st.binary(max_size=20)
numbered_types = st.sampled_from([PACKET_INITIAL, PACKET_ZERO_RTT, PACKET_HANDSHAKE])


# -- what the RFC prints


def test_client_initial_header_is_that_of_rfc_9001_a2() -> None:
    header = write_long_header(PACKET_INITIAL, QUIC_V1, CLIENT_CID, b"", b"", 2, 4, 1162 + 16)
    assert header.hex() == "c300000001088394c8f03e5157080000449e00000002"


def test_server_initial_header_is_that_of_rfc_9001_a3() -> None:
    header = write_long_header(PACKET_INITIAL, QUIC_V1, b"", SERVER_CID, b"", 1, 2, 99 + 16)
    assert header.hex() == "c1000000010008f067a5502a4262b50040750001"


def test_short_header_is_that_of_rfc_9001_a5() -> None:
    assert write_short_header(b"", 654360564, 3, 0, 0).hex() == "4200bff4"


def test_retry_of_rfc_9001_a4_is_read_and_written() -> None:
    header = parse_long_header(RETRY, 0, len(RETRY))
    assert header is not None
    assert header.packet_type == PACKET_RETRY
    assert header.destination_cid == b""
    assert header.source_cid == SERVER_CID
    assert header.retry_token == b"token"
    assert header.retry_tag == RETRY[-16:]
    assert (header.packet_number_offset, header.end) == (-1, len(RETRY))
    assert encode_retry_without_tag(QUIC_V1, b"", SERVER_CID, b"token", 0xFF) == RETRY[:-16]


# -- long headers


@given(
    numbered_types,
    cids,
    cids,
    st.binary(max_size=100),
    st.integers(0, 2**62 - 1),
    st.integers(1, 4),
    st.one_of(st.integers(0, 2000), st.integers(16370, 16400)),
    st.binary(max_size=30),
    st.binary(max_size=30),
)
@REPEATABLE
def test_a_header_between_other_packets_is_read_as_written(
    packet_type: int,
    destination: bytes,
    source: bytes,
    token: bytes,
    packet_number: int,
    length: int,
    payload: int,
    before: bytes,
    after: bytes,
) -> None:
    written = write_long_header(
        packet_type, QUIC_V1, destination, source, token, packet_number, length, payload
    )
    token_length = len(token) if packet_type == PACKET_INITIAL else 0
    assert len(written) == long_header_size(
        len(destination), len(source), token_length, packet_type, length, payload
    )
    assert written[0] & 0x03 == length - 1
    assert written[-length:] == (packet_number % 256**length).to_bytes(length, "big")

    data = before + written + bytes(payload) + after
    header = parse_long_header(data, len(before), len(data))
    assert header is not None
    assert header.packet_type == packet_type
    assert header.version == QUIC_V1
    assert header.destination_cid == destination
    assert header.source_cid == source
    assert header.token == (token if packet_type == PACKET_INITIAL else b"")
    assert header.packet_number_offset == len(before) + len(written) - length
    assert header.end == len(data) - len(after)
    assert destination_cid(data, len(before), len(data), 3) == destination


def test_every_cut_of_a_packet_is_dropped() -> None:
    written = write_long_header(
        PACKET_INITIAL, QUIC_V1, CLIENT_CID, SERVER_CID, b"a token", 7, 2, 100
    )
    data = written + bytes(100)
    for stop in range(len(data)):
        assert parse_long_header(data, 0, stop) is None
    assert parse_long_header(data, 0, len(data)) is not None


def test_a_length_beyond_the_datagram_is_dropped() -> None:
    header = bytes.fromhex("e0 00000001 00 00 4015") + bytes(0x14)
    assert parse_long_header(header, 0, len(header)) is None
    assert parse_long_header(header + b"\0", 0, len(header) + 1) is not None


def test_a_token_length_that_would_overflow_is_dropped() -> None:
    data = bytes.fromhex("c0 00000001 00 00 ffffffffffffffff") + bytes(50)
    assert parse_long_header(data, 0, len(data)) is None


def test_version_1_packets_without_the_fixed_bit_are_dropped() -> None:
    data = bytearray(
        write_long_header(PACKET_HANDSHAKE, QUIC_V1, CLIENT_CID, b"", b"", 0, 1, 20) + bytes(20)
    )
    assert parse_long_header(bytes(data), 0, len(data)) is not None
    data[0] &= 0xBF
    assert parse_long_header(bytes(data), 0, len(data)) is None


@pytest.mark.parametrize("place", ["destination", "source"])
def test_version_1_connection_ids_over_20_bytes_are_dropped(place: str) -> None:
    for length, readable in ((20, True), (21, False), (255, False)):
        destination, source = bytes(length), b"s"
        if place == "source":
            destination, source = source, destination
        written = write_long_header(PACKET_HANDSHAKE, QUIC_V1, destination, source, b"", 0, 1, 20)
        data = written + bytes(20)
        assert (parse_long_header(data, 0, len(data)) is not None) == readable
        # RFC 8999 5.1: they are still readable as what any version has in common.
        assert destination_cid(data, 0, len(data), 8) == destination


def test_short_headers_are_not_long_ones() -> None:
    packet = write_short_header(CLIENT_CID, 5, 2, 0, 0) + bytes(40)
    assert not is_long_header(packet[0])
    assert parse_long_header(packet, 0, len(packet)) is None
    assert is_long_header(RETRY[0])


def test_a_packet_type_of_a_version_we_do_not_speak_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="0x1a2a3a4a"):
        type_bits(PACKET_INITIAL, 0x1A2A3A4A)


def test_type_bits_of_version_1_are_those_of_table_5() -> None:
    types = (PACKET_INITIAL, PACKET_ZERO_RTT, PACKET_HANDSHAKE, PACKET_RETRY)
    assert [type_bits(packet_type, QUIC_V1) for packet_type in types] == [0, 1, 2, 3]


def test_a_header_shows_itself_in_hexadecimal() -> None:
    header = parse_long_header(RETRY, 0, len(RETRY))
    assert "version=0x00000001" in repr(header)
    assert "source_cid=f067a5502a4262b5" in repr(header)


# -- other versions


@given(
    st.integers(2, 2**32 - 1),
    st.integers(0, 0x7F),
    st.binary(max_size=255),
    st.binary(max_size=255),
    st.binary(max_size=50),
)
@REPEATABLE
def test_unknown_versions_tell_their_connection_ids_and_no_more(
    version: int, first: int, destination: bytes, source: bytes, rest: bytes
) -> None:
    data = bytes([0x80 | first]) + version.to_bytes(4, "big")
    data += bytes([len(destination)]) + destination + bytes([len(source)]) + source + rest
    header = parse_long_header(data, 0, len(data))
    assert header is not None
    assert header.packet_type == PACKET_UNKNOWN
    assert header.version == version
    assert (header.destination_cid, header.source_cid) == (destination, source)
    assert (header.packet_number_offset, header.end) == (-1, len(data))


@given(
    st.binary(max_size=255),
    st.binary(max_size=255),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20),
    st.integers(0, 255),
)
@REPEATABLE
def test_version_negotiation_is_read_as_written(
    destination: bytes, source: bytes, versions: list[int], noise: int
) -> None:
    data = encode_version_negotiation(destination, source, versions, noise)
    assert data[0] & 0xC0 == 0xC0
    header = parse_long_header(data, 0, len(data))
    assert header is not None
    assert header.packet_type == PACKET_VERSION_NEGOTIATION
    assert header.version == 0
    assert (header.destination_cid, header.source_cid) == (destination, source)
    assert header.versions == versions
    assert header.end == len(data)


def test_version_negotiation_needs_no_fixed_bit() -> None:
    data = bytes.fromhex("80 00000000 00 00 00000001")
    header = parse_long_header(data, 0, len(data))
    assert header is not None
    assert header.versions == [1]


def test_version_negotiation_without_whole_versions_is_dropped() -> None:
    for rest in ("", "00", "000001", "0000000100", "00000001000000"):
        data = bytes.fromhex("c0 00000000 00 00") + bytes.fromhex(rest)
        assert parse_long_header(data, 0, len(data)) is None


# -- Retry


def test_a_retry_without_a_token_is_dropped() -> None:
    start = bytes.fromhex("f0 00000001 00 00")
    for rest in range(17):
        assert parse_long_header(start + bytes(rest), 0, 7 + rest) is None
    assert parse_long_header(start + bytes(17), 0, 24) is not None


def test_random_bits_of_a_retry_stay_in_their_place() -> None:
    assert encode_retry_without_tag(QUIC_V1, b"", b"", b"t", 0)[0] == 0xF0
    assert encode_retry_without_tag(QUIC_V1, b"", b"", b"t", 0xFF)[0] == 0xFF


# -- short headers


@given(cids, st.integers(0, 2**62 - 1), st.integers(1, 4), st.integers(0, 1), st.integers(0, 1))
@REPEATABLE
def test_short_header_has_each_field_in_its_place(
    cid: bytes, packet_number: int, length: int, key_phase: int, spin: int
) -> None:
    header = write_short_header(cid, packet_number, length, key_phase, spin)
    assert header[0] == 0x40 | spin << 5 | key_phase << 2 | length - 1
    assert header[1:-length] == cid
    assert header[-length:] == (packet_number % 256**length).to_bytes(length, "big")
    assert destination_cid(header, 0, len(header), len(cid)) == cid


def test_a_short_header_without_the_fixed_bit_is_dropped() -> None:
    data = bytes([0x00]) + CLIENT_CID + bytes(30)
    assert destination_cid(data, 0, len(data), 8) is None


def test_a_packet_too_short_for_its_connection_id_is_dropped() -> None:
    short = b"\x40" + CLIENT_CID
    for stop in range(len(short)):
        assert destination_cid(short, 0, stop, 8) is None
    assert destination_cid(short, 0, len(short), 8) == CLIENT_CID
    long = b"\xc0\x00\x00\x00\x01\x08" + CLIENT_CID
    for stop in range(len(long)):
        assert destination_cid(long, 0, stop, 8) is None
    assert destination_cid(long, 0, len(long), 3) == CLIENT_CID
