"""One run of one stack in one row: two processes, and what both report."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from arena import Arena
from contenders import HERE, Contender
from rows import Kind, Row

sys.path.append(str(HERE.parent / "interop"))
from processes import Child as Child

_PIN = HERE / "peers" / "pin.py"
_READY_SECONDS = 20.0
_RUN_SECONDS = 60.0
_PAUSE = 0.05
#: What a calibration may rest on; in less, the beginning and end of a run weigh too much.
_SHORTEST = 0.15


class RunFailed(Exception):
    """What went wrong, with the last words of both sides."""


@dataclass(frozen=True)
class Sample:
    """What one run showed. CPU in seconds, of which ``server_cpu`` has the handshakes too."""

    row: str
    contender: str
    work: int
    seconds: float
    #: in the row's unit
    figure: float
    client_cpu: float = 0.0
    server_cpu: float = 0.0
    #: datagrams that brought the bulk; 0 where there is none, or nobody counted
    packets: int = 0
    #: median of a latency in ms
    middle: float = 0.0
    #: datagrams that did not come back
    lost: int = 0


def command(contender: Contender, role: str, row: Row, arena: Arena, core: int) -> list[str]:
    """The command line of one side, on its core."""
    pinned = [sys.executable, "-IS", str(_PIN), str(core)] if core >= 0 else []
    words = [*pinned, *contender.command, role, "--protocol", row.protocol, "--work", row.work]
    words += ["--mtu", str(arena.mtu), *row.options]
    if role == "server":
        return [*words, "--certificate", str(arena.certificate), "--key", str(arena.key)]
    return [*words, "--ca", str(arena.ca)]


def listening_port(server: Child, contender: Contender) -> str:
    """Wait until the server listens, and make sure that it is who it should be."""
    if not server.wait_for('"port"', _READY_SECONDS):
        raise RunFailed(f"the server did not come up: {server.tail()}")
    facts = server.facts()
    if facts.get("build", "") != contender.build:
        raise RunFailed(f"it runs {facts.get('build')}, not {contender.build}")
    return str(facts["port"])


def run_once(
    row: Row, contender: Contender, arena: Arena, work: int, seconds: float = 2.0
) -> Sample:
    """A server and a client, each a new process. ``seconds`` is the length of a latency run."""
    with Child(command(contender, "server", row, arena, arena.cores[0])) as server:
        ask = command(contender, "client", row, arena, arena.cores[1])
        ask += ["--port", listening_port(server, contender)]
        ask += ["--count", str(work), "--seconds", str(seconds)]
        with Child(ask) as client:
            if client.wait(_RUN_SECONDS) != 0:
                raise RunFailed(f"client: {client.tail()}; server: {server.tail()}")
    ours, theirs = client.facts(), server.facts()
    if "seconds" not in ours or "cpu" not in theirs:
        raise RunFailed(f"no figures; client: {client.tail()}; server: {server.tail()}")
    expected = {"client": work, "both": work // 2}.get(row.receiver)
    if expected is not None and ours.get("received") != expected:
        raise RunFailed(f"{ours.get('received')} bytes of {expected} arrived")
    time.sleep(_PAUSE)
    return _sample(row, contender, work, ours, theirs)


def _number(facts: Mapping[str, object], name: str) -> float:
    value = facts.get(name, 0)
    assert isinstance(value, (int, float))
    return value


def _sample(
    row: Row,
    contender: Contender,
    work: int,
    client: Mapping[str, object],
    server: Mapping[str, object],
) -> Sample:
    seconds = _number(client, "seconds")
    if row.kind is Kind.LATENCY:
        work, figure = int(_number(client, "count")), _number(client, "p99")
    elif row.kind is Kind.BULK:
        figure = work * 8 / seconds / 1e9
    else:
        figure = work / seconds
    packets = {
        "client": _number(client, "packets"),
        "server": _number(server, "packets"),
        "both": _number(client, "packets") + _number(server, "packets"),
    }
    return Sample(
        row=row.key,
        contender=contender.key,
        work=work,
        seconds=seconds,
        figure=figure,
        client_cpu=_number(client, "cpu"),
        server_cpu=_number(server, "cpu"),
        packets=int(packets.get(row.receiver, 0)),
        middle=_number(client, "p50"),
        lost=int(_number(client, "lost")),
    )


def calibrate(row: Row, contender: Contender, arena: Arena, seconds: float) -> int:
    """How much work keeps this stack busy for about ``seconds``; two rounded digits."""
    if row.kind is Kind.LATENCY:
        return 1  # its length is a time already
    work = row.first * contender.pace
    sample = run_once(row, contender, arena, work)
    if sample.seconds < _SHORTEST < seconds:
        work = min(row.largest, int(work / sample.seconds * 2 * _SHORTEST))
        sample = run_once(row, contender, arena, work)
    work = min(row.largest, max(row.first, int(work / sample.seconds * seconds)))
    unit = int("1".ljust(len(str(work)) - 1, "0"))
    return max(row.first, work // unit * unit)
