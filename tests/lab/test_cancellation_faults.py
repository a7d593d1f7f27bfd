"""The checks after a cancellation have been seen to fail: one deliberate fault for each law."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import pytest
import trio
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint, checkpoint_if_cancelled

from ropewalk.lab.cancellation import (
    CANCELLATION_INVARIANTS,
    SCENARIOS,
    AllPoints,
    Breach,
    CancellationScenario,
    FirstN,
    Never,
    RandomSample,
    Report,
    ScenarioFailed,
    SpecificPoints,
    Strategy,
    Stroke,
    Trial,
    sweep,
)
from ropewalk.lab.virtual_time import BACKENDS, Backend
from ropewalk.runtime import Connection, ReceiveStream
from ropewalk.runtime.turns import Turns
from tests.lab.faults import BROKEN, breaks

T = TypeVar("T")

each_backend = pytest.mark.parametrize("backend", BACKENDS)

Misdeed = Callable[[Trial, Connection], Awaitable[None]]


def scenario_that(misdeed: Misdeed) -> CancellationScenario:
    """A client that waits on its connection and, cancelled there, does something wrong."""

    async def idle(connection: Connection) -> None:
        await connection.wait_closed()

    async def body(trial: Trial) -> None:
        async def client() -> None:
            async with trial.testbed.connect() as connection:
                try:
                    await anyio.sleep(0.1)
                except anyio.get_cancelled_exc_class():
                    await misdeed(trial, connection)
                    raise

        async with trial.testbed.serve(idle):
            await trial.whole(client)

    return CancellationScenario("faulty", "a client with a fault", body)


def the_breach(report: Report, law: str) -> Breach:
    """The one that says so; it names the point, and the call that shows it again."""
    found = [
        each
        for each in report.breaches
        if each.invariant_id == f"inv.cancel.{law}" and each.point is not None
    ]
    assert found, str(report)
    breach = found[0]
    assert breach.point is not None
    assert f"SpecificPoints(({breach.point.number},))" in breach.replay
    assert f'"{report.backend}", {report.seed}' in breach.replay
    assert breach.invariant_id in str(breach)
    assert str(breach.point) in str(breach)
    return breach


# -- faults of the program


@each_backend
@breaks("inv.cancel.no_task_left")
def test_a_task_left_running(backend: Backend) -> list[str]:
    daemons = []

    async def misdeed(trial: Trial, connection: Connection) -> None:
        if backend == "trio":
            trio.lowlevel.spawn_system_task(anyio.sleep_forever, name="a daemon")
        else:
            daemons.append(asyncio.create_task(anyio.sleep_forever(), name="a daemon"))

    breach = the_breach(sweep(scenario_that(misdeed), backend=backend), "no_task_left")
    assert "a daemon" in breach.text
    assert breach.point is not None
    assert "test_cancellation_faults.py" in breach.point.by
    assert " client" in breach.point.by
    return [breach.invariant_id]


@each_backend
@breaks("inv.cancel.no_address_left")
def test_an_address_not_given_back(backend: Backend) -> list[str]:
    async def misdeed(trial: Trial, connection: Connection) -> None:
        trial.testbed.client.bind("", 4433, 9)

    breach = the_breach(sweep(scenario_that(misdeed), backend=backend), "no_address_left")
    assert "192.0.2.1:4433" in breach.text
    return [breach.invariant_id]


@each_backend
@breaks("inv.cancel.nothing_reserved")
def test_a_packet_reserved_and_neither_sent_nor_given_up(backend: Backend) -> list[str]:
    async def misdeed(trial: Trial, connection: Connection) -> None:
        with anyio.CancelScope(shield=True):
            await connection.close()
        connection.core.state.path.space.reserve().add_token(1)

    breach = the_breach(sweep(scenario_that(misdeed), backend=backend), "nothing_reserved")
    assert "1-RTT packet" in breach.text
    return [breach.invariant_id]


@each_backend
@breaks("inv.cancel.contained")
def test_a_cancellation_turned_into_another_error(backend: Backend) -> list[str]:
    async def misdeed(trial: Trial, connection: Connection) -> None:
        raise LookupError("what now?")

    breach = the_breach(sweep(scenario_that(misdeed), backend=backend), "contained")
    assert "what now?" in breach.text
    return [breach.invariant_id]


@each_backend
@breaks("inv.cancel.prompt")
def test_a_cancellation_that_takes_its_time(backend: Backend) -> list[str]:
    async def misdeed(trial: Trial, connection: Connection) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(6)

    breach = the_breach(sweep(scenario_that(misdeed), backend=backend), "prompt")
    assert "6" in breach.text
    return [breach.invariant_id]


@each_backend
@breaks("inv.cancel.goes_on")
def test_a_hang(backend: Backend) -> list[str]:
    async def misdeed(trial: Trial, connection: Connection) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.Event().wait()

    breach = the_breach(sweep(scenario_that(misdeed), backend=backend), "goes_on")
    return [breach.invariant_id]


@each_backend
@breaks("inv.cancel.delivered")
def test_bytes_confirmed_that_never_arrived(backend: Backend) -> list[str]:
    async def misdeed(trial: Trial, connection: Connection) -> None:
        transfer = trial.transfer("promises")
        transfer.offer(b"hello")
        transfer.confirm()

    breach = the_breach(sweep(scenario_that(misdeed), backend=backend), "delivered")
    assert breach.text == "promises: 5 bytes were confirmed, 0 arrived"
    return [breach.invariant_id]


@each_backend
@breaks("inv.cancel.delivered")
def test_bytes_that_nobody_sent(backend: Backend) -> list[str]:
    async def misdeed(trial: Trial, connection: Connection) -> None:
        transfer = trial.transfer("rumours")
        transfer.offer(b"hello")
        transfer.arrive(b"hallo")

    breach = the_breach(sweep(scenario_that(misdeed), backend=backend), "delivered")
    return [breach.invariant_id]


@each_backend
@breaks("inv.cancel.repeats")
def test_a_program_that_differs_from_run_to_run(backend: Backend) -> list[str]:
    runs = 0

    async def body(trial: Trial) -> None:
        nonlocal runs
        runs += 1
        await anyio.sleep(runs)
        await trial.part(checkpoint)

    fickle = CancellationScenario("fickle", "takes longer each time", body)
    breach = the_breach(sweep(fickle, backend=backend), "repeats")
    return [breach.invariant_id]


@each_backend
@breaks("inv.cancel.quiet")
def test_an_error_in_the_log(backend: Backend) -> list[str]:
    async def misdeed(trial: Trial, connection: Connection) -> None:
        logging.getLogger("ropewalk.runtime").error("something is odd")

    report = sweep(scenario_that(misdeed), backend=backend)
    told = [each for each in report.breaches if each.invariant_id == "inv.cancel.quiet"]
    assert told[0].text == "something is odd"
    return [told[0].invariant_id]


@each_backend
def test_a_scenario_that_fails_by_itself_is_no_finding(backend: Backend) -> None:
    async def body(trial: Trial) -> None:
        raise LookupError("before anything was cancelled")

    with pytest.raises(ScenarioFailed, match="before anything was cancelled"):
        sweep(CancellationScenario("broken", "", body), Never(), backend)


# -- faults of Ropewalk's own, as they once were or might have been


@each_backend
@breaks("inv.cancel.peer_told")
def test_a_peer_that_is_not_told(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    def only_here(connection: Connection, code: int, reason: str) -> None:
        connection._lose(None)

    monkeypatch.setattr(Connection, "start_close", only_here)
    report = sweep(SCENARIOS["connect"], FirstN(5), backend)
    breach = the_breach(report, "peer_told")
    assert "does not know of it" in breach.text
    return [breach.invariant_id]


@each_backend
@breaks("inv.cancel.nothing_reserved")
def test_a_turn_that_is_kept(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    async def take(turns: Turns, attempt: Callable[[], T | None]) -> T:
        turns._asked += 1
        number = turns._asked
        while True:
            event = turns._waiting[number] = anyio.Event()
            await event.wait()
            taken = attempt()
            if taken is not None:
                del turns._waiting[number]
                turns.notify()
                return taken

    monkeypatch.setattr(Turns, "take", take)
    report = sweep(SCENARIOS["turns"], RandomSample(10), backend)
    breach = the_breach(report, "nothing_reserved")
    assert "turns of tasks that want to open a stream" in breach.text
    return [breach.invariant_id]


@pytest.mark.parametrize(("native", "found"), [(False, False), (True, True)])
def test_bytes_held_across_an_await(
    native: bool, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How ``receive`` once was: anyio's shield holds, asyncio's own cancellation gets through."""

    async def receive(stream: ReceiveStream, max_bytes: int = 65536) -> bytes:
        await checkpoint_if_cancelled()
        data = stream._read(max_bytes)
        if data:
            await cancel_shielded_checkpoint()
        while not data:
            await stream._readable.wait()
            data = stream._read(max_bytes)
        return data

    monkeypatch.setattr(ReceiveStream, "receive", receive)
    report = sweep(SCENARIOS["accept"], stroke=Stroke(native=native))
    if found:
        assert "is no prefix" in the_breach(report, "delivered").text
    else:
        assert report.passed, str(report)


@each_backend
def test_what_is_found_once_is_found_again_by_its_point(backend: Backend) -> None:
    async def misdeed(trial: Trial, connection: Connection) -> None:
        raise LookupError

    scenario = scenario_that(misdeed)
    strategy: Strategy = AllPoints()
    breach = the_breach(sweep(scenario, strategy, backend, seed=4), "contained")
    assert breach.point is not None
    strategy = SpecificPoints((breach.point.number,))
    again = sweep(scenario, strategy, backend, seed=4)
    assert again.runs == 1
    assert again.breaches == (breach,)


def test_every_law_of_cancellation_is_broken_above() -> None:
    here = {law for law in BROKEN if law.startswith("inv.cancel.")}
    assert here == set(CANCELLATION_INVARIANTS)
