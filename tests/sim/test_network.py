"""Hosts, interfaces and links: who hears whom, and how much at a time."""

import math

import pytest

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConfigurationError, HandshakeTimeout
from ropewalk.sim.batching import Coalescing
from ropewalk.sim.identity import EPOCH, seeded_entropy, seeded_identity
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.network import Application, Network
from ropewalk.sim.oracles import Oracle
from ropewalk.sim.transfer import (
    SERVER,
    Transfer,
    TransferFailed,
    TransferPlan,
    client_configuration,
)

ONE, OTHER = Address("192.0.2.1", 1), Address("192.0.2.2", 2)
LINE = LinkProfile(rate=12_500_000.0, delay=0.01)


def test_two_hosts_cannot_share_an_address():
    network = Network(1)
    network.add_host("a", Application(), [ONE])
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1:1"):
        network.add_host("b", Application(), [OTHER, ONE])


def test_interfaces_are_numbered_in_the_order_given():
    host = Network(1).add_host("a", Application(), [ONE, OTHER])
    assert host.addresses == [ONE, OTHER]


def test_datagrams_without_a_link_are_counted_and_gone():
    network = Network(1)
    host = network.add_host("a", Application(), [ONE])
    plan = TransferPlan(seed=1, settings={"handshake_timeout": 5.0})
    connection = host.track(host.endpoint.open(client_configuration(plan), OTHER, 0, 0.0))
    host.drive()
    network.clock.run_until(10.0)
    assert network.unroutable > 1
    assert isinstance(connection.close_error, HandshakeTimeout)


def test_an_application_that_does_not_care_ignores_clients():
    plan = TransferPlan(seed=1, forward=LINE, backward=LINE, settings={"handshake_timeout": 5.0})
    transfer = Transfer(plan)
    transfer.server_host.application = Application()
    with pytest.raises(TransferFailed, match="HandshakeTimeout"):
        transfer.run()
    assert transfer.server_host.datagrams_sent == 0


def test_the_coalescing_window_decides_how_much_arrives_at_once():
    def received(window):
        plan = TransferPlan(
            seed=1,
            forward=LINE,
            backward=LINE,
            download=500_000,
            coalescing=Coalescing(window=window),
        )
        transfer = Transfer(plan)
        assert transfer.run().intact
        host = transfer.client_host
        return host.datagrams_received / host.buffers_received

    assert received(0.0) == 1.0
    assert received(0.002) > 5.0


def test_when_all_is_over_nothing_is_planned_any_more():
    transfer = Transfer(TransferPlan(seed=1, forward=LINE, backward=LINE, download=1000))
    transfer.run()
    clock = transfer.network.clock
    clock.run_until(clock.now + 10.0)  # timers of the handshake may still run out
    assert transfer.client_host.endpoint.deadline() == math.inf
    assert transfer.server_host.endpoint.deadline() == math.inf
    assert clock.next_time() == math.inf


def test_identities_and_entropy_follow_from_the_seed():
    assert seeded_identity(1).certificate_pem == seeded_identity(1).certificate_pem
    assert seeded_identity(1).spki_sha256 != seeded_identity(2).spki_sha256
    assert seeded_entropy("x")(40) == seeded_entropy("x")(40)
    network = Network(1)
    network.clock.run_until(12.0)
    assert network.wall_clock() == EPOCH + 12.0


def two_homed(**named):
    """A transfer whose client has two interfaces, each with a link of its own."""
    transfer = Transfer(
        TransferPlan(**{"seed": 1, "forward": LINE, "backward": LINE, "download": 100_000, **named})
    )
    second = Address("198.51.100.1", 50000)
    network = transfer.network
    network.add_interface(transfer.client_host, second)
    network.join(second, SERVER, LINE, LINE)
    return transfer


def test_a_host_may_get_another_interface():
    transfer = two_homed()
    host = transfer.client_host
    assert [str(address) for address in host.addresses] == ["192.0.2.1:50000", "198.51.100.1:50000"]
    plan = transfer.plan
    connection = host.track(host.endpoint.open(client_configuration(plan), SERVER, 1, 0.0))
    # The application knows one connection only: the server takes the other one for a copy.
    assert connection.local == 1
    assert transfer.run().intact


def test_an_interface_that_is_down_neither_sends_nor_receives():
    transfer = two_homed(download=1_000_000)
    host, clock = transfer.client_host, transfer.network.clock
    clock.at(0.05, lambda: host.set_interface(0, up=False))
    clock.at(1.05, lambda: host.set_interface(0, up=True))
    result = transfer.run()
    assert result.intact
    assert result.duration > 1.05
    assert host.interfaces[0].dropped > 0
    assert host.interfaces[1].dropped == 0


def test_an_endpoint_that_is_told_holds_back_until_the_interface_is_up():
    transfer = two_homed(download=1_000_000)
    host, clock = transfer.client_host, transfer.network.clock
    clock.at(0.05, lambda: host.set_interface(0, up=False, tell=True))
    sent = []
    clock.at(0.06, lambda: sent.append(host.datagrams_sent))
    clock.at(1.04, lambda: sent.append(host.datagrams_sent))
    clock.at(1.05, lambda: host.set_interface(0, up=True, tell=True))
    assert transfer.run().intact
    assert sent[0] == sent[1]


def test_a_host_is_called_at_its_endpoints_deadline_however_that_moved():
    transfer = Transfer(
        TransferPlan(seed=1, forward=LINE, backward=LINE, download=300_000, settings={})
    )
    late = []

    class Punctual(Oracle):
        def before_timeout(self, host):
            late.append(host.now - host.endpoint.deadline())

    transfer.network.oracles.append(Punctual())
    assert transfer.run().intact
    clock = transfer.network.clock
    clock.run_until(clock.now + 100.0)
    assert len(late) > 10
    assert max(late) < 1e-9
    assert min(late) >= 0.0
