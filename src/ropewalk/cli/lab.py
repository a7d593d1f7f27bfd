"""``ropewalk lab``: whole scenarios in virtual time, watched, reported, replayed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from ropewalk.cli.errors import BadCall, one_line_errors
from ropewalk.cli.lab_display import Progress, failure_lines, list_table, markdown_table, run_table
from ropewalk.lab.campaign import Task, play_all
from ropewalk.lab.outcome import Outcome
from ropewalk.lab.recording import Recording
from ropewalk.lab.registry import AnyScenario, find_scenario, load_catalogue
from ropewalk.lab.replay import read_replay, write_replay
from ropewalk.lab.runner import run
from ropewalk.lab.scenario import FAMILIES

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_FOLDER: Final = click.Path(path_type=Path, file_okay=False)
_FAMILY: Final = click.Choice(list(FAMILIES))


@click.group()
def lab() -> None:
    """Play whole scenarios in virtual time, the same way every time.

    A scenario says which hosts and links there are, what traffic runs, what happens to it and
    what must hold. Oracles watch every step: of hosts after all they do; of programs on the
    asynchronous API every packet, and each connection whenever a datagram arrives; of hostile
    peers their victims only. What fails prints its seed, the virtual time, the ID of the
    broken invariant and the command that shows it again.

    \b
      ropewalk lab list
      ropewalk lab run bulk_download --set links.access.loss=0.01 --report out.html
      ropewalk lab run mine.toml --runs 100 --jobs 2
    """


@lab.command("list")
@click.option("--family", type=_FAMILY, help="Only this family.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each.")
def list_command(family: str | None, as_json: bool) -> None:
    """List the scenarios of the catalogue by family."""
    with one_line_errors():
        scenarios = load_catalogue().all(family)
    if not as_json:
        list_table(scenarios)
        return
    for one in scenarios:
        values = {"name": one.name, "family": one.family, "seed": one.seed, "about": one.about}
        click.echo(json.dumps(values))


@lab.command("run")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "everything", is_flag=True, help="Run the whole catalogue.")
@click.option("--family", type=_FAMILY, help="Run all scenarios of this family.")
@click.option("--seed", type=click.IntRange(0), help="Take this seed, not the scenario's own.")
@click.option(
    "--runs",
    type=click.IntRange(1, 1_000_000),
    default=1,
    show_default=True,
    help="Run each so many times, each with the next seed.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the scenario, as in its TOML file: links.access.rate='5 Mbit/s', "
    "flows.*.congestion=newreno. May be given several times.",
)
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes."
)
@click.option("--report", type=_FILE, metavar="FILE", help="Write a page with charts (one run).")
@click.option("--qlog", type=_FOLDER, metavar="DIR", help="Write a qlog of each connection's ends.")
@click.option(
    "--replays",
    type=_FOLDER,
    default=Path("lab-replays"),
    show_default=True,
    metavar="DIR",
    help="Where replay files of failed runs go.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each run.")
@click.option("--markdown", type=_FILE, metavar="FILE", help="Write the table into a page, too.")
def run_command(
    names: tuple[str, ...],
    everything: bool,
    family: str | None,
    seed: int | None,
    runs: int,
    changes: tuple[str, ...],
    jobs: int,
    report: Path | None,
    qlog: Path | None,
    replays: Path,
    as_json: bool,
    markdown: Path | None,
) -> None:
    """Run scenarios by NAME, or from a TOML file of your own.

    Each run is watched by the oracles of its kind, and judged by what its scenario expects.
    A run that fails leaves a replay file for `ropewalk lab replay`.

    Exit code: 0 when everything passed, 1 when a run failed, 2 for a wrong call.
    """
    with one_line_errors():
        overrides = _changes(changes)
        scenarios = _chosen(names, everything, family)
        if report is not None and len(scenarios) * runs != 1:
            raise BadCall("--report shows one run: give one NAME, and --runs 1")
        tasks = [
            Task(name=name, seed=(one.seed if seed is None else seed) + turn, overrides=overrides)
            for name, one in scenarios.items()
            for turn in range(runs)
        ]
        if report is not None or qlog is not None:
            outcomes = _run_recorded(scenarios, tasks, report, qlog)
        else:
            with Progress(len(tasks), quiet=as_json) as progress:
                outcomes = play_all(tasks, jobs, progress.advance)
        for task, outcome in zip(tasks, outcomes, strict=True):
            if not outcome.passed:
                path = replays / f"{outcome.scenario}-{outcome.seed}.json"
                write_replay(path, scenarios[task.name], outcome)
        if markdown is not None:
            markdown_table(markdown, outcomes)
    _show(outcomes, replays, as_json)
    if not all(outcome.passed for outcome in outcomes):
        raise click.exceptions.Exit(1)


@lab.command("replay")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as a line of JSON.")
def replay_command(file: Path, as_json: bool) -> None:
    """Run what a replay file tells, and compare.

    Exit code: 0 when the run was the same to the byte, whether or not it had failed; 1 when it
    differs, because the code is another; 2 for a file that is no replay file.
    """
    with one_line_errors():
        replay = read_replay(file)
        outcome = replay.again()
    differences = replay.differences(outcome)
    if as_json:
        click.echo(json.dumps({**outcome.as_json(), "same": not differences}))
    else:
        run_table([outcome])
        for line in failure_lines(outcome, file):
            click.echo(line, err=True)
        click.echo("the same run, byte for byte" if not differences else "another run:")
        for line in differences:
            click.echo(f"  {line}")
    if differences:
        raise click.exceptions.Exit(1)


def _changes(changes: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key:
            raise BadCall(f"--set {change}: write KEY=VALUE, as in links.access.loss=0.01")
        found[key.strip()] = value.strip()
    return found


def _chosen(names: tuple[str, ...], everything: bool, family: str | None) -> dict[str, AnyScenario]:
    if sum((bool(names), everything, family is not None)) != 1:
        raise BadCall("give NAMEs, or --all, or --family; `ropewalk lab list` shows the names")
    if names:
        return {name: find_scenario(name) for name in names}
    return {one.name: one for one in load_catalogue().all(family)}


def _run_recorded(
    scenarios: dict[str, AnyScenario], tasks: list[Task], report: Path | None, qlog: Path | None
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    with Progress(len(tasks), quiet=False) as progress:
        for task in tasks:
            recording = Recording()
            scenario = scenarios[task.name]
            outcome = run(scenario, task.seed, task.overrides, recording.watching)
            outcome = replace(outcome, file=task.file)
            if qlog is not None:
                recording.write_qlogs(qlog, outcome)
            if report is not None:
                recording.write_report(report, scenario, outcome)
            outcomes.append(outcome)
            progress.advance(outcome)
    return outcomes


def _show(outcomes: list[Outcome], replays: Path, as_json: bool) -> None:
    if as_json:
        for outcome in outcomes:
            click.echo(json.dumps(outcome.as_json()))
        return
    run_table(outcomes)
    for outcome in outcomes:
        for line in failure_lines(outcome, replays / f"{outcome.scenario}-{outcome.seed}.json"):
            click.echo(line, err=True)
