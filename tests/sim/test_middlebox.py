"""Middleboxes: what passes, and with which mark."""

import pytest

from ropewalk.quic.types.datagrams import ECN_CE, ECN_ECT0, ECN_ECT1, ECN_NOT_ECT
from ropewalk.quic.types.errors import ConfigurationError, HandshakeTimeout
from ropewalk.sim.middlebox import Middlebox
from ropewalk.sim.transfer import CLIENT, SERVER, Transfer, TransferFailed, TransferPlan
from tests.sim.wires import OTHER, Line


@pytest.mark.parametrize(
    ("treatment", "arriving", "remarked"),
    [
        ("pass", [ECN_NOT_ECT, ECN_ECT1, ECN_ECT0, ECN_CE], 0),
        ("bleach", [ECN_NOT_ECT, ECN_NOT_ECT, ECN_NOT_ECT, ECN_NOT_ECT], 3),
        ("drop", [ECN_NOT_ECT], 0),
        ("mark", [ECN_NOT_ECT, ECN_CE, ECN_CE, ECN_CE], 2),
        ("swap", [ECN_NOT_ECT, ECN_ECT0, ECN_ECT1, ECN_CE], 2),
    ],
)
def test_ecn_is_treated_as_told(treatment, arriving, remarked):
    box = Middlebox(ecn=treatment)
    line = Line(box)
    for mark in (ECN_NOT_ECT, ECN_ECT1, ECN_ECT0, ECN_CE):
        line.sender.send(OTHER, b"x", mark)
    assert line.run().marks == arriving
    assert (box.passed, box.dropped, box.remarked) == (len(arriving), 4 - len(arriving), remarked)


def test_large_datagrams_vanish():
    line = Line(Middlebox(largest=1200))
    line.send(1200, 1201, 100)
    assert [len(data) for data in line.run().datagrams] == [1200, 100]


def test_udp_may_be_cut_off_and_come_back():
    box = Middlebox()
    line = Line(box)
    for at in (1.0, 2.0, 3.0):
        line.send(100, at=at)
    line.clock.at(1.5, lambda: setattr(box, "drop_udp", True))
    line.clock.at(2.5, lambda: setattr(box, "drop_udp", False))
    assert line.run().times == [1.0, 3.0]


def test_an_unknown_treatment_is_refused():
    with pytest.raises(ConfigurationError, match="bleach"):
        Middlebox(ecn="fry")


def behind(box, **settings):
    """A transfer whose packets to the server pass a middlebox."""
    plan = TransferPlan(seed=1, download=50_000, settings=settings)
    transfer = Transfer(plan)
    transfer.network.route(CLIENT.ip, SERVER.ip, [box, transfer.forward])
    return transfer


def test_a_transfer_behind_a_box_for_small_datagrams_uses_small_ones():
    box = Middlebox(largest=1200)
    assert behind(box).run().intact
    assert box.dropped == 0


def test_a_handshake_where_udp_is_blocked_times_out():
    transfer = behind(Middlebox(drop_udp=True), handshake_timeout=5.0)
    with pytest.raises(TransferFailed):
        transfer.run()
    assert isinstance(transfer.connection.close_error, HandshakeTimeout)
