"""The simple queue disciplines, and one of a researcher's own."""

import math
import random

import pytest

from ropewalk.quic.types.datagrams import ECN_CE, ECN_ECT0, ECN_ECT1, ECN_NOT_ECT
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.link import HEADER_BYTES, LinkProfile
from ropewalk.sim.queues import DropTail, EcnThreshold, OwnQueue, QueueDiscipline
from tests.sim.wires import balance, line_of, packet

#: A packet of 1,000 bytes takes 10 ms.
RATE = (1000 + HEADER_BYTES) * 100.0


def burst(profile, count, ecn=ECN_NOT_ECT):
    """Send so many packets of 1,000 bytes at once; what arrives, and the link."""
    line, link = line_of(profile)
    line.send(*[1000] * count, ecn=ecn)
    receiver = line.run()
    assert balance(link.counters)
    assert link.counters.in_transit == 0
    return receiver, link


def test_a_queue_may_be_bounded_in_bytes():
    receiver, link = burst(LinkProfile(rate=RATE, queue=DropTail(size=5 * 1028 + 500)), 20)
    assert len(receiver.arrived) == 5
    assert link.counters.dropped_queue == 15


def test_a_small_packet_fits_where_a_large_one_does_not():
    line, link = line_of(LinkProfile(rate=RATE, queue=DropTail(size=2500)))
    line.send(1000, 1000, 1000, 300)
    assert [len(data) for data in line.run().datagrams] == [1000, 1000, 300]
    assert link.counters.dropped_queue == 1


def test_the_bounds_in_packets_and_in_bytes_hold_together():
    receiver, _ = burst(LinkProfile(rate=RATE, queue=DropTail(packets=3, size=1 << 30)), 20)
    assert len(receiver.arrived) == 3


def test_a_discipline_serves_at_the_times_of_the_plain_queue():
    plain, _ = burst(LinkProfile(rate=RATE, delay=0.1), 30)
    waiting, _ = burst(LinkProfile(rate=RATE, delay=0.1, queue=OwnQueue(QueueDiscipline)), 30)
    assert waiting.times == pytest.approx(plain.times)
    assert waiting.datagrams == plain.datagrams


def test_the_length_counts_who_waits_and_who_is_being_sent():
    line, link = line_of(LinkProfile(rate=RATE, queue=OwnQueue(QueueDiscipline)))
    line.send(*[1000] * 10)
    assert (link.queue_length(0.0), link.queue_bytes(0.0)) == (10, 10_280)
    line.run(until=0.0351)
    assert (link.queue_length(0.0351), link.queue_bytes(0.0351)) == (7, 7_196)
    assert link.counters.largest_queue == 10


def test_a_step_marks_everything_that_finds_the_queue_at_the_threshold():
    profile = LinkProfile(rate=RATE, queue=EcnThreshold(low=10, high=10))
    receiver, link = burst(profile, 30, ecn=ECN_ECT0)
    # The first is on the wire at once, so the twelfth is the first to find ten waiting.
    assert receiver.marks == [ECN_ECT0] * 11 + [ECN_CE] * 19
    assert link.counters.marked == 19


@pytest.mark.parametrize("mark", [ECN_ECT0, ECN_ECT1])
def test_both_ect_marks_may_become_ce(mark):
    receiver, _ = burst(LinkProfile(rate=RATE, queue=EcnThreshold(low=0, high=0)), 1, ecn=mark)
    assert receiver.marks == [ECN_CE]


def test_traffic_without_ecn_is_not_marked_and_dropped_only_if_asked():
    lenient, _ = burst(LinkProfile(rate=RATE, queue=EcnThreshold(low=10, high=10)), 30)
    assert lenient.marks == [ECN_NOT_ECT] * 30
    strict, link = burst(LinkProfile(rate=RATE, queue=EcnThreshold(low=10, high=10, drop=True)), 30)
    assert len(strict.arrived) == 11
    assert link.counters.dropped_queue == 19


def test_a_ramp_marks_with_a_chance_that_rises_with_the_queue():
    source = random.Random(1)
    for length, chance in ((100, 0.0), (120, 0.05), (200, 0.25), (299, 0.4975), (300, 1.0)):
        queue = EcnThreshold(low=100, high=300, top=0.5, packets=400).build(source)
        while queue.length() < length:
            queue.enqueue(packet(), 0.0)
        for _ in range(2000):
            queue.enqueue(packet(mark=ECN_ECT0), 0.0)
            queue.dequeue(0.0)
        spread = math.sqrt(2000 * chance * (1 - chance))
        assert abs(queue.marked - 2000 * chance) <= 4 * spread


def test_a_queue_that_can_hold_no_more_drops_at_its_end():
    receiver, link = burst(LinkProfile(rate=RATE, queue=EcnThreshold(low=2, high=5, packets=5)), 9)
    assert len(receiver.arrived) == 6
    assert link.counters.dropped_queue == 3


class HeadDrop(QueueDiscipline):
    """What a researcher might write: the packet that waited longest makes room."""

    def enqueue(self, packet, now):
        super().enqueue(packet, now)
        if self.length() > 3:
            self.drop(self.waiting.pop())


def test_a_discipline_of_ones_own_is_one_class():
    receiver, link = burst(LinkProfile(rate=RATE, queue=OwnQueue(HeadDrop)), 10)
    numbers = [int.from_bytes(data[:2], "big") for data in receiver.datagrams]
    assert numbers == [0, 7, 8, 9]
    assert link.counters.dropped_queue == 6


def test_a_changed_profile_moves_what_waits_to_the_new_queue():
    line, link = line_of(LinkProfile(rate=RATE, queue=OwnQueue(QueueDiscipline)))
    line.send(*[1000] * 10)
    line.run(until=0.025)
    link.set_profile(LinkProfile(rate=RATE, queue=DropTail(packets=4)))
    assert link.counters.dropped_queue == 3
    assert len(line.run().arrived) == 7
    assert balance(link.counters)
    line.send(*[1000] * 10)
    assert len(line.run(until=2000.0).arrived) == 12
    assert link.counters.in_transit == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: DropTail(packets=0),
        lambda: DropTail(size=0),
        lambda: EcnThreshold(low=5, high=4),
        lambda: EcnThreshold(low=-1, high=4),
        lambda: EcnThreshold(low=1, high=2000),
        lambda: EcnThreshold(low=1, high=2, top=0.0),
    ],
)
def test_an_impossible_queue_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        wrong()
