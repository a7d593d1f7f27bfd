"""Where Ropewalk's CPU time goes, row by row: both processes under py-spy.

Prints what part of its busy time each side spends in which kind of code; ``--flames FOLDER``
keeps a flame graph of each side as well. py-spy is installed into the benchmark's own
environment on first use. The figures of a run under a profiler are not the benchmark's.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from arena import Arena, make_arena, prepare, say
from contenders import WORK, Contender, find_python_stacks, run_command
from rounds import Child, RunFailed, command, listening_port
from rows import ROWS, Kind, Row

_SAMPLES_A_SECOND = 400
_RUN_SECONDS = 60.0
#: The work of a run is the row's first times this: some seconds of a compiled build.
_TIMES = 40

#: Functions of libc by what they cost: the sockets' own, and the rest.
_SOCKET = {"send", "sendto", "sendmsg", "recv", "recvfrom", "recvmsg"}
_SYSTEM = {"bind", "close", "connect", "epoll_ctl", "getrandom", "setsockopt", "socket"}
#: What a frame's name or file holds, innermost first, and the kind of code it stands for.
_KINDS = (
    ("_rust.abi3", "cryptography"),
    ("cryptography/", "cryptography"),
    ("ropewalk_core__mypyc", "compiled core"),
    ("ropewalk/quic/", "core, interpreted"),
    ("ropewalk/http3/", "core, interpreted"),
    ("anyio/", "anyio"),
    ("asyncio", "asyncio"),
    ("selectors", "asyncio"),
    ("ropewalk/net/", "net"),
    ("ropewalk/http/", "http"),
    ("ropewalk/runtime/", "runtime"),
    ("ropewalk_", "the benchmark"),
)


def kind_of(frames: list[str]) -> str:
    """The kind of code that one sampled stack, outermost frame first, was in."""
    names = [frame.split(" ")[0] for frame in frames]
    if any(name.startswith("gc_collect") for name in names):
        return "garbage collection"
    for name in reversed(names):
        if name == "getpid":
            return "getpid"
        if name in _SOCKET:
            return "socket calls"
        if name in _SYSTEM:
            return "other system calls"
    for frame in reversed(frames):
        for mark, kind in _KINDS:
            if mark in frame:
                return kind
    return "the rest"


def count_kinds(lines: Iterable[str]) -> Counter[str]:
    """Samples by kind of code, of py-spy's raw format: starting and waiting left out."""
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        waits = any("select (" in frame and "selectors" in frame for frame in frames)
        if waits or not any("_run_once" in frame for frame in frames):
            continue
        found[kind_of(frames)] += int(count)
    return found


def profile(
    row: Row, stack: Contender, arena: Arena, spy: list[str], form: str, work: int, out: Path
) -> list[Path]:
    """One run with a recorder at each side; the files of server and client."""
    files = [out / f"{row.key}-{side}" for side in ("server", "client")]
    record = [*spy, "record", "--native", "-r", str(_SAMPLES_A_SECOND), "-f", form, "-o"]
    # Pinning is a program of its own that becomes the other one: py-spy would lose it there.
    listen = command(stack, "server", row, arena, -1)
    with Child([*record, str(files[0]), "--", *listen]) as server:
        ask = command(stack, "client", row, arena, -1)
        ask += ["--port", listening_port(server, stack), "--count", str(work)]
        with Child([*record, str(files[1]), "--", *ask]) as client:
            if client.wait(_RUN_SECONDS) is None or '"cpu"' not in "".join(client.lines):
                raise RunFailed(f"client: {client.tail()}; server: {server.tail()}")
        # The recorder writes its file when the program that it started has ended.
        os.kill(int(str(server.facts()["pid"])), signal.SIGTERM)
        server.wait(_RUN_SECONDS)
    return files


def _find_spy() -> list[str]:
    program = WORK / "venv" / "bin" / "py-spy"
    if not program.exists():
        python = program.with_name("python")
        code, said = run_command([str(python), "-m", "pip", "install", "-q", "py-spy"], 300.0)
        if code != 0:
            sys.exit(f"where: py-spy could not be installed: {said[-300:]}")
    return [str(program)]


def main() -> None:
    """Command line."""
    timed = [row for row in ROWS if row.kind in (Kind.BULK, Kind.RATE)]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", action="append", choices=[row.key for row in timed])
    parser.add_argument("--stack", choices=["ropewalk", "ropewalk-pure"], default="ropewalk")
    parser.add_argument("--times", type=int, default=_TIMES, help="of a row's first work")
    parser.add_argument("--flames", type=Path, help="folder for a flame graph of each side")
    given = parser.parse_args()
    prepare()
    # Their environment is where py-spy goes.
    stack = find_python_stacks([given.stack, "qh3"])[0]
    if stack.missing:
        sys.exit(f"where: {stack.label}: {stack.missing}")
    arena, spy = make_arena(1452), _find_spy()
    with tempfile.TemporaryDirectory() as folder:
        for row in timed:
            if given.row and row.key not in given.row:
                continue
            work = row.first * given.times
            for file in profile(row, stack, arena, spy, "raw", work, Path(folder)):
                kinds = count_kinds(file.read_text().splitlines())
                whole = max(1, sum(kinds.values()))
                parts = [f"{kind} {count / whole:.0%}" for kind, count in kinds.most_common(9)]
                say(f"{file.name}: {', '.join(parts)}")
            if given.flames:
                given.flames.mkdir(parents=True, exist_ok=True)
                for file in profile(row, stack, arena, spy, "flamegraph", work, given.flames):
                    file.rename(file.with_suffix(".svg"))


if __name__ == "__main__":
    main()
