"""What the HTTP/3 client puts into its requests (RFC 9114 4.3.1)."""

from __future__ import annotations

import anyio
import pytest

from ropewalk.http import Request, Response
from tests.http.conftest import BOUND, Site

pytestmark = pytest.mark.anyio


async def test_a_client_names_its_host_in_authority(site: Site) -> None:
    hosts: list[bool] = []

    async def note(request: Request) -> Response:
        hosts.append("host" in request.headers)
        return Response(200, body=request.authority)

    with anyio.fail_after(BOUND):
        async with site(note) as (client, server):
            response = await client.get("/")
            assert await response.read() == f"127.0.0.1:{server.address.port}".encode()
    assert hosts == [False]
