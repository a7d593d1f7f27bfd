"""Both sides of ``bench/http3_load.py``: the server with its site, and the load of a client."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
from anyio import Event, create_task_group, move_on_after, open_signal_receiver, sleep
from side import say

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from http3_phases import DOWN, EACH, HOST, LEAVE_SECONDS, PHASE_SECONDS, SAMPLE_SECONDS, UP

from ropewalk._build import running_build
from ropewalk.http import Client, Request, Response, http3_client, serve_http
from ropewalk.runtime import Server, Settings
from ropewalk.runtime.certificates import make_certificate

Connect = Callable[[], AbstractAsyncContextManager[Client]]
Look = Callable[[], Awaitable[Mapping[str, float]]]

_DIFFERENT_BODIES = 16


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


class Site:
    """Answers, and remembers the most that was ever open and queued."""

    def __init__(self) -> None:
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
            return Response(200, body=json.dumps(self._facts()))
        self.requests += 1
        self.handlers += 1
        self.peak_handlers = max(self.peak_handlers, self.handlers)
        try:
            if request.method == "POST":
                digest = hashlib.sha256()
                async for piece in request:
                    digest.update(piece)
                return Response(200, body=digest.hexdigest())
            return Response(200, body=body(int(request.path[1:]), DOWN))
        finally:
            self.handlers -= 1

    async def sample(self) -> None:
        """Add up what waits to be sent or acknowledged, again and again."""
        assert self.server is not None
        while True:
            queued = sum(each.undelivered() for each in self.server.connections)
            self.peak_queued = max(self.peak_queued, queued)
            await sleep(SAMPLE_SECONDS)

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
    made = make_certificate(["localhost", HOST])
    settings = Settings(max_bidirectional_streams=given.limit) if given.limit else Settings()
    site = Site()
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
        with move_on_after(PHASE_SECONDS) as scope:
            await (work.on_one if given.connections == 1 else work.on_many)(connect, look)
        cpu = time.process_time() - cpu
        if scope.cancelled_caught:
            work.errors.append(f"not done after {PHASE_SECONDS:g} s")
        final = await look()
        with move_on_after(LEAVE_SECONDS):
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


def main() -> None:
    """Command line of the runner."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["server", "client"])
    parser.add_argument("--port", type=int)
    parser.add_argument("--pin")
    parser.add_argument("--work", choices=["get", "post", "mixed"])
    parser.add_argument("--requests", type=int)
    parser.add_argument("--connections", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--limit", type=int, default=0, help="of streams, the server's")
    parser.add_argument("--core", type=int, default=-1, help="CPU to stay on; -1: any")
    given = parser.parse_args()
    if given.core >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {given.core})
    anyio.run(run_server if given.role == "server" else run_client, given)


if __name__ == "__main__":
    main()
