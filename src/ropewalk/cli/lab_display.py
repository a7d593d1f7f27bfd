"""What ``ropewalk lab`` shows: tables, the progress of a campaign, and failures."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table

from ropewalk import _build
from ropewalk.lab.outcome import Outcome
from ropewalk.lab.quantities import show_rate
from ropewalk.lab.registry import AnyScenario
from ropewalk.lab.scenario import FAMILIES

#: Between these lines of a page stands the table of the catalogue.
_BEGIN: Final = "<!-- catalogue: begin (ropewalk lab run --all --markdown) -->"
_END: Final = "<!-- catalogue: end -->"
#: What a table shows where there is room for it.
_MORE: Final = ("goodput",)
_WIDE: Final = 100
#: Columns of a file or a pipe, where nothing has to fit.
_UNBOUNDED: Final = 200


@final
class Progress:
    """A bar on stderr while runs go on, if that is a terminal."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        console = Console(stderr=True)
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("running", total=total)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def advance(self, outcome: Outcome) -> None:
        """One more run is over."""
        self._bar.update(self._task, advance=1, description=outcome.scenario)


def list_table(scenarios: Sequence[AnyScenario]) -> None:
    """Print the scenarios, family by family."""
    console = Console()
    for family, about in FAMILIES.items():
        chosen = [one for one in scenarios if one.family == family]
        if not chosen:
            continue
        table = Table(title=f"{family}: {about}", title_justify="left", box=None, padding=(0, 2))
        table.add_column("name", style="bold", no_wrap=True)
        table.add_column("what happens")
        for one in chosen:
            table.add_row(one.name, one.about)
        console.print(table)
        console.print()


def _console() -> Console:
    """Standard output; a file or a pipe has room for the whole table."""
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, _UNBOUNDED)
    return console


def run_table(outcomes: Sequence[Outcome]) -> None:
    """Print what runs came to."""
    table = Table(box=None, padding=(0, 1))
    table.add_column("scenario", no_wrap=True)
    table.add_column("result", no_wrap=True)
    console = _console()
    wide = console.width >= _WIDE
    for name in ("seed", "virtual s", "wall s", "packets", "µs/packet", *_MORE[:wide]):
        table.add_column(name, justify="right", no_wrap=True)
    for one in outcomes:
        cells = (
            one.scenario,
            "[green]passed[/]" if one.passed else "[red]failed[/]",
            str(one.seed),
            f"{one.virtual_seconds:,.3f}",
            f"{one.wall_seconds:.3f}",
            f"{one.packets:,}",
            f"{one.microseconds_per_packet:.1f}",
        )
        table.add_row(*cells, *((_goodput(one),) if wide else ()))
    console.print(table)
    console.print(summary(outcomes))


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line about all runs."""
    failed = sum(not one.passed for one in outcomes)
    wall = sum(one.wall_seconds for one in outcomes)
    packets = sum(one.packets for one in outcomes)
    virtual = sum(one.virtual_seconds for one in outcomes)
    each = f", {wall * 1e6 / packets:.1f} µs each" if packets else ""
    runs = "1 run" if len(outcomes) == 1 else f"{len(outcomes)} runs"
    return (
        f"{runs}, {failed or 'none'} failed: {virtual:,.1f} virtual seconds in {wall:.1f}, "
        f"{packets:,} packets{each} ({_build.running_build()})"
    )


def _goodput(outcome: Outcome) -> str:
    total = sum(flow.figures["goodput"] for flow in outcome.flows)
    return show_rate(total) if total else ""


def failure_lines(outcome: Outcome, replay: Path) -> Iterator[str]:
    """What one has to know about a failed run; nothing about one that passed."""
    if outcome.passed:
        return
    yield f"{outcome.scenario}, seed {outcome.seed}, failed:"
    for breach in outcome.breaches:
        yield f"  {breach}"
    yield f"  again: {outcome.command}"
    yield f"     or: ropewalk lab replay {shlex.quote(str(replay))}"


def markdown_table(page: Path, outcomes: Sequence[Outcome]) -> None:
    """Put the table of the catalogue into a page, between its two marks, or at its end."""
    rows = [
        "| scenario | family | virtual s | wall s | packets | µs/packet | result |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    rows += [
        f"| `{one.scenario}` | {one.family} | {one.virtual_seconds:,.3f} | "
        f"{one.wall_seconds:.2f} | {one.packets:,} | {one.microseconds_per_packet:.1f} | "
        f"{'passed' if one.passed else one.breaches[0].id} |"
        for one in outcomes
    ]
    table = "\n".join([_BEGIN, "", *rows, "", f"{summary(outcomes)}.", "", _END])
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    before, begin, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    joined = f"{before}{table}{after}" if begin else f"{text.rstrip()}\n\n{table}\n".lstrip()
    page.write_text(joined, encoding="utf-8")
    click.echo(f"wrote the table into {page}", err=True)
