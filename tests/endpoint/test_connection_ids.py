"""Random connection IDs."""

from __future__ import annotations

import random

import pytest

from ropewalk.quic.endpoint.connection_ids import RandomConnectionIds
from ropewalk.quic.types.errors import ConfigurationError


@pytest.mark.parametrize("length", [1, 8, 20])
def test_ids_have_the_length_that_is_told(length: int) -> None:
    ids = RandomConnectionIds(random.Random(1).randbytes, length)
    assert ids.length() == length
    assert all(len(ids.generate()) == length for _ in range(20))


def test_ids_come_from_the_given_entropy_and_differ() -> None:
    one = RandomConnectionIds(random.Random(1).randbytes)
    two = RandomConnectionIds(random.Random(1).randbytes)
    made = [one.generate() for _ in range(100)]
    assert made == [two.generate() for _ in range(100)]
    assert len(set(made)) == 100
    assert one.length() == 8


@pytest.mark.parametrize("length", [-1, 0, 21])
def test_lengths_that_quic_does_not_allow_are_refused(length: int) -> None:
    with pytest.raises(ConfigurationError, match="1 to 20"):
        RandomConnectionIds(random.Random(1).randbytes, length)
