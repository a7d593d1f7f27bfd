"""``ropewalk conformance``: which requirements of the RFCs are proved by which tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from ropewalk.cli.errors import Failure
from ropewalk.lab.conformance import (
    Matrix,
    dangling,
    find_matrix,
    load_matrix,
    suite_of,
)
from ropewalk.lab.conformance.matrix import RFCS
from ropewalk.lab.conformance.report import (
    AIM,
    as_data,
    as_text,
    missing_as_text,
    musts,
    update_page,
)

_FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--rfc",
    "rfcs",
    multiple=True,
    type=click.Choice([str(number) for number in RFCS]),
    help="This RFC alone. May be given several times.",
)
@click.option("--section", default="", help="This section and what is below it, such as 5.1.")
@click.option("--missing", is_flag=True, help="List what could be tested and is not.")
@click.option("--json", "as_json", is_flag=True, help="Print numbers and entries as JSON.")
@click.option(
    "--update",
    type=_FILE,
    metavar="PAGE",
    help="Write the coverage of all into a page of the documentation.",
)
@click.option("--matrix", "folder", type=_FOLDER, help="Folder of the matrix [default: found].")
def conformance(
    rfcs: tuple[str, ...],
    section: str,
    missing: bool,
    as_json: bool,
    update: Path | None,
    folder: Path | None,
) -> None:
    """Show which requirements of the RFCs are proved, by section and by level.

    Works in a checkout of Ropewalk: matrix and tests are not part of an installed package.
    Exit code 1 if a test that the matrix names is not among those that pytest collects, is
    skipped or is expected to fail. No test is run.
    """
    found = find_matrix(Path.cwd()) if folder is None else folder
    whole = load_matrix(found)
    if update is not None:
        update.write_text(update_page(update.read_text(encoding="utf-8"), whole), encoding="utf-8")
    chosen = whole.select(tuple(int(number) for number in rfcs), section)
    if not chosen.requirements:
        raise click.UsageError("no requirement of the matrix is in that section")
    if as_json:
        click.echo(json.dumps(as_data(chosen), indent=2))
    elif missing:
        click.echo(missing_as_text(chosen))
    else:
        click.echo(as_text(chosen))
        click.echo(_verdict(chosen))
    suite = suite_of(whole, found.resolve().parent)
    if suite.caveat:
        click.echo(suite.caveat, err=True)
    lost = dangling(whole, suite)
    if lost:
        for one in lost:
            click.echo(f"{one.requirement} names {one.test}, which {one.why}", err=True)
        raise Failure(
            f"tests that the matrix names and that prove nothing: {len(lost)}; "
            "name others in conformance/, or mend these"
        )


def _verdict(matrix: Matrix) -> str:
    reached = musts(matrix).share
    word = "reached" if reached >= AIM else "not reached yet"
    return f"The aim, {AIM:.0%} of the MUSTs that are testable and built, is {word}."
