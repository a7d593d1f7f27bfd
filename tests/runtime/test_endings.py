"""How connections and servers end, and that nothing stays behind."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest

import ropewalk
from ropewalk.runtime import Connection, connect, serve
from ropewalk.runtime.certificates import MadeCertificate

from .conftest import ALPN, BOUND, Pair, echo, open_files

pytestmark = pytest.mark.anyio


@pytest.fixture
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything that the test opened is closed when it ends."""
    before = open_files()
    yield
    # The loop itself has descriptors; only sockets that were not there before count.
    assert {each for each in open_files() - before if "socket" in each} == set()


async def idle(connection: Connection) -> None:
    """A handler that waits for the client to leave."""
    await connection.wait_closed()


async def test_leaving_leaves_no_task_and_no_socket(made: MadeCertificate) -> None:
    with anyio.fail_after(BOUND):
        tasks, files = len(anyio.get_running_tasks()), open_files()
        async with (
            serve(
                echo, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
            ) as server,
            connect("127.0.0.1", server.address.port, alpn=ALPN, ca=made.cert_pem) as connection,
        ):
            stream = await connection.open_stream()
            await stream.send(b"x")
            assert await stream.receive() == b"x"
            assert len(anyio.get_running_tasks()) > tasks
            assert open_files() > files
        await anyio.lowlevel.checkpoint()
        assert len(anyio.get_running_tasks()) == tasks
        assert open_files() == files


async def test_leaving_delivers_what_finished_streams_hold(pair: Pair) -> None:
    received = 0

    async def handler(connection: Connection) -> None:
        nonlocal received
        stream = await connection.accept_stream()
        # The sender has left its body long before the window lets everything through.
        await anyio.sleep(0.2)
        async for data in stream:
            received += len(data)

    settings = ropewalk.runtime.Settings(stream_window=32768, stream_window_limit=32768)
    with anyio.fail_after(BOUND):
        async with (
            pair(handler, **settings) as (connection, _),
            await connection.open_stream() as stream,
        ):
            await stream.send(bytes(300_000))
    assert received == 300_000


async def test_a_handler_that_returns_has_delivered_everything(pair: Pair) -> None:
    async def handler(connection: Connection) -> None:
        async with await connection.open_stream(bidirectional=False) as stream:
            await stream.send(bytes(300_000))

    with anyio.fail_after(BOUND):
        async with pair(handler) as (connection, _):
            stream = await connection.accept_stream(bidirectional=False)
            assert sum([len(data) async for data in stream]) == 300_000


async def test_the_peer_learns_code_and_reason(pair: Pair) -> None:
    errors: list[ropewalk.ApplicationError] = []

    async def handler(connection: Connection) -> None:
        try:
            await connection.accept_stream()
        except ropewalk.ApplicationError as error:
            errors.append(error)

    with anyio.fail_after(BOUND):
        async with pair(handler) as (connection, _):
            await connection.close(77, "enough")
            await connection.close(78, "a second close does nothing")
            for attempt in (connection.open_stream, connection.accept_stream):
                with pytest.raises(anyio.ClosedResourceError):
                    await attempt()
            with pytest.raises(anyio.ClosedResourceError):
                await connection.receive_datagrams()
    assert [(error.code, error.reason, error.from_peer) for error in errors] == [
        (77, "enough", True)
    ]


async def test_the_bodys_exception_comes_out_as_it_is(made: MadeCertificate) -> None:
    ends: list[int] = []

    async def handler(connection: Connection) -> None:
        await connection.wait_closed()
        assert isinstance(connection.error, ropewalk.ApplicationError)
        ends.append(connection.error.code)

    failure = LookupError("mine")
    with anyio.fail_after(BOUND):
        async with serve(
            handler, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
        ) as server:
            with pytest.raises(LookupError) as caught:
                async with connect(
                    "127.0.0.1",
                    server.address.port,
                    alpn=ALPN,
                    ca=made.cert_pem,
                    error_code=55,
                ):
                    raise failure
            while not ends:
                await anyio.sleep(0.01)
        with pytest.raises(LookupError) as caught_too:
            async with serve(
                handler, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
            ):
                raise failure
    assert caught.value is caught_too.value is failure
    assert failure.__cause__ is None
    assert failure.__context__ is None
    assert ends == [55]


async def test_a_cancelled_body_still_tells_the_peer(made: MadeCertificate) -> None:
    ends: list[int] = []

    async def handler(connection: Connection) -> None:
        await connection.wait_closed()
        assert isinstance(connection.error, ropewalk.ApplicationError)
        ends.append(connection.error.code)

    with anyio.fail_after(BOUND):
        async with serve(
            handler, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
        ) as server:
            with anyio.CancelScope() as scope:
                async with connect(
                    "127.0.0.1", server.address.port, alpn=ALPN, ca=made.cert_pem
                ) as connection:
                    scope.cancel()
                    await connection.accept_stream()
            assert scope.cancelled_caught
            while not ends:
                await anyio.sleep(0.01)
    assert ends == [1]


async def test_cancelling_a_connect_leaves_nothing_behind(
    made: MadeCertificate, nothing_left: None
) -> None:
    import socket

    with (
        anyio.fail_after(BOUND),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
    ):
        silent.bind(("127.0.0.1", 0))
        tasks = len(anyio.get_running_tasks())
        with anyio.move_on_after(0.1) as scope:
            async with connect("127.0.0.1", silent.getsockname()[1], alpn=ALPN, ca=made.cert_pem):
                pytest.fail("nobody answered")
        assert scope.cancelled_caught
        await anyio.lowlevel.checkpoint()
        assert len(anyio.get_running_tasks()) == tasks


async def test_a_handlers_exception_closes_its_connection_alone(
    made: MadeCertificate, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(connection: Connection) -> None:
        stream = await connection.accept_stream()
        word = await stream.receive()
        if word == b"fail":
            raise LookupError("a bug")
        await stream.send(word)
        await connection.wait_closed()

    async def open_and_say(port: int, word: bytes) -> None:
        async with (
            connect("127.0.0.1", port, alpn=ALPN, ca=made.cert_pem) as connection,
            await connection.open_stream() as stream,
        ):
            await stream.send(word)
            assert await stream.receive() == word

    with anyio.fail_after(BOUND):
        async with serve(
            handler,
            "127.0.0.1",
            0,
            alpn=ALPN,
            certificate=made.cert_pem,
            key=made.key_pem,
            error_code=99,
        ) as server:
            async with (
                connect("127.0.0.1", server.address.port, alpn=ALPN, ca=made.cert_pem) as bystander,
                await bystander.open_stream() as stream,
            ):
                with pytest.raises(ropewalk.ApplicationError) as caught:
                    await open_and_say(server.address.port, b"fail")
                assert caught.value.code == 99
                assert caught.value.reason == ""  # the peer learns nothing of our insides
                await stream.send(b"still here")
                assert await stream.receive() == b"still here"
            await open_and_say(server.address.port, b"new ones too")
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(records) == 1
    assert records[0].exc_info is not None
    assert isinstance(records[0].exc_info[1], LookupError)


async def test_a_handler_may_name_its_own_code(pair: Pair) -> None:
    async def handler(connection: Connection) -> None:
        raise ropewalk.ApplicationError(404, "no such thing")

    with anyio.fail_after(BOUND):
        async with pair(handler) as (connection, _):
            await connection.wait_closed()
            assert isinstance(connection.error, ropewalk.ApplicationError)
            assert (connection.error.code, connection.error.reason) == (404, "no such thing")


async def test_a_client_that_leaves_is_no_error_of_the_handler(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    with anyio.fail_after(BOUND):
        async with pair(echo) as (connection, _):
            stream = await connection.open_stream()
            await stream.send(b"x")
            assert await stream.receive() == b"x"
            await connection.close(5, "bye")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_server_that_ends_tells_its_clients(made: MadeCertificate) -> None:
    cancelled: list[bool] = []

    async def handler(connection: Connection) -> None:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cancelled.append(True)
            raise

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            ready = anyio.Event()
            stop = anyio.Event()
            port = 0

            async def run_server() -> None:
                nonlocal port
                async with serve(
                    handler, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
                ) as server:
                    port = server.address.port
                    ready.set()
                    await stop.wait()

            tasks.start_soon(run_server)
            await ready.wait()
            async with connect("127.0.0.1", port, alpn=ALPN, ca=made.cert_pem) as connection:
                stop.set()
                with pytest.raises(ropewalk.ApplicationError) as caught:
                    await connection.accept_stream()
                assert caught.value.code == 0
                assert "shutting down" in caught.value.reason
    assert cancelled == [True]


async def test_iterating_ends_quietly_with_a_clean_close_and_loudly_otherwise(pair: Pair) -> None:
    for code, ending in ((0, "quiet"), (8, "loud")):
        seen: list[str] = []

        async def handler(connection: Connection, seen: list[str] = seen) -> None:
            try:
                async for _ in connection:
                    pass
                seen.append("quiet")
            except ropewalk.ApplicationError:
                seen.append("loud")

        with anyio.fail_after(BOUND):
            async with pair(handler) as (connection, _):
                await connection.close(code)
        assert seen == [ending]


async def test_an_idle_connection_ends_on_both_sides(pair: Pair) -> None:
    errors: list[type] = []

    async def handler(connection: Connection) -> None:
        await connection.wait_closed()
        errors.append(type(connection.error))

    with anyio.fail_after(BOUND):
        async with pair(handler, idle_timeout=0.3) as (connection, _):
            with pytest.raises(ropewalk.IdleTimeout):
                await connection.accept_stream()
            while not errors:
                await anyio.sleep(0.01)
    assert errors == [ropewalk.IdleTimeout]


async def test_keep_alive_holds_off_the_idle_timeout(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(echo, idle_timeout=0.4, keep_alive=0.1) as (connection, _):
            await anyio.sleep(1.0)
            async with await connection.open_stream() as stream:
                await stream.send(b"awake")
                assert await stream.receive() == b"awake"


async def test_a_peer_that_takes_nothing_does_not_hold_us_for_ever(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ropewalk.runtime.connection._FLUSH_PATIENCE", 0.3)
    settings = ropewalk.runtime.Settings(stream_window=32768, stream_window_limit=32768)
    with anyio.fail_after(BOUND):
        async with pair(idle, **settings) as (connection, _):
            stream = await connection.open_stream()
            await stream.send(bytes(100_000))
            with pytest.raises(ropewalk.ConnectionLost, match="67232 bytes are left"):
                await connection.flush()
            stream.reset(0)  # what nobody wants any more is not waited for


async def test_a_peers_reset_is_logged_without_a_traceback(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(connection: Connection) -> None:
        stream = await connection.accept_stream()
        async for _ in stream:
            pass

    # The server closes with code 1, maybe before it acknowledges the reset.
    with (
        anyio.fail_after(BOUND),
        caplog.at_level(logging.INFO, "ropewalk"),
        suppress(ropewalk.ApplicationError),
    ):
        async with pair(handler) as (connection, _):
            stream = await connection.open_stream()
            await stream.send(b"x")
            stream.reset(3)
            await connection.wait_closed()
    (record,) = [record for record in caplog.records if record.name == "ropewalk.runtime"]
    assert record.levelno == logging.INFO
    assert record.exc_info is None
    assert "reset the stream" in record.getMessage()
