"""NATs: mappings that come, answer to whom they should, and go."""

import pytest

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.nat import Nat
from ropewalk.sim.network import Network
from ropewalk.sim.oracles import Oracle
from ropewalk.sim.transfer import CLIENT, SERVER, Transfer, TransferPlan
from tests.sim.wires import FOURTH, ONE, OTHER, End

OUTSIDE, MOVED = "203.0.113.9", "203.0.113.77"


class Behind:
    """ONE is behind a NAT; OTHER and FOURTH are outside."""

    def __init__(self, **options):
        self.network = Network(1)
        self.nat = Nat(OUTSIDE, **options)
        self.one, self.other, self.fourth = (
            End(self.network, address) for address in (ONE, OTHER, FOURTH)
        )
        for remote in (OTHER, FOURTH):
            self.network.route(ONE.ip, remote.ip, [self.nat])
            for outside in (OUTSIDE, MOVED):
                self.network.route(remote.ip, outside, [self.nat])

    def run(self, until):
        self.network.clock.run_until(until)

    def call(self, end):
        """Send from the inside; the address from which it came, as the remote end sees it."""
        self.one.send(end.address)
        self.run(self.network.clock.now + 0.001)
        return end.arrived[-1][1].remote


def test_the_outside_sees_the_nat_and_answers_reach_the_inside():
    behind = Behind()
    seen = behind.call(behind.other)
    assert seen == Address(OUTSIDE, 40000)
    behind.other.send(seen, b"answer")
    behind.run(1.0)
    ((_, item),) = behind.one.arrived
    assert (item.data, item.remote, item.local_ip) == (b"answer", OTHER, ONE.ip)
    assert behind.nat.outside_of(ONE) == seen


def test_one_mapping_serves_all_remote_addresses():
    behind = Behind()
    assert behind.call(behind.other) == behind.call(behind.fourth)
    assert behind.nat.counters.mappings == 1


def test_a_symmetric_nat_has_one_for_each():
    behind = Behind(symmetric=True)
    first, second = behind.call(behind.other), behind.call(behind.fourth)
    assert (first.port, second.port) == (40000, 40001)
    assert behind.nat.outside_of(ONE, OTHER) == first
    assert behind.nat.outside_of(ONE, FOURTH) == second
    assert behind.call(behind.other) == first


@pytest.mark.parametrize("filtering", [True, False])
def test_filtering_keeps_out_who_was_not_called(filtering):
    behind = Behind(filtering=filtering)
    seen = behind.call(behind.other)
    behind.fourth.send(seen, b"uninvited")
    behind.run(1.0)
    assert len(behind.one.arrived) == (0 if filtering else 1)
    assert behind.nat.counters.dropped_filtered == (1 if filtering else 0)
    behind.call(behind.fourth)
    behind.fourth.send(seen, b"invited")
    behind.run(2.0)
    assert behind.one.arrived[-1][1].data == b"invited"


def test_a_mapping_ends_when_nothing_leaves_through_it():
    behind = Behind(timeout=30.0)
    seen = behind.call(behind.other)
    behind.run(29.0)
    behind.other.send(seen, b"in time")
    behind.run(31.0)
    behind.other.send(seen, b"too late")
    behind.run(32.0)
    assert behind.one.datagrams == [b"in time"]
    assert behind.nat.counters.dropped_unmapped == 1
    assert behind.call(behind.other) == Address(OUTSIDE, 40001)


def test_what_leaves_keeps_a_mapping_alive():
    behind = Behind(timeout=30.0)
    for _ in range(5):
        assert behind.call(behind.other).port == 40000
        behind.run(behind.network.clock.now + 29.0)


def test_a_rebound_port_is_new_and_the_old_one_leads_nowhere():
    behind = Behind()
    old = behind.call(behind.other)
    behind.nat.rebind_port()
    behind.other.send(old, b"lost")
    assert behind.call(behind.other) == Address(OUTSIDE, 40001)
    behind.other.send(old, b"lost as well")
    behind.run(1.0)
    assert behind.one.arrived == []


def test_a_rebound_address_is_new_and_the_old_one_leads_nowhere():
    behind = Behind()
    old = behind.call(behind.other)
    behind.nat.rebind_address(MOVED)
    new = behind.call(behind.other)
    assert new == Address(MOVED, 40001)
    behind.other.send(old, b"lost")
    behind.other.send(new, b"found")
    behind.run(1.0)
    assert behind.one.datagrams == [b"found"]


@pytest.mark.parametrize("wrong", [{"timeout": 0.0}, {"first_port": 0}, {"first_port": 65536}])
def test_an_impossible_nat_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="NAT"):
        Nat(OUTSIDE, **wrong)


def test_a_nat_runs_out_of_ports():
    behind = Behind(first_port=65535)
    behind.call(behind.other)
    behind.nat.rebind_port()
    with pytest.raises(ConfigurationError, match="no port left"):
        behind.call(behind.other)


class Callers(Oracle):
    """Notes the addresses from which the server hears, in the order in which they appear."""

    def __init__(self):
        self.seen = []

    def on_receive(self, host, datagram, local, remote):
        if host.name == "server" and remote not in self.seen:
            self.seen.append(remote)


def test_a_connection_survives_a_new_port_and_a_new_address():
    line = LinkProfile(rate=1_250_000.0, delay=0.02)
    callers = Callers()
    plan = TransferPlan(
        seed=1,
        forward=line,
        backward=line,
        download=500_000,
        upload=500_000,
        oracles=[callers],
    )
    transfer = Transfer(plan)
    network = transfer.network
    nat = Nat(OUTSIDE)
    network.route(CLIENT.ip, SERVER.ip, [nat, transfer.forward])
    for outside in (OUTSIDE, MOVED):
        network.route(SERVER.ip, outside, [transfer.backward, nat])
    network.clock.at(0.2, nat.rebind_port)
    network.clock.at(0.4, lambda: nat.rebind_address(MOVED))
    result = transfer.run()
    assert result.intact
    assert callers.seen == [
        Address(OUTSIDE, 40000),
        Address(OUTSIDE, 40001),
        Address(MOVED, 40002),
    ]
    assert nat.counters.dropped_unmapped > 0
