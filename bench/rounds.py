"""One run of one stack in one row, and the figures of many."""

from __future__ import annotations

import os
import socket
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contenders import HERE, Contender

sys.path.append(str(HERE.parent / "interop"))
from processes import Child

_READY_SECONDS = 20.0
_RUN_SECONDS = 60.0
_PAUSE = 0.05


class RunFailed(Exception):
    """What went wrong, with the last words of both sides."""


@dataclass(frozen=True)
class Row:
    """One line of work. ``option`` is the programs' name for it."""

    key: str
    title: str
    option: str
    #: what the headline figure is counted in
    unit: str
    #: what the work is counted in, and how the first calibration run is sized
    work: str
    first: int
    largest: int
    #: which role receives the bulk; "" when there is none
    receiver: str = ""


ROWS = (
    Row("download", "Download, one stream", "--download", "Gbit/s", "bytes", 10_000_000,
        1_000_000_000, "client"),
    Row("upload", "Upload, one stream", "--upload", "Gbit/s", "bytes", 10_000_000,
        1_000_000_000, "server"),
    Row("handshakes", "Handshakes, one after the other", "--handshakes", "per second",
        "handshakes", 20, 5_000),
)  # fmt: skip


@dataclass(frozen=True)
class Arena:
    """What all runs share."""

    certificate: Path
    key: Path
    ca: Path
    mtu: int
    #: CPU of the server and of the client; -1 leaves it to the system
    cores: tuple[int, int]


@dataclass(frozen=True)
class Sample:
    """What one run showed. CPU in seconds, of which ``server_cpu`` has the handshake too."""

    row: str
    contender: str
    work: int
    seconds: float
    rate: float
    client_cpu: float
    server_cpu: float
    #: datagrams that brought the bulk, and those that came back; 0 for handshakes
    packets: int
    answers: int
    #: CPU µs per packet of the bulk, or per handshake
    sender_us: float
    receiver_us: float


def free_port() -> int:
    """A UDP port of loopback that nobody has just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def choose_cores() -> tuple[int, int]:
    """A core for the server and another for the client, where there are two."""
    if not hasattr(os, "sched_getaffinity"):
        return -1, -1
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[1], allowed[0]) if len(allowed) > 1 else (-1, -1)


def run_once(row: Row, contender: Contender, arena: Arena, work: int) -> Sample:
    """A server and a client, each a new process, and what both report."""
    server_core, client_core = (str(core) for core in arena.cores)
    listen = [*contender.command, "server", "--mtu", str(arena.mtu), "--core", server_core]
    with Child([*listen, "--certificate", arena.certificate, "--key", arena.key]) as server:
        if not server.wait_for('"port"', _READY_SECONDS):
            raise RunFailed(f"the server did not come up: {server.tail()}")
        facts = server.facts()
        if facts.get("build", "") != contender.build:
            raise RunFailed(f"it runs {facts.get('build')}, not {contender.build}")
        ask = [*contender.command, "client", "--mtu", str(arena.mtu), "--core", client_core]
        ask += ["--port", str(facts["port"]), row.option, str(work)]
        with Child([*ask, "--ca", arena.ca]) as client:
            if client.wait(_RUN_SECONDS) != 0:
                raise RunFailed(f"client: {client.tail()}; server: {server.tail()}")
    ours, theirs = client.facts(), server.facts()
    if "seconds" not in ours or "cpu" not in theirs:
        raise RunFailed(f"no figures; client: {client.tail()}; server: {server.tail()}")
    if row.key == "download" and ours.get("received") != work:
        raise RunFailed(f"{ours.get('received')} bytes of {work} arrived")
    time.sleep(_PAUSE)
    return _sample(row, contender, work, ours, theirs)


def _sample(
    row: Row,
    contender: Contender,
    work: int,
    client: Mapping[str, object],
    server: Mapping[str, object],
) -> Sample:
    def number(facts: Mapping[str, object], name: str) -> float:
        value = facts.get(name, 0)
        assert isinstance(value, (int, float))
        return value

    seconds = number(client, "seconds")
    sides = {"client": client, "server": server}
    receiver = sides[row.receiver or "server"]
    sender = client if receiver is server else server
    packets = int(number(receiver, "packets")) if row.receiver else 0
    per = packets or work
    return Sample(
        row=row.key,
        contender=contender.key,
        work=work,
        seconds=seconds,
        rate=work * 8 / seconds / 1e9 if row.receiver else work / seconds,
        client_cpu=number(client, "cpu"),
        server_cpu=number(server, "cpu"),
        packets=packets,
        answers=int(number(sender, "packets")) if row.receiver else 0,
        sender_us=number(sender, "cpu") / per * 1e6,
        receiver_us=number(receiver, "cpu") / per * 1e6,
    )


def calibrate(row: Row, contender: Contender, arena: Arena, seconds: float) -> int:
    """How much work keeps this stack busy for about ``seconds``; two rounded digits."""
    work = row.first
    for aim in (min(seconds, 0.4), seconds):
        sample = run_once(row, contender, arena, work)
        work = min(row.largest, max(row.first, int(work / sample.seconds * aim)))
    unit = int("1".ljust(len(str(work)) - 1, "0"))
    return max(row.first, work // unit * unit)


@dataclass(frozen=True)
class Summary:
    """Medians over a stack's samples of one row."""

    row: str
    contender: str
    runs: int
    work: int
    rate: float
    slowest: float
    fastest: float
    sender_us: float
    receiver_us: float
    #: CPU of both sides, in seconds per GB or in milliseconds per handshake
    cpu: float
    #: bytes of the stream in a packet of the bulk, and datagrams back for each of it
    payload: float
    answers: float
    #: medians of the rate and of both sides' CPU over those of the reference
    rate_ratio: float | None = None
    cpu_ratio: float | None = None


def summarize(samples: Sequence[Sample], reference: str) -> list[Summary]:
    """Rows and stacks in the order of the samples."""
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.row, sample.contender), []).append(sample)
    plain = {key: _median(group) for key, group in groups.items()}
    found = []
    for (row, _), summary in plain.items():
        base = plain.get((row, reference))
        if base is not None:
            ratios = {"rate_ratio": summary.rate / base.rate, "cpu_ratio": summary.cpu / base.cpu}
            summary = Summary(**{**summary.__dict__, **ratios})
        found.append(summary)
    order = {row.key: number for number, row in enumerate(ROWS)}
    return sorted(found, key=lambda one: order[one.row])


def _median(group: Sequence[Sample]) -> Summary:
    median = statistics.median
    first = group[0]
    rates = [one.rate for one in group]
    per_work = [(one.client_cpu + one.server_cpu) / one.work for one in group]
    return Summary(
        row=first.row,
        contender=first.contender,
        runs=len(group),
        work=first.work,
        rate=median(rates),
        slowest=min(rates),
        fastest=max(rates),
        sender_us=median(one.sender_us for one in group),
        receiver_us=median(one.receiver_us for one in group),
        cpu=median(per_work) * (1e9 if first.packets else 1e3),
        payload=median(one.work / one.packets for one in group) if first.packets else 0.0,
        answers=median(one.answers / one.packets for one in group) if first.packets else 0.0,
    )
