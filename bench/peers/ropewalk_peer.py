"""Ropewalk's side of the benchmark, over its public API on asyncio."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path

import anyio
from side import ALPN, HEADER, HOST, SERVER_NAME, Clock, arguments, say

from ropewalk import _build
from ropewalk.quic.types.handshake import AES_128_GCM
from ropewalk.runtime import Connection, Settings, Stream, connect, serve

CHUNK = 256 * 1024
_zeros = bytes(CHUNK)


def settings(given: argparse.Namespace) -> Settings:
    """What all stacks are set to."""
    return Settings(
        max_udp_payload=given.mtu,
        cipher_suites=(AES_128_GCM,),
        groups=("X25519",),
        key_shares=("X25519",),
    )


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


class Server:
    """Answers requests and adds up what its connections have received."""

    def __init__(self) -> None:
        self.packets = 0
        self.bytes = 0

    async def handle(self, connection: Connection) -> None:
        """Serve one connection until the client closes it."""
        try:
            async with anyio.create_task_group() as requests:
                async for stream in connection:
                    requests.start_soon(self._answer, stream)
        finally:
            self.packets += connection.stats.packets_received
            self.bytes += connection.stats.bytes_received

    async def _answer(self, stream: Stream) -> None:
        async with stream:
            head, _ = await swallow(stream)
            await pour(stream, int.from_bytes(head, "big"))


async def run_server(given: argparse.Namespace) -> None:
    """Listen until the runner ends this process."""
    server = Server()
    async with serve(
        server.handle,
        HOST,
        0,
        alpn=ALPN,
        certificate=given.certificate,
        key=given.key,
        **settings(given),
    ) as listening:
        clock = Clock()
        say(port=listening.address.port, build=_build.running_build().kind)
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                break
        facts = clock.facts()
    say(packets=server.packets, bytes=server.bytes, **facts)


async def transfer(given: argparse.Namespace) -> None:
    """One stream on one connection."""
    async with connect(
        HOST, given.port, alpn=ALPN, ca=given.ca, server_name=SERVER_NAME, **settings(given)
    ) as connection:
        before = connection.stats
        clock = Clock()
        async with await connection.open_stream() as stream:
            await stream.send(given.download.to_bytes(HEADER, "big"))
            await pour(stream, given.upload)
            _, received = await swallow(stream)
        facts = clock.facts()
        after = connection.stats
    say(
        received=received,
        packets=after.packets_received - before.packets_received,
        bytes=after.bytes_received - before.bytes_received,
        **facts,
    )


async def handshakes(given: argparse.Namespace) -> None:
    """New connections, one after the other; each closes while the next begins."""
    ca = Path(given.ca).read_bytes()

    async def once(connected: anyio.Event) -> None:
        async with connect(
            HOST, given.port, alpn=ALPN, ca=ca, server_name=SERVER_NAME, **settings(given)
        ):
            connected.set()

    async with anyio.create_task_group() as closing:
        clock = Clock()
        for _ in range(given.handshakes):
            connected = anyio.Event()
            closing.start_soon(once, connected)
            await connected.wait()
        facts = clock.facts()
    say(handshakes=given.handshakes, **facts)


def main() -> None:
    """Command line of the runner."""
    given = arguments(__doc__)
    os.environ.pop("SSLKEYLOGFILE", None)
    if given.role == "server":
        anyio.run(run_server, given)
    else:
        anyio.run(handshakes if given.handshakes else transfer, given)


if __name__ == "__main__":
    main()
