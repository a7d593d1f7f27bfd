"""Requests and responses between our client and our server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

import ropewalk
from ropewalk.http import Request, Response
from ropewalk.http3.fields import MessageError

from .conftest import BOUND, Site

pytestmark = pytest.mark.anyio


async def mirror(request: Request) -> Response:
    """Tells what was asked."""
    body = await request.read()
    told = f"{request.method} {request.authority} {request.path} {request.query} {len(body)}"
    return Response(
        200, {"content-type": "text/plain", "x-got": request.headers.get("x-give", "")}, told
    )


async def test_a_request_reaches_the_handler_and_its_response_the_client(site: Site) -> None:
    with anyio.fail_after(BOUND):
        async with site(mirror) as (client, server):
            response = await client.get("/some/path?and=query", headers={"X-Give": "this"})
            assert response.status == 200
            assert response.headers["content-type"] == "text/plain"
            assert response.headers["X-Got"] == "this"
            assert "date" in response.headers
            port = server.address.port
            told = await response.read()
            assert told == f"GET 127.0.0.1:{port} /some/path and=query 0".encode()
            assert int(response.headers["content-length"]) == len(told)


async def test_a_body_goes_up_at_once_or_in_pieces(site: Site) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 10_000
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(BOUND):
        async with site(mirror) as (client, _):
            at_once = await client.request("POST", "/", body=b"y" * 3_000_000)
            assert (await at_once.read()).endswith(b" 3000000")
            in_pieces = await client.request("PUT", "/", body=pieces())
            assert (await in_pieces.read()).endswith(b" 1000000")


async def test_many_requests_wait_their_turn_below_the_stream_limit(site: Site) -> None:
    statuses: list[int] = []

    with anyio.fail_after(BOUND):
        async with site(mirror, max_bidirectional_streams=7) as (client, _):

            async def one(number: int) -> None:
                async with await client.get(f"/{number}") as response:
                    assert f"/{number} ".encode() in await response.read()
                    statuses.append(response.status)

            async with anyio.create_task_group() as requests:
                for number in range(100):
                    requests.start_soon(one, number)
    assert statuses == [200] * 100


async def test_trailers_travel_both_ways(site: Site) -> None:
    async def handler(request: Request) -> Response:
        await request.read()
        assert request.trailers is not None
        return Response(200, body=b"body", trailers={"x-sum": request.trailers["x-sum"] + "!"})

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, _):
            response = await client.request("POST", "/", body=b"1", trailers={"x-sum": "one"})
            assert await response.read() == b"body"
            assert response.trailers is not None
            assert response.trailers["x-sum"] == "one!"


async def test_informational_responses_come_before_the_final_one(site: Site) -> None:
    async def handler(request: Request) -> Response:
        request.inform(103, {"link": "</style.css>; rel=preload"})
        return Response(204)

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, _):
            response = await client.get("/")
            assert response.status == 204
            ((status, headers),) = response.informational
            assert status == 103
            assert headers["link"] == "</style.css>; rel=preload"
            assert await response.read() == b""
            assert "content-length" not in response.headers


async def test_a_client_that_expects_100_gets_it_when_its_body_is_read(site: Site) -> None:
    with anyio.fail_after(BOUND):
        async with site(mirror) as (client, _):
            response = await client.request(
                "POST", "/", headers={"expect": "100-continue"}, body=b"z" * 10
            )
            assert [status for status, _ in response.informational] == [100]
            assert (await response.read()).endswith(b" 10")


async def test_head_has_the_headers_of_get_and_no_body(site: Site) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, {}, "twelve bytes")

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, _):
            response = await client.request("HEAD", "/")
            assert response.headers["content-length"] == "12"
            assert await response.read() == b""
            assert (await (await client.get("/")).read()) == b"twelve bytes"


async def test_repeated_fields_stay_apart(site: Site) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, [("set-cookie", "a=1"), ("set-cookie", "b=2")])

    with anyio.fail_after(BOUND):
        async with site(handler) as (client, _):
            response = await client.get("/")
            assert response.headers.get_all("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("headers", [{"bad name": "x"}, {"connection": "close"}, {"x": "a\nb"}])
async def test_fields_that_cannot_be_sent_are_refused_here(
    site: Site, headers: dict[str, str]
) -> None:
    with anyio.fail_after(BOUND):
        async with site(mirror) as (client, _):
            with pytest.raises(MessageError):
                await client.get("/", headers=headers)
            assert (await client.get("/")).status == 200


async def test_requests_and_responses_wait_under_backpressure(site: Site) -> None:
    """What is not read is not produced: windows and buffers bound it, both ways."""
    made_up, made_down = 0, 0
    go_on = anyio.Event()
    total = 200

    async def upload() -> AsyncIterator[bytes]:
        nonlocal made_up
        for _ in range(total):
            made_up += 1
            yield bytes(10_000)

    async def download() -> AsyncIterator[bytes]:
        nonlocal made_down
        for _ in range(total):
            made_down += 1
            yield bytes(10_000)

    async def handler(request: Request) -> Response:
        await go_on.wait()
        received = len(await request.read())
        return Response(200, {"x-received": str(received)}, download())

    with anyio.fail_after(BOUND):
        async with (
            site(
                handler,
                stream_window=100_000,
                stream_window_limit=100_000,
                send_buffer=100_000,
            ) as (client, _),
            anyio.create_task_group() as tasks,
        ):

            async def let_go() -> None:
                # Both sides have long stalled when nothing new comes for a while.
                seen = -1
                while seen != made_up or not made_up:
                    seen = made_up
                    await anyio.sleep(0.1)
                assert made_up < 60
                go_on.set()

            tasks.start_soon(let_go)
            response = await client.request("POST", "/", body=upload())
            assert response.headers["x-received"] == str(total * 10_000)
            seen = -1
            while seen != made_down:
                seen = made_down
                await anyio.sleep(0.1)
            assert made_down < 60
            assert len(await response.read()) == total * 10_000
    assert made_down == made_up == total


async def test_what_no_field_can_carry_is_refused_with_advice(site: Site) -> None:
    async def handle(request: Request) -> Response:
        return Response()

    with anyio.fail_after(BOUND):
        async with site(handle) as (client, _):
            for path in ("/€", "/é"):
                with pytest.raises(ropewalk.ConfigurationError, match="percent-encode"):
                    await client.get(path)
            with pytest.raises(ropewalk.ConfigurationError, match=r"'x-price'.*latin-1"):
                await client.get("/", headers={"x-price": "5 €"})
            with pytest.raises(ropewalk.ConfigurationError, match="'x-€'"):
                await client.get("/", headers={"x-€": "5"})
            with pytest.raises(ropewalk.ConfigurationError, match="method"):
                await client.request("G€T", "/")
            assert (await client.get("/", headers={"x-word": "né"})).status == 200
