from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ropewalk.quic.recovery.ack_ranges import covers, subtract_ranges


def flat(members: set[int]) -> list[int]:
    """The ranges of a set of numbers, as an ACK frame lists them."""
    result: list[int] = []
    for number in sorted(members, reverse=True):
        if result and result[-1] == number + 1:
            result[-1] = number
        else:
            result += [number, number]
    return result


def members(ranges: list[int]) -> list[int]:
    found: list[int] = []
    for high, low in zip(ranges[::2], ranges[1::2], strict=True):
        found += range(high, low - 1, -1)
    return found


number_sets = st.sets(st.integers(0, 40), max_size=30)


@given(number_sets, number_sets, st.integers(0, 40))
def test_only_new_numbers_remain_once_and_in_descending_order(
    new: set[int], known: set[int], oldest: int
) -> None:
    parts: list[int] = [7, 7]
    subtract_ranges(flat(new), flat(known), oldest, parts)
    expected = sorted((n for n in new - known if n >= oldest), reverse=True)
    assert members(parts) == expected
    for number in range(41):
        assert covers(parts, number) == (number in expected)
