"""Arrivals are glued together as GRO glues them: neighbours of one kind, up to the bounds."""

import pytest

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.batching import Coalescing, Received, gather

ONE, OTHER = Address("192.0.2.1", 1), Address("192.0.2.1", 2)


def received(*sizes, remote=ONE, ecn=0, local=0):
    return [
        Received(bytes([index]) * size, ecn, local, "192.0.2.9", remote)
        for index, size in enumerate(sizes)
    ]


def shapes(buffers):
    return [(len(buffer.data), buffer.segment_size) for buffer in buffers]


def test_equal_sizes_become_one_buffer_with_a_shorter_last_segment():
    assert shapes(gather(received(1200, 1200, 1200, 300), Coalescing())) == [(3900, 1200)]


def test_a_longer_datagram_or_one_behind_the_short_one_starts_a_new_buffer():
    assert shapes(gather(received(300, 1200, 1200), Coalescing())) == [(300, 300), (2400, 1200)]
    assert shapes(gather(received(1200, 300, 300), Coalescing())) == [(1500, 1200), (300, 300)]


def test_other_sender_mark_or_interface_starts_a_new_buffer():
    for other in (
        received(100, remote=OTHER),
        received(100, ecn=3),
        received(100, local=1),
    ):
        assert len(gather(received(100, 100) + other, Coalescing())) == 2


def test_the_order_and_the_bytes_are_kept():
    buffers = gather(received(10, 10, 20, 5, 30), Coalescing())
    assert b"".join(buffer.data for buffer in buffers) == b"".join(
        item.data for item in received(10, 10, 20, 5, 30)
    )


def test_segments_and_bytes_of_a_buffer_are_bounded():
    assert shapes(gather(received(*[100] * 10), Coalescing(segments=4))) == [
        (400, 100),
        (400, 100),
        (200, 100),
    ]
    assert shapes(gather(received(*[1000] * 5), Coalescing(size=2500))) == [
        (2000, 1000),
        (2000, 1000),
        (1000, 1000),
    ]


def test_one_segment_a_buffer_switches_gathering_off():
    assert len(gather(received(*[100] * 7), Coalescing(segments=1))) == 7


def test_an_empty_datagram_stays_alone():
    assert shapes(gather(received(100, 0, 100), Coalescing())) == [(100, 100), (0, 0), (100, 100)]


def test_nothing_gives_nothing():
    assert gather([], Coalescing()) == []


@pytest.mark.parametrize("wrong", [{"window": -1.0}, {"segments": 0}, {"size": 0}])
def test_an_impossible_rule_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        Coalescing(**wrong)
