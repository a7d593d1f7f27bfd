"""The checks are scenarios of the catalogue, too."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile.checks import TOPICS
from ropewalk.lab.registry import load_catalogue
from ropewalk.lab.runner import run
from ropewalk.quic.types.errors import ConfigurationError


def test_every_topic_is_a_scenario() -> None:
    names = [scenario.name for scenario in load_catalogue().all("hostile")]
    for topic in TOPICS:
        assert f"hostile-{topic.replace('_', '-')}" in names


@pytest.mark.parametrize("topic", ["keys", "tokens"])
def test_a_topic_runs_as_a_scenario(topic: str) -> None:
    outcome = run(load_catalogue().get(f"hostile-{topic}"), 3)
    assert outcome.passed, outcome.breaches
    assert outcome.notes["checks"] == len(TOPICS[topic])


def test_one_check_can_be_chosen() -> None:
    scenario = load_catalogue().get("hostile-keys")
    outcome = run(scenario, 1, {"check": "integrity-limit@client"})
    assert outcome.passed, outcome.breaches
    assert outcome.notes["checks"] == 1
    with pytest.raises(ConfigurationError, match="no check 'no-such-check'"):
        run(scenario, 1, {"check": "no-such-check"})
