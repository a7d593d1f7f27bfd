"""The search for the largest datagram (RFC 8899), as a machine of its own."""

from __future__ import annotations

import pytest

from ropewalk.quic.path.mtu_search import RAISE_INTERVAL, MtuSearch

ROUND_TRIP = 0.05
ANY_CEILING = 65507


def walk(search: MtuSearch, carries: int, now: float = 0.0) -> list[int]:
    """Probe until the search rests; the sizes that were probed. ``carries``: the route's."""
    probed: list[int] = []
    for _ in range(200):
        size = search.wanted(now)
        if size == 0:
            return probed
        probed.append(size)
        search.on_sent()
        assert search.wanted(now) == 0  # one at a time
        now += ROUND_TRIP
        if size <= carries:
            search.on_arrived(size, now)
        else:
            search.on_lost(size, now, 0.0)
    raise AssertionError("the search does not end")


@pytest.mark.parametrize(
    ("carries", "most_probes"),
    [(1200, 30), (1232, 27), (1280, 27), (1372, 27), (1420, 27), (1452, 40), (1472, 40)],
)
def test_finds_the_size_of_common_links_closely(carries: int, most_probes: int) -> None:
    search = MtuSearch(1200, 1200, ANY_CEILING)
    probed = walk(search, carries)
    assert carries - 16 <= search.size <= carries
    assert len(probed) <= most_probes


@pytest.mark.parametrize("carries", [8952, 8972, ANY_CEILING])
def test_finds_jumbo_frames_and_loopback_exactly_and_quickly(carries: int) -> None:
    search = MtuSearch(1200, 1200, ANY_CEILING)
    walk(search, carries)
    assert search.size == carries or carries == 8972


def test_ethernet_is_found_with_the_first_probe() -> None:
    search = MtuSearch(1200, 1200, 1452)
    assert walk(search, 1500) == [1452]
    assert search.size == 1452


def test_nothing_is_probed_when_base_and_ceiling_are_equal() -> None:
    assert walk(MtuSearch(1200, 1200, 1200), 9000) == []


def test_never_beyond_the_ceiling() -> None:
    assert max(walk(MtuSearch(1200, 1200, 5000), 9000)) == 5000


def test_one_lost_probe_decides_nothing() -> None:
    search = MtuSearch(1200, 1200, 1452)
    assert search.wanted(0.0) == 1452
    search.on_sent()
    search.on_lost(1452, 1.0, 0.5)
    assert search.wanted(1.4) == 0
    assert search.wanted(1.5) == 1452
    search.on_sent()
    assert search.on_arrived(1452, 2.0)
    assert search.size == 1452


def test_a_late_acknowledgement_of_a_lost_probe_counts() -> None:
    search = MtuSearch(1200, 1200, 1452)
    search.wanted(0.0)
    search.on_sent()
    search.on_lost(1452, 1.0, 10.0)
    assert search.on_arrived(1452, 1.1)
    assert search.size == 1452


def test_looks_again_later() -> None:
    search = MtuSearch(1200, 1200, 1452)
    walk(search, 1300, 100.0)
    assert search.size < 1452
    assert walk(search, 1500, 100.0 + RAISE_INTERVAL / 2) == []
    walk(search, 1500, 110.0 + RAISE_INTERVAL)
    assert search.size == 1452


def test_the_own_systems_refusal_decides_at_once() -> None:
    search = MtuSearch(1200, 1200, ANY_CEILING)
    assert search.wanted(0.0) == 1452
    search.on_sent()
    assert not search.on_refused(1452, 0.0)  # nothing larger was sent but the probe
    assert 1200 < search.wanted(0.0) < 1452


def test_a_refused_size_in_use_is_given_up() -> None:
    search = MtuSearch(1200, 1200, 1452)
    walk(search, 1452)
    assert search.on_refused(1452, 10.0)
    assert search.size == 1200
    assert walk(search, 1300, 10.0)[0] < 1452


def test_large_packets_that_all_vanish_give_the_size_up() -> None:
    search = MtuSearch(1200, 1200, 1452)
    walk(search, 1452)
    search.on_large_arrived(100)
    given_up = [search.on_large_lost(number, 5.0) for number in range(101, 120)]
    assert given_up.index(True) == 7
    assert search.size == 1200


def test_a_burst_of_losses_before_an_arrival_is_congestion_and_no_black_hole() -> None:
    search = MtuSearch(1200, 1200, 1452)
    walk(search, 1452)
    search.on_large_arrived(200)
    assert not any(search.on_large_lost(number, 5.0) for number in range(100, 200))
    assert search.size == 1452


def test_silence_gives_the_size_up_with_the_third_probe_timeout() -> None:
    search = MtuSearch(1200, 1200, 1452)
    assert not search.on_silence(3, 1.0)  # at base there is nothing to give up
    walk(search, 1452)
    assert not search.on_silence(2, 1.0)
    assert search.on_silence(3, 1.0)
    assert search.size == 1200
