"""What Ropewalk's client does over QUIC, work by work."""

from __future__ import annotations

import argparse
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial

import anyio
from side import (
    ALPN,
    BACKGROUND_BYTES,
    DATAGRAM_PATIENCE,
    HEADER,
    HOST,
    LOOK_SECONDS,
    SERVER_NAME,
    Clock,
    leave,
    percentiles,
    request,
    say,
    shares,
)

from ropewalk.runtime import Connection, Settings, Stream, connect

CHUNK = 256 * 1024
_zeros = bytes(CHUNK)

#: What a client prints.
Facts = dict[str, object]


async def pour(stream: Stream, size: int) -> None:
    """Send ``size`` bytes and the end."""
    while size > 0:
        await stream.send(_zeros if size >= CHUNK else _zeros[:size])
        size -= CHUNK
    await stream.send_eof()


async def swallow(stream: Stream) -> tuple[bytes, int]:
    """Read to the end: the first eight bytes, and how many there were in all."""
    head, size = b"", 0
    async for piece in stream:
        if size < HEADER:
            head += piece[: HEADER - size]
        size += len(piece)
    return head, size


async def idle(
    given: argparse.Namespace, connect_one: Callable[[], AbstractAsyncContextManager[object]]
) -> None:
    """``count`` connections, silence, ``connections`` more, silence; the process ends here."""
    async with AsyncExitStack() as stack:
        for count in (given.count, given.connections):
            for _ in range(count):
                await stack.enter_async_context(connect_one())
            await anyio.sleep(given.seconds)
            say(settled=count)
            await anyio.sleep(LOOK_SECONDS)
        leave()


class Client:
    """One run of one work."""

    def __init__(self, given: argparse.Namespace, ca: bytes, settings: Settings) -> None:
        self.given = given
        self._connect: Callable[[], AbstractAsyncContextManager[Connection]] = partial(
            connect, HOST, given.port, alpn=ALPN, ca=ca, server_name=SERVER_NAME, **settings
        )

    async def run(self) -> Facts:
        """The figures of the work."""
        if self.given.work == "handshakes":
            return await self.handshakes()
        if self.given.work == "idle":
            await idle(self.given, self._connect)
        works: dict[str, Callable[[Connection], Awaitable[Facts]]] = {
            "download": self.bulk,
            "upload": self.bulk,
            "both": self.bulk,
            "requests": self.requests,
            "messages": self.messages,
            "datagrams": self.datagrams,
            "latency": self.latency,
        }
        async with self._connect() as connection:
            before = connection.stats.packets_received
            clock = Clock()
            found = await works[self.given.work](connection)
            facts = clock.facts()
            packets = connection.stats.packets_received - before
        return {"packets": packets, **facts, **found}

    async def bulk(self, connection: Connection) -> Facts:
        """``count`` bytes over ``parallel`` streams: to here, from here, or half each way."""
        received = 0

        async def transfer(down: int, up: int) -> None:
            nonlocal received
            async with await connection.open_stream() as stream:
                await stream.send(down.to_bytes(HEADER, "big"))
                await pour(stream, up)
                _, size = await swallow(stream)
                received += size

        given = self.given
        async with anyio.create_task_group() as tasks:
            if given.work == "both":
                tasks.start_soon(transfer, given.count // 2, 0)
                tasks.start_soon(transfer, 0, given.count - given.count // 2)
            else:
                for share in shares(given.count, given.parallel):
                    down = given.work == "download"
                    tasks.start_soon(transfer, share if down else 0, 0 if down else share)
        return {"received": received}

    async def requests(self, connection: Connection) -> Facts:
        """``count`` requests, each on a stream of its own, ``parallel`` at a time."""

        async def worker(count: int) -> None:
            for _ in range(count):
                await self._ask(connection)

        async with anyio.create_task_group() as tasks:
            for share in shares(self.given.count, self.given.parallel):
                tasks.start_soon(worker, share)
        return {"done": self.given.count}

    async def _ask(self, connection: Connection) -> None:
        async with await connection.open_stream() as stream:
            await stream.send(request(self.given.answer, self.given.ask))
            await stream.send_eof()
            _, size = await swallow(stream)
            assert size == self.given.answer

    async def messages(self, connection: Connection) -> Facts:
        """``count`` messages on one stream, each a write of its own."""
        message = bytes(self.given.ask)
        async with await connection.open_stream() as stream:
            await stream.send(bytes(HEADER))
            for _ in range(self.given.count):
                await stream.send(message)
            await stream.send_eof()
            await swallow(stream)
        return {"done": self.given.count}

    async def datagrams(self, connection: Connection) -> Facts:
        """``count`` datagrams that come back, ``parallel`` of them on their way."""
        done = lost = under_way = 0
        payload = bytes(self.given.ask)
        while done < self.given.count:
            wanted = min(self.given.parallel, self.given.count - done) - under_way
            if wanted > 0:
                under_way += await connection.send_datagrams([payload] * wanted)
            with anyio.move_on_after(DATAGRAM_PATIENCE) as patience:
                arrived = len(await connection.receive_datagrams())
                done += arrived
                under_way -= arrived
            if patience.cancelled_caught:
                lost += under_way
                under_way = 0
        return {"done": done, "lost": lost}

    async def latency(self, connection: Connection) -> Facts:
        """One small request after the other, beside a transfer that never ends."""
        seconds: list[float] = []

        async def transfer() -> None:
            while True:
                async with await connection.open_stream() as stream:
                    await stream.send(request(BACKGROUND_BYTES, HEADER))
                    await stream.send_eof()
                    await swallow(stream)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(transfer)
            await anyio.sleep(self.given.seconds / 4)  # past slow start
            end = time.perf_counter() + self.given.seconds
            while (began := time.perf_counter()) < end:
                await self._ask(connection)
                seconds.append(time.perf_counter() - began)
            tasks.cancel_scope.cancel()
        return dict(percentiles(seconds))

    async def handshakes(self) -> Facts:
        """``count`` connections, ``parallel`` at a time; each closes while the next begins."""

        async def once(connected: anyio.Event) -> None:
            async with self._connect():
                connected.set()

        async def worker(count: int) -> None:
            for _ in range(count):
                connected = anyio.Event()
                closing.start_soon(once, connected)
                await connected.wait()

        async with anyio.create_task_group() as closing:
            clock = Clock()
            async with anyio.create_task_group() as workers:
                for share in shares(self.given.count, self.given.parallel):
                    workers.start_soon(worker, share)
            facts = clock.facts()
        return {"done": self.given.count, **facts}
