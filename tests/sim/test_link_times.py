"""What depends on the time: outages, handovers, aggregation."""

import pytest

from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.link import Handovers, LinkProfile
from tests.sim.wires import balance, line_of

#: A packet of 972 bytes takes a millisecond.
RATE = 1_000_000.0


def test_an_outage_drops_what_is_offered_and_lets_arrive_what_is_under_way():
    line, link = line_of(LinkProfile(delay=0.5, outages=((1.0, 2.0), (3.0, 3.5))))
    for at in (0.9, 1.0, 1.9, 2.0, 3.2, 3.6):
        line.send(100, at=at)
    assert line.run().times == pytest.approx([1.4, 2.5, 4.1])
    assert link.counters.dropped_down == 3
    assert balance(link.counters)


def test_outages_hold_on_a_link_with_another_profile_as_well():
    line, link = line_of(LinkProfile(outages=((1.0, 2.0),)))
    line.run(until=2.5)
    link.set_profile(LinkProfile(outages=((2.6, 2.7),)))
    line.send(100, 100, at=2.65)
    line.send(100, at=2.8)
    assert line.run().times == [2.8]


def test_after_a_handover_packets_wait_for_the_gap_and_none_is_lost():
    line, link = line_of(LinkProfile(rate=RATE, handovers=Handovers(period=1.0, gap=0.1)))
    line.stream(rate=RATE, size=972, start=0.5, end=1.5)
    times = line.run().times
    assert len(times) == 1000
    assert not [time for time in times if 1.0011 < time < 1.1]
    assert link.counters.largest_queue == pytest.approx(100, abs=2)


def test_each_handover_brings_another_delay_within_its_spread():
    profile = LinkProfile(delay=0.05, handovers=Handovers(period=15.0, delay_spread=0.02))
    line, _ = line_of(profile)
    for number in range(300):
        line.send(100, at=number + 0.5)
    delays = [time - number - 0.5 for number, time in enumerate(line.run().times)]
    stations = [delays[start : start + 15] for start in range(0, 300, 15)]
    for station in stations:
        assert max(station) - min(station) < 1e-9
        assert 0.05 <= station[0] <= 0.07
    assert len({round(station[0], 9) for station in stations}) == 20


def test_the_delay_of_a_station_does_not_depend_on_the_traffic_before():
    profile = LinkProfile(handovers=Handovers(period=15.0, delay_spread=0.02))
    silent, _ = line_of(profile)
    busy, _ = line_of(profile)
    busy.stream(rate=1e5, size=972, start=0.0, end=40.0)
    for line in (silent, busy):
        line.send(100, at=50.0)
    assert silent.run().times[-1] == busy.run().times[-1]


def test_a_shorter_delay_after_a_handover_does_not_reorder():
    profile = LinkProfile(rate=RATE, handovers=Handovers(period=0.1, delay_spread=0.05))
    line, _ = line_of(profile)
    line.stream(rate=RATE, size=972, start=0.0, end=2.0)
    times = line.run().times
    assert times == sorted(times)


def test_what_leaves_within_a_slot_arrives_together_at_its_end():
    line, _ = line_of(LinkProfile(rate=RATE, delay=0.010, aggregation=0.004))
    line.send(*[972] * 10, at=0.0005)
    # They leave at 1.5, 2.5, ... 10.5 ms.
    assert line.run().times == pytest.approx([0.014] * 3 + [0.018] * 4 + [0.022] * 3)


@pytest.mark.parametrize(
    "wrong",
    [{"period": 0.0}, {"period": 1.0, "gap": 1.0}, {"period": 1.0, "delay_spread": -1.0}],
)
def test_impossible_handovers_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="handovers"):
        Handovers(**wrong)
