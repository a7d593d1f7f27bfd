"""Real sockets on loopback, on both event loops. Nothing here waits longer than a bound."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, Unpack

import pytest

from ropewalk.runtime import Connection, Server, Settings, connect, serve
from ropewalk.runtime.certificates import MadeCertificate, make_certificate

#: Seconds that no test needs, on the slowest machine.
BOUND = 30.0
ALPN = "test"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def made() -> MadeCertificate:
    return make_certificate(["localhost", "127.0.0.1", "::1"])


class Pair(Protocol):
    """``pair(handler, **settings)`` is a client connection and the server it is connected to."""

    def __call__(
        self, handler: Callable[[Connection], Awaitable[object]], **settings: Unpack[Settings]
    ) -> AbstractAsyncContextManager[tuple[Connection, Server]]: ...


@pytest.fixture
def pair(made: MadeCertificate) -> Pair:
    @asynccontextmanager
    async def joined(
        handler: Callable[[Connection], Awaitable[object]], **settings: Unpack[Settings]
    ) -> AsyncIterator[tuple[Connection, Server]]:
        async with (
            serve(
                handler,
                "127.0.0.1",
                0,
                alpn=ALPN,
                certificate=made.cert_pem,
                key=made.key_pem,
                **settings,
            ) as server,
            connect(
                "127.0.0.1", server.address.port, alpn=ALPN, ca=made.cert_pem, **settings
            ) as connection,
        ):
            yield connection, server

    return joined


async def echo(connection: Connection) -> None:
    """A handler that sends back what comes, one stream after the other."""
    async for stream in connection:
        async with stream:
            async for data in stream:
                await stream.send(data)


def open_files() -> set[str]:
    """What this process holds open, by descriptor and target."""
    gc.collect()
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the listing's own descriptor
        found.add(f"{name} {target}")
    return found
