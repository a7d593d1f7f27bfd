"""DualPI2 (RFC 9332): a short queue for L4S traffic, coupled to a controlled classic one."""

import math
import statistics

import pytest

from ropewalk.quic.types.datagrams import ECN_CE, ECN_ECT0, ECN_ECT1, ECN_NOT_ECT
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.dual_queue import DualPi2
from ropewalk.sim.link import Link, LinkProfile
from ropewalk.sim.network import Network
from ropewalk.sim.transfer import Transfer, TransferPlan
from tests.sim.wires import FOURTH, ONE, OTHER, THIRD, End, balance, line_of, packet

RATE = 1_250_000.0


THIN_SPACING = 0.010


class Mixture:
    """A CUBIC download over 10 Mbit/s and 30 ms, and a thin L4S flow beside it."""

    def __init__(self):
        plan = TransferPlan(
            seed=1,
            forward=LinkProfile(rate=RATE, delay=0.015),
            backward=LinkProfile(rate=RATE, delay=0.015, queue=DualPi2()),
            download=7_500_000,
            settings={"stream_window": 4 << 20, "connection_window": 4 << 20},
            oracles=[],
            witness=False,
        )
        self.transfer = Transfer(plan)
        network = self.transfer.network
        self.link = self.transfer.backward
        sender, self.thin = End(network, THIRD), End(network, FOURTH)
        network.route(THIRD.ip, FOURTH.ip, [self.link])
        for number in range(500):
            sender.send(FOURTH, bytes(472), ECN_ECT1, number * THIN_SPACING)
        self.delays = []
        ticker = network.clock.every(0.01, self._look)
        assert self.transfer.run().intact
        ticker.stop()
        assert balance(self.link.counters)

    def _look(self, now):
        if now > 2.0:
            self.delays.append(self.link.queue_bytes(now) / RATE)


@pytest.fixture(scope="module")
def mixture():
    return Mixture()


def test_a_cubic_flow_is_kept_near_the_target_of_15_ms(mixture):
    assert 0.008 < statistics.mean(mixture.delays) < 0.022


def test_l4s_traffic_waits_for_a_packet_beside_it_and_no_more(mixture):
    assert len(mixture.thin.arrived) == 500
    waits = [
        time - number * THIN_SPACING - 0.015 - 500 / RATE
        for number, time in enumerate(mixture.thin.times)
    ]
    # A packet of 1,228 bytes takes 0.98 ms: one is on the wire, and now and then the classic
    # queue has its turn.
    assert max(waits) < 0.002
    assert sum(wait > 0.001 for wait in waits) < 25


@pytest.mark.parametrize(("excess", "marked"), [(0.01, 0.2), (0.04, 0.4), (0.09, 0.6)])
def test_l4s_marking_is_coupled_to_twice_the_root_of_the_classic_loss(excess, marked):
    network = Network(1)
    link = Link(LinkProfile(rate=RATE, queue=DualPi2()), "coupling")
    ends = {address: End(network, address) for address in (ONE, OTHER, THIRD, FOURTH)}
    network.route(ONE.ip, OTHER.ip, [link])
    network.route(THIRD.ip, FOURTH.ip, [link])
    # As much unresponsive classic traffic as the link can take, and some L4S traffic. What is
    # too much has to be lost from the former, and RFC 9332 2.1 has p_C = (p_CL / k)^2, k = 2.
    for number in range(12_500):
        ends[ONE].send(OTHER, bytes(972), ECN_NOT_ECT, number * 1000 / RATE)
    for number in range(round(12_500 * excess)):
        ends[THIRD].send(FOURTH, bytes(972), ECN_ECT1, number * 1000 / RATE / excess)
    network.clock.run_until(10.0)
    steady = [item.ecn for time, item in ends[FOURTH].arrived if time > 4.0]
    assert steady.count(ECN_CE) / len(steady) == pytest.approx(marked, abs=0.05)


def test_l4s_traffic_alone_is_marked_by_its_own_queueing_delay():
    line, link = line_of(LinkProfile(rate=RATE, queue=DualPi2()))
    # Bursts of seven wait 0, 0.2, ... 1.2 ms; the ramp lies from 0.8 to 1.2 ms. The last of
    # a burst leaves an empty queue behind, which is never marked.
    for number in range(100):
        line.send(*[222] * 7, ecn=ECN_ECT1, at=number * 0.010)
    receiver = line.run()
    by_place = [receiver.marks[place::7].count(ECN_CE) for place in range(7)]
    assert by_place[:5] == [0, 0, 0, 0, 0]
    assert by_place[5] == pytest.approx(50, abs=1)
    assert by_place[6] == 0
    assert link.counters.dropped_queue == 0


@pytest.mark.parametrize("mark", [ECN_ECT0, ECN_ECT1])
def test_more_than_the_link_can_take_is_dropped_though_it_understands_marks(mark):
    line, link = line_of(LinkProfile(rate=RATE, queue=DualPi2()))
    line.stream(rate=1.5 * RATE, size=972, start=0.0, end=6.0, ecn=mark)
    receiver = line.run(until=6.0)
    # Unresponsive: p' rises until what is dropped with p'^2 makes up for the third too many.
    late = [item for time, item in receiver.arrived if time > 3.0]
    assert late
    assert all(item.ecn == (ECN_CE if mark == ECN_ECT1 else mark) for item in late)
    assert link.counters.dropped_queue > 0
    assert link.queue_bytes(6.0) / RATE < 0.25


def test_ce_counts_as_l4s_and_ect0_as_classic():
    discipline = DualPi2().build(None)
    for mark in (ECN_NOT_ECT, ECN_ECT0, ECN_CE, ECN_ECT1):
        discipline.enqueue(packet(mark=mark), 0.0)
    order = [discipline.dequeue(0.0).ecn for _ in range(4)]
    assert order == [ECN_CE, ECN_ECT1, ECN_NOT_ECT, ECN_ECT0]
    assert discipline.dequeue(0.0) is None


def test_the_classic_queue_gets_its_sixteenth_while_both_are_full():
    discipline = DualPi2().build(None)
    for _ in range(2000):
        discipline.enqueue(packet(mark=ECN_ECT1), 0.0)
        discipline.enqueue(packet(mark=ECN_ECT0), 0.0)
    first = [discipline.dequeue(0.0).ecn for _ in range(1600)]
    assert first.count(ECN_ECT0) == pytest.approx(100, abs=1)


def test_both_queues_have_one_end():
    discipline = DualPi2(size=10_000).build(None)
    for mark in [ECN_ECT1, ECN_ECT0] * 10:
        discipline.enqueue(packet(mark=mark), 0.0)
    assert (discipline.length(), discipline.dropped) == (10, 10)


def test_the_controller_follows_the_recursion_of_the_rfc():
    discipline = DualPi2().build(None)
    discipline.enqueue(packet(), 0.0)
    discipline.enqueue(packet(), 0.0)
    expected = before = 0.0
    for step in range(1, 40):
        now = step * 0.015
        # RFC 9332 A.1 with its defaults: alpha 0.15, beta 3; the queue's head came at 0.
        expected += 0.15 * (now - 0.015) + 3.0 * (now - before)
        expected = min(max(expected, 0.0), 1.0)
        before = now
        discipline.enqueue(packet(), now + 1e-9)
        assert discipline.base == pytest.approx(expected)


def test_a_long_silence_costs_nothing_and_clears_the_controller():
    discipline = DualPi2().build(None)
    discipline.enqueue(packet(), 0.0)
    discipline.dequeue(0.5)
    assert discipline.base > 0.5
    discipline.enqueue(packet(), 1e7)
    assert discipline.base == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": 0.0},
        {"coupling": math.inf},
        {"ramp_start": 0.002},
        {"classic_share": 1.0},
        {"size": 0},
    ],
)
def test_an_impossible_controller_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="DualPI2"):
        DualPi2(**wrong)
