"""How connections end, on both sides."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

import ropewalk
from ropewalk.http import Request, RequestFailed, Response, http3_client, serve_http
from ropewalk.http3.errors import H3_NO_ERROR, H3_REQUEST_REJECTED
from ropewalk.runtime import Connection
from ropewalk.runtime.certificates import MadeCertificate

from .conftest import BOUND, Site

pytestmark = pytest.mark.anyio


async def test_a_client_leaves_with_h3_no_error(site: Site) -> None:
    async def handler(request: Request) -> Response:
        return Response(200)

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, server):
            assert (await client.get("/")).status == 200
            (theirs,) = server.connections
            await client.connection.close(H3_NO_ERROR)
            await theirs.wait_closed()
    assert isinstance(theirs.error, ropewalk.ApplicationError)
    assert theirs.error.code == H3_NO_ERROR


async def test_leaving_the_body_closes_with_h3_no_error(made: MadeCertificate) -> None:
    closed: list[Connection] = []

    async def handler(request: Request) -> Response:
        return Response(200)

    with anyio.fail_after(BOUND):
        async with serve_http(
            handler, "127.0.0.1", 0, certificate=made.cert_pem, key=made.key_pem
        ) as server:
            async with http3_client("127.0.0.1", server.address.port, ca=made.cert_pem) as client:
                await client.get("/")
                closed += server.connections
            await closed[0].wait_closed()
    assert isinstance(closed[0].error, ropewalk.ApplicationError)
    assert closed[0].error.code == H3_NO_ERROR


async def test_a_server_that_stops_finishes_what_it_has_begun(made: MadeCertificate) -> None:
    started, stopping = anyio.Event(), anyio.Event()

    async def slow() -> AsyncIterator[bytes]:
        for number in range(10):
            yield b"%d" % number
            await anyio.sleep(0.05)

    async def handler(request: Request) -> Response:
        started.set()
        await stopping.wait()
        return Response(200, body=slow())

    async def run(*, task_status: anyio.abc.TaskStatus[int]) -> None:
        async with serve_http(
            handler, "127.0.0.1", 0, certificate=made.cert_pem, key=made.key_pem
        ) as server:
            task_status.started(server.address.port)
            await started.wait()

    bodies: list[bytes] = []
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            port: int = await tasks.start(run)
            async with http3_client("127.0.0.1", port, ca=made.cert_pem) as client:

                async def fetch() -> None:
                    bodies.append(await (await client.get("/")).read())

                async with anyio.create_task_group() as requests:
                    requests.start_soon(fetch)
                    while not client.going_away:
                        await anyio.sleep(0.01)
                    with pytest.raises(RequestFailed) as caught:
                        await client.get("/late")
                    stopping.set()
                await client.connection.wait_closed()
            assert isinstance(client.connection.error, ropewalk.ApplicationError)
            assert client.connection.error.code == H3_NO_ERROR
    assert caught.value.unprocessed
    assert caught.value.code == H3_REQUEST_REJECTED
    assert bodies == [b"0123456789"]


async def test_the_grace_of_a_server_that_stops_is_bounded(made: MadeCertificate) -> None:
    started = anyio.Event()

    async def handler(request: Request) -> Response:
        started.set()
        await anyio.sleep_forever()
        return Response(200)

    async def run(*, task_status: anyio.abc.TaskStatus[int]) -> None:
        async with serve_http(
            handler, "127.0.0.1", 0, certificate=made.cert_pem, key=made.key_pem, grace=0.2
        ) as server:
            task_status.started(server.address.port)
            await started.wait()

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            port: int = await tasks.start(run)
            async with http3_client("127.0.0.1", port, ca=made.cert_pem) as client:
                with pytest.raises((RequestFailed, ropewalk.ConnectionLost)):
                    await client.get("/")


async def test_the_name_of_an_http3_code_is_told_with_a_lost_connection(site: Site) -> None:
    async def handler(request: Request) -> Response:
        await anyio.sleep_forever()
        return Response(200)

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, server):

            async def cut() -> None:
                while not server.connections:
                    await anyio.sleep(0.01)
                await anyio.sleep(0.05)
                await server.connections[0].close(0x107, "enough")

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cut)
                with pytest.raises(ropewalk.ApplicationError) as caught:
                    await client.get("/")
    assert caught.value.code == 0x107
    assert "HTTP/3 calls this code H3_EXCESSIVE_LOAD" in caught.value.__notes__


async def test_a_server_without_http3_is_told_apart(made: MadeCertificate) -> None:
    async def handler(connection: Connection) -> None:
        await connection.wait_closed()

    with anyio.fail_after(BOUND):
        async with ropewalk.serve(
            handler, "127.0.0.1", 0, alpn="other", certificate=made.cert_pem, key=made.key_pem
        ) as server:
            with pytest.raises(ropewalk.HandshakeError) as caught:
                async with http3_client("127.0.0.1", server.address.port, ca=made.cert_pem):
                    pytest.fail("they agreed")
    assert any("not HTTP/3" in note for note in caught.value.__notes__)


async def test_leaving_with_an_upload_under_way_does_not_wait_for_it(site: Site) -> None:
    leaving = anyio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"a beginning"
        await leaving.wait()
        await anyio.sleep_forever()

    async def handler(request: Request) -> Response:
        return Response(200, body=slow())

    with anyio.fail_after(BOUND):
        async with site(handler, stream_window=65536, stream_window_limit=65536) as (client, _):
            response = await client.request("POST", "/", body=bytes(10_000_000))
            assert await response.receive() == b"a beginning"
            leaving.set()
            began = anyio.current_time()
    assert anyio.current_time() - began < 5


async def test_nothing_is_kept_of_requests_that_are_over(site: Site) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, body=await request.read())

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, server):
            for _ in range(20):
                response = await client.request("POST", "/", body=b"x" * 50_000)
                assert len(await response.read()) == 50_000
                await (await client.get("/")).aclose()
            assert client._session.exchanges == {}
            assert client._session.h3.open_requests == 0
            await anyio.sleep(0.1)
            theirs = server.connections[0].application
            assert isinstance(theirs, ropewalk.http.session.Session)
            assert theirs.exchanges == {}
            assert theirs.h3.open_requests == 0


async def test_a_client_that_leaves_says_so_before_it_closes(made: MadeCertificate) -> None:
    leaving: list[Connection] = []

    async def handler(request: Request) -> Response:
        return Response(200)

    with anyio.fail_after(BOUND):
        async with serve_http(
            handler, "127.0.0.1", 0, certificate=made.cert_pem, key=made.key_pem
        ) as server:
            async with http3_client("127.0.0.1", server.address.port, ca=made.cert_pem) as client:
                await client.get("/")
                leaving += server.connections
            await leaving[0].wait_closed()
    theirs = leaving[0].application
    assert isinstance(theirs, ropewalk.http.session.Session)
    assert theirs.h3.going_away
