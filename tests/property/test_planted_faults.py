"""The machine sees what it is there to see: each deliberate fault turns it red."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ropewalk.lab.machine import RULES, Call, Machine, Plan, draw_calls, draw_plan, play, shrink
from ropewalk.lab.machine.party import Party
from ropewalk.lab.machine.server import ServerParty
from ropewalk.lab.machine.wire import Meddler
from ropewalk.quic.types.events import (
    DatagramsReadable,
    Event,
    StreamOpened,
    StreamReadable,
    StreamWritable,
)
from ropewalk.sim.element import Packet
from ropewalk.sim.host import Host
from ropewalk.sim.invariants import Violation
from ropewalk.sim.oracles import Oracle
from tests.lab.faults import breaks, breaks_each

#: Both sides write, read and finish; datagrams and an update of keys pass, too.
BUSY: list[Call] = [
    ("open", 0, 0, 4),
    ("open", 1, 0, 4),
    ("write", 0, 0, 4, 4),
    ("write", 1, 0, 4, 4),
    ("datagrams", 0, 1, 2, 4),
    ("write", 0, 0, 8, 4),
    ("update_keys", 0, 1, 4),
    ("read", 1, 0, 3, 4),
    ("wait", 3),
    ("finish", 0, 0, 4),
]
PLAN = Plan(seed=1)


def run(machine: Machine, calls: list[Call] = BUSY) -> None:
    for name, *arguments in calls:
        machine.call(name, arguments)
    machine.finish()


def told(act: Callable[[], None]) -> list[str]:
    """The law that something breaks."""
    with pytest.raises(Violation) as caught:
        act()
    return [caught.value.invariant_id]


def test_the_same_calls_are_in_order_without_a_fault() -> None:
    run(Machine(PLAN))


def test_a_run_repeats_to_the_byte() -> None:
    for seed in (1, 2, 3):
        first, second = (play(draw_plan(seed), draw_calls(seed, 60)) for _ in range(2))
        assert first.network.trace() == second.network.trace()


# -- what the application gets


class FlipsAByte(Party):
    def take(self, stream_id: int, limit: int) -> tuple[bytes, bool]:
        data, end = super().take(stream_id, limit)
        return (data[:-1] + bytes([data[-1] ^ 1]) if data else data), end


class LosesAByte(Party):
    def take(self, stream_id: int, limit: int) -> tuple[bytes, bool]:
        data, end = super().take(stream_id, limit)
        return data[1:], end


class EndsEarly(Party):
    def take(self, stream_id: int, limit: int) -> tuple[bytes, bool]:
        data, _ = super().take(stream_id, limit)
        return data, True


class NeverEnds(Party):
    def take(self, stream_id: int, limit: int) -> tuple[bytes, bool]:
        return super().take(stream_id, limit)[0], False


class MissesEvents(Party):
    """Is not told of the third and later things to read."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]  # passed on as they are
        self.told = 0

    def notice(self, event: Event) -> None:
        self.told += isinstance(event, StreamReadable)
        if not isinstance(event, StreamReadable) or self.told < 3:
            super().notice(event)


class HearsTwice(Party):
    def notice(self, event: Event) -> None:
        super().notice(event)
        if isinstance(event, StreamOpened):
            super().notice(event)


class HearsOfNothing(Party):
    """Is told of room that it did not ask for."""

    def notice(self, event: Event) -> None:
        super().notice(event)
        if isinstance(event, StreamOpened):
            super().notice(StreamWritable(event.stream_id))


@breaks_each(
    ("party", "law"),
    [
        (FlipsAByte, "delivered_as_written"),
        (LosesAByte, "delivered_as_written"),
        (EndsEarly, "delivered_as_written"),
        (NeverEnds, "calls_consistent"),
        (MissesEvents, "everything_arrives"),
        (HearsTwice, "events_true"),
        (HearsOfNothing, "events_true"),
    ],
)
def test_an_application_that_is_told_wrong_things_is_noticed(
    party: type[Party], law: str
) -> list[str]:
    return told(lambda: run(Machine(PLAN, parties=(party, ServerParty))))


class GetsDatagramsTwice(ServerParty):
    def notice(self, event: Event) -> None:
        if isinstance(event, DatagramsReadable):
            for data in self.use().receive_datagrams(1) * 2:
                self.model.datagram_received(0, data)
        else:
            super().notice(event)


class GetsDatagramsChanged(ServerParty):
    def notice(self, event: Event) -> None:
        if isinstance(event, DatagramsReadable):
            for data in self.use().receive_datagrams(10):
                self.model.datagram_received(0, data + b"!")
        else:
            super().notice(event)


@breaks_each(
    ("server", "law"),
    [(GetsDatagramsTwice, "datagrams_true"), (GetsDatagramsChanged, "datagrams_true")],
)
def test_datagrams_that_come_twice_or_changed_are_noticed(
    server: type[ServerParty], law: str
) -> list[str]:
    return told(lambda: run(Machine(PLAN, parties=(Party, server))))


# -- what the network does


class SwallowsAcknowledgments(Meddler):
    """Lets no small packet pass once the handshake is over, healed or not."""

    def accept(self, packet: Packet, now: float) -> None:
        if self.passed < 5 or len(packet.data) > 60:
            super().accept(packet, now)


@breaks("inv.quic.everything_arrives")
def test_swallowed_acknowledgments_are_noticed() -> list[str]:
    return told(lambda: run(Machine(Plan(seed=1, idle_timeout=0.0), SwallowsAcknowledgments)))


# -- what the connection keeps


def leak_bytes_in_flight(machine: Machine) -> None:
    machine.client.use().state.path.active.recovery.bytes_in_flight += 7


def lose_a_stream(machine: Machine) -> None:
    streams = machine.client.use().state.streams
    streams._registry.opened += 1


def end_for_no_reason(machine: Machine) -> None:
    machine.server.use().close(99, "for no reason", machine.now)


def close_in_silence(machine: Machine) -> None:
    """The connection believes that its close was sent."""
    machine.client.close(1, machine.now)
    machine.client.closing = None


@breaks_each(
    ("fault", "law"),
    [
        (leak_bytes_in_flight, "bytes_in_flight_consistent"),
        (lose_a_stream, "streams_balance"),
        (end_for_no_reason, "ending_has_reason"),
        (close_in_silence, "ending_has_reason"),
    ],
)
def test_a_fault_in_the_books_is_noticed(fault: Callable[[Machine], None], law: str) -> list[str]:
    machine = Machine(PLAN)
    for name, *arguments in BUSY:
        machine.call(name, arguments)
    fault(machine)
    return told(lambda: run(machine, [("wait", 1), ("write", 0, 0, 3, 4)]))


class LeavesATimer(Oracle):
    """Once its connections are over, a host wants to be woken in a thousand years."""

    def after_step(self, host: Host) -> None:
        if host.connections and all(each.closed for each in host.connections):
            host.endpoint._deadlines.set(0, 3e10)  # the door's


@breaks("inv.quic.nothing_left")
def test_a_timer_that_is_left_over_is_noticed() -> list[str]:
    machine = Machine(PLAN)
    machine.network.oracles.append(LeavesATimer())
    return told(lambda: run(machine))


# -- the tools around it


def test_lists_of_calls_follow_from_their_seed_and_the_table() -> None:
    calls = draw_calls(5, 200)
    assert calls == draw_calls(5, 200)
    assert {name for name, *_ in calls} == set(RULES)
    for name, *arguments in calls:
        assert len(arguments) == len(RULES[name][1])
        limits = zip(arguments, RULES[name][1], strict=True)
        assert all(0 <= argument < limit for argument, limit in limits)


def test_shrinking_keeps_what_fails_and_nothing_else() -> None:
    def fails(calls: list[Call]) -> bool:
        names = [call[0] for call in calls]
        return "rebind" in names and ("drop", 1) in [call[:2] for call in calls]

    calls = [*draw_calls(7, 60), ("rebind", 1, 3), ("drop", 1, 3, 2)]
    assert fails(calls)
    shortest = shrink(calls, fails)
    assert sorted(call[0] for call in shortest) == ["drop", "rebind"]
    assert ("drop", 1, 0, 0) in shortest
