"""Prefix integers against RFC 7541 C.1, and at their limits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from librt.strings import BytesWriter

from ropewalk.http3.qpack.integers import MAX_INTEGER, Malformed, read_integer, write_integer
from ropewalk.quic.wire.reader import Reader, Truncated

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=300)
MASKS = [0x07, 0x0F, 0x1F, 0x3F, 0x7F, 0xFF]


def encoded(value: int, mask: int, flags: int = 0) -> bytes:
    writer = BytesWriter()
    write_integer(writer, value, mask, flags)
    return writer.getvalue()


def decoded(data: bytes, mask: int) -> int:
    reader = Reader(data)
    value = read_integer(reader, reader.u8(), mask)
    assert reader.remaining() == 0
    return value


@pytest.mark.parametrize(
    ("value", "mask", "hexadecimal"), [(10, 0x1F, "0a"), (1337, 0x1F, "1f9a0a"), (42, 0xFF, "2a")]
)
def test_the_examples_of_the_rfc_go_both_ways(value: int, mask: int, hexadecimal: str) -> None:
    assert encoded(value, mask).hex() == hexadecimal
    assert decoded(bytes.fromhex(hexadecimal), mask) == value


@given(st.integers(0, MAX_INTEGER), st.sampled_from(MASKS))
@REPEATABLE
def test_any_value_survives_any_prefix_beside_its_flags(value: int, mask: int) -> None:
    data = encoded(value, mask, 0xFF & ~mask)
    assert data[0] & ~mask == 0xFF & ~mask
    assert decoded(data, mask) == value


@pytest.mark.parametrize("mask", MASKS)
def test_the_largest_value_is_read_and_the_next_one_refused(mask: int) -> None:
    assert decoded(encoded(MAX_INTEGER, mask), mask) == MAX_INTEGER
    rest = MAX_INTEGER + 1 - mask
    data = bytes([mask, *(((rest >> 7 * i) & 0x7F) | 0x80 for i in range(8)), rest >> 56])
    with pytest.raises(Malformed, match="larger"):
        decoded(data, mask)


def test_padding_with_zero_bytes_is_tolerated_only_within_the_largest_length() -> None:
    assert decoded(b"\x7f" + 8 * b"\x80" + b"\x00", 0x7F) == 0x7F
    with pytest.raises(Malformed, match="more bytes"):
        decoded(b"\x7f" + 9 * b"\x80" + b"\x00", 0x7F)


def test_nine_full_bytes_do_not_wrap_around() -> None:
    with pytest.raises(Malformed):
        decoded(b"\x7f" + 9 * b"\xff", 0x7F)


def test_an_integer_that_ends_early_is_truncated() -> None:
    data = encoded(MAX_INTEGER, 0x07)
    for cut in range(1, len(data)):
        with pytest.raises(Truncated):
            decoded(data[:cut], 0x07)
