"""Packet numbers against the samples of RFC 9000 A.2 and A.3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from librt.strings import BytesWriter

from ropewalk.quic.wire.packet_number import (
    decode_packet_number,
    packet_number_length,
    write_packet_number,
)
from ropewalk.quic.wire.varint import MAX_VARINT

VECTORS = json.loads((Path(__file__).parents[1] / "data/wire/rfc9000_integers.json").read_text())
REPEATABLE = settings(derandomize=True, deadline=None, max_examples=500)


def written(packet_number: int, length: int) -> bytes:
    writer = BytesWriter()
    write_packet_number(writer, packet_number, length)
    return writer.getvalue()


@pytest.mark.parametrize("sample", VECTORS["packet_number_encode"])
def test_encoding_samples_take_the_bytes_of_the_rfc(sample: dict[str, Any]) -> None:
    length = packet_number_length(sample["full_pn"], sample["largest_acked"])
    assert length == sample["min_bytes"]
    assert written(sample["full_pn"], length).hex() == sample["truncated_hex"]


@pytest.mark.parametrize(
    "sample", VECTORS["packet_number_decode"] + VECTORS["packet_number_decode_computed"]
)
def test_decoding_samples_give_the_numbers_of_the_rfc(sample: dict[str, Any]) -> None:
    truncated = int(sample["truncated_hex"], 16)
    decoded = decode_packet_number(truncated, sample["bits"] // 8, sample["largest_pn"])
    assert decoded == sample["full_pn"]


@pytest.mark.parametrize(
    ("unacknowledged", "length"),
    [
        (1, 1),
        (0x7F, 1),
        (0x80, 2),
        (0x7FFF, 2),
        (0x8000, 3),
        (0x7FFFFF, 3),
        (0x800000, 4),
        (0x7FFFFFFF, 4),
    ],
)
def test_length_covers_more_than_twice_the_distance(unacknowledged: int, length: int) -> None:
    assert packet_number_length(1000 + unacknowledged, 1000) == length
    assert packet_number_length(unacknowledged - 1, -1) == length
    assert 1 << (8 * length) > 2 * unacknowledged


@given(
    st.integers(-1, MAX_VARINT - 1),
    st.integers(1, 2**31 - 1),
    st.floats(0, 1),
)
@REPEATABLE
def test_a_receiver_between_the_last_ack_and_the_packet_decodes_it(
    largest_acked: int, distance: int, progress: float
) -> None:
    packet_number = min(largest_acked + distance, MAX_VARINT)
    largest_received = largest_acked + int((packet_number - 1 - largest_acked) * progress)
    length = packet_number_length(packet_number, largest_acked)
    data = written(packet_number, length)
    assert len(data) == length
    decoded = decode_packet_number(int.from_bytes(data, "big"), length, largest_received)
    assert decoded == packet_number


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(-1, MAX_VARINT))
@REPEATABLE
def test_decoding_is_always_a_packet_number_with_those_bytes(
    bits: int, length: int, largest: int
) -> None:
    truncated = bits & ((1 << 8 * length) - 1)
    decoded = decode_packet_number(truncated, length, largest)
    assert 0 <= decoded <= MAX_VARINT
    assert decoded & ((1 << 8 * length) - 1) == truncated


def test_the_number_after_the_last_one_possible_does_not_wrap() -> None:
    decoded = decode_packet_number(0, 1, MAX_VARINT)
    assert decoded == MAX_VARINT - 0xFF


def test_of_two_equally_near_numbers_the_higher_one_is_meant() -> None:
    # 256 and 512 are both half a window from 384, the number expected next (A.3).
    assert decode_packet_number(0x00, 1, 383) == 512
    assert decode_packet_number(0x01, 1, 383) == 257


def test_a_number_that_could_only_follow_the_last_one_possible_stays_below_it() -> None:
    assert decode_packet_number(0x00, 1, MAX_VARINT - 10) == MAX_VARINT - 0xFF
    assert decode_packet_number(0xFF, 1, MAX_VARINT - 10) == MAX_VARINT
