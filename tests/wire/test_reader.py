"""The cursor stays inside its bytes, whatever it is asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.quic.wire.reader import Reader, Truncated

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=300)


def test_values_are_read_in_network_order() -> None:
    reader = Reader(bytes.fromhex("ff fffe fffffffd 40ff 0102"))
    assert reader.u8() == 0xFF
    assert reader.u16() == 0xFFFE
    assert reader.u32() == 0xFFFFFFFD
    assert reader.varint() == 0xFF
    assert reader.take(2) == b"\x01\x02"
    assert reader.remaining() == 0


@pytest.mark.parametrize(
    ("read", "size"),
    [
        (Reader.u8, 1),
        (Reader.u16, 2),
        (Reader.u32, 4),
        (lambda reader: reader.take(5), 5),
    ],
    ids=["u8", "u16", "u32", "take"],
)
def test_a_read_past_the_end_raises_and_moves_nothing(
    read: Callable[[Reader], object], size: int
) -> None:
    data = bytes(range(1, 20))
    for left in range(size):
        reader = Reader(data, 3, 3 + left)
        with pytest.raises(Truncated):
            read(reader)
        assert reader.position == 3
        assert reader.remaining() == left
    read(Reader(data, 3, 3 + size))


@pytest.mark.parametrize("encoded", ["05", "4105", "81020305", "c102030405060708"])
def test_a_varint_cut_short_raises_although_bytes_follow(encoded: str) -> None:
    data = bytes.fromhex(encoded) + bytes(16)
    size = len(data) - 16
    for left in range(size):
        reader = Reader(data, 0, left)
        with pytest.raises(Truncated):
            reader.varint()
        assert reader.position == 0
    assert Reader(data, 0, size).varint() > 0


def test_a_negative_size_is_truncation() -> None:
    with pytest.raises(Truncated):
        Reader(b"abc", 2).take(-1)


def test_bounds_outside_the_data_are_drawn_in() -> None:
    reader = Reader(b"abc", -5, 99)
    assert (reader.position, reader.end) == (0, 3)
    reader = Reader(b"abc", 7)
    assert reader.remaining() == 0
    with pytest.raises(Truncated):
        reader.u8()
    with pytest.raises(Truncated):
        reader.take(1)


def test_reset_points_the_same_reader_at_other_bytes() -> None:
    reader = Reader(b"abc")
    reader.take(3)
    reader.reset(b"0123456789", 4, 6)
    assert reader.remaining() == 2
    assert reader.take(2) == b"45"


@pytest.mark.parametrize("zeros", [0, 1, 63, 64, 65, 127, 128, 129, 1200])
def test_skip_zeros_stops_at_the_first_other_byte(zeros: int) -> None:
    reader = Reader(bytes(zeros) + b"\x01" + bytes(5))
    assert reader.skip_zeros() == zeros
    assert reader.u8() == 1
    assert reader.skip_zeros() == 5
    assert reader.remaining() == 0


def test_skip_zeros_stops_at_the_end_although_zeros_follow() -> None:
    reader = Reader(bytes(300), 10, 150)
    assert reader.skip_zeros() == 140
    assert reader.position == 150


@given(
    st.binary(max_size=40),
    st.integers(-2, 50),
    st.integers(-1, 50),
    st.lists(st.integers(0, 5), max_size=12),
)
@REPEATABLE
def test_no_sequence_of_reads_leaves_the_bounds(
    data: bytes, position: int, end: int, calls: list[int]
) -> None:
    reader = Reader(data, position, end)
    for call in calls:
        before = reader.position
        try:
            if call == 0:
                reader.u8()
            elif call == 1:
                reader.u16()
            elif call == 2:
                reader.u32()
            elif call == 3:
                reader.varint()
            elif call == 4:
                reader.take(7)
            else:
                reader.skip_zeros()
        except Truncated:
            assert reader.position == before
        assert before <= reader.position <= max(before, reader.end) <= max(before, len(data))
