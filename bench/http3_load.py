"""HTTP/3 under load: many requests on one connection, many connections, and what memory does.

Server and client are two processes over loopback; for each phase both are new. Every body is
compared by its SHA-256. Prints a table (``--json`` everything as JSON) and writes
``docs/http3-load.md``. Exit code 1 when a request failed, or a bound did not hold; 2 when
nothing ran.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contenders import ROOT
from machine import describe_machine, load

sys.path.insert(0, str(ROOT / "interop"))
from processes import Child

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from ropewalk.http import Client, Request, Response
    from ropewalk.runtime import Server

    Connect = Callable[[], AbstractAsyncContextManager[Client]]
    Look = Callable[[], Awaitable[Mapping[str, float]]]

HOST = "127.0.0.1"
PAGE = ROOT / "docs" / "http3-load.md"
DOWN = 20_000
UP = 100_000
#: Requests of each of many connections: GET, POST, GET.
EACH = 3

_BUILDS = {"compiled": ".venv", "interpreted": ".venv-pure"}
_PHASE_SECONDS = 60.0
_READY_SECONDS = 20.0
_SAMPLE_SECONDS = 0.01
_LEAVE_SECONDS = 5.0
_DIFFERENT_BODIES = 16


@dataclass(frozen=True)
class Phase:
    """One load. ``limit`` is the server's max_bidirectional_streams; 0 leaves the default."""

    key: str
    title: str
    work: str
    connections: int
    requests: int
    rounds: int = 1
    limit: int = 0


def phases(requests: int, connections: int, rounds: int) -> list[Phase]:
    """All of them, in the order of the page."""
    every = connections * EACH
    half = max(2, rounds // 2)  # opening and closing take their time, and are not in "seconds"
    return [
        Phase("gets", f"{requests:,} GETs, one connection", "get", 1, requests),
        Phase("gets-open", f"{requests:,} GETs, one connection", "get", 1, requests, 1, requests),
        Phase("posts", f"{requests:,} POSTs, one connection", "post", 1, requests, 1, requests),
        Phase("connections", f"{connections:,} connections, {every:,} requests", "mixed",
              connections, EACH),
        Phase("get-rounds", f"{rounds} times {requests:,} GETs, the same connection", "get", 1,
              requests, rounds, requests),
        Phase("connection-rounds", f"{half} times {connections:,} new connections", "mixed",
              connections, EACH, half),
    ]  # fmt: skip


# ---------------------------------------------------------------- both sides


def body(number: int, size: int) -> bytes:
    """The content of a number: both sides know it, and no two are alike."""
    return hashlib.shake_128(number.to_bytes(8, "big")).digest(size)


def memory() -> dict[str, int]:
    """Resident bytes of this process: now, and at most so far; zeros where /proc is missing.

    Not getrusage's ru_maxrss, in which a child inherits its parent's size.
    """
    found = {"VmRSS": 0, "VmHWM": 0}
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name in found:
            found[name] = int(value.split()[0]) * 1024
    return {"rss": found["VmRSS"], "peak_rss": found["VmHWM"]}


def say(**facts: object) -> None:
    """One JSON line for the runner."""
    print(json.dumps(facts), flush=True)


# ---------------------------------------------------------------- the server


class Site:
    """Answers, and remembers the most that was ever open and queued."""

    def __init__(self, response: type[Response]) -> None:
        self._response = response
        self.server: Server | None = None
        self.requests = 0
        self.handlers = 0
        self.peak_handlers = 0
        self.peak_connections = 0
        self.peak_streams = 0
        self.peak_queued = 0
        #: HTTP/3's own streams of a connection (control, QPACK), which are no requests
        self.own_streams = -1

    async def handle(self, request: Request) -> Response:
        """``GET /facts``, ``GET /NUMBER``, or a POST, which gets the digest of its body."""
        self._look()
        if request.path == "/facts":
            return self._response(200, body=json.dumps(self._facts()))
        self.requests += 1
        self.handlers += 1
        self.peak_handlers = max(self.peak_handlers, self.handlers)
        try:
            if request.method == "POST":
                digest = hashlib.sha256()
                async for piece in request:
                    digest.update(piece)
                return self._response(200, body=digest.hexdigest())
            return self._response(200, body=body(int(request.path[1:]), DOWN))
        finally:
            self.handlers -= 1

    async def sample(self) -> None:
        """Add up what waits to be sent or acknowledged, again and again."""
        from anyio import sleep

        assert self.server is not None
        while True:
            queued = sum(each.undelivered() for each in self.server.connections)
            self.peak_queued = max(self.peak_queued, queued)
            await sleep(_SAMPLE_SECONDS)

    def _look(self) -> None:
        # Streams only come with datagrams, and handlers start before the next ones are read:
        # looking at each start misses no peak.
        assert self.server is not None
        connections = self.server.connections
        most = 0
        for connection in connections:
            streams = connection.core.state.streams
            most = max(most, streams.opened() - streams.closed() - streams.reset_count())
        if self.own_streams < 0:
            self.own_streams = most - 1  # the first request of all comes alone
        self.peak_streams = max(self.peak_streams, most - self.own_streams)
        self.peak_connections = max(self.peak_connections, len(connections) - 1)

    def _facts(self) -> dict[str, float]:
        assert self.server is not None
        return {
            **memory(),
            "blocks": sys.getallocatedblocks(),
            "cpu": time.process_time(),
            # Without the one that asks.
            "connections": len(self.server.driver.connections) - 1,
            "requests": self.requests,
            "peak_handlers": self.peak_handlers,
            "peak_connections": self.peak_connections,
            "peak_streams": self.peak_streams,
            "peak_queued": self.peak_queued,
        }


async def run_server(given: argparse.Namespace) -> None:
    """Listen until the runner ends this process."""
    from anyio import create_task_group, open_signal_receiver

    from ropewalk._build import running_build
    from ropewalk.http import Response, serve_http
    from ropewalk.runtime import Settings
    from ropewalk.runtime.certificates import make_certificate

    made = make_certificate(["localhost", HOST])
    settings = Settings(max_bidirectional_streams=given.limit) if given.limit else Settings()
    site = Site(Response)
    async with serve_http(
        site.handle, HOST, 0, certificate=made.cert_pem, key=made.key_pem, **settings
    ) as server:
        site.server = server
        say(port=server.address.port, pin=made.spki_sha256.hex(), build=running_build().kind)
        async with create_task_group() as tasks:
            tasks.start_soon(site.sample)
            with open_signal_receiver(signal.SIGTERM) as signals:
                async for _ in signals:
                    break
            tasks.cancel_scope.cancel()


# ---------------------------------------------------------------- the client


class Load:
    """The requests of one phase, and what became of them."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.right = 0
        self.tasks = 0
        self.peak_tasks = 0
        self.errors: list[str] = []
        self.seconds: list[float] = []
        self.connect_seconds: list[float] = []
        self.after: list[Mapping[str, float]] = []
        self._uploads = [body(number, UP) for number in range(_DIFFERENT_BODIES)]
        gets = given.connections * given.requests if given.work != "post" else 0
        self._gets = [self._digest(body(number, DOWN)) for number in range(gets)]
        self._posts = [self._digest(upload).encode() for upload in self._uploads]

    @staticmethod
    def _digest(data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()

    async def ask(self, client: Client, number: int) -> None:
        """One request; its failure is noted and touches no other."""
        posts = self.given.work == "post" or (self.given.work == "mixed" and number % EACH == 1)
        self.tasks += 1
        self.peak_tasks = max(self.peak_tasks, self.tasks)
        try:
            if posts:
                which = number % _DIFFERENT_BODIES
                async with await client.request("POST", "/", body=self._uploads[which]) as response:
                    right = await response.read() == self._posts[which]
            else:
                async with await client.get(f"/{number}") as response:
                    right = self._digest(await response.read()) == self._gets[number]
            if right and response.status == 200:
                self.right += 1
            else:
                self.errors.append(f"request {number}: status {response.status}, wrong bytes")
        except Exception as error:
            self.errors.append(f"request {number}: {error!r}")
        finally:
            self.tasks -= 1

    async def on_one(self, connect: Connect, look: Look) -> None:
        """All rounds on one connection."""
        from anyio import create_task_group

        began = time.perf_counter()
        async with connect() as client:
            self.connect_seconds.append(time.perf_counter() - began)
            for _ in range(self.given.rounds):
                began = time.perf_counter()
                async with create_task_group() as tasks:
                    for number in range(self.given.requests):
                        tasks.start_soon(self.ask, client, number)
                self.seconds.append(time.perf_counter() - began)
                self.after.append(await look())

    async def on_many(self, connect: Connect, look: Look) -> None:
        """A round's connections are all open before its first request and until its last."""
        from anyio import Event, create_task_group

        count = self.given.connections
        for _ in range(self.given.rounds):
            connected, answered = Event(), Event()
            arrived = left = 0
            began = time.perf_counter()

            async def visit(
                first: int, connected: Event = connected, answered: Event = answered
            ) -> None:
                nonlocal arrived, left
                try:
                    async with connect() as client:
                        arrived += 1
                        if arrived == count:
                            connected.set()
                        await connected.wait()
                        async with create_task_group() as tasks:
                            for number in range(first, first + self.given.requests):
                                tasks.start_soon(self.ask, client, number)
                        left += 1
                        if left == count:
                            answered.set()
                        await answered.wait()
                except Exception as error:
                    self.errors.append(f"connection of request {first}: {error!r}")

            async with create_task_group() as tasks:
                for number in range(count):
                    tasks.start_soon(visit, number * self.given.requests)
                await connected.wait()
                self.connect_seconds.append(time.perf_counter() - began)
                began = time.perf_counter()
                await answered.wait()
                self.seconds.append(time.perf_counter() - began)
            self.after.append(await look())


async def run_client(given: argparse.Namespace) -> None:
    """One phase, and a connection beside it that asks the server for its figures."""
    from anyio import move_on_after, sleep

    from ropewalk.http import http3_client

    def connect() -> AbstractAsyncContextManager[Client]:
        return http3_client(HOST, given.port, pin=given.pin, server_name="localhost")

    work = Load(given)
    async with connect() as watch:

        async def look() -> Mapping[str, float]:
            async with await watch.get("/facts") as response:
                found: dict[str, float] = json.loads(await response.read())
            return found

        before = await look()
        parameters = watch.connection.core.state.peer_parameters
        assert parameters is not None
        own = memory()["rss"]
        cpu = time.process_time()
        with move_on_after(_PHASE_SECONDS) as scope:
            await (work.on_one if given.connections == 1 else work.on_many)(connect, look)
        cpu = time.process_time() - cpu
        if scope.cancelled_caught:
            work.errors.append(f"not done after {_PHASE_SECONDS:g} s")
        final = await look()
        with move_on_after(_LEAVE_SECONDS):
            while final["connections"]:
                await sleep(0.05)
                final = await look()
    say(
        limit=parameters.initial_max_streams_bidi,
        right=work.right,
        errors=work.errors[:5],
        failed=len(work.errors),
        seconds=work.seconds,
        connect_seconds=work.connect_seconds,
        peak_tasks=work.peak_tasks,
        before=before,
        after=work.after,
        final=final,
        client={**memory(), "rss_before": own, "cpu": cpu},
    )


# ---------------------------------------------------------------- the runner


@dataclass(frozen=True)
class Outcome:
    """What a phase showed on one build. Sizes in bytes, times in seconds."""

    phase: Phase
    build: str
    asked: int
    right: int
    #: what went wrong; empty when all is well
    trouble: str
    #: streams that the server lets a client have open, as it announced it
    limit: int = 0
    #: of each round: from the first request to the last answer, and of the handshakes before
    seconds: Sequence[float] = ()
    connect_seconds: Sequence[float] = ()
    #: request tasks of the client at once; connections, streams of one connection and
    #: handlers at the server; bytes its streams held, sampled
    peak_tasks: int = 0
    peak_connections: int = 0
    peak_streams: int = 0
    peak_handlers: int = 0
    peak_queued: int = 0
    server_before: int = 0
    server_after: int = 0
    server_peak: int = 0
    server_cpu: float = 0.0
    client_before: int = 0
    client_after: int = 0
    client_peak: int = 0
    client_cpu: float = 0.0
    #: the server after each round, and the interpreter's memory blocks in use there
    rounds_rss: Sequence[int] = ()
    rounds_blocks: Sequence[int] = ()

    @property
    def rate(self) -> float:
        """Answered requests per second, handshakes apart."""
        return self.right / sum(self.seconds) if self.seconds else 0.0


def run_phase(phase: Phase, python: str, build: str) -> Outcome:
    """A server, a client, and the bounds that must have held."""
    asked = phase.connections * phase.requests * phase.rounds
    nothing = Outcome(phase, build, asked, 0, "")
    cores = _cores()
    command = [python, str(Path(__file__))]
    with Child(
        [*command, "--role", "server", "--limit", str(phase.limit), "--core", str(cores[0])]
    ) as server:
        if not server.wait_for('"port"', _READY_SECONDS):
            return replace(nothing, trouble=f"the server did not come up: {server.tail()}")
        facts = server.facts()
        if build != "here" and facts["build"] != build:
            return replace(nothing, trouble=f"it runs {facts['build']}, not {build}")
        ask = [*command, "--role", "client", "--core", str(cores[1])]
        ask += ["--port", str(facts["port"]), "--pin", str(facts["pin"]), "--work", phase.work]
        ask += ["--connections", str(phase.connections), "--requests", str(phase.requests)]
        with Child([*ask, "--rounds", str(phase.rounds)]) as client:
            code = client.wait(_PHASE_SECONDS + _LEAVE_SECONDS + 10.0)
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


def _cores() -> tuple[int, int]:
    if not hasattr(os, "sched_getaffinity"):
        return -1, -1
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[1], allowed[0]) if len(allowed) > 1 else (-1, -1)


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


# ---------------------------------------------------------------- the page


_HEADER = [
    "load", "limit", "answered right", "seconds", "requests/s", "open at once",
    "queued, MB", "server RSS, MB", "peak", "client RSS, MB", "peak", "CPU, server / client",
]  # fmt: skip


def _line(one: Outcome) -> list[str]:
    mega = 1e6
    open_at_once = f"{one.peak_streams:,} streams"
    if one.phase.connections > 1:
        open_at_once = f"{one.peak_connections:,} connections"
    return [
        one.phase.title,
        f"{one.limit:,}",
        f"{one.right:,} of {one.asked:,}",
        f"{sum(one.seconds):.2f}",
        f"{one.rate:,.0f}",
        open_at_once,
        f"{one.peak_queued / mega:.1f}",
        f"{one.server_before / mega:.0f} → {one.server_after / mega:.0f}",
        f"{one.server_peak / mega:.0f}",
        f"{one.client_before / mega:.0f} → {one.client_after / mega:.0f}",
        f"{one.client_peak / mega:.0f}",
        f"{one.server_cpu:.2f} / {one.client_cpu:.2f} s",
    ]


def _table(outcomes: Sequence[Outcome]) -> list[str]:
    rows = [_HEADER, ["---"] + ["---:"] * (len(_HEADER) - 1)]
    rows += [_line(one) for one in outcomes]
    return ["| " + " | ".join(row) + " |" for row in rows]


def _series(one: Outcome) -> str:
    sizes = ", ".join(f"{size / 1e6:.1f}" for size in one.rounds_rss)
    blocks = ", ".join(f"{count / 1e3:.1f}" for count in one.rounds_blocks)
    return (
        f"* **{one.build}, {one.phase.title}.** MB after each round: {sizes}; thousands of memory "
        f"blocks: {blocks}. {one.server_after / 1e6:.1f} MB at the end, its connections gone."
    )


def _plain(outcomes: Sequence[Outcome]) -> None:
    rows = [["build", *_HEADER]]
    rows += [[one.build, *_line(one)] for one in outcomes]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
    for one in outcomes:
        if one.phase.rounds > 1:
            print(_series(one))
        if one.trouble:
            print(f"failed: {one.build}, {one.phase.title}: {one.trouble}")


def markdown(outcomes: Sequence[Outcome], began: float) -> str:
    """``docs/http3-load.md``."""
    builds = list(dict.fromkeys(one.build for one in outcomes))
    date = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    good = [one for one in outcomes if not one.trouble]
    lines = [
        "# HTTP/3 under load",
        "",
        "Written by `make bench`; edit `bench/http3_load.py`, not this page.",
        "",
        f"Measured on {date}: {len(good)} of {len(outcomes)} loads completed, with every body's "
        "SHA-256 right and every bound kept. `serve_http` and `http3_client` are two processes "
        "over loopback, each on a core of its own where there are two, both new for each line, "
        f"with the settings that a user gets without setting any, but for the limit on streams. "
        f"A GET brings {DOWN // 1000} kB, a POST takes {UP // 1000} kB and answers with the "
        "digest of what arrived; no two bodies of a round that a GET brings are alike.",
        "",
    ]
    for build in builds:
        lines += [f"## The {build} build", ""]
        lines += _table([one for one in outcomes if one.build == build])
        lines.append("")
    lines += ["## Memory, round after round", "", *_ROUNDS_NOTE, ""]
    lines += [_series(one) for one in outcomes if one.phase.rounds > 1]
    lines += ["", "## How to read it", "", *_notes(outcomes), ""]
    for one in outcomes:
        if one.trouble:
            lines += [f"**Failed**: {one.build}, {one.phase.title}: {one.trouble[:500]}", ""]
    lines += ["## How to repeat it", "", *_REPEAT, ""]
    lines += ["## Machine", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in describe_machine().items()]
    lines.append(f"| Load when it began | {began:.2f} |")
    return "\n".join(lines) + "\n"


_ROUNDS_NOTE = [
    "The server's resident memory after each round, and the interpreter's blocks in use, which "
    "show a leak long before the kernel does. What the first rounds add and later ones do not is "
    "memory that the allocator keeps for the next round.",
]

_REPEAT = [
    "```console",
    "$ make bench                                # this page, after the one on performance",
    "$ make build .venv-pure/.built              # or the two builds,",
    "$ .venv/bin/python bench/http3_load.py      # and this page alone",
    "```",
    "",
    "`--json` prints everything, the figures of each round too; `--requests`, `--connections` "
    "and `--rounds` change the load, `--build compiled` leaves the other build out.",
]


def _notes(outcomes: Sequence[Outcome]) -> list[str]:
    requests = max(one.phase.requests for one in outcomes)
    default_limit = next((one.limit for one in outcomes if not one.phase.limit), 0)
    return [
        f"* **The limit** is the server's `max_bidirectional_streams`. All {requests:,} requests "
        "of a round on one connection are tasks that start at once. With the default of "
        f"{default_limit} the server has at most {default_limit} of them open at a time, and the "
        f"others wait in the client for their turn; with {requests:,} all may be open together.",
        "* **Open at once** is the most that the server had: streams of one connection, counted "
        "from their first byte until the client has acknowledged the last, or connections. With "
        "many connections, all are open before the first request and until the last answer.",
        "* **Seconds** run from the first request to the last answer, over all rounds; handshakes "
        "(and closing) are apart: "
        + "; ".join(
            f"{one.build}, {one.phase.connections:,} at once in {one.connect_seconds[0]:.2f} s"
            for one in outcomes
            if one.phase.connections > 1 and one.phase.rounds == 1 and one.connect_seconds
        )
        + ". Client and server hash all bodies, and the server makes those of GETs, in that time.",
        "* **Queued** is the most that all streams of the server together held to be sent or "
        f"acknowledged, looked at every {_SAMPLE_SECONDS * 1000:.0f} ms. A handler here hands its "
        f"body over at once, so the bound is {DOWN // 1000} kB for each open stream; one that "
        "answers with an iterable is read as the client takes it.",
        "* **RSS** is before the load and after its connections are gone, with **peak** the most "
        "of the process's life. The client's holds the bodies that it sends and the digests that "
        "it expects.",
    ]


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
    for name, kind in (("role", str), ("port", int), ("pin", str), ("work", str)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, default=-1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        return _play(given)
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
        _plain(outcomes)
    if not any(one.right for one in outcomes):
        return 2
    if not given.no_page:
        given.page.write_text(markdown(outcomes, began))
        print(f"written: {given.page}", file=sys.stderr)
    return 1 if any(one.trouble for one in outcomes) else 0


def _play(given: argparse.Namespace) -> int:
    import anyio

    if given.core >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {given.core})
    anyio.run(run_server if given.role == "server" else run_client, given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
