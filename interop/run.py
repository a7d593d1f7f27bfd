"""``make interop``: Ropewalk against stacks that nobody here wrote, in both roles.

Prints a line for each case and writes ``docs/interop.md``; with ``--json`` machine-readable
results go to stdout instead. A peer that is not here reads "not run", never "passed".
A run without filters plays the HTTP/3 cases between the peers as well, without Ropewalk, and
``--among-peers`` nothing but these: what fails there is not ours. Exit code 1 when a case of
Ropewalk failed, 2 when nothing could be run at all.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import itertools
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from cases import FAILED, NOT_RUN, PASSED, Arena, Result, cases_of
from discovery import WORK, Peer, find_peers
from http_cases import HTTP_CASES, HttpArena, http_cases_of
from report import REPORT, summary, write_report
from stacks import Ground, Ropewalk, RopewalkCommands, Stack, stack_of

from ropewalk.runtime.certificates import make_authority, make_certificate

PEERS = ["aioquic", "qh3", "ngtcp2", "quic-go", "caddy", "quinn", "curl_cffi", "chromium"]
#: Those that play the raw or hand-made cases of ``cases.py``.
RAW_PEERS = ["aioquic", "qh3", "ngtcp2"]
#: Who stands in for Ropewalk when peers play among themselves; the second where it is itself.
REFERENCES = ["quic-go", "quinn"]
STORE = WORK / "results.json"


def main() -> int:
    """Command line."""
    arguments = _arguments()
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    wanted = arguments.peer or PEERS
    filtered = arguments.peer or arguments.case or arguments.role
    among = arguments.among_peers or not filtered
    found = find_peers(arguments.install_seconds, sorted({*wanted, *(REFERENCES if among else [])}))
    plays: list[Iterator[Play]] = []
    if not arguments.among_peers:
        plays.append(_with_us(found, wanted))
    if among:
        plays.append(_among(found, wanted))
    results: list[Result] = []
    # Nothing from an earlier run is taken for news: a whole run starts from nothing.
    if not filtered:
        kept = [one for one in _stored() if arguments.among_peers and one.against == "ropewalk"]
        STORE.write_text(json.dumps([asdict(one) for one in kept]))
    for case, role, play in itertools.chain.from_iterable(plays):
        if arguments.case not in case or arguments.role not in (None, role):
            continue
        result = play()
        result.date = today
        results.append(result)
        if not arguments.json:
            print(_line(result), flush=True)
    if arguments.json:
        json.dump([asdict(result) for result in results], sys.stdout, indent=2)
        print()
    else:
        print(f"with Ropewalk: {summary([one for one in results if one.against == 'ropewalk'])}")
        print(f"without it: {summary([one for one in results if one.against != 'ropewalk'])}")
    merged = _merge(_stored(), results)
    STORE.write_text(json.dumps([asdict(result) for result in merged]))
    if not arguments.no_report:
        order = [case.name for case in HTTP_CASES]
        write_report(merged, PEERS, order, arguments.report)
    if not arguments.among_peers:  # then what peers do to each other is no failure of ours
        results = [result for result in results if result.against == "ropewalk"]
    if any(result.outcome == FAILED for result in results):
        return 1
    return 0 if any(result.outcome == PASSED for result in results) else 2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="results as JSON on stdout")
    parser.add_argument("--peer", action="append", choices=PEERS, help="only this peer")
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    parser.add_argument("--role", choices=["client", "server"], help="only our role")
    parser.add_argument("--among-peers", action="store_true", help="the peers, without Ropewalk")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the page is written")
    parser.add_argument("--no-report", action="store_true", help="write no page")
    parser.add_argument("--install-seconds", type=float, default=300.0)
    return parser.parse_args()


#: A case's name, the role of us or of who stands in for us, and how to play it.
Play = tuple[str, str, Callable[[], Result]]


def _with_us(found: list[Peer], wanted: list[str]) -> Iterator[Play]:
    ground = _ground()
    raw = Arena(Path(sys.executable), ground.certificate, ground.key, ground.ca)
    http = HttpArena(ground, Ropewalk(Peer("ropewalk")), RopewalkCommands(Peer("ropewalk")))
    for peer in found:
        if peer.name not in wanted:
            continue
        covered: set[tuple[str, str]] = set()
        if peer.name in RAW_PEERS:
            for line in cases_of(peer.name):
                covered.add((line.name, line.our_role))
                yield line.name, line.our_role, functools.partial(raw.run, line, peer)
        stack = stack_of(peer)
        for case in http_cases_of(stack):
            for role in _roles(stack):
                if (case.name, role) not in covered:
                    yield case.name, role, functools.partial(http.with_us, case, stack, role)


def _roles(stack: Stack) -> list[str]:
    """Our roles opposite a stack."""
    roles = []
    if stack.serves is not None:
        roles.append("client")
    if stack.asks is not None:
        roles.append("server")
    return roles


def _among(found: list[Peer], wanted: list[str]) -> Iterator[Play]:
    http = HttpArena(_ground(), Ropewalk(Peer("")), RopewalkCommands(Peer("")))
    stacks = {peer.name: stack_of(peer) for peer in found}
    for name in wanted:
        other = stacks[REFERENCES[0] if name != REFERENCES[0] else REFERENCES[1]]
        stack = stacks[name]
        for case in http_cases_of(stack):
            if case.ours.names() or case.peer.names() or case.commands:
                continue  # these say something of Ropewalk's side
            for role in _roles(stack):
                play = functools.partial(http.between, case, stack, other, role)
                yield case.name, role, play


def _ground() -> Ground:
    """Fresh certificates for this run; nothing of them is ever committed."""
    folder = WORK / "certificates"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    authority = make_authority("Ropewalk interop")
    made = make_certificate(["localhost", "127.0.0.1", "::1"], issuer=authority)
    certificate, key, ca = folder / "certificate.pem", folder / "key.pem", folder / "ca.pem"
    certificate.write_bytes(made.cert_pem)
    key.write_bytes(made.key_pem)
    ca.write_bytes(authority.cert_pem)
    return Ground(certificate, key, ca)


def _stored() -> list[Result]:
    try:
        return [Result(**one) for one in json.loads(STORE.read_text())]
    except (OSError, ValueError, TypeError):  # none yet, or of an older shape
        return []


def _merge(old: Sequence[Result], new: Sequence[Result]) -> list[Result]:
    """Newer results in the place of older ones of the same case."""
    table = {(one.peer, one.case, one.our_role, one.against): one for one in [*old, *new]}
    return list(table.values())


def _line(result: Result) -> str:
    seconds = f"{result.seconds:5.1f} s" if result.outcome != NOT_RUN else "       "
    role = f"{'we are' if result.against == 'ropewalk' else result.against + ' is'} "
    return (
        f"{result.outcome:8} {seconds}  {result.peer:9} {role}{result.our_role}: "
        f"{result.case:36} {result.detail}"
    )


if __name__ == "__main__":
    sys.exit(main())
