"""Replay files: a failing run on one page of JSON, and how to see it again.

A file holds the whole scenario as it was played, not only its name, so that it still means
the same when the catalogue has moved on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ropewalk.lab.outcome import Breach, Outcome
from ropewalk.lab.registry import AnyScenario, load_catalogue
from ropewalk.lab.runner import run
from ropewalk.lab.scenario import Scenario
from ropewalk.lab.scenario_file import Document, from_document, to_document
from ropewalk.quic.types.errors import ConfigurationError

_FORMAT: Final = "ropewalk lab replay 1"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What a replay file says."""

    scenario: AnyScenario
    seed: int
    overrides: Mapping[str, str]
    trace: str
    virtual_seconds: float
    breaches: tuple[Breach, ...]

    def again(self) -> Outcome:
        """Play it again."""
        return run(self.scenario, self.seed, self.overrides)

    def differences(self, outcome: Outcome) -> list[str]:
        """In what another run differs; nothing means that it is the same, byte for byte."""
        found: list[str] = []
        if outcome.trace != self.trace:
            found.append(f"the trace is {outcome.trace}, it was {self.trace}")
        if outcome.virtual_seconds != self.virtual_seconds:
            found.append(
                f"it took {outcome.virtual_seconds} virtual seconds, it was {self.virtual_seconds}"
            )
        if outcome.breaches != self.breaches:
            now = "; ".join(map(str, outcome.breaches)) or "nothing is broken"
            before = "; ".join(map(str, self.breaches)) or "nothing was broken"
            found.append(f"now: {now}. Before: {before}")
        return found


def replay_document(scenario: AnyScenario, outcome: Outcome) -> Document:
    """What the replay file of a run holds."""
    document: Document = {
        "format": _FORMAT,
        "scenario": outcome.scenario,
        "seed": outcome.seed,
        "overrides": dict(outcome.overrides),
        "trace": outcome.trace,
        "virtual_seconds": outcome.virtual_seconds,
        "breaches": [asdict(breach) for breach in outcome.breaches],
        "command": outcome.command,
    }
    if isinstance(scenario, Scenario):
        document["document"] = to_document(scenario)
    return document


def write_replay(path: Path, scenario: AnyScenario, outcome: Outcome) -> None:
    """Write the replay file of a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(replay_document(scenario, outcome), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_replay(path: Path) -> Replay:
    """Read one. Raises ``ConfigurationError`` with the file's name."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no replay file: {error}") from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ConfigurationError(f"{path} is no replay file: its format is not {_FORMAT!r}")
    try:
        overrides: dict[str, str] = document["overrides"]
        scenario: AnyScenario
        if "document" in document:
            scenario = from_document(document["document"])
        else:
            scenario = load_catalogue().get(document["scenario"])
        return Replay(
            scenario=scenario,
            seed=document["seed"],
            overrides=overrides,
            trace=document["trace"],
            virtual_seconds=document["virtual_seconds"],
            breaches=tuple(Breach(**one) for one in document["breaches"]),
        )
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is no whole replay file: {error}") from None
