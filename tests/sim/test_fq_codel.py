"""FQ-CoDel parts the flows of a link: a sparse one hardly notices a greedy one."""

import pytest

from ropewalk.sim.codel import FqCoDel
from ropewalk.sim.link import Link, LinkProfile
from ropewalk.sim.network import Network
from tests.sim.wires import FOURTH, ONE, OTHER, THIRD, End, balance, packet

#: A packet of 972 bytes takes a millisecond.
RATE = 1_000_000.0


class Crossing:
    """Two flows over one link: ``greedy`` from ONE to OTHER, ``other`` from THIRD to FOURTH."""

    def __init__(self, queue):
        self.network = Network(1)
        self.link = Link(LinkProfile(rate=RATE, queue=queue, queue_packets=200), "crossing")
        self.network.route(ONE.ip, OTHER.ip, [self.link])
        self.network.route(THIRD.ip, FOURTH.ip, [self.link])
        one, self.greedy, third, self.other = (
            End(self.network, address) for address in (ONE, OTHER, THIRD, FOURTH)
        )
        self._senders = {OTHER: one, FOURTH: third}

    def offer(self, remote, rate, seconds, size=972):
        """Datagrams at so many times the link's rate."""
        spacing = (size + 28) / (rate * RATE)
        for number in range(round(seconds / spacing)):
            self._senders[remote].send(remote, bytes(size), at=number * spacing)

    def run(self, until):
        self.network.clock.run_until(until)
        assert balance(self.link.counters)


def waits(end, spacing, count):
    """How long each of the datagrams of a flow that was sent at equal times was on its way."""
    assert len(end.times) == count
    return [time - number * spacing for number, time in enumerate(end.times)]


def test_a_sparse_flow_overtakes_the_queue_of_a_greedy_one():
    crossing = Crossing(FqCoDel())
    crossing.offer(OTHER, 1.5, 5.0)
    crossing.offer(FOURTH, 0.02, 5.0)
    crossing.run(6.0)
    # At most the packet on the wire comes first; in the beginning both flows are new.
    assert max(waits(crossing.other, 0.05, 100)[1:]) <= 0.0021
    assert crossing.link.counters.dropped_queue > 0


def test_without_it_the_sparse_flow_waits_with_all_others():
    crossing = Crossing(None)
    crossing.offer(OTHER, 1.5, 5.0)
    crossing.offer(FOURTH, 0.02, 5.0)
    crossing.run(4.9)
    delays = [time - number * 0.05 for number, time in enumerate(crossing.other.times[:10])]
    assert delays[-1] > 0.150


def test_two_greedy_flows_get_the_same_though_one_offers_more():
    crossing = Crossing(FqCoDel())
    crossing.offer(OTHER, 3.0, 5.0)
    crossing.offer(FOURTH, 1.0, 5.0)
    crossing.run(5.0)
    assert len(crossing.greedy.arrived) == pytest.approx(2500, rel=0.02)
    assert len(crossing.other.arrived) == pytest.approx(2500, rel=0.02)


def test_turns_are_counted_in_bytes_not_in_packets():
    crossing = Crossing(FqCoDel())
    crossing.offer(OTHER, 2.0, 5.0, size=1472)
    crossing.offer(FOURTH, 2.0, 5.0, size=272)
    crossing.run(5.0)
    large = len(crossing.greedy.arrived) * 1500
    small = len(crossing.other.arrived) * 300
    assert large == pytest.approx(small, rel=0.03)


def test_what_one_flow_does_not_use_the_other_gets():
    crossing = Crossing(FqCoDel())
    crossing.offer(OTHER, 3.0, 5.0)
    crossing.offer(FOURTH, 0.3, 5.0)
    crossing.run(5.0)
    assert len(crossing.other.arrived) == pytest.approx(1500, rel=0.02)
    assert len(crossing.greedy.arrived) == pytest.approx(3500, rel=0.02)


def test_a_full_queue_takes_from_the_longest_flow():
    discipline = FqCoDel(packets=100).build(None)
    for _ in range(90):
        discipline.enqueue(packet(), 0.0)
    for _ in range(30):
        discipline.enqueue(packet(source=THIRD, destination=FOURTH), 0.0)
    # The 101st packet cost the long flow half of its 90.
    assert discipline.dropped == 45
    assert discipline.length() == 75
    assert discipline.size() == 75_000
    sources = []
    while (taken := discipline.dequeue(0.001)) is not None:
        sources.append(taken.source)
    assert sources.count(THIRD) == 30
    assert (discipline.length(), discipline.size()) == (0, 0)


def test_a_flow_whose_queue_ran_empty_is_not_new_again_at_once():
    discipline = FqCoDel().build(None)

    def offer(number, source):
        for _ in range(number):
            discipline.enqueue(packet(source=source), 0.0)

    def serve(number):
        return [discipline.dequeue(0.0).source for _ in range(number)]

    offer(10, ONE)
    offer(1, THIRD)
    assert serve(4) == [ONE, ONE, THIRD, ONE]
    offer(1, THIRD)
    # RFC 8290 4.2: it has to wait for its turn among the old ones.
    assert serve(2) == [ONE, THIRD]


def test_flows_that_share_a_queue_by_their_hash_share_its_fate():
    discipline = FqCoDel(flows=1).build(None)
    discipline.enqueue(packet(), 0.0)
    discipline.enqueue(packet(), 0.0)
    discipline.enqueue(packet(source=THIRD, destination=FOURTH), 0.0)
    assert [discipline.dequeue(0.0).source for _ in range(3)] == [ONE, ONE, THIRD]
