"""Hostile peers: one scenario for each topic of the checks in :mod:`ropewalk.lab.hostile`.

``--set check=ID`` plays a single check of the topic.
"""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.lab.hostile import run_check
from ropewalk.lab.hostile.checks import TOPICS
from ropewalk.lab.registry import catalogue
from ropewalk.lab.trial import Trial
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.network import Network


def _checks_of(topic: str) -> Callable[[Trial], None]:
    def play(trial: Trial) -> None:
        wanted = trial.parameters["check"]
        chosen = [check for check in TOPICS[topic] if wanted in ("", check.id)]
        if not chosen:
            raise ConfigurationError(f"there is no check {wanted!r} among those of {topic}")
        failed: list[str] = []
        for check in chosen:
            result = run_check(check, trial.seed, trial.adopt(Network(trial.seed)))
            if not result.passed:
                failed.append(f"{check.id} ({check.section}): {result.seen}")
        trial.note("checks", len(chosen))
        trial.check(not failed, "hostile", "; ".join(failed))

    return play


for _topic, _checks in TOPICS.items():
    catalogue.play(
        family="hostile",
        name=f"hostile-{_topic.replace('_', '-')}",
        about=f"{len(_checks)} checks of what becomes of a victim: {_topic.replace('_', ' ')}",
        parameters={"check": ""},
    )(_checks_of(_topic))
