"""The façade without async, against servers that run in another thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

import ropewalk
import ropewalk.sync
from ropewalk.http import Request, Response
from ropewalk.runtime.certificates import MadeCertificate

BOUND = 30.0


async def echo(connection: ropewalk.Connection) -> None:
    async def datagrams() -> None:
        while True:
            await connection.send_datagrams(await connection.receive_datagrams())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(datagrams)
        async for stream in connection:
            async with stream:
                async for data in stream:
                    await stream.send(data)
        tasks.cancel_scope.cancel()


async def pages(request: Request) -> Response:
    if request.path == "/slow":
        await anyio.sleep_forever()
    if request.path == "/json":
        return Response(200, {}, '{"a": [1, 2]}', {"x-trailer": "there"})
    body = await request.read()
    return Response(200, {"x-method": request.method}, b"x" * 100_000 + body)


@pytest.fixture
def echo_port(made: MadeCertificate) -> Iterator[int]:
    with start_blocking_portal() as portal:
        manager = ropewalk.serve(
            echo, "127.0.0.1", 0, alpn="echo", certificate=made.cert_pem, key=made.key_pem
        )
        with portal.wrap_async_context_manager(manager) as server:
            yield server.address.port


@pytest.fixture
def web_port(made: MadeCertificate) -> Iterator[int]:
    with start_blocking_portal() as portal:
        manager = ropewalk.serve_http(
            pages, "127.0.0.1", 0, certificate=made.cert_pem, key=made.key_pem, grace=0.1
        )
        with portal.wrap_async_context_manager(manager) as server:
            yield server.address.port


def test_a_script_uses_streams_and_datagrams(made: MadeCertificate, echo_port: int) -> None:
    with ropewalk.sync.connect("127.0.0.1", echo_port, alpn="echo", ca=made.cert_pem) as connection:
        assert connection.alpn == "echo"
        assert connection.remote_address.port == echo_port
        with connection.open_stream(timeout=BOUND) as stream:
            stream.send(b"there and back", timeout=BOUND)
            stream.send_eof()
            assert b"".join(stream) == b"there and back"
            assert stream.receive() == b""
        assert connection.send_datagrams([b"one"]) == 1
        assert connection.receive_datagrams(timeout=BOUND) == [b"one"]
        assert connection.stats.packets_sent > 0
        assert connection.max_datagram_size > 1000


def test_waiting_ends_at_the_timeout(made: MadeCertificate, echo_port: int) -> None:
    with ropewalk.sync.connect("127.0.0.1", echo_port, alpn="echo", ca=made.cert_pem) as connection:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.accept_stream(timeout=0.1)
        with pytest.raises(TimeoutError):
            connection.open_stream().receive(timeout=0.1)
        assert time.monotonic() - began < 5


def test_a_timeout_bounds_the_connecting_too() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            ropewalk.sync.get(url, timeout=0.2, verification=ropewalk.NoVerification())
        assert time.monotonic() - began < 8


def test_a_url_is_fetched_in_one_call(made: MadeCertificate, web_port: int) -> None:
    reply = ropewalk.sync.get(f"https://127.0.0.1:{web_port}/json", pin=made.spki_sha256)
    assert reply.status == 200
    assert reply.json() == {"a": [1, 2]}
    assert reply.text.startswith("{")
    posted = ropewalk.sync.request(
        "POST", f"https://127.0.0.1:{web_port}/", body=b"tail", ca=made.cert_pem
    )
    assert posted.headers["x-method"] == "POST"
    assert posted.content == b"x" * 100_000 + b"tail"


def test_one_connection_serves_many_requests(made: MadeCertificate, web_port: int) -> None:
    with ropewalk.sync.http3_client("127.0.0.1", web_port, ca=made.cert_pem) as client:
        with client.get("/json", timeout=BOUND) as response:
            assert response.status == 200
            assert response.read(timeout=BOUND).startswith(b"{")
            assert response.trailers is not None
            assert response.trailers["x-trailer"] == "there"
        with client.get("/") as response:
            assert sum(len(data) for data in response) == 100_000
        with client.get("/") as response:
            assert response.receive(10)
        with pytest.raises(TimeoutError):
            client.get("/slow", timeout=0.1)
        assert client.get("/json").read()


def test_nobody_listening_is_told(made: MadeCertificate, echo_port: int) -> None:
    with pytest.raises(ropewalk.HandshakeError):
        ropewalk.sync.get(f"https://127.0.0.1:{echo_port}/", ca=made.cert_pem)
    with pytest.raises(ropewalk.ConfigurationError, match="is not a URL"):
        ropewalk.sync.get("http://127.0.0.1/")


def test_no_thread_stays_behind(made: MadeCertificate, echo_port: int) -> None:
    before = threading.active_count()
    for _ in range(2):
        with ropewalk.sync.connect("127.0.0.1", echo_port, alpn="echo", ca=made.cert_pem):
            assert threading.active_count() > before
    assert threading.active_count() == before
