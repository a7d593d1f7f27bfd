"""Links that go down: transfers survive what is short, and end honestly where it is not."""

import pytest

from ropewalk.quic.types.errors import HandshakeTimeout, IdleTimeout
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.oracles import Amplification, all_oracles
from ropewalk.sim.transfer import Transfer, TransferFailed, TransferPlan
from tests.transport.transfers import link


def planned(profile, **named):
    settings = {"idle_timeout": 30.0, **named.pop("settings", {})}
    plan = TransferPlan(
        **{
            "seed": 21,
            "forward": profile,
            "backward": profile,
            "download": 500_000,
            "settings": settings,
            **named,
        }
    )
    return Transfer(plan)


def cut(transfer, start, end):
    """Take both directions down at ``start`` and up again at ``end`` (virtual seconds)."""
    for when, up in ((start, False), (end, True)):
        for wire in (transfer.forward, transfer.backward):
            transfer.network.clock.at(when, lambda wire=wire, up=up: setattr(wire, "up", up))


@pytest.mark.parametrize("start", [0.01, 0.06, 0.15, 0.3])
@pytest.mark.parametrize("length", [0.2, 5.0])
def test_a_transfer_survives_an_outage(start, length):
    transfer = planned(link(rate=1_250_000.0))
    cut(transfer, start, start + length)
    result = transfer.run()
    assert result.intact
    assert result.duration > start + length


def test_a_link_that_stays_down_ends_both_sides_with_idle_timeout():
    transfer = planned(link(rate=1_250_000.0), time_limit=120.0)
    cut(transfer, 0.2, 1e6)
    with pytest.raises(TransferFailed):
        transfer.run()
    transfer.network.clock.run_until(200.0)
    peer = transfer.server_app.connection
    for connection in (transfer.connection, peer):
        assert connection.closed
        assert isinstance(connection.close_error, IdleTimeout)
    assert 30.0 < transfer.client_app.closed_time < 31.0


def test_a_handshake_into_the_void_times_out_after_its_time():
    transfer = planned(LinkProfile(loss=1.0), settings={"handshake_timeout": 30.0})
    with pytest.raises(TransferFailed):
        transfer.run()
    assert isinstance(transfer.connection.close_error, HandshakeTimeout)
    assert transfer.client_app.closed_time == pytest.approx(30.0)
    assert transfer.network.clock.next_time() == float("inf")


def test_the_handshake_survives_when_one_direction_starts_late():
    transfer = planned(link())
    transfer.backward.up = False
    transfer.network.clock.at(4.0, lambda: setattr(transfer.backward, "up", True))
    assert transfer.run().intact


def test_a_server_that_hears_no_more_stops_at_three_times_what_it_heard():
    transfer = planned(link(), oracles=all_oracles(65527))
    transfer.network.clock.at(0.01, lambda: setattr(transfer.forward, "up", False))
    transfer.network.clock.at(6.0, lambda: setattr(transfer.forward, "up", True))
    assert transfer.run().intact
    (amplification,) = (
        oracle for oracle in transfer.network.oracles if isinstance(oracle, Amplification)
    )
    # The first flight and its probes came up against the limit, which the oracle watches.
    assert 2.0 < amplification.largest_ratio <= 3.0


def test_a_change_of_the_line_during_the_transfer_is_survived():
    transfer = planned(link(rate=1_250_000.0), download=2_000_000)
    slow = link(rate=125_000.0, rtt=0.3, loss=0.02)
    for wire in (transfer.forward, transfer.backward):
        transfer.network.clock.at(0.5, lambda wire=wire: wire.set_profile(slow))
    assert transfer.run().intact
