"""HTTP/3 over real sockets on loopback, on both event loops. Nothing waits beyond a bound."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, Unpack

import pytest

from ropewalk.http import Client, http3_client, serve_http
from ropewalk.http.server import Handler
from ropewalk.runtime import Server, Settings
from ropewalk.runtime.certificates import MadeCertificate, make_certificate

#: Seconds that no test needs, on the slowest machine.
BOUND = 30.0


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def made() -> MadeCertificate:
    return make_certificate(["localhost", "127.0.0.1", "::1"])


class Site(Protocol):
    """``site(handler, **settings)`` is a client, and the server it is connected to."""

    def __call__(
        self, handler: Handler, **settings: Unpack[Settings]
    ) -> AbstractAsyncContextManager[tuple[Client, Server]]: ...


@pytest.fixture
def site(made: MadeCertificate) -> Site:
    @asynccontextmanager
    async def joined(
        handler: Handler, **settings: Unpack[Settings]
    ) -> AsyncIterator[tuple[Client, Server]]:
        async with (
            serve_http(
                handler,
                "127.0.0.1",
                0,
                certificate=made.cert_pem,
                key=made.key_pem,
                **settings,
            ) as server,
            http3_client("127.0.0.1", server.address.port, ca=made.cert_pem, **settings) as client,
        ):
            yield client, server

    return joined
