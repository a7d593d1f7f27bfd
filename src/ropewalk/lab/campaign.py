"""Many runs, on several processes if asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from multiprocessing import get_context

from ropewalk.lab.outcome import Outcome
from ropewalk.lab.registry import find_scenario
from ropewalk.lab.runner import run
from ropewalk.quic.types.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Task:
    """One run to be. ``name`` is what :func:`~ropewalk.lab.registry.find_scenario` finds
    a scenario by, in any process."""

    name: str
    seed: int
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The file that the scenario is read from, "" for one of the catalogue."""
        return self.name if self.name.endswith(".toml") else ""

    def play(self) -> Outcome:
        """Run it. The series, which nobody draws here, are left out."""
        scenario = find_scenario(self.name)
        try:
            outcome = run(scenario, self.seed, self.overrides)
        except ConfigurationError as error:
            if not self.file:
                raise
            raise ConfigurationError(f"{self.file}: {error}") from None
        return replace(outcome, series=(), file=self.file)


def play_all(
    tasks: Sequence[Task], jobs: int = 1, told: Callable[[Outcome], None] | None = None
) -> list[Outcome]:
    """Run all tasks, ``jobs`` at a time; the outcomes in the order of the tasks. ``told``
    hears of each as it comes."""
    if jobs == 1 or len(tasks) < 2:
        outcomes: list[Outcome] = []
        for task in tasks:
            outcomes.append(task.play())
            if told is not None:
                told(outcomes[-1])
        return outcomes
    found: dict[int, Outcome] = {}
    # A fresh interpreter each: what a run makes does not depend on what its process did before.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(task.play): index for index, task in enumerate(tasks)}
        for future in as_completed(futures):
            outcome = future.result()
            found[futures[future]] = outcome
            if told is not None:
                told(outcome)
    return [found[index] for index in range(len(tasks))]
