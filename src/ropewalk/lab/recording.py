"""Records a run for people: qlogs of both ends of every connection, and the report."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Final, final

from ropewalk import _build
from ropewalk.lab.expected import EXPECTATIONS
from ropewalk.lab.outcome import Outcome
from ropewalk.lab.quantities import show_rate, show_seconds
from ropewalk.lab.registry import AnyScenario
from ropewalk.lab.report import Expectation, Happening, Measured, Page, render
from ropewalk.lab.scenario import HAPPENINGS, Scenario
from ropewalk.lab.trace import Trace, read_qlog
from ropewalk.observe.observer import Observer
from ropewalk.observe.qlog import QlogWriter
from ropewalk.quic.types.errors import ConfigurationError

#: Figures that a report draws from the runner's series; the others are in the qlogs.
_MEASURED_UNITS: Final = {"queue_length": "packets"}


@final
class Recording:
    """Gives each connection of a run a qlog writer; pass :meth:`watching` to the runner."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[bytes]] = {}
        self._writers: list[QlogWriter] = []

    def watching(self, host: str, flow: str, is_client: bool) -> Observer:
        """The writer for one end of a connection."""
        name = f"{flow}-{'client' if is_client else 'server'}-{host}"
        pieces: list[bytes] = []
        self._pieces[name] = pieces
        writer = QlogWriter(pieces.append, title=name)
        self._writers.append(writer)
        return writer

    def qlogs(self) -> dict[str, bytes]:
        """The whole qlogs (JSON-SEQ), by name."""
        for writer in self._writers:
            writer.end()
        return {name: b"".join(pieces) for name, pieces in self._pieces.items() if pieces}

    def write_qlogs(self, folder: Path, outcome: Outcome) -> list[Path]:
        """Write one ``.sqlog`` for each end of each connection; returns the files."""
        folder.mkdir(parents=True, exist_ok=True)
        written: list[Path] = []
        for name, data in self.qlogs().items():
            path = folder / f"{outcome.scenario}-{outcome.seed}-{name}.sqlog"
            path.write_bytes(data)
            written.append(path)
        return written

    def write_report(self, path: Path, scenario: AnyScenario, outcome: Outcome) -> None:
        """Write the report of the run: one page of HTML that needs nothing beside itself.

        Raises ``ConfigurationError`` when the run had no connection that a report could show.
        """
        traces: list[Trace] = []
        for name, data in self.qlogs().items():
            traces += read_qlog(data, name)
        if not traces:
            raise ConfigurationError(
                f"{outcome.scenario} has no connection whose packets a report could show"
            )
        path.write_text(render(traces, report_page(scenario, outcome)), encoding="utf-8")


def report_page(scenario: AnyScenario, outcome: Outcome) -> Page:
    """What a report shows beside the qlogs."""
    facts = [
        ("scenario", outcome.scenario),
        ("family", outcome.family),
        ("seed", str(outcome.seed)),
        ("build", _build.describe()),
        ("trace", outcome.trace),
    ]
    facts += [(f"set {key}", value) for key, value in outcome.overrides]
    return Page(
        title=outcome.scenario.replace("_", " "),
        about=scenario.about,
        facts=facts,
        command=outcome.command,
        figures=_figures(outcome),
        expectations=_expectations(scenario, outcome),
        series=[
            Measured(
                where=one.where,
                figure=one.figure.replace("_", " "),
                unit=_MEASURED_UNITS[one.figure],
                times=one.times,
                values=one.values,
            )
            for one in outcome.series
            if one.figure in _MEASURED_UNITS and one.times
        ],
        happenings=_happenings(scenario),
        origin=0.0,
    )


def _figures(outcome: Outcome) -> list[tuple[str, str]]:
    found = [
        ("result", "passed" if outcome.passed else "failed"),
        ("virtual time", show_seconds(outcome.virtual_seconds)),
        ("datagrams delivered", f"{outcome.packets:,}"),
    ]
    for flow in outcome.flows:
        found.append((f"{flow.name}: goodput", show_rate(flow.figures["goodput"])))
        completion = flow.figures["completion_time"]
        found.append((f"{flow.name}: complete after", show_seconds(completion)))
    for name, figures in outcome.links.items():
        if figures["use"]:
            found.append((f"{name}: use of the rate", f"{figures['use']:.1%}"))
    return found


def _expectations(scenario: AnyScenario, outcome: Outcome) -> list[Expectation]:
    broken = [one for one in outcome.breaches if one.id.startswith("inv.")]
    found = [Expectation(text="every invariant at every step", holds=not broken)]
    found += [Expectation(text=one.id, holds=False, found=str(one)) for one in broken]
    if not isinstance(scenario, Scenario) or broken:
        return found
    unmet = [one for one in outcome.breaches if one.id.startswith("expect.")]
    for expected in scenario.expect:
        word = _word(EXPECTATIONS, expected)
        texts = [one.text for one in unmet if one.id == f"expect.{word.replace(' ', '_')}"]
        found.append(
            Expectation(text=f"{word}{_values(expected)}", holds=not texts, found="; ".join(texts))
        )
    return found


def _happenings(scenario: AnyScenario) -> list[Happening]:
    if not isinstance(scenario, Scenario):
        return []
    return [
        Happening(time=one.at, text=f"{_word(HAPPENINGS, one)}{_values(one)}")
        for one in scenario.happenings
    ]


def _word(kinds: dict[str, type], value: object) -> str:
    return next(word for word, kind in kinds.items() if type(value) is kind)


def _values(value: object) -> str:
    """What differs from the defaults of a happening or an expectation, in words."""
    words = [
        f"{field.name.replace('_', ' ')} {getattr(value, field.name)}"
        for field in fields(value)  # type: ignore[arg-type]  # both are dataclasses
        if field.name != "at" and getattr(value, field.name) != field.default
    ]
    return f": {', '.join(words)}" if words else ""
