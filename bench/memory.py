"""The memory rows: what a server's resident memory grows by with connections that do nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from arena import Arena
from contenders import Contender
from rounds import Child, RunFailed, Sample, command, listening_port
from rows import Row

#: How many stacks wait at the same time: nothing of this is timed.
_TOGETHER = 4
_PATIENCE = 120.0


@dataclass(frozen=True)
class Crowd:
    """How many connections there are at the first look, how many come then, and the silence."""

    first: int = 200
    more: int = 2_000
    seconds: float = 10.0


def measure(
    turns: Sequence[tuple[Row, Contender]],
    arena: Arena,
    crowd: Crowd,
    report: Callable[[Row, Contender, Sample | RunFailed], None],
) -> None:
    """All memory rows, several stacks at a time; ``report`` is called as each is done."""
    with ThreadPoolExecutor(_TOGETHER) as pool:
        pending = [(row, one, pool.submit(run_idle, row, one, arena, crowd)) for row, one in turns]
        for row, one, future in pending:
            try:
                report(row, one, future.result())
            except RunFailed as error:
                report(row, one, error)


def run_idle(row: Row, contender: Contender, arena: Arena, crowd: Crowd) -> Sample:
    """One server, one client, two looks at the server."""
    with Child(command(contender, "server", row, arena, -1)) as server:
        ask = command(contender, "client", row, arena, -1)
        ask += ["--port", listening_port(server, contender), "--seconds", str(crowd.seconds)]
        ask += ["--count", str(crowd.first), "--connections", str(crowd.more)]
        began = time.monotonic()
        with Child(ask) as client:
            sizes = []
            for number, wanted in enumerate((crowd.first, crowd.more)):
                _wait_for_lines(client, number + 1)
                if client.facts().get("settled") != wanted:
                    raise RunFailed(f"client: {client.tail()}; server: {server.tail()}")
                sizes.append(resident(server.pid))
            client.wait(_PATIENCE)
    before, after = sizes
    return Sample(
        row=row.key,
        contender=contender.key,
        work=crowd.more,
        seconds=time.monotonic() - began,
        figure=(after - before) / crowd.more / 1024,
    )


def _wait_for_lines(client: Child, count: int) -> None:
    end = time.monotonic() + _PATIENCE
    while sum('"settled"' in line for line in client.lines) < count:
        if time.monotonic() > end or not client.running:
            raise RunFailed(f"client: {client.tail()}")
        time.sleep(0.05)


def resident(process: int) -> int:
    """Resident bytes of a process. ``RunFailed`` where the system does not tell."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError as error:
        raise RunFailed(f"no resident memory to read: {error}") from error
    for line in lines:
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RunFailed("the system tells no resident memory")
