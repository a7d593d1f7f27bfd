"""The oracles judge the victim of a bending peer and its bystander, and not the peer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ropewalk.lab.hostile import Scene, frames, run_check
from ropewalk.lab.hostile.check import BOTH, checks
from ropewalk.lab.hostile.outcome import Survives
from ropewalk.lab.registry import catalogue, load_catalogue
from ropewalk.lab.runner import run
from ropewalk.quic.connection import Connection
from ropewalk.sim.invariants import Violation

Deed = Callable[[Connection], None]


def leak_bytes_in_flight(connection: Connection) -> None:
    connection.state.path.active.recovery.bytes_in_flight += 1200


def lose_a_stream(connection: Connection) -> None:
    connection.state.streams._registry.opened += 1


def number_backwards(connection: Connection) -> None:
    connection.state.path.space.ledger.next_packet_number -= 1


DEEDS = [
    (leak_bytes_in_flight, "bytes_in_flight_consistent"),
    (lose_a_stream, "streams_balance"),
    (number_backwards, "packet_numbers_rise"),
]


@pytest.mark.parametrize("role", BOTH)
@pytest.mark.parametrize("whose", ["victim", "bystander"])
@pytest.mark.parametrize(("deed", "law"), DEEDS)
def test_a_fault_of_the_victims_endpoint_is_told(
    role: str, whose: str, deed: Deed, law: str
) -> None:
    def story(scene: Scene) -> None:
        scene.connect()
        connection = scene.the_victim() if whose == "victim" else scene.bystander
        assert connection is not None
        deed(connection)
        scene.bend(b"\x01")  # PING

    (check,) = checks("fault", "RFC 9000 1", "", story, Survives(), victims=(role,))
    with pytest.raises(Violation) as caught:
        run_check(check)
    assert caught.value.invariant_id == f"inv.quic.{law}"


@pytest.mark.parametrize("role", BOTH)
def test_lies_of_the_peer_are_no_fault_of_the_victim(role: str) -> None:
    scene = Scene(role)
    scene.connect()
    scene.peer.send(frames.ack(1000))
    scene.peer.expect_close()
    scene.watchers.finish(scene.network.hosts)
    # The bystander has two ends, the victim's other connection one.
    assert len(scene.watchers.auditor.witnesses) == 3


def test_a_violation_is_a_breach_of_the_scenario() -> None:
    load_catalogue()
    outcome = run(catalogue.get("hostile-streams"))
    assert outcome.passed
    assert outcome.packets > 100
