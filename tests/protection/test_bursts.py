"""Bursts out, batches in: what BurstWriter protects, unmasking and opening get back."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.quic.protection.aead import make_protection
from ropewalk.quic.protection.burst import BurstWriter
from ropewalk.quic.protection.initial import initial_protection
from ropewalk.quic.protection.retry import retry_is_authentic
from ropewalk.quic.protection.unmask import ShortHeaderBatch, unmask_long
from ropewalk.quic.types.errors import Unsupported
from ropewalk.quic.types.handshake import AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305
from ropewalk.quic.types.protection import PacketProtection

V1 = 1
SUITES = [AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305]
each_suite = pytest.mark.parametrize("suite", SUITES, ids=hex)


def protection_of(suite: int, fill: int = 7) -> PacketProtection:
    return make_protection(suite, bytes([fill]) * (48 if suite == AES_256_GCM else 32), V1)


def short_header(cid: bytes, packet_number: int, length: int, phase: int = 0) -> bytes:
    first = 0x40 | phase << 2 | (length - 1)
    return bytes([first]) + cid + (packet_number % 256**length).to_bytes(length, "big")


def long_header(cid: bytes, packet_number: int, length: int, payload: int) -> bytes:
    size = 0x4000 | (payload + length + 16)
    return (
        bytes([0xE0 | (length - 1), 0, 0, 0, 1, len(cid)])
        + cid
        + b"\0"
        + size.to_bytes(2, "big")
        + packet_number.to_bytes(length, "big")
    )


@each_suite
@pytest.mark.parametrize("cid_length", [0, 1, 7, 8, 9, 20])
@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_burst_is_masked_and_unmasked_packet_by_packet(
    suite: int, cid_length: int, length: int
) -> None:
    chance = random.Random(cid_length * 10 + length)
    protection = protection_of(suite)
    writer = BurstWriter()
    numbers = [chance.randrange(2**40) for _ in range(9)]
    headers = [short_header(chance.randbytes(cid_length), pn, length, pn & 1) for pn in numbers]
    payloads = [chance.randbytes(300) for _ in numbers]
    payloads[-1] = payloads[-1][:100]
    for packet_number, header, payload in zip(numbers, headers, payloads, strict=True):
        writer.add(protection, 3, packet_number, header, length, payload)
    size = writer.size()
    burst = writer.finish()
    assert len(burst) == size
    assert writer.size() == 0
    segment = len(headers[0]) + 300 + 16
    data = b"before" + burst + b"behind"
    batch = ShortHeaderBatch()
    stop = 6 + len(burst)
    assert batch.unmask(data, 6, stop, segment, 1 + cid_length, protection) == 9
    # Asking out of order and twice gives the same answers.
    for index in [*range(9), 8, 0, 4, 0]:
        assert batch.first_byte(index) == headers[index][0]
        assert batch.packet_number_length(index) == length
        assert batch.truncated(index) == numbers[index] % 256**length
        assert batch.header(index) == headers[index]
        opened = protection.open(3, numbers[index], batch.header(index), batch.ciphertext(index))
        assert opened == payloads[index]


@each_suite
def test_the_masked_header_hides_number_and_low_bits_only(suite: int) -> None:
    protection = protection_of(suite)
    cid = b"\xa5" * 8
    changed = [0] * 12
    for packet_number in range(200):
        header = short_header(cid, packet_number, 3)
        writer = BurstWriter()
        writer.add(protection, 0, packet_number, header, 3, b"payload")
        packet = writer.finish()
        assert packet[1:9] == cid
        assert packet[0] & 0xE0 == 0x40
        for index in range(12):
            changed[index] |= packet[index] ^ header[index]
    assert changed == [0x1F] + [0] * 8 + [0xFF] * 3


def test_long_and_short_headers_under_several_keys_share_a_burst() -> None:
    client, server = initial_protection(V1, b"01234567")
    data_keys = protection_of(CHACHA20_POLY1305)
    writer = BurstWriter()
    first = long_header(b"abcd", 1, 2, 100)
    second = long_header(b"abcd", 2, 4, 50)
    third = long_header(b"abcdefgh", 0, 1, 60)
    last = short_header(b"abcd", 77, 2)
    writer.add(client, 0, 1, first, 2, b"a" * 100)
    writer.add(client, 0, 2, second, 4, b"b" * 50)
    writer.add(server, 0, 0, third, 1, b"c" * 60)
    writer.add(data_keys, 0, 77, last, 2, b"d" * 70)
    burst = writer.finish()
    begin = 0
    for header, length, keys, payload in (
        (first, 2, client, b"a" * 100),
        (second, 4, client, b"b" * 50),
        (third, 1, server, b"c" * 60),
    ):
        offset = begin + len(header) - length
        end = begin + len(header) + len(payload) + 16
        found = unmask_long(burst, begin, offset, end, keys)
        assert found is not None
        assert found[0] == header
        assert found[2] == length
        assert found[1] == int.from_bytes(header[-length:], "big")
        assert keys.open(0, found[1], found[0], burst[offset + length : end]) == payload
        begin = end
    batch = ShortHeaderBatch()
    assert batch.unmask(burst, begin, len(burst), len(burst) - begin, 5, data_keys) == 1
    assert data_keys.open(0, 77, batch.header(0), batch.ciphertext(0)) == b"d" * 70


def test_a_writer_starts_afresh_after_reset_and_after_finish() -> None:
    protection = protection_of(AES_128_GCM)
    header = short_header(b"12345678", 1, 1)
    writer = BurstWriter()
    writer.add(protection, 0, 1, header, 1, b"payload")
    wanted = writer.finish()
    assert writer.finish() == b""
    writer.add(protection, 0, 2, header, 1, b"other")
    writer.reset()
    assert writer.size() == 0
    writer.add(protection, 0, 1, header, 1, b"payload")
    assert writer.finish() == wanted


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_payload_without_room_for_a_sample_is_refused_and_the_smallest_is_not(
    length: int,
) -> None:
    protection = protection_of(AES_128_GCM)
    writer = BurstWriter()
    header = short_header(b"", 5, length)
    if length < 4:
        with pytest.raises(ValueError, match="pad"):
            writer.add(protection, 0, 5, header, length, bytes(3 - length))
    writer.add(protection, 0, 5, header, length, bytes(4 - length))
    packet = writer.finish()
    assert len(packet) == 1 + 4 + 16
    batch = ShortHeaderBatch()
    assert batch.unmask(packet, 0, 21, 21, 1, protection) == 1
    opened = protection.open(0, 5, batch.header(0), batch.ciphertext(0))
    assert opened == bytes(4 - length)


@each_suite
def test_a_last_segment_too_short_for_a_sample_is_counted_and_dropped(suite: int) -> None:
    protection = protection_of(suite)
    writer = BurstWriter()
    header = short_header(b"12345678", 1, 2)
    writer.add(protection, 0, 1, header, 2, bytes(100))
    burst = writer.finish()
    segment = len(burst)
    batch = ShortHeaderBatch()
    for tail in range(1, 9 + 4 + 16):
        data = burst + bytes(tail)
        assert batch.unmask(data, 0, len(data), segment, 9, protection) == 2
        assert batch.first_byte(0) == header[0]
        assert batch.first_byte(1) == -1
        assert batch.first_byte(2) == -1
    data = burst + bytes(9 + 4 + 16)
    assert batch.unmask(data, 0, len(data), segment, 9, protection) == 2
    assert batch.first_byte(1) >= 0


def test_nothing_is_asked_of_the_keys_when_every_packet_is_too_short() -> None:
    protection = protection_of(CHACHA20_POLY1305)
    batch = ShortHeaderBatch()
    assert batch.unmask(b"\x40" * 10, 0, 10, 10, 9, protection) == 1
    assert batch.first_byte(0) == -1
    assert batch.unmask(b"", 0, 0, 1200, 9, protection) == 0
    assert batch.first_byte(0) == -1
    assert batch.first_byte(-1) == -1


def test_a_cleared_batch_holds_no_packet() -> None:
    protection = protection_of(AES_128_GCM)
    batch = ShortHeaderBatch()
    assert batch.unmask(bytes(100), 0, 100, 100, 9, protection) == 1
    assert batch.first_byte(0) >= 0
    batch.clear()
    assert batch.first_byte(0) == -1


def test_a_batch_forgets_the_buffer_before() -> None:
    protection = protection_of(AES_128_GCM)
    batch = ShortHeaderBatch()
    writer = BurstWriter()
    for packet_number in (5, 6):
        header = short_header(b"12345678", packet_number, 2)
        writer.add(protection, 0, packet_number, header, 2, b"payload")
        data = writer.finish()
        assert batch.unmask(data, 0, len(data), len(data), 9, protection) == 1
        assert batch.truncated(0) == packet_number


@given(data=st.binary(max_size=120), offset=st.integers(1, 21), segment=st.integers(1, 130))
def test_unmasking_takes_any_bytes(data: bytes, offset: int, segment: int) -> None:
    protection = protection_of(AES_128_GCM)
    batch = ShortHeaderBatch()
    count = batch.unmask(data, 0, len(data), segment, offset, protection)
    assert count == -(-len(data) // segment)
    for index in range(count):
        if batch.first_byte(index) >= 0:
            header = batch.header(index)
            assert len(header) == offset + batch.packet_number_length(index)
            assert protection.open(0, batch.truncated(index), header, batch.ciphertext(index)) is (
                None
            )


@given(data=st.binary(max_size=80), offset=st.integers(1, 90), end=st.integers(0, 100))
def test_unmasking_a_long_header_takes_any_bytes(data: bytes, offset: int, end: int) -> None:
    found = unmask_long(data, 0, offset, end, protection_of(AES_128_GCM))
    if end > len(data) or offset + 20 > end:
        assert found is None
    else:
        assert found is not None
        assert len(found[0]) == offset + found[2]


def test_a_long_header_packet_needs_sixteen_bytes_behind_the_longest_packet_number() -> None:
    protection = protection_of(AES_128_GCM)
    data = bytes(100)
    assert unmask_long(data, 0, 30, 30 + 4 + 15, protection) is None
    assert unmask_long(data, 0, 30, 30 + 4 + 16, protection) is not None
    assert unmask_long(data, 0, 80, 100, protection) is not None
    assert unmask_long(data, 0, 81, 101, protection) is None


def test_a_retry_with_any_other_byte_or_connection_id_is_not_authentic() -> None:
    packet = bytes.fromhex(
        "ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba"
    )
    original = bytes.fromhex("8394c8f03e515708")
    assert retry_is_authentic(V1, original, packet)
    assert not retry_is_authentic(V1, original[:-1], packet)
    for position in range(len(packet)):
        broken = bytearray(packet)
        broken[position] ^= 1
        assert not retry_is_authentic(V1, original, bytes(broken))
    for length in range(len(packet)):
        assert not retry_is_authentic(V1, original, packet[:length])


def test_keys_of_an_unknown_version_are_unsupported() -> None:
    with pytest.raises(Unsupported, match="0xfaceb001"):
        initial_protection(0xFACEB001, b"12345678")
