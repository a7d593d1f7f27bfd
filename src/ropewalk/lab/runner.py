"""Plays any scenario once."""

from __future__ import annotations

from collections.abc import Mapping

from ropewalk.lab.outcome import Outcome
from ropewalk.lab.play import Play
from ropewalk.lab.registry import AnyScenario
from ropewalk.lab.scenario import CustomScenario
from ropewalk.lab.scenario_file import check_parameters, override
from ropewalk.lab.trial import run_custom
from ropewalk.lab.watching import Watching


def run(
    scenario: AnyScenario,
    seed: int | None = None,
    overrides: Mapping[str, str] | None = None,
    watching: Watching | None = None,
) -> Outcome:
    """Play a scenario and tell what it came to.

    ``seed`` replaces the scenario's own; ``overrides`` change it as ``--set`` does
    ("links.access.rate" → "10 Mbit/s"). ``watching`` gives each connection another observer,
    a qlog writer for example. Never raises for what goes wrong in the run: broken invariants
    and unmet expectations are the outcome's ``breaches``. Raises ``ConfigurationError`` for a
    scenario that cannot be played.
    """
    changes = dict(overrides or {})
    if isinstance(scenario, CustomScenario):
        check_parameters(scenario, changes)
        return run_custom(scenario, scenario.seed if seed is None else seed, changes, watching)
    changed = override(scenario, changes)
    return Play(changed, changed.seed if seed is None else seed, watching).outcome(changes)
