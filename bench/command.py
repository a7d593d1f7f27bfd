"""``ropewalk perf`` itself, as a user runs it: two processes, the figures that it prints."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
from collections.abc import Mapping
from pathlib import Path

from arena import Arena
from contenders import Contender
from rounds import Child, RunFailed

_READY_SECONDS = 20.0
_RUN_SECONDS = 60.0
#: Bytes of one run, by build.
_SIZES = {"compiled": 1_000_000_000, "interpreted": 200_000_000}

Figures = Mapping[str, float | int | str]


def free_port() -> int:
    """A UDP port of loopback that nobody has just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure_command(stack: Contender, arena: Arena, rounds: int) -> list[Figures]:
    """Medians of a download and of an upload by one build of Ropewalk."""
    return [
        _median(stack, direction, [_run(stack, arena, direction) for _ in range(rounds)])
        for direction in ("download", "upload")
    ]


def _run(stack: Contender, arena: Arena, direction: str) -> Figures:
    command = Path(stack.command[0]).with_name("ropewalk")
    where = f"127.0.0.1:{free_port()}"
    mtu = ["--mtu", str(arena.mtu)]
    serve = [command, "perf", "serve", "--bind", where, *mtu, "--json"]
    pair = ["--cert", str(arena.certificate), "--key", str(arena.key)]
    with Child([*map(str, serve), *pair]) as server:
        if not server.wait_for(where, _READY_SECONDS):
            raise RunFailed(f"ropewalk perf serve did not come up: {server.tail()}")
        run = [str(command), "perf", "run", where, *mtu, "--json", "--ca", str(arena.ca)]
        done = subprocess.run(  # noqa: S603 - our own command
            [*run, f"--{direction}", str(_SIZES[stack.build])],
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RunFailed(f"ropewalk perf run: {done.stderr.strip()}")
        return _facts(done.stdout, server)


def _facts(printed: str, server: Child) -> Figures:
    ours: dict[str, float | int | str] = json.loads(printed)
    if not server.wait_for('"cpu_us_per_packet"', _READY_SECONDS):
        raise RunFailed(f"ropewalk perf serve printed no figures: {server.tail()}")
    return {**ours, "server_us_per_packet": float(str(server.facts()["cpu_us_per_packet"]))}


def _median(stack: Contender, direction: str, runs: list[Figures]) -> Figures:
    names = ("gbit_per_second", "cpu_us_per_packet", "server_us_per_packet", "retransmissions")
    return {
        "build": stack.build,
        "direction": direction,
        "runs": len(runs),
        **{name: statistics.median(float(one[name]) for one in runs) for name in names},
    }
