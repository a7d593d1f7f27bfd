"""``make bench``: Ropewalk beside other Python stacks, in one sitting on one machine.

Prints tables (with ``--json`` all samples as JSON instead) and writes ``docs/performance.md``
and its chart. Stacks take turns, so that a noisy minute meets all of them. A stack that is
not here, or fails, is named on the page; exit code 1 when one failed, 2 when nothing ran.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from command import Figures, measure_command
from contenders import ROOT, WORK, Contender, find_contenders
from machine import describe_machine, load
from rounds import (
    ROWS,
    Arena,
    Row,
    RunFailed,
    Sample,
    calibrate,
    choose_cores,
    run_once,
    summarize,
)

STACKS = ["ropewalk", "ropewalk-pure", "qh3", "aioquic"]
REFERENCE = "qh3"
PAGE = ROOT / "docs" / "performance.md"
_CORE_BYTES = {"compiled": 200_000_000, "interpreted": 40_000_000}
_CORE_SECONDS = 120.0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long a run takes")
    parser.add_argument("--mtu", type=int, default=1452, help="largest UDP payload of all")
    parser.add_argument("--row", action="append", choices=[row.key for row in ROWS])
    parser.add_argument("--stack", action="append", choices=STACKS)
    parser.add_argument("--json", action="store_true", help="everything as JSON on stdout")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page is written")
    parser.add_argument("--no-page", action="store_true", help="write no page")
    given = parser.parse_args()
    _prepare()

    # Both need Ropewalk's environment, which _prepare has just made sure of.
    from tables import Sitting, chart, markdown, print_tables

    stacks = find_contenders(given.stack or STACKS)
    rows = [row for row in ROWS if not given.row or row.key in given.row]
    arena = _arena(given.mtu)
    began = load()
    core = [_core(one, given.mtu) for one in stacks if one.build and not one.missing]
    samples, failures = _sit(rows, stacks, arena, given.rounds, given.seconds)
    commands: list[Figures] = []
    for one in stacks:
        if one.build and not one.missing:
            _say(f"ropewalk perf, {one.build}")
            commands += measure_command(one, arena, given.rounds)
    sitting = Sitting(
        date=f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        machine=describe_machine(),
        load=began,
        mtu=given.mtu,
        cores=arena.cores,
        reference=REFERENCE,
        contenders=stacks,
        summaries=summarize(samples, REFERENCE),
        samples=samples,
        failures=failures,
        core=core,
        commands=commands,
    )
    if given.json:
        json.dump(sitting.as_json(), sys.stdout, indent=2)
        print()
    else:
        print_tables(sitting)
    whole = not (given.row or given.stack)
    if samples and not given.no_page and (whole or given.page != PAGE):
        picture = given.page.with_suffix(".svg")
        given.page.write_text(markdown(sitting, picture.name))
        picture.write_text(chart(sitting))
        print(f"written: {given.page} and {picture.name}", file=sys.stderr)
    if not samples:
        return 2
    return 1 if failures else 0


def _prepare() -> None:
    """Have both builds, and go on in the compiled one's environment."""
    os.environ.pop("PYTHONPATH", None)  # an interpreted src/ would shadow what is installed
    os.environ.pop("SSLKEYLOGFILE", None)
    python = ROOT / ".venv" / "bin" / "python"
    missing = [f"{name}/.built" for name in (".venv", ".venv-pure") if not (ROOT / name).exists()]
    if missing:
        subprocess.run(["make", *missing], cwd=ROOT, check=True, stdout=sys.stderr)  # noqa: S603, S607
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        os.execv(python, [str(python), *sys.argv])  # noqa: S606


def _arena(mtu: int) -> Arena:
    """Fresh certificates for this sitting; nothing of them is ever committed."""
    from ropewalk.runtime.certificates import make_authority, make_certificate

    folder = WORK / "certificates"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    authority = make_authority("Ropewalk bench")
    made = make_certificate(["localhost", "127.0.0.1"], issuer=authority)
    arena = Arena(
        folder / "certificate.pem", folder / "key.pem", folder / "ca.pem", mtu, choose_cores()
    )
    arena.certificate.write_bytes(made.cert_pem)
    arena.key.write_bytes(made.key_pem)
    arena.ca.write_bytes(authority.cert_pem)
    return arena


def _core(stack: Contender, mtu: int) -> dict[str, float | int | str]:
    """``bench/core.py`` on one build."""
    _say(f"the core alone, {stack.build}")
    program = [stack.command[0], str(Path(__file__).with_name("core.py")), "--json"]
    size = ["--bytes", str(_CORE_BYTES[stack.build]), "--mtu", str(mtu)]
    done = subprocess.run(  # noqa: S603 - our own program
        [*program, *size], stdout=subprocess.PIPE, text=True, timeout=_CORE_SECONDS, check=True
    )
    figures: dict[str, float | int | str] = json.loads(done.stdout)
    return figures


def _sit(
    rows: Sequence[Row],
    stacks: Sequence[Contender],
    arena: Arena,
    rounds: int,
    seconds: float,
) -> tuple[list[Sample], list[tuple[str, str, str]]]:
    """All runs. A stack that fails twice in a row of the table is left out of it."""
    work: dict[tuple[str, str], int] = {}
    failures: list[tuple[str, str, str]] = []
    failed: dict[tuple[str, str], int] = {}
    samples: list[Sample] = []
    turns = [(row, stack) for row in rows for stack in stacks if not stack.missing]
    for number in range(rounds + 1):
        for row, stack in turns:
            key = (row.key, stack.key)
            if failed.get(key, 0) > 1:
                continue
            try:
                if key not in work:
                    work[key] = calibrate(row, stack, arena, seconds)
                if number == 0:
                    continue  # every stack has been calibrated before the first round
                sample = run_once(row, stack, arena, work[key])
            except RunFailed as error:
                failed[key] = failed.get(key, 0) + 1
                failures.append((*key, str(error)))
                _say(f"{row.key}, {stack.label}: {error}")
                continue
            samples.append(sample)
            figure = f"{sample.rate:.3f}" if row.receiver else f"{sample.rate:.1f}"
            _say(f"round {number} of {rounds}: {row.key}, {stack.label}: {figure} {row.unit}")
    return samples, failures


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
