"""What goes wrong with one request leaves all others alone."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import anyio
import pytest

from ropewalk.http import Request, RequestFailed, Response
from ropewalk.http.session import Session
from ropewalk.http3.errors import H3_EXCESSIVE_LOAD, H3_INTERNAL_ERROR
from ropewalk.http3.fields import MessageError

from .conftest import BOUND, Site

pytestmark = pytest.mark.anyio


async def test_a_handler_that_raises_gives_500_and_harms_nobody(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = anyio.Event()

    async def handler(request: Request) -> Response:
        if request.path == "/fault":
            waiting.set()
            raise LookupError("a fault of the handler's")
        await waiting.wait()
        return Response(200, body="fine")

    bodies: list[bytes] = []
    with anyio.fail_after(BOUND):
        async with site(handler) as (client, _):

            async def other() -> None:
                bodies.append(await (await client.get("/other")).read())

            async with anyio.create_task_group() as requests:
                requests.start_soon(other)
                await anyio.sleep(0.05)
                response = await client.get("/fault")
                assert response.status == 500
                assert await response.read() == b"Internal Server Error\n"
            assert not client.connection.lost
    assert bodies == [b"fine"]
    assert "a fault of the handler's" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [Response(200, {"bad name": "x"}), Response(200, {"x": "snowman ☃"}), Response(42)],
    ids=["name", "value", "status"],
)
async def test_a_response_that_cannot_be_sent_gives_500(site: Site, answer: Response) -> None:
    async def handler(request: Request) -> Response:
        return answer

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, _):
            assert (await client.get("/")).status == 500


async def test_a_body_that_breaks_off_is_not_taken_for_whole(site: Site) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"a beginning"
        raise LookupError("no end")

    async def handler(request: Request) -> Response:
        return Response(200, body=broken())

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, _):
            with pytest.raises(RequestFailed) as caught:
                await (await client.get("/")).read()
            assert caught.value.code == H3_INTERNAL_ERROR
            assert "H3_INTERNAL_ERROR" in str(caught.value)
            assert not caught.value.unprocessed
            assert not client.connection.lost


async def test_a_request_body_that_raises_fails_its_request_alone(site: Site) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"a beginning"
        raise LookupError("no end")

    async def handler(request: Request) -> Response:
        return Response(200, body=str(len(await request.read())))

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, _):
            with pytest.raises(RequestFailed, match="no end") as caught:
                await client.request("POST", "/", body=broken())
            assert isinstance(caught.value.__cause__, LookupError)
            assert (await (await client.get("/")).read()) == b"0"


@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_a_request_given_up_cancels_its_handler(site: Site, how: str) -> None:
    cancelled = anyio.Event()
    started = anyio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(1000)
                await anyio.sleep(0.01)
        finally:
            cancelled.set()

    async def handler(request: Request) -> Response:
        if request.path == "/other":
            return Response(200)
        started.set()
        if how == "cancel":
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.set()
        return Response(200, body=endless())

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, _):
            if how == "cancel":
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.get, "/")
                    await started.wait()
                    tasks.cancel_scope.cancel()
            else:
                async with await client.get("/") as response:
                    assert await response.receive()
                with pytest.raises(anyio.ClosedResourceError):
                    await response.receive()
            await cancelled.wait()
            assert (await client.get("/other")).status == 200


async def test_a_response_may_come_before_the_upload_has_ended(site: Site) -> None:
    async def handler(request: Request) -> Response:
        return Response(413, body="too much")

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, server):
            for _ in range(3):
                response = await client.request("POST", "/", body=bytes(20_000_000))
                assert response.status == 413
                assert await response.read() == b"too much"
            # The server said that it wants no more, so that nothing is left waiting.
            theirs = server.connections[0].application
            assert isinstance(theirs, Session)
            while client._session.exchanges or theirs.h3.open_requests:
                await anyio.sleep(0.01)


async def test_an_upload_given_up_midway_ends_the_handler(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ropewalk.http")
    ended: list[str] = []
    over = anyio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await anyio.sleep_forever()

    async def handler(request: Request) -> Response:
        try:
            await request.read()
        except (RequestFailed, anyio.get_cancelled_exc_class()) as error:
            ended.append(type(error).__name__)
            over.set()
            raise
        return Response(200)

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, _):
            with anyio.move_on_after(0.2):
                await client.request("POST", "/", body=slow())
            await over.wait()
    assert len(ended) == 1
    assert "Traceback" not in caplog.text


async def test_a_body_beyond_the_limit_is_not_collected(site: Site) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, body=bytes(100_000))

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, _):
            async with await client.get("/") as response:
                with pytest.raises(RequestFailed, match="larger than 5000 bytes"):
                    await response.read(5000)
            assert not client.connection.lost


async def test_a_request_that_cannot_be_whole_leaves_nothing_behind(site: Site) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, body=await request.read())

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, server):
            with pytest.raises(MessageError, match="content-length is 5"):
                await client.request("POST", "/", headers={"content-length": "5"})
            with pytest.raises(RequestFailed, match="content-length is 5"):
                await client.request("POST", "/", headers={"content-length": "5"}, body=b"1234")
            with pytest.raises(RequestFailed, match=":path"):
                await client.request("POST", "/", body=b"1234", trailers={":path": "/"})
            assert (await client.get("/")).status == 200
            assert client._session.exchanges == {}
            assert client._session.h3.open_requests == 0
            theirs = server.connections[0].application
            assert isinstance(theirs, Session)
            while theirs.exchanges or theirs.h3.open_requests:
                await anyio.sleep(0.01)
            began = anyio.current_time()
    assert anyio.current_time() - began < 5


async def test_a_response_that_cannot_be_whole_leaves_nothing_behind(site: Site) -> None:
    async def handler(request: Request) -> Response:
        if request.path == "/short":
            return Response(200, {"content-length": "5"}, b"1234")
        return Response(200, trailers={"connection": "close"})

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, server):
            for path in ("/short", "/trailers"):
                with pytest.raises(RequestFailed) as caught:
                    await (await client.get(path)).read()
                assert caught.value.code == H3_INTERNAL_ERROR
            assert client._session.h3.open_requests == 0
            theirs = server.connections[0].application
            assert isinstance(theirs, Session)
            assert theirs.exchanges == {}
            assert theirs.h3.open_requests == 0


async def test_a_flood_of_informational_responses_ends_the_request(site: Site) -> None:
    async def handler(request: Request) -> Response:
        for _ in range(2000):
            request.inform(103, {"link": "</style.css>"})
        return Response(200)

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, _):
            with pytest.raises(RequestFailed) as caught:
                await client.get("/")
            assert caught.value.code == H3_EXCESSIVE_LOAD
            assert client._session.h3.open_requests == 0
