"""Replay files: a failing run on one page of JSON, and how to see it again.

A file holds the whole scenario as it was played, not only its name, so that it still means
the same when the catalogue has moved on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeVar

from ropewalk.lab.limits import shown
from ropewalk.lab.outcome import Breach, Outcome
from ropewalk.lab.registry import AnyScenario, load_catalogue
from ropewalk.lab.runner import run
from ropewalk.lab.scenario import Scenario
from ropewalk.lab.scenario_file import Document, from_document, to_document
from ropewalk.quic.types.errors import ConfigurationError

T = TypeVar("T")

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
    #: where it was read from
    file: str = ""

    def again(self) -> Outcome:
        """Play it again. Raises ``ConfigurationError`` with the file's name for a scenario that
        cannot be played."""
        try:
            return run(self.scenario, self.seed, self.overrides)
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.file}: {error}" if self.file else str(error)) from None

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
    """Read one; no other file is read, whatever it says. Raises ``ConfigurationError`` with the
    file's name."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no JSON, no text, endless numbers, nesting
        raise ConfigurationError(f"{path} is no replay file: {error}") from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ConfigurationError(f"{path} is no replay file: its format is not {_FORMAT!r}")
    try:
        return _replay(document, str(path))
    except ConfigurationError as error:
        raise ConfigurationError(f"{path} is no whole replay file: {error}") from None


def _replay(document: Document, file: str) -> Replay:
    name = _take(document, "scenario", str, "text")
    scenario: AnyScenario
    if "document" in document:
        scenario = from_document(_take(document, "document", dict, "a table"))
    else:
        scenario = load_catalogue().get(name)
    seed = _take(document, "seed", int, "a whole number")
    if seed < 0:
        raise ConfigurationError(f"seed is {seed}; it must be 0 or more")
    overrides = _take(document, "overrides", dict, "a table")
    for key, text in overrides.items():
        if not isinstance(text, str):
            raise ConfigurationError(f"overrides.{key} is {shown(text)}; it must be text")
    return Replay(
        file=file,
        scenario=scenario,
        seed=seed,
        overrides=overrides,
        trace=_take(document, "trace", str, "text"),
        virtual_seconds=_take(document, "virtual_seconds", float, "a number with a point"),
        breaches=tuple(
            _breach(one, f"breaches[{index}]")
            for index, one in enumerate(_take(document, "breaches", list, "an array"))
        ),
    )


def _take(document: Document, key: str, kind: type[T], what: str) -> T:
    """What stands under a key. Raises ``ConfigurationError`` for something else."""
    value = document.get(key)
    if type(value) is not kind:
        raise ConfigurationError(f"{key} is {shown(value)}; it must be {what}")
    return value


def _breach(table: object, where: str) -> Breach:
    kinds = {"id": str, "host": str, "virtual_time": float, "text": str}
    if not isinstance(table, dict) or {key: type(table[key]) for key in table} != kinds:
        raise ConfigurationError(
            f"{where} is {shown(table)}; it must have id, host and text, and virtual_time, "
            "a number with a point"
        )
    return Breach(**table)
