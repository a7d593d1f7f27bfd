"""The Huffman code against RFC 7541 appendices B and C, and its padding rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from librt.strings import BytesWriter

from ropewalk.http3.qpack.huffman import encoded_size, read_huffman, write_huffman
from ropewalk.http3.qpack.integers import Malformed
from tests.qpack.samples import load

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=300)
CODES: list[tuple[int, int]] = [
    (int(code, 16), size) for code, size in load("rfc7541_huffman.json")["codes"]
]
EOS = 256


def encoded(data: bytes) -> bytes:
    writer = BytesWriter()
    write_huffman(writer, data)
    return writer.getvalue()


def decoded(data: bytes) -> bytes:
    return read_huffman(data, 0, len(data))


def bits_of(symbols: list[int]) -> str:
    """By the table of the RFC, a character a bit."""
    return "".join(f"{CODES[symbol][0]:0{CODES[symbol][1]}b}" for symbol in symbols)


def packed(bits: str) -> bytes:
    """Filled up with ones to whole bytes."""
    bits += "1" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


@pytest.mark.parametrize(
    ("text", "hexadecimal"),
    [
        (b"www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"),
        (b"no-cache", "a8eb10649cbf"),
        (b"custom-value", "25a849e95bb8e8b4bf"),
        (b"private", "aec3771a4b"),
        (b"Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"),
        (b"https://www.example.com", "9d29ad171863c78f0b97c8e9ae82ae43d3"),
    ],
)
def test_the_examples_of_the_rfc_go_both_ways(text: bytes, hexadecimal: str) -> None:
    assert encoded(text).hex() == hexadecimal
    assert decoded(bytes.fromhex(hexadecimal)) == text


def test_every_symbol_has_the_code_of_the_rfc_at_every_bit_position() -> None:
    for symbol in range(256):
        for others in range(8):
            # "0" is five bits long, so these go through all positions inside of a byte.
            text = others * b"0" + bytes([symbol]) + b"1"
            data = packed(bits_of(list(text)))
            assert encoded(text) == data
            assert decoded(data) == text


@given(st.binary(max_size=300))
@REPEATABLE
def test_any_bytes_survive(data: bytes) -> None:
    code = encoded(data)
    assert code == packed(bits_of(list(data)))
    assert len(code) == encoded_size(data)
    assert decoded(code) == data


@given(st.binary(max_size=60), st.binary(max_size=8), st.binary(max_size=8))
@REPEATABLE
def test_only_the_named_part_is_read(data: bytes, before: bytes, after: bytes) -> None:
    code = encoded(data)
    stop = len(before) + len(code)
    assert read_huffman(before + code + after, len(before), stop) == data


@given(st.binary(max_size=64))
@REPEATABLE
def test_random_bits_decode_to_what_encodes_to_them_or_are_refused(data: bytes) -> None:
    try:
        text = decoded(data)
    except Malformed:
        return
    assert encoded(text) == data


def test_nothing_is_the_code_of_nothing() -> None:
    assert encoded(b"") == b""
    assert decoded(b"") == b""


@pytest.mark.parametrize("before", range(9))
def test_eos_is_refused_wherever_it_stands(before: int) -> None:
    for after in ([], [ord("a")], [ord("a")] * 20):
        with pytest.raises(Malformed):
            decoded(packed(bits_of([ord("0")] * before + [EOS, *after])))


def test_eos_is_named_when_something_follows() -> None:
    with pytest.raises(Malformed, match="EOS"):
        decoded(packed(bits_of([ord("a"), EOS, ord("a"), ord("b")])))


@pytest.mark.parametrize("count", range(1, 31))
def test_padding_of_a_byte_or_more_is_refused(count: int) -> None:
    text = b"01201201"  # 40 bits: no padding of its own
    with pytest.raises(Malformed):
        decoded(packed(bits_of(list(text))) + b"\xff" * count)


def test_padding_that_is_not_all_ones_is_refused() -> None:
    code = encoded(b"a")  # 00011 and three ones
    for wrong in range(7):
        with pytest.raises(Malformed, match="padding"):
            decoded(bytes([code[0] & 0xF8 | wrong]))


def test_a_code_cut_in_its_middle_is_refused() -> None:
    whole = packed(bits_of([0x0A]))  # thirty bits
    for cut in range(1, len(whole)):
        with pytest.raises(Malformed):
            decoded(whole[:cut])
