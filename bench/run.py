"""``make bench``: Ropewalk beside other stacks, in one sitting on one machine.

Prints tables (with ``--json`` all samples as JSON instead) and writes ``docs/performance.md``,
its chart and its samples. Stacks take turns, so that a noisy minute meets all of them. A stack
that is not here, cannot do a row, or fails, is named on the page; exit code 1 when one failed,
2 when nothing ran.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from arena import Arena, make_arena, prepare, say
from command import Figures as CommandFigures
from command import measure_command
from contenders import ROOT, Contender, find_python_stacks
from machine import describe_machine, load
from memory import Crowd, measure
from natives import find_natives
from rounds import RunFailed, Sample, calibrate, run_once
from rows import ROWS, Kind, Row
from sitting import Sitting
from summary import Figures, summarize
from tables import digits
from targets import judge_all

STACKS = ["ropewalk", "ropewalk-pure", "quic-go", "quinn", "ngtcp2", "qh3", "aioquic"]
PAGE = ROOT / "docs" / "performance.md"
_CORE_BYTES = {"compiled": 200_000_000, "interpreted": 40_000_000}
_CORE_SECONDS = 120.0


def main() -> int:
    """Command line."""
    given = _arguments()
    prepare()
    # Of Ropewalk's environment, which prepare has just made sure of.
    from terminal import print_tables

    chosen = given.stack or STACKS
    found = [*find_python_stacks(chosen), *find_natives(chosen)]
    stacks = sorted(found, key=lambda one: STACKS.index(one.key))
    rows = [row for row in ROWS if not given.row or row.key in given.row]
    began = load()
    bench = Bench(rows, stacks, make_arena(given.mtu))
    core = [] if given.rows_only else [_core(one, given.mtu) for one in bench.builds()]
    bench.sit(given.rounds, given.seconds)
    bench.look(Crowd())
    commands: list[CommandFigures] = []
    for one in [] if given.rows_only else bench.builds():
        say(f"ropewalk perf, {one.build}")
        commands += measure_command(one, bench.arena, given.rounds)
    summaries = summarize(bench.samples)
    sitting = Sitting(
        date=f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        machine=describe_machine(),
        load=began,
        mtu=given.mtu,
        cores=bench.arena.cores,
        contenders=stacks,
        summaries=summaries,
        verdicts=judge_all(Figures(summaries)),
        samples=bench.samples,
        failures=bench.failures,
        core=core,
        commands=commands,
    )
    if given.json:
        json.dump(sitting.as_json(), sys.stdout, indent=2)
        print()
    else:
        print_tables(sitting)
    whole = not (given.row or given.stack)
    if bench.samples and not given.no_page and (whole or given.page != PAGE):
        _write(sitting, given.page)
    if not bench.samples:
        return 2
    return 1 if bench.failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="about how long a run takes")
    parser.add_argument("--mtu", type=int, default=1452, help="largest UDP payload of all")
    parser.add_argument("--row", action="append", choices=[row.key for row in ROWS])
    parser.add_argument("--stack", action="append", choices=STACKS)
    parser.add_argument("--rows-only", action="store_true", help="neither core.py nor perf")
    parser.add_argument("--json", action="store_true", help="everything as JSON on stdout")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page is written")
    parser.add_argument("--no-page", action="store_true", help="write no page")
    return parser.parse_args()


def _write(sitting: Sitting, page: Path) -> None:
    from chart import chart
    from page import markdown

    picture, data = page.with_suffix(".svg"), page.with_suffix(".json")
    page.write_text(markdown(sitting, picture.name, data.name))
    picture.write_text(chart(sitting))
    data.write_text(json.dumps(sitting.as_json(), indent=1) + "\n")
    print(f"written: {page}, {picture.name}, {data.name}", file=sys.stderr)


def _core(stack: Contender, mtu: int) -> dict[str, float | int | str]:
    """``bench/core.py`` on one build."""
    say(f"the core alone, {stack.build}")
    program = [stack.command[0], str(Path(__file__).with_name("core.py")), "--json"]
    size = ["--bytes", str(_CORE_BYTES[stack.build]), "--mtu", str(mtu)]
    done = subprocess.run(  # noqa: S603 - our own program
        [*program, *size], stdout=subprocess.PIPE, text=True, timeout=_CORE_SECONDS, check=True
    )
    figures: dict[str, float | int | str] = json.loads(done.stdout)
    return figures


class Bench:
    """All runs of a sitting. A stack that fails twice in a row of the table is left out of it."""

    def __init__(self, rows: Sequence[Row], stacks: Sequence[Contender], arena: Arena) -> None:
        self.arena = arena
        self.samples: list[Sample] = []
        self.failures: list[tuple[str, str, str]] = []
        self._turns = [
            (row, stack)
            for row in rows
            for stack in stacks
            if not stack.missing and row.key not in stack.lacks
        ]
        self._stacks = stacks

    def builds(self) -> list[Contender]:
        """Ropewalk's that are here."""
        return [one for one in self._stacks if one.build and not one.missing]

    def sit(self, rounds: int, seconds: float) -> None:
        """All rows but those of memory: every stack is calibrated before the first round."""
        work: dict[tuple[str, str], int] = {}
        failed: dict[tuple[str, str], int] = {}
        for number in range(rounds + 1):
            for row, stack in self._turns:
                key = (row.key, stack.key)
                if row.kind is Kind.MEMORY or failed.get(key, 0) > 1:
                    continue
                try:
                    if key not in work:
                        work[key] = calibrate(row, stack, self.arena, seconds)
                    if number:
                        sample = run_once(row, stack, self.arena, work[key], seconds)
                        self._note(f"round {number} of {rounds}: ", row, stack, sample)
                except RunFailed as error:
                    failed[key] = failed.get(key, 0) + 1
                    self._note("", row, stack, error)

    def look(self, crowd: Crowd) -> None:
        """The memory rows, once: nothing in them is a matter of chance or of time."""
        turns = [(row, stack) for row, stack in self._turns if row.kind is Kind.MEMORY]
        measure(turns, self.arena, crowd, lambda row, stack, one: self._note("", row, stack, one))

    def _note(self, when: str, row: Row, stack: Contender, found: Sample | RunFailed) -> None:
        if isinstance(found, RunFailed):
            self.failures.append((row.key, stack.key, str(found)))
            say(f"{row.key}, {stack.label}: {found}")
        else:
            self.samples.append(found)
            say(f"{when}{row.key}, {stack.label}: {digits(found.figure)} {row.kind.value}")


if __name__ == "__main__":
    sys.exit(main())
