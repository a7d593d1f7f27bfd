"""Run a scenario again and again, cancelled at one await point after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

from ropewalk.lab.cancellation.obligations import (
    GOES_ON,
    NO_ADDRESS_LEFT,
    NO_TASK_LEFT,
    NOTHING_RESERVED,
    PEER_TOLD,
    QUIET,
    REPEATS,
    addresses_left,
    errors_logged,
    tasks_left,
)
from ropewalk.lab.cancellation.strategies import AllPoints, Strategy
from ropewalk.lab.cancellation.trial import AwaitPoint, Finding, Stroke, Trial
from ropewalk.lab.stalls import VirtualTimeError
from ropewalk.lab.testbed import Testbed
from ropewalk.lab.virtual_time import Backend, run
from ropewalk.quic.types.errors import ConfigurationError, Error
from ropewalk.runtime.audit import audited
from ropewalk.sim.network import Network

#: Virtual seconds that no scenario needs.
_LIMIT: Final = 120.0
#: Turns of the loop in which a task that was just cancelled comes to its end.
_SETTLING: Final = 5


@dataclass(frozen=True)
class CancellationScenario:
    """A program on the asynchronous API, with parts of it marked as under test.

    ``body`` runs with the network's clock going; everything it starts must be over when it
    returns. With one seed it must do the same every time.
    """

    name: str
    about: str
    body: Callable[[Trial], Awaitable[None]]


class ScenarioFailed(Error):
    """A scenario fails without any cancellation, so that there is nothing to learn from it."""


@dataclass(frozen=True)
class Breach:
    """A law that one cancellation broke.

    ``point`` is None when the scenario ran undisturbed. ``replay`` is the call that does the
    same once more.
    """

    invariant_id: str
    point: AwaitPoint | None
    virtual_time: float
    text: str
    replay: str

    def __str__(self) -> str:
        point = "undisturbed" if self.point is None else f"cancelled at {self.point}"
        return (
            f"{self.invariant_id} at {self.virtual_time:.6f} s: {self.text}\n"
            f"  {point}\n  again: {self.replay}"
        )


@dataclass(frozen=True)
class Report:
    """What became of a sweep. ``points`` are all await points, ``runs`` counts cancelled runs;
    ``network`` is that of the run in which the points were recorded."""

    scenario: str
    backend: Backend
    seed: int
    strategy: Strategy
    stroke: Stroke
    points: tuple[AwaitPoint, ...]
    runs: int
    breaches: tuple[Breach, ...]
    network: Network = field(compare=False, repr=False)

    @property
    def passed(self) -> bool:
        """Whether every law held in every run."""
        return not self.breaches

    def __str__(self) -> str:
        head = (
            f"{self.scenario} on {self.backend}, seed {self.seed}: {len(self.points)} await "
            f"points, {self.runs} cancelled, {len(self.breaches)} breaches"
        )
        return "\n".join([head, *(str(breach) for breach in self.breaches)])


def sweep(
    scenario: CancellationScenario,
    strategy: Strategy | None = None,
    backend: Backend = "asyncio",
    seed: int = 0,
    stroke: Stroke | None = None,
) -> Report:
    """Record a scenario's await points, then cancel at those that the strategy chooses.

    Each is a run of its own, from the beginning and from the same seed. ``stroke`` says how
    the cancellation is dealt. Raises :exc:`ScenarioFailed` when the scenario fails without
    being cancelled; laws that are broken then are in the report like all others.
    """
    strategy = AllPoints() if strategy is None else strategy
    stroke = Stroke() if stroke is None else stroke
    if stroke.native and backend != "asyncio":
        raise ConfigurationError("tasks are cancelled natively on asyncio only")
    recording = _play(scenario, backend, seed, None, stroke)
    failed = [each.text for each in recording.findings if each.invariant_id == GOES_ON]
    if failed:
        raise ScenarioFailed(f"{scenario.name} fails without any cancellation: {failed[0]}")
    breaches = [_breach(scenario, backend, seed, stroke, None, each) for each in recording.findings]
    points = tuple(recording.points)
    chosen = strategy.choose(len(points), Random(f"cancellation/{seed}"))  # noqa: S311
    for number in chosen:
        trial = _play(scenario, backend, seed, number, stroke)
        if trial.hit != points[number]:
            trial.report(REPEATS, f"recorded was {points[number]}, now it is {trial.hit}")
        breaches += [
            _breach(scenario, backend, seed, stroke, points[number], each)
            for each in trial.findings
        ]
    return Report(
        scenario.name,
        backend,
        seed,
        strategy,
        stroke,
        points,
        len(chosen),
        tuple(breaches),
        recording.testbed.network,
    )


def _play(
    scenario: CancellationScenario,
    backend: Backend,
    seed: int,
    target: int | None,
    stroke: Stroke,
) -> Trial:
    trial = Trial(Testbed(seed), target, stroke)
    with errors_logged() as errors:
        try:
            run(lambda: _observed(scenario, trial), backend=backend, seed=seed)
        except VirtualTimeError as error:
            trial.report(GOES_ON, str(error))
    for message in errors:
        trial.report(QUIET, message)
    return trial


async def _observed(scenario: CancellationScenario, trial: Trial) -> None:
    before = [task.id for task in anyio.get_running_tasks()]
    with audited(trial.books):
        async with trial.testbed.running():
            with anyio.move_on_after(_LIMIT) as limit:
                try:
                    await scenario.body(trial)
                except Exception as error:
                    trial.report(GOES_ON, f"the scenario broke off with {error!r}")
        if limit.cancelled_caught:
            trial.report(GOES_ON, f"the scenario has not ended after {_LIMIT:g} s")
    for _ in range(_SETTLING):
        await checkpoint()
    _check(trial, before)


def _check(trial: Trial, before: list[int]) -> None:
    for task in tasks_left(before):
        trial.report(NO_TASK_LEFT, f"a task is left: {task}")
    for carrier in addresses_left(trial.testbed):
        trial.report(NO_ADDRESS_LEFT, f"{carrier} is open")
    for held in trial.books.reserved():
        trial.report(NOTHING_RESERVED, f"held still: {held}")
    for connection, error in trial.books.timed_out():
        trial.report(PEER_TOLD, f"{connection} learnt of the end by {error!r}")
    trial.check_transfers()
    watch = trial.testbed.watch
    watch.finish()
    for violation in watch.violations:
        trial.report(violation.invariant_id, violation.text)


def _breach(
    scenario: CancellationScenario,
    backend: Backend,
    seed: int,
    stroke: Stroke,
    point: AwaitPoint | None,
    finding: Finding,
) -> Breach:
    strategy = "Never()" if point is None else f"SpecificPoints(({point.number},))"
    how = "" if stroke == Stroke() else f", {stroke}"
    replay = f'sweep(SCENARIOS["{scenario.name}"], {strategy}, "{backend}", {seed}{how})'
    return Breach(finding.invariant_id, point, finding.virtual_time, finding.text, replay)
