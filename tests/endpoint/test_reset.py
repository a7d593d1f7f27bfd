"""Stateless resets made and recognised (RFC 9000 10.3)."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from ropewalk.quic.endpoint.reset import ResetTokens, make_stateless_reset

TOKEN = bytes(range(16))


def entropy(seed: int = 1) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def test_a_reset_looks_like_a_short_header_and_ends_with_the_token() -> None:
    chance = entropy()
    for size in range(22, 1500):
        reset = make_stateless_reset(TOKEN, size, chance)
        assert reset is not None
        assert reset[-16:] == TOKEN
        assert reset[0] & 0xC0 == 0x40
        assert len(reset) < size


@pytest.mark.parametrize("size", [0, 1, 20, 21])
def test_a_trigger_without_room_for_a_smaller_reset_gets_none(size: int) -> None:
    assert make_stateless_reset(TOKEN, size, entropy()) is None


def test_the_reset_for_a_small_trigger_is_one_byte_shorter() -> None:
    for size in range(22, 44):
        reset = make_stateless_reset(TOKEN, size, entropy())
        assert reset is not None
        assert len(reset) == size - 1


def test_resets_for_large_triggers_vary_in_size_and_content() -> None:
    chance = entropy()
    made = [make_stateless_reset(TOKEN, 1200, chance) for _ in range(500)]
    sizes = {len(reset) for reset in made if reset is not None}
    assert sizes == set(range(42, 74))
    assert len({reset[:5] for reset in made if reset is not None}) > 490


def test_only_added_tokens_match() -> None:
    table = ResetTokens(entropy())
    assert not table.match(TOKEN)
    table.add(TOKEN, 0)
    assert table.match(TOKEN)
    assert table.owner(TOKEN) == 0
    for position in range(16):
        other = bytearray(TOKEN)
        other[position] ^= 0x80
        assert not table.match(bytes(other))
    table.discard(TOKEN, 0)
    assert not table.match(TOKEN)
    assert len(table) == 0


def test_tails_of_other_lengths_never_match() -> None:
    table = ResetTokens(entropy())
    table.add(TOKEN, 1)
    for length in (0, 1, 15, 17, 32):
        assert not table.match((TOKEN * 2)[:length])
    # A wrong length leaves nothing behind in the cipher.
    assert table.match(TOKEN)


def test_a_token_that_two_owners_name_stays_with_the_first() -> None:
    table = ResetTokens(entropy())
    table.add(TOKEN, 1)
    table.add(TOKEN, 2)
    assert table.owner(TOKEN) == 1
    table.discard(TOKEN, 2)
    assert table.owner(TOKEN) == 1
    table.discard(TOKEN, 1)
    assert table.owner(TOKEN) is None
    table.discard(TOKEN, 1)


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_token_of_another_length_is_a_mistake_of_the_caller(length: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        ResetTokens(entropy()).add(bytes(length), 1)
