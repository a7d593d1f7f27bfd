"""``make interop``: Ropewalk against stacks that nobody here wrote, in both roles.

Writes a table to stdout and to ``docs/interop.md``, with ``--json`` machine-readable results
to stdout instead. A peer that is not here reads "not run", never "passed". Exit code 1 when
a case failed, 2 when nothing could be run at all.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cases import FAILED, NOT_RUN, PASSED, Arena, Result, cases_of
from discovery import HERE, WORK, find_peers

import ropewalk
from ropewalk._build import running_build
from ropewalk.runtime.certificates import make_authority, make_certificate

PEERS = ["aioquic", "qh3", "ngtcp2"]
REPORT = HERE.parent / "docs" / "interop.md"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="results as JSON on stdout")
    parser.add_argument("--peer", action="append", choices=PEERS, help="only this peer")
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    parser.add_argument("--role", choices=["client", "server"], help="only our role")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the page is written")
    parser.add_argument("--no-report", action="store_true", help="write no page")
    parser.add_argument("--install-seconds", type=float, default=300.0)
    arguments = parser.parse_args()
    peers = find_peers(arguments.install_seconds, arguments.peer or PEERS)
    arena = _arena()
    results: list[Result] = []
    for peer in peers:
        for case in cases_of(peer.name):
            if arguments.case not in case.name or arguments.role not in (None, case.our_role):
                continue
            result = arena.run(case, peer)
            results.append(result)
            if not arguments.json:
                print(_line(result), flush=True)
    whole = not (arguments.peer or arguments.case or arguments.role)
    if arguments.json:
        json.dump([asdict(result) for result in results], sys.stdout, indent=2)
        print()
    else:
        print(_summary(results))
    if whole and not arguments.no_report:
        arguments.report.parent.mkdir(exist_ok=True)
        arguments.report.write_text(_report(results))
    if any(result.outcome == FAILED for result in results):
        return 1
    return 0 if any(result.outcome == PASSED for result in results) else 2


def _arena() -> Arena:
    """Fresh certificates for this run; nothing of them is ever committed."""
    folder = WORK / "certificates"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    authority = make_authority("Ropewalk interop")
    made = make_certificate(["localhost", "127.0.0.1"], issuer=authority)
    certificate, key, ca = folder / "certificate.pem", folder / "key.pem", folder / "ca.pem"
    certificate.write_bytes(made.cert_pem)
    key.write_bytes(made.key_pem)
    ca.write_bytes(authority.cert_pem)
    return Arena(Path(sys.executable), certificate, key, ca)


def _line(result: Result) -> str:
    seconds = f"{result.seconds:5.1f} s" if result.outcome != NOT_RUN else "       "
    return (
        f"{result.outcome:8} {seconds}  {result.peer:8} we are {result.our_role}: "
        f"{result.case:36} {result.detail}"
    )


def _summary(results: Sequence[Result]) -> str:
    counts = {
        outcome: sum(result.outcome == outcome for result in results)
        for outcome in (PASSED, FAILED, NOT_RUN)
    }
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def _report(results: Sequence[Result]) -> str:
    now = datetime.datetime.now(datetime.UTC)
    versions: dict[str, str] = {}
    for result in results:
        versions[result.peer] = result.version or "not here"
    lines = [
        "# Interoperability",
        "",
        "Written by `make interop`; edit `interop/`, not this page.",
        "",
        f"Run on {now:%Y-%m-%d} with Ropewalk {ropewalk.__version__} on CPython "
        f"{platform.python_version()}, {running_build().kind}, {platform.system()}, over loopback: "
        f"{_summary(results)}.",
        "",
        "| peer | version |",
        "|---|---|",
        *(f"| {peer} | {version} |" for peer, version in versions.items()),
        "",
        "| case | peer | Ropewalk as client | Ropewalk as server |",
        "|---|---|---|---|",
    ]
    cells: dict[tuple[str, str], dict[str, Result]] = {}
    for result in results:
        cells.setdefault((result.case, result.peer), {})[result.our_role] = result
    for (case, peer), roles in cells.items():
        lines.append(f"| {case} | {peer} | {_cell(roles, 'client')} | {_cell(roles, 'server')} |")
    lines += ["", *_footnotes(results)]
    return "\n".join(lines).rstrip() + "\n"


def _cell(roles: dict[str, Result], role: str) -> str:
    result = roles.get(role)
    if result is None:
        return ""
    if result.outcome == PASSED and result.detail:
        return f"passed ({result.detail})"
    return f"**{result.outcome}**" if result.outcome == FAILED else result.outcome


def _footnotes(results: Sequence[Result]) -> list[str]:
    notes: dict[str, None] = {}
    for result in results:
        if result.outcome == FAILED:
            detail = result.detail[:300]
            notes[f"* failed: {result.case}, {result.peer}, we are {result.our_role}: {detail}"] = (
                None
            )
        elif result.outcome == NOT_RUN:
            notes[f"* not run: {result.case}, {result.peer}: {result.detail}"] = None
    return list(notes)


if __name__ == "__main__":
    sys.exit(main())
