"""Routes: who reaches whom through what, and what several routes share."""

import pytest

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.element import Element
from ropewalk.sim.link import Link, LinkProfile
from ropewalk.sim.network import Network
from tests.sim.wires import FOURTH, ONE, OTHER, THIRD, End, Line, balance

#: A packet of 972 bytes takes a millisecond.
RATE = 1_000_000.0


def test_a_callback_may_own_an_address_and_gets_what_arrives():
    network = Network(1)
    one, other = End(network, ONE), End(network, OTHER)
    network.join(ONE, OTHER, LinkProfile(delay=0.25), LinkProfile(delay=0.5))
    one.send(OTHER, b"there", ecn=2)
    other.send(ONE, b"back")
    network.clock.run_until(1.0)
    ((time, item),) = other.arrived
    assert (time, item.data, item.ecn, item.remote) == (0.25, b"there", 2, ONE)
    assert (item.local, item.local_ip) == (0, OTHER.ip)
    assert one.times == [0.5]


def test_an_address_has_one_owner_at_a_time():
    network = Network(1)
    end = End(network, ONE)
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1:1000"):
        network.attach(ONE, print)
    end.attachment.detach()
    heir = End(network, ONE)
    end.attachment.detach()
    with pytest.raises(ConfigurationError):
        network.attach(ONE, print)
    assert heir.address == ONE


def test_what_arrives_where_nobody_is_any_more_is_counted():
    network = Network(1)
    one, other = End(network, ONE), End(network, OTHER)
    network.join(ONE, OTHER, LinkProfile(delay=1.0), LinkProfile())
    one.send(OTHER)
    other.attachment.detach()
    network.clock.run_until(2.0)
    assert other.arrived == []
    assert network.undeliverable == 1


def test_an_address_that_is_down_neither_sends_nor_receives():
    network = Network(1)
    one, other = End(network, ONE), End(network, OTHER)
    network.join(ONE, OTHER, LinkProfile(), LinkProfile())
    other.attachment.up = False
    one.send(OTHER)
    other.send(ONE)
    network.clock.run_until(1.0)
    assert (one.arrived, other.arrived, other.attachment.dropped) == ([], [], 2)


def test_ports_of_one_machine_share_its_routes():
    network = Network(1)
    one, other = End(network, ONE), End(network, OTHER)
    second = End(network, Address(OTHER.ip, 77))
    network.join(ONE, OTHER, LinkProfile(), LinkProfile())
    one.send(second.address)
    network.clock.run_until(1.0)
    assert (len(second.arrived), len(other.arrived)) == (1, 0)


def test_elements_are_passed_in_order():
    line = Line(*[Link(LinkProfile(rate=RATE / n, delay=0.1), n) for n in (1, 2, 3)])
    line.send(972, 972)
    assert line.run().times == pytest.approx([0.306, 0.309])


def test_one_link_on_two_routes_is_their_common_bottleneck():
    network = Network(1)
    ends = {address: End(network, address) for address in (ONE, OTHER, THIRD, FOURTH)}
    shared = network.link(LinkProfile(rate=RATE, queue_packets=50), "shared")
    network.route(ONE.ip, OTHER.ip, [network.link(LinkProfile(delay=0.01), "a"), shared])
    network.route(THIRD.ip, FOURTH.ip, [network.link(LinkProfile(delay=0.02), "b"), shared])
    for number in range(2000):
        ends[ONE].send(OTHER, bytes(972), at=number * 0.001)
        ends[THIRD].send(FOURTH, bytes(972), at=number * 0.001)
    network.clock.run_until(2.0)
    total = len(ends[OTHER].arrived) + len(ends[FOURTH].arrived)
    assert total == pytest.approx(1990, abs=2)
    assert shared.queue_length(2.0) == 50
    assert shared.counters.dropped_queue > 1800
    assert balance(shared.counters)


def test_another_route_takes_the_place_of_the_first_for_what_is_sent_from_then_on():
    line = Line(Link(LinkProfile(delay=1.0), 1))
    line.send(100, at=0.5)
    detour = [Link(LinkProfile(delay=0.1), 2)]
    line.clock.at(0.6, lambda: line.network.route(ONE.ip, OTHER.ip, detour))
    line.send(100, at=0.7)
    assert line.run().times == pytest.approx([0.8, 1.5])


class EveryThird(Element):
    """What a researcher might write."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def accept(self, packet, now):
        self.seen += 1
        if self.seen % 3 == 0:
            return
        packet.data = packet.data.upper()
        self.hold(packet, now + 0.5)

    def release(self, packet, now):
        packet.ecn = 3
        packet.move_on(now)


def test_an_element_of_ones_own_is_one_class():
    mine = EveryThird()
    line = Line(Link(LinkProfile(delay=0.25), 1), mine)
    for number in range(6):
        line.sender.send(OTHER, b"abc", at=float(number))
    receiver = line.run()
    assert receiver.times == [0.75, 1.75, 3.75, 4.75]
    assert receiver.datagrams == [b"ABC"] * 4
    assert receiver.marks == [3] * 4


def test_an_element_that_does_nothing_lets_pass():
    line = Line(Element())
    line.send(100)
    assert line.run().times == [0.0]


def traffic(seed, size=100, **profile):
    line = Line(Link(LinkProfile(delay=0.01, loss=0.2, corruption=0.1, **profile), f"link/{seed}"))
    for number in range(200):
        line.sender.send(OTHER, bytes(size), at=number * 0.01)
    line.run()
    return line.network.trace()


def test_the_trace_is_the_same_exactly_when_everything_is():
    assert traffic(1) == traffic(1)
    assert traffic(1) != traffic(2)
    assert traffic(1) != traffic(1, size=101)
    assert traffic(1) != traffic(1, jitter=1e-6)


@pytest.mark.parametrize("change", ["time", "data", "ecn", "lost", "damaged"])
def test_the_trace_tells_any_difference(change):
    class Meddler(Element):
        def __init__(self, data):
            super().__init__()
            self.data = data

        def accept(self, packet, now):
            if change == "lost" and now == 5.0:
                return
            if now == 5.0:
                packet.data = self.data
            packet.move_on(now)

    def run(element, at=5.0, data=b"x", ecn=0):
        line = Line(element)
        line.sender.send(OTHER, b"y", 0, 4.0)
        line.sender.send(OTHER, data, ecn, at)
        line.run()
        return line.network.trace()

    plain = run(Element())
    assert run(Element()) == plain
    other = {"time": {"at": 5.1}, "data": {"data": b"z"}, "ecn": {"ecn": 1}}
    if change in other:
        assert run(Element(), **other[change]) != plain
    else:
        assert run(Meddler(b"?")) != plain
    if change == "damaged":
        assert run(Meddler(b"?")) != run(Meddler(b"!"))
