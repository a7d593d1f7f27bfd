"""HTTP/3 under load: many requests on one connection, many connections, and what memory does.

Server and client are two processes over loopback; for each phase both are new. Every body is
compared by its SHA-256. Prints a table (``--json`` everything as JSON) and writes
``docs/http3-load.md``. Exit code 1 when a request failed, or a bound did not hold; 2 when
nothing ran.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from arena import choose_cores
from contenders import PEERS, ROOT
from http3_page import markdown, print_plain
from http3_phases import DOWN, LEAVE_SECONDS, PHASE_SECONDS, Outcome, Phase, phases
from machine import load
from rounds import Child

PAGE = ROOT / "docs" / "http3-load.md"

_BUILDS = {"compiled": ".venv", "interpreted": ".venv-pure"}
_READY_SECONDS = 20.0


def run_phase(phase: Phase, python: str, build: str) -> Outcome:
    """A server, a client, and the bounds that must have held."""
    asked = phase.connections * phase.requests * phase.rounds
    nothing = Outcome(phase, build, asked, 0, "")
    cores = choose_cores()
    command = [python, str(PEERS / "http3_load_peer.py")]
    listen = [*command, "server", "--limit", str(phase.limit), "--core", str(cores[0])]
    with Child(listen) as server:
        if not server.wait_for('"port"', _READY_SECONDS):
            return replace(nothing, trouble=f"the server did not come up: {server.tail()}")
        facts = server.facts()
        if build != "here" and facts["build"] != build:
            return replace(nothing, trouble=f"it runs {facts['build']}, not {build}")
        ask = [*command, "client", "--core", str(cores[1])]
        ask += ["--port", str(facts["port"]), "--pin", str(facts["pin"]), "--work", phase.work]
        ask += ["--connections", str(phase.connections), "--requests", str(phase.requests)]
        with Child([*ask, "--rounds", str(phase.rounds)]) as client:
            code = client.wait(PHASE_SECONDS + LEAVE_SECONDS + 10.0)
            said = client.facts()
            if code != 0 or "final" not in said:
                why = f"client: {client.tail()}; server: {server.tail()}"
                return replace(nothing, trouble=why)
    outcome = _outcome(phase, str(facts["build"]), asked, said)
    return replace(outcome, trouble=_trouble(outcome, said))


def _outcome(phase: Phase, build: str, asked: int, said: Mapping[str, Any]) -> Outcome:
    before, final, client = said["before"], said["final"], said["client"]
    return Outcome(
        phase=phase,
        build=build,
        asked=asked,
        right=said["right"],
        trouble="",
        limit=said["limit"],
        seconds=said["seconds"],
        connect_seconds=said["connect_seconds"],
        peak_tasks=said["peak_tasks"],
        peak_connections=final["peak_connections"],
        peak_streams=final["peak_streams"],
        peak_handlers=final["peak_handlers"],
        peak_queued=final["peak_queued"],
        server_before=before["rss"],
        server_after=final["rss"],
        server_peak=final["peak_rss"],
        server_cpu=final["cpu"] - before["cpu"],
        client_before=client["rss_before"],
        client_after=client["rss"],
        client_peak=client["peak_rss"],
        client_cpu=client["cpu"],
        rounds_rss=[each["rss"] for each in said["after"]],
        rounds_blocks=[each["blocks"] for each in said["after"]],
    )


def _trouble(outcome: Outcome, said: Mapping[str, Any]) -> str:
    final = said["final"]
    found = []
    if outcome.right != outcome.asked or said["failed"]:
        errors = "; ".join(said["errors"])
        found.append(f"{outcome.right} of {outcome.asked} requests were answered right: {errors}")
    if outcome.peak_streams > outcome.limit:
        found.append(f"{outcome.peak_streams} streams were open, {outcome.limit} are allowed")
    if final["connections"]:
        found.append(f"{final['connections']} connections stayed at the server")
    # All that a stream can have to send is one body, its frames' heads, and a header section.
    most = outcome.phase.connections * outcome.limit * (DOWN + 1000)
    if outcome.peak_queued > most:
        found.append(f"{outcome.peak_queued} bytes were queued, {most} at most make sense")
    return "; ".join(found)


def _prepare(builds: Sequence[str]) -> dict[str, str]:
    """The Python of each build; goes on in the compiled one's environment."""
    if builds == ["here"]:
        return {"here": sys.executable}
    os.environ.pop("PYTHONPATH", None)  # an interpreted src/ would shadow what is installed
    os.environ.pop("SSLKEYLOGFILE", None)
    pythons = {build: ROOT / _BUILDS[build] / "bin" / "python" for build in builds}
    for build in builds:
        if not (ROOT / _BUILDS[build] / ".built").exists():
            wanted = f"{_BUILDS[build]}/.built"
            print(f"http3_load: the {build} build is missing; run: make {wanted}", file=sys.stderr)
            sys.exit(2)
    first = pythons[builds[0]]
    if Path(sys.prefix).resolve() != first.parents[1].resolve():
        os.execv(first, [str(first), *sys.argv])  # noqa: S606
    return {build: str(python) for build, python in pythons.items()}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="at once on one connection")
    parser.add_argument("--connections", type=int, default=200, help="at once")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--build", action="append", choices=[*_BUILDS, "here"])
    parser.add_argument("--json", action="store_true", help="everything as JSON on stdout")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page is written")
    parser.add_argument("--no-page", action="store_true", help="write no page")
    given = parser.parse_args()
    pythons = _prepare(given.build or list(_BUILDS))

    began = load()
    outcomes = []
    for build, python in pythons.items():
        # The interpreter alone takes several times as long; a quarter of the rounds shows as much.
        rounds = given.rounds if build != "interpreted" else max(2, given.rounds // 4)
        for phase in phases(given.requests, given.connections, rounds):
            outcome = run_phase(phase, python, build)
            outcomes.append(outcome)
            well = outcome.trouble or f"{sum(outcome.seconds):.2f} s"
            print(f"{build}, {phase.title}: {well}", file=sys.stderr, flush=True)
    if given.json:
        json.dump([{**asdict(one), "rate": one.rate} for one in outcomes], sys.stdout, indent=2)
        print()
    else:
        print_plain(outcomes)
    if not any(one.right for one in outcomes):
        return 2
    if not given.no_page:
        given.page.write_text(markdown(outcomes, began))
        print(f"written: {given.page}", file=sys.stderr)
    return 1 if any(one.trouble for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
