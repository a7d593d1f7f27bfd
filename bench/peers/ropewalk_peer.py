"""Ropewalk's side of the benchmark, over its public API on asyncio."""

from __future__ import annotations

import argparse
import os
import signal
from contextlib import suppress
from pathlib import Path

import anyio
import ropewalk_http3
import ropewalk_works
from anyio.abc import TaskGroup
from side import ALPN, HEADER, HOST, IDLE_SECONDS, Clock, arguments, say

from ropewalk import _build
from ropewalk.quic.types.errors import ConnectionLost, StreamError
from ropewalk.quic.types.handshake import AES_128_GCM
from ropewalk.runtime import Connection, Settings, Stream, serve
from ropewalk.runtime import Server as Listening


def settings(given: argparse.Namespace) -> Settings:
    """What all stacks are set to."""
    return Settings(
        max_udp_payload=given.mtu,
        cipher_suites=(AES_128_GCM,),
        groups=(given.group,),
        key_shares=(given.group,),
        idle_timeout=IDLE_SECONDS,
    )


class Server:
    """Answers requests and adds up what its connections have received."""

    def __init__(self, tasks: TaskGroup, echoes: bool) -> None:
        self.packets = 0
        self._tasks = tasks
        self._echoes = echoes

    async def handle(self, connection: Connection) -> None:
        """Serve one connection until the client closes it."""
        if self._echoes:
            self._tasks.start_soon(self._echo, connection)
        try:
            async for stream in connection:
                self._tasks.start_soon(self._answer, stream)
        finally:
            self.packets += connection.stats.packets_received

    async def _answer(self, stream: Stream) -> None:
        # A client may go away in the middle of its background transfer.
        with suppress(ConnectionLost, StreamError, anyio.BrokenResourceError):
            async with stream:
                head, _ = await ropewalk_works.swallow(stream)
                await ropewalk_works.pour(stream, int.from_bytes(head[:HEADER], "big"))

    async def _echo(self, connection: Connection) -> None:
        with suppress(ConnectionLost, anyio.ClosedResourceError):
            while True:
                await connection.send_datagrams(await connection.receive_datagrams())


async def run_server(given: argparse.Namespace) -> None:
    """Listen until the runner ends this process."""
    certificate, key = Path(given.certificate), Path(given.key)
    if given.protocol == "http3":
        site = ropewalk_http3.Site()
        async with site.listen(certificate, key, settings(given)) as listening:
            facts = await until_told(listening)
        say(packets=site.packets(), **facts)
        return
    async with anyio.create_task_group() as tasks:
        server = Server(tasks, given.work == "datagrams")
        async with serve(
            server.handle,
            HOST,
            0,
            alpn=ALPN,
            certificate=certificate,
            key=key,
            **settings(given),
        ) as listening:
            facts = await until_told(listening)
        tasks.cancel_scope.cancel()
    say(packets=server.packets, **facts)


async def until_told(listening: Listening) -> dict[str, float]:
    """Tell the port, wait for the end, and take the figures."""
    clock = Clock()
    say(port=listening.address.port, pid=os.getpid(), build=_build.running_build().kind)
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            break
    return clock.facts()


async def run_client(given: argparse.Namespace) -> None:
    """Do the work, and tell of it."""
    ca = Path(given.ca).read_bytes()
    if given.protocol == "http3":
        say(**await ropewalk_http3.Client(given, ca, settings(given)).run())
    else:
        say(**await ropewalk_works.Client(given, ca, settings(given)).run())


def main() -> None:
    """Command line of the runner."""
    given = arguments(__doc__)
    os.environ.pop("SSLKEYLOGFILE", None)
    os.environ.pop("QLOGDIR", None)
    anyio.run(run_server if given.role == "server" else run_client, given)


if __name__ == "__main__":
    main()
