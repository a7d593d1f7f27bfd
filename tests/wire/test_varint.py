"""Variable-length integers against the samples of RFC 9000 16 and A.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from librt.strings import BytesWriter

from ropewalk.quic.wire.reader import Reader
from ropewalk.quic.wire.varint import (
    MAX_VARINT,
    encode_varint,
    varint_size,
    write_varint,
    write_varint_2,
    write_varint_4,
)

VECTORS = json.loads((Path(__file__).parents[1] / "data/wire/rfc9000_integers.json").read_text())
SAMPLES = VECTORS["varint_samples"] + VECTORS["varint_boundary_computed"]
REPEATABLE = settings(derandomize=True, deadline=None, max_examples=300)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["hex"])
def test_samples_of_the_rfc_decode_to_their_values(sample: dict[str, Any]) -> None:
    data = bytes.fromhex(sample["hex"])
    reader = Reader(data)
    assert reader.varint() == sample["value"]
    assert reader.remaining() == 0


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["hex"])
def test_minimal_samples_are_what_we_write(sample: dict[str, Any]) -> None:
    ours = encode_varint(sample["value"])
    assert (ours.hex() == sample["hex"]) == sample.get("minimal", True)


@pytest.mark.parametrize("row", VECTORS["varint_table"], ids=lambda row: str(row["length"]))
def test_each_length_holds_what_the_table_says(row: dict[str, int]) -> None:
    assert varint_size(row["max"]) == row["length"]
    assert len(encode_varint(row["max"])) == row["length"]
    if row["max"] < MAX_VARINT:
        assert varint_size(row["max"] + 1) == 2 * row["length"]


@pytest.mark.parametrize("value", [-1, -(2**62), MAX_VARINT + 1, 2**63 - 1])
def test_values_out_of_range_are_refused_and_write_nothing(value: int) -> None:
    writer = BytesWriter()
    with pytest.raises(ValueError, match=str(value)):
        write_varint(writer, value)
    with pytest.raises(ValueError, match=str(value)):
        encode_varint(value)
    assert writer.getvalue() == b""


def test_values_beyond_64_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode_varint(2**64)


@given(st.integers(0, MAX_VARINT))
@REPEATABLE
def test_every_value_comes_back(value: int) -> None:
    data = encode_varint(value)
    assert len(data) == varint_size(value)
    assert Reader(data).varint() == value


@given(st.integers(0, 2**14 - 1))
@REPEATABLE
def test_two_byte_form_comes_back(value: int) -> None:
    writer = BytesWriter()
    write_varint_2(writer, value)
    assert len(writer) == 2
    assert Reader(writer.getvalue()).varint() == value


@given(st.integers(0, 2**30 - 1))
@REPEATABLE
def test_four_byte_form_comes_back(value: int) -> None:
    writer = BytesWriter()
    write_varint_4(writer, value)
    assert len(writer) == 4
    assert Reader(writer.getvalue()).varint() == value


def test_fixed_forms_refuse_what_they_cannot_hold() -> None:
    for value in (-1, 2**14):
        with pytest.raises(ValueError, match=str(value)):
            write_varint_2(BytesWriter(), value)
    for value in (-1, 2**30):
        with pytest.raises(ValueError, match=str(value)):
            write_varint_4(BytesWriter(), value)
