"""The pieces of JSON that are written without an encoder are what an encoder would read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.observe.json_writer import JsonWriter


@given(number=st.integers(0, 2**63 - 1))
def test_numbers_are_written_in_decimal(number: int) -> None:
    out = JsonWriter()
    out.number(number)
    assert out.take() == str(number).encode()


@pytest.mark.parametrize("number", [0, 9, 999, 1000, 1001, 10_050, 999_999, 1_000_000, 2**62])
def test_numbers_keep_their_zeros(number: int) -> None:
    out = JsonWriter()
    out.number(number)
    assert out.take() == str(number).encode()


@given(seconds=st.floats(-1e7, 1e7))
def test_times_are_exact_to_the_microsecond(seconds: float) -> None:
    out = JsonWriter()
    out.milliseconds(seconds)
    # half a microsecond, and what a double of that size leaves open
    assert json.loads(out.take()) == pytest.approx(seconds * 1000, rel=1e-15, abs=0.00051)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, b"0"), (1.0, b"1000"), (0.0000005, b"0.001"), (-0.25, b"-250"), (2.0105, b"2010.500")],
)
def test_a_time_has_no_fraction_or_three_digits_of_it(seconds: float, text: bytes) -> None:
    out = JsonWriter()
    out.milliseconds(seconds)
    assert out.take() == text


def test_what_was_taken_is_gone() -> None:
    out = JsonWriter()
    out.raw(b"[")
    out.hexadecimal(b"\x00\xff")
    out.raw(b"]")
    assert len(out) == 8
    assert json.loads(out.take()) == ["00ff"]
    assert len(out) == 0
    assert out.take() == b""
