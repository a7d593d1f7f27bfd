"""Ropewalk's side of the benchmark over HTTP/3."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
from ropewalk_works import CHUNK, Facts, idle
from side import HOST, SERVER_NAME, Clock, leave, say, shares

from ropewalk.http import Client as HttpClient
from ropewalk.http import Request, Response, http3_client, serve_http
from ropewalk.runtime import Connection, Server, Settings

_zeros = bytes(CHUNK)


async def zeros(size: int) -> AsyncIterator[bytes]:
    """A body of ``size`` bytes, in pieces."""
    while size > 0:
        yield _zeros if size >= CHUNK else _zeros[:size]
        size -= CHUNK


class Site:
    """The server's handler. It remembers the connections of uploads, whose packets count."""

    def __init__(self) -> None:
        self._server: Server | None = None
        self._uploading: list[Connection] = []

    @asynccontextmanager
    async def listen(
        self, certificate: Path, key: Path, settings: Settings
    ) -> AsyncIterator[Server]:
        """Serve HTTP/3 for the length of the body."""
        async with serve_http(
            self._answer, HOST, 0, certificate=certificate, key=key, grace=0.0, **settings
        ) as server:
            self._server = server
            yield server

    def packets(self) -> int:
        """What the connections of uploads have received."""
        return sum(one.stats.packets_received for one in self._uploading)

    async def _answer(self, request: Request) -> Response:
        """``/NUMBER`` gets so many bytes, once the request's body is here."""
        if request.method == "POST":
            assert self._server is not None
            self._uploading = list(self._server.connections)
        async for _ in request:
            pass
        size = int(request.path[1:])
        if size <= CHUNK:
            return Response(200, body=_zeros[:size])
        return Response(200, {"content-length": str(size)}, body=zeros(size))


class Client:
    """One run of one work."""

    def __init__(self, given: argparse.Namespace, ca: bytes, settings: Settings) -> None:
        self.given = given
        self._connect: Callable[[], AbstractAsyncContextManager[HttpClient]] = partial(
            http3_client, HOST, given.port, ca=ca, server_name=SERVER_NAME, **settings
        )

    async def run(self) -> Facts:
        """The figures of the work, the handshakes before it apart."""
        if self.given.work == "idle":
            await idle(self.given, self._connect)
        works: dict[str, Callable[[list[HttpClient]], Awaitable[Facts]]] = {
            "download": self.download,
            "upload": self.upload,
            "requests": self.requests,
        }
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(self._connect())
                for _ in range(self.given.connections)
            ]
            before = self._packets(clients)
            clock = Clock()
            found = await works[self.given.work](clients)
            facts = clock.facts()
            packets = self._packets(clients) - before
            if len(clients) > 1:
                say(packets=packets, **facts, **found)
                leave()  # a hundred closes, one after the other, would outlast the run
        return {"packets": packets, **facts, **found}

    @staticmethod
    def _packets(clients: list[HttpClient]) -> int:
        return sum(client.connection.stats.packets_received for client in clients)

    async def download(self, clients: list[HttpClient]) -> Facts:
        """One response of ``count`` bytes."""
        received = 0
        async with await clients[0].get(f"/{self.given.count}") as response:
            async for piece in response:
                received += len(piece)
        return {"received": received}

    async def upload(self, clients: list[HttpClient]) -> Facts:
        """One request with a body of ``count`` bytes."""
        body = zeros(self.given.count)
        async with await clients[0].request("POST", "/0", body=body) as response:
            await response.read()
        return {"received": 0}

    async def requests(self, clients: list[HttpClient]) -> Facts:
        """``count`` GETs over all connections, ``parallel`` at a time on each."""
        path = f"/{self.given.answer}"

        async def worker(client: HttpClient, count: int) -> None:
            for _ in range(count):
                async with await client.get(path) as response:
                    assert len(await response.read()) == self.given.answer

        workers = len(clients) * self.given.parallel
        async with anyio.create_task_group() as tasks:
            for number, share in enumerate(shares(self.given.count, workers)):
                tasks.start_soon(worker, clients[number % len(clients)], share)
        return {"done": self.given.count}
