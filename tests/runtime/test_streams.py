"""Streams: ends, errors, backpressure, and what cancelling leaves behind."""

from __future__ import annotations

import anyio
import pytest

import ropewalk
from ropewalk.runtime import Connection, Stream

from .conftest import BOUND, Pair, echo

pytestmark = pytest.mark.anyio


async def hold(connection: Connection) -> None:
    """A handler that takes streams and never reads."""
    async for _ in connection:
        pass


async def test_the_end_is_told_once_read_and_again_when_asked_again(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(echo) as (connection, _), await connection.open_stream() as stream:
            await stream.send(b"x")
            await stream.send_eof()
            await stream.send_eof()
            assert await stream.receive() == b"x"
            for _ in range(2):
                with pytest.raises(anyio.EndOfStream):
                    await stream.receive()


async def test_receive_gives_no_more_than_asked_for(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(echo) as (connection, _), await connection.open_stream() as stream:
            await stream.send(b"abcdef")
            parts = [await stream.receive(4)]
            while sum(map(len, parts)) < 6:
                parts.append(await stream.receive(4))
            assert max(map(len, parts)) <= 4
            assert b"".join(parts) == b"abcdef"
            with pytest.raises(ValueError, match="max_bytes"):
                await stream.receive(0)


async def test_an_empty_send_is_harmless(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(echo) as (connection, _), await connection.open_stream() as stream:
            await stream.send(b"")
            await stream.send(b"x")
            assert await stream.receive() == b"x"


async def test_sending_after_the_end_is_refused(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(echo) as (connection, _), await connection.open_stream() as stream:
            await stream.send_eof()
            with pytest.raises(anyio.ClosedResourceError):
                await stream.send(b"late")


async def test_a_closed_stream_refuses_everything(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(echo) as (connection, _):
            stream = await connection.open_stream()
            await stream.send(b"x")
            await stream.aclose()
            await stream.aclose()
            with pytest.raises(anyio.ClosedResourceError):
                await stream.send(b"late")
            with pytest.raises(anyio.ClosedResourceError):
                await stream.receive()


async def test_closing_wakes_a_task_that_receives(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(hold) as (connection, _), anyio.create_task_group() as tasks:
            stream = await connection.open_stream()

            async def receive() -> None:
                with pytest.raises(anyio.ClosedResourceError):
                    await stream.receive()

            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            await stream.aclose()


async def test_a_reset_reaches_the_reader_with_its_code(pair: Pair) -> None:
    async def handler(connection: Connection) -> None:
        stream = await connection.accept_stream()
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        stream.reset(42)
        await connection.wait_closed()

    with anyio.fail_after(BOUND):
        async with pair(handler) as (connection, _), await connection.open_stream() as stream:
            await stream.send_eof()
            # The second time the core has forgotten the stream, whose two directions are over.
            for _ in range(2):
                with pytest.raises(ropewalk.StreamReset) as caught:
                    await stream.receive()
                assert caught.value.code == 42
                assert caught.value.number == 542
                await anyio.sleep(0.05)


async def test_a_stop_reaches_the_writer_with_its_code(pair: Pair) -> None:
    async def handler(connection: Connection) -> None:
        stream = await connection.accept_stream()
        stream.stop(9)
        with pytest.raises(anyio.ClosedResourceError):
            await stream.receive()
        await connection.wait_closed()

    with anyio.fail_after(BOUND):
        async with pair(handler) as (connection, _), await connection.open_stream() as stream:
            with pytest.raises(ropewalk.StopSending) as caught:
                await stream.send(bytes(100_000_000))
            assert caught.value.code == 9
            # The other direction lives on; ending this one is no error.
            await stream.send_eof()


async def test_two_tasks_must_not_receive_at_once(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with (
            pair(hold) as (connection, _),
            await connection.open_stream() as stream,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(stream.receive)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError):
                await stream.receive()
            tasks.cancel_scope.cancel()


async def test_a_writer_waits_for_a_peer_that_does_not_read(pair: Pair) -> None:
    reading = anyio.Event()
    received = 0
    accepted = 0

    async def handler(connection: Connection) -> None:
        nonlocal received
        stream = await connection.accept_stream()
        await reading.wait()
        async for data in stream:
            received += len(data)

    async def write(stream: Stream) -> None:
        nonlocal accepted
        for _ in range(500):
            await stream.send(bytes(1024))
            accepted += 1024
        await stream.send_eof()

    settings = ropewalk.runtime.Settings(
        send_buffer=65536, stream_window=32768, stream_window_limit=32768
    )
    with anyio.fail_after(BOUND):
        async with (
            pair(handler, **settings) as (connection, _),
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(write, await connection.open_stream())
            await anyio.sleep(0.3)
            # What the buffer and the peer's window hold, and not a byte more.
            assert 65536 <= accepted <= 65536 + 32768
            reading.set()
    assert received == accepted == 500 * 1024


async def test_a_cancelled_receive_takes_nothing(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(echo) as (connection, _), await connection.open_stream() as stream:
            with anyio.move_on_after(0.01):
                await stream.receive()
            await stream.send(b"kept")
            await anyio.sleep(0.1)  # so that there is something to lose
            with anyio.CancelScope() as scope:
                scope.cancel()
                await stream.receive()
            assert await stream.receive() == b"kept"


async def test_a_send_cancelled_before_it_began_sends_nothing(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(echo) as (connection, _), await connection.open_stream() as stream:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await stream.send(b"never")
            await stream.send(b"sent")
            await stream.send_eof()
            assert b"".join([data async for data in stream]) == b"sent"


async def test_a_send_cancelled_midway_is_never_taken_for_whole(pair: Pair) -> None:
    torn: list[int] = []

    async def handler(connection: Connection) -> None:
        stream = await connection.accept_stream()
        await started.wait()
        try:
            async for _ in stream:
                pass
        except ropewalk.StreamReset as error:
            torn.append(error.code)
        await connection.close()

    started = anyio.Event()
    settings = ropewalk.runtime.Settings(send_buffer=65536, stream_window=32768)
    with anyio.fail_after(BOUND):
        async with pair(handler, **settings) as (connection, _):
            stream = await connection.open_stream()
            stream.cancel_code = 11
            with anyio.move_on_after(0.1):
                await stream.send(bytes(1_000_000))
            with pytest.raises(anyio.BrokenResourceError):
                await stream.send(b"more")
            started.set()
            await connection.wait_closed()
    assert torn == [11]


async def fail_midway(stream: Stream) -> None:
    async with stream:
        await stream.send(b"half of ")
        raise LookupError("the other half")


async def test_a_body_left_by_an_exception_resets_its_stream(pair: Pair) -> None:
    ends: list[str] = []

    async def handler(connection: Connection) -> None:
        stream = await connection.accept_stream()
        try:
            async for _ in stream:
                pass
            ends.append("whole")
        except ropewalk.StreamReset:
            ends.append("reset")
        await connection.close()

    with anyio.fail_after(BOUND):
        async with pair(handler) as (connection, _):
            with pytest.raises(LookupError):
                await fail_midway(await connection.open_stream())
            await connection.wait_closed()
    assert ends == ["reset"]


async def test_what_had_arrived_is_read_even_after_the_peer_closed(pair: Pair) -> None:
    async def handler(connection: Connection) -> None:
        stream = await connection.accept_stream()
        await stream.send(b"last words")
        await stream.send_eof()

    with anyio.fail_after(BOUND):
        async with pair(handler) as (connection, _):
            stream = await connection.open_stream()
            await stream.send(b"?")
            await connection.wait_closed()
            assert await stream.receive() == b"last words"
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
            with pytest.raises(ropewalk.ApplicationError):
                await stream.send(b"too late")


async def test_streams_are_forgotten_when_both_directions_are_over(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(echo) as (connection, server):
            for _ in range(20):
                async with await connection.open_stream() as stream:
                    await stream.send(b"x")
                    await stream.send_eof()
                    assert b"".join([data async for data in stream]) == b"x"
            assert not connection._streams
            (peer,) = server.connections
            assert len(peer._streams) <= 1
