"""CoDel keeps to the law of RFC 8289, and does for a CUBIC flow what it is for."""

import math
import statistics
from dataclasses import replace
from itertools import pairwise

import pytest

from ropewalk.quic.types.datagrams import ECN_CE, ECN_ECT0
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.codel import CoDel, FqCoDel
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.transfer import Transfer, TransferPlan
from tests.sim.wires import balance, line_of

#: A packet of 972 bytes takes a millisecond.
RATE = 1_000_000.0


def overload(queue, seconds, ecn=0):
    """Offer ten per cent more than the link can take; when the queue dropped or marked."""
    line, link = line_of(LinkProfile(rate=RATE, queue=queue))
    line.stream(rate=1.1 * RATE, size=972, start=0.0, end=seconds, ecn=ecn)
    acts = []

    def look(now):
        done = link.counters.dropped_queue + link.counters.marked
        acts.extend([now] * (done - len(acts)))

    ticker = line.clock.every(0.0005, look)
    line.run(until=seconds)
    ticker.stop()
    assert balance(link.counters)
    return acts, line.receiver, link


def test_drops_come_at_the_times_of_the_control_law():
    drops, _, _ = overload(CoDel(), 3.0)
    # Packets wait 1 ms longer for every 11 that come: from the 55th on for more than 5 ms.
    assert drops[0] == pytest.approx(0.055 + 0.1, abs=0.003)
    expected = drops[0]
    for count, drop in enumerate(drops[1:30], 1):
        expected += 0.1 / math.sqrt(count)
        assert drop == pytest.approx(expected, abs=0.003)


def test_target_and_interval_are_what_they_are_set_to():
    drops, _, _ = overload(CoDel(target=0.010, interval=0.050), 1.0)
    assert drops[0] == pytest.approx(0.110 + 0.050, abs=0.003)
    assert drops[1] - drops[0] == pytest.approx(0.050, abs=0.002)
    assert drops[2] - drops[1] == pytest.approx(0.050 / math.sqrt(2), abs=0.002)


def test_what_understands_ecn_is_marked_at_the_same_times_instead():
    marks, receiver, link = overload(CoDel(), 1.0, ecn=ECN_ECT0)
    assert link.counters.dropped_queue == 0
    line_holds = link.counters.in_transit
    assert len(marks) - line_holds <= receiver.marks.count(ECN_CE) <= len(marks)
    drops, _, _ = overload(CoDel(), 1.0)
    assert marks[:8] == pytest.approx(drops[:8], abs=0.004)


def test_without_ecn_what_understands_it_is_dropped_as_well():
    drops, receiver, link = overload(CoDel(ecn=False), 1.0, ecn=ECN_ECT0)
    assert link.counters.dropped_queue == len(drops) > 5
    assert ECN_CE not in receiver.marks


def test_a_queue_that_grows_again_soon_is_met_with_the_former_rate_of_drops():
    def gaps_of_the_second_spell(pause):
        line, link = line_of(LinkProfile(rate=RATE, queue=CoDel()))
        line.stream(rate=1.1 * RATE, size=972, start=0.0, end=3.0)
        line.stream(rate=1.1 * RATE, size=972, start=3.0 + pause, end=5.0 + pause)
        acts = []

        def look(now):
            acts.extend([now] * (link.counters.dropped_queue - len(acts)))

        line.clock.every(0.0005, look)
        line.run(until=5.0 + pause)
        second = [act for act in acts if act > 3.0 + pause]
        return [later - earlier for earlier, later in pairwise(second)]

    # RFC 8289 5.5: within 16 intervals it goes on where it was, after more it begins anew.
    assert gaps_of_the_second_spell(0.3)[0] < 0.030
    assert gaps_of_the_second_spell(3.0)[0] == pytest.approx(0.100, abs=0.002)


def test_a_queue_below_the_target_is_left_alone():
    line, link = line_of(LinkProfile(rate=RATE, queue=CoDel()))
    for number in range(200):
        line.send(972, 972, 972, 972, at=number * 0.005)  # a burst of 4 ms, every 5 ms
    assert len(line.run().arrived) == 800
    assert link.counters.dropped_queue == 0


def test_a_standing_queue_of_one_packet_is_left_alone():
    line, link = line_of(LinkProfile(rate=1000.0, queue=CoDel()))
    line.send(972)
    line.stream(rate=1000.0, size=972, start=0.0, end=60.0)  # each waits for its predecessor
    assert len(line.run(until=100.0).arrived) == 61
    assert link.counters.dropped_queue == 0


def test_the_queue_has_an_end():
    line, link = line_of(LinkProfile(rate=RATE, queue=CoDel(packets=20)))
    line.send(*[972] * 50)
    assert len(line.run().arrived) == 21
    assert link.counters.dropped_queue == 29


def bulk(queue, queue_packets=1000):
    """A CUBIC flow of 6 MB over 8 Mbit/s and 40 ms; queueing delays of its steady part."""
    line = LinkProfile(rate=RATE, delay=0.020, queue_packets=queue_packets)
    down = replace(line, queue=queue)
    plan = TransferPlan(
        seed=1,
        forward=line,
        backward=down,
        download=6_000_000,
        settings={"stream_window": 4 << 20, "connection_window": 4 << 20},
        oracles=[],
        witness=False,
    )
    transfer = Transfer(plan)
    delays = []
    link = transfer.backward

    def look(now):
        if now > 1.5:
            delays.append(link.queue_bytes(now) / RATE)

    ticker = transfer.network.clock.every(0.01, look)
    result = transfer.run()
    ticker.stop()
    assert result.intact
    return statistics.median(delays), result


def test_a_cubic_flow_keeps_a_short_queue_and_most_of_the_rate():
    delay, result = bulk(CoDel())
    # RFC 8289 3.2: the target of 5 ms is set point and peak of a well-controlled queue.
    assert 0.0005 < delay < 0.010
    assert result.bytes_received / result.duration > 0.80 * RATE
    bloated, _ = bulk(None)
    assert bloated > 0.100


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: CoDel(target=0.0),
        lambda: CoDel(target=0.2, interval=0.1),
        lambda: CoDel(packets=0),
        lambda: FqCoDel(flows=0),
        lambda: FqCoDel(quantum=0),
    ],
)
def test_an_impossible_controller_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="CoDel"):
        wrong()
