"""A link does to packets what its profile says, and the same again from the same seed."""

import math
from dataclasses import replace

import pytest

from ropewalk.quic.types.datagrams import ECN_CE, ECN_ECT0, ECN_NOT_ECT
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.link import HEADER_BYTES, Link, LinkProfile
from ropewalk.sim.rate_trace import RateTrace
from tests.sim.wires import OTHER, balance, line_of


def send_many(link, count=1000, size=1000, spacing=0.001):
    """Arrivals of numbered datagrams, one every ``spacing`` seconds, in the order of arrival."""
    arrivals = []
    for number in range(count):
        data = number.to_bytes(4, "big") + bytes(size - 4)
        arrivals.extend(link.send(data, ECN_NOT_ECT, number * spacing))
    arrivals.sort(key=lambda arrival: arrival.time)
    return arrivals


def numbers(arrivals):
    return [int.from_bytes(arrival.data[:4], "big") for arrival in arrivals]


def test_a_perfect_link_delivers_everything_after_its_delay():
    link = Link(LinkProfile(delay=0.05), seed=1)
    arrivals = send_many(link, count=50)
    assert numbers(arrivals) == list(range(50))
    assert [arrival.time for arrival in arrivals] == pytest.approx(
        [0.05 + 0.001 * number for number in range(50)]
    )
    assert balance(link.counters)


def test_a_packet_takes_its_size_by_the_rate_on_the_wire():
    link = Link(LinkProfile(rate=100_000.0, delay=0.01), seed=1)
    first, second = link.send(bytes(972), 0, 0.0) + link.send(bytes(472), 0, 0.0)
    assert first.time == pytest.approx((972 + HEADER_BYTES) / 100_000 + 0.01)
    assert second.time == pytest.approx((972 + 472 + 2 * HEADER_BYTES) / 100_000 + 0.01)


def test_the_rate_holds_over_a_long_run():
    link = Link(LinkProfile(rate=1_000_000.0, queue_packets=10_000), seed=1)
    arrivals = send_many(link, count=5000, size=1200, spacing=0.0)
    assert arrivals[-1].time == pytest.approx(5000 * (1200 + HEADER_BYTES) / 1e6)


def test_a_full_queue_drops_the_newcomer_and_a_sent_packet_makes_room():
    link = Link(LinkProfile(rate=1028.0, queue_packets=25), seed=1)
    arrivals = send_many(link, count=40, size=1000, spacing=0.0)
    assert numbers(arrivals) == list(range(25))
    assert link.counters.dropped_queue == 15
    assert link.counters.largest_queue == 25
    assert link.queue_length(0.0) == 25
    assert link.queue_length(1.0) == 24
    assert link.send(b"fits again", 0, 1.0)
    assert not link.send(b"full again", 0, 1.0)
    assert balance(link.counters)


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.2])
def test_loss_takes_the_share_it_is_told_to(loss):
    link = Link(LinkProfile(loss=loss), seed=7)
    arrivals = send_many(link, count=20_000)
    lost = 20_000 - len(arrivals)
    assert lost == link.counters.dropped_loss
    # Four standard deviations of the binomial distribution.
    assert abs(lost - 20_000 * loss) < 4 * math.sqrt(20_000 * loss * (1 - loss))
    assert balance(link.counters)


def test_total_loss_delivers_nothing():
    link = Link(LinkProfile(loss=1.0), seed=1)
    assert send_many(link, count=100) == []


def test_held_back_packets_are_overtaken_and_only_they():
    profile = LinkProfile(delay=0.01, reordering=0.1, reordering_delay=0.0055)
    link = Link(profile, seed=3)
    arrived = numbers(send_many(link, count=2000, spacing=0.001))
    late = {
        number
        for position, number in enumerate(arrived)
        if position and number < max(arrived[:position])
    }
    assert sorted(arrived) == list(range(2000))
    assert 0 < len(late) <= link.counters.reordered
    in_order = [number for number in arrived if number not in late]
    assert in_order == sorted(in_order)


def test_jitter_varies_the_delay_within_bounds_and_never_reorders():
    link = Link(LinkProfile(delay=0.02, jitter=0.01), seed=5)
    arrivals = send_many(link, count=2000, spacing=0.001)
    assert numbers(arrivals) == list(range(2000))
    delays = [arrival.time - 0.001 * number for number, arrival in enumerate(arrivals)]
    assert min(delays) >= 0.02
    assert max(delays) <= 0.03 + 1e-9
    assert max(delays) - min(delays) > 0.005


def test_duplicates_arrive_twice_with_the_same_bytes():
    link = Link(LinkProfile(duplication=0.25), seed=11)
    arrived = numbers(send_many(link, count=4000))
    assert set(arrived) == set(range(4000))
    assert len(arrived) - 4000 == link.counters.duplicated
    assert abs(link.counters.duplicated - 1000) < 4 * math.sqrt(4000 * 0.25 * 0.75)
    assert balance(link.counters)


def test_corruption_changes_one_byte_or_cuts_the_end_off():
    link = Link(LinkProfile(corruption=1.0), seed=13)
    sent = bytes(range(256)) * 4
    flipped = cut = 0
    for _ in range(500):
        (arrival,) = link.send(sent, 0, 0.0)
        if len(arrival.data) < len(sent):
            cut += 1
            assert sent.startswith(arrival.data)
        else:
            flipped += 1
            differing = sum(one != other for one, other in zip(arrival.data, sent, strict=True))
            assert differing == 1
    assert cut > 30
    assert flipped > 300
    assert link.counters.corrupted == 500


def test_an_empty_datagram_survives_corruption():
    (arrival,) = Link(LinkProfile(corruption=1.0), seed=1).send(b"", 0, 0.0)
    assert arrival.data == b""


def test_payloads_above_the_mtu_vanish():
    link = Link(LinkProfile(mtu=1400), seed=1)
    assert link.send(bytes(1400), 0, 0.0)
    assert not link.send(bytes(1401), 0, 0.0)
    assert link.counters.dropped_mtu == 1


@pytest.mark.parametrize("mark", [ECN_NOT_ECT, ECN_ECT0, ECN_CE])
def test_ecn_marks_pass(mark):
    (arrival,) = Link(LinkProfile(), seed=1).send(b"x", mark, 0.0)
    assert arrival.ecn == mark


def test_a_link_that_is_down_delivers_nothing_until_it_is_up_again():
    link = Link(LinkProfile(), seed=1)
    link.up = False
    assert not link.send(b"x", 0, 0.0)
    link.up = True
    assert link.send(b"x", 0, 0.0)
    assert link.counters.dropped_down == 1
    assert balance(link.counters)


ALL_AT_ONCE = LinkProfile(
    rate=2e6,
    delay=0.03,
    queue_packets=25,
    loss=0.05,
    reordering=0.05,
    duplication=0.05,
    corruption=0.05,
    jitter=0.01,
)


def test_on_a_route_a_packet_is_in_transit_until_it_has_arrived():
    line, link = line_of(LinkProfile(rate=1028.0, delay=0.5, loss=0.0, duplication=1.0))
    line.send(1000, 1000)
    line.run(until=1.2)
    assert (link.counters.delivered, link.counters.in_transit) == (0, 4)
    assert link.queue_length(1.2) == 1
    assert link.queue_bytes(1.2) == 1028
    assert balance(link.counters)
    line.run(until=1.6)
    assert (link.counters.delivered, link.counters.in_transit) == (2, 2)
    line.run()
    assert (link.counters.delivered, link.counters.duplicated) == (4, 2)
    assert link.counters.delivered_bytes == 4000
    assert balance(link.counters)


def test_the_books_balance_at_any_time_whatever_happens():
    line, link = line_of(replace(ALL_AT_ONCE, rate=2e5, mtu=1100), seed=3)
    line.stream(rate=4e5, size=1000, start=0.0, end=2.0)
    line.send(1200, at=0.7)
    line.clock.at(1.0, lambda: setattr(link, "up", False))
    line.clock.at(1.1, lambda: setattr(link, "up", True))
    for step in range(300):
        line.run(until=step / 100)
        assert balance(link.counters)
    counters = link.counters
    assert counters.in_transit == 0
    assert min(counters.dropped_queue, counters.dropped_loss, counters.dropped_down) > 0
    assert (counters.dropped_mtu, link.queue_bytes(3.0)) == (1, 0)


def test_on_a_route_the_same_arrives_as_without_a_clock():
    line, _ = line_of(ALL_AT_ONCE, seed=42)
    for number in range(1000):
        line.sender.send(OTHER, number.to_bytes(4, "big") + bytes(996), 0, number * 0.0004)
    line.run()
    alone = send_many(Link(ALL_AT_ONCE, 42), spacing=0.0004)
    assert line.receiver.times == [arrival.time for arrival in alone]
    assert line.receiver.datagrams == [arrival.data for arrival in alone]


def test_the_same_seed_repeats_every_decision_and_another_does_not():
    def run(seed):
        return [(a.time, a.data) for a in send_many(Link(ALL_AT_ONCE, seed), spacing=0.0004)]

    assert run(42) == run(42)
    assert run(42) != run(43)


def test_changing_one_chance_leaves_the_other_decisions_alone():
    def arrived(profile):
        return numbers(send_many(Link(profile, seed=21), count=3000))

    plain = arrived(LinkProfile(loss=0.1))
    assert set(arrived(LinkProfile(loss=0.1, duplication=0.5))) == set(plain)
    assert arrived(LinkProfile(loss=0.1, jitter=0.05)) == plain


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": 1.5},
        {"duplication": -0.1},
        {"delay": -1.0},
        {"jitter": math.inf},
        {"rate": 0.0},
        {"queue_packets": 0},
        {"corruption": math.nan},
        {"aggregation": -0.001},
        {"outages": ((2.0, 1.0),)},
        {"outages": ((1.0, 3.0), (2.0, 4.0))},
        {"trace": RateTrace((1,)), "rate": 1000.0},
    ],
)
def test_an_impossible_profile_is_refused(wrong):
    with pytest.raises(ConfigurationError, match=f"link .*{next(iter(wrong))}"):
        LinkProfile(**wrong)
