"""Tasks that wait for a limited good get it one after the other, in the order of asking."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

import ropewalk
from ropewalk.runtime import Connection
from ropewalk.runtime.turns import Turns

from .conftest import BOUND, Pair

pytestmark = pytest.mark.anyio


class Tickets:
    """A good of which some is there."""

    def __init__(self) -> None:
        self.left = 0
        self.tries = 0
        self.taken: list[int] = []

    def take(self, who: int) -> int | None:
        self.tries += 1
        if not self.left:
            return None
        self.left -= 1
        self.taken.append(who)
        return who


async def settle() -> None:
    """Let every task run until it waits; a chain of wake-ups takes a turn or two for each."""
    for _ in range(40):
        await checkpoint()


async def test_credit_that_comes_singly_wakes_two_tasks_at_most() -> None:
    count = 500
    turns, tickets = Turns(), Tickets()

    async def wait(number: int) -> None:
        assert await turns.take(lambda: tickets.take(number)) == number

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(wait, number)
                await checkpoint()
            await settle()
            for _ in range(count):
                tickets.left += 1
                turns.notify()
                await settle()
    assert tickets.taken == list(range(count))
    assert tickets.tries <= 2 * count
    assert len(turns) == 0


async def test_credit_that_comes_at_once_reaches_as_many_as_it_is_for() -> None:
    turns, tickets = Turns(), Tickets()

    async def wait(number: int) -> None:
        await turns.take(lambda: tickets.take(number))

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(wait, number)
                await checkpoint()
            tickets.left = 7
            turns.notify()
            await settle()
            assert tickets.taken == list(range(7))
            assert len(turns) == 3
            tickets.left = 3
            turns.notify()


async def test_a_cancelled_task_hands_its_turn_on() -> None:
    turns, tickets = Turns(), Tickets()

    async def wait(number: int, scope: anyio.CancelScope) -> None:
        with scope:
            await turns.take(lambda: tickets.take(number))

    scopes = [anyio.CancelScope() for _ in range(4)]
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for number, scope in enumerate(scopes):
                tasks.start_soon(wait, number, scope)
                await checkpoint()
            await settle()
            scopes[2].cancel()  # in the middle of the queue
            await settle()
            tickets.left = 1
            turns.notify()
            scopes[0].cancel()  # woken, and cancelled before it runs
            await settle()
            assert sum(tickets.taken) in (0, 1)
            assert len(tickets.taken) == 1
            tickets.left = 5
            turns.notify()
    assert 2 not in tickets.taken
    assert 3 in tickets.taken
    assert len(turns) == 0


async def test_a_task_that_fails_does_not_hold_up_the_others() -> None:
    turns, tickets = Turns(), Tickets()

    def fail() -> int | None:
        raise LookupError

    async def fails() -> None:
        with pytest.raises(LookupError):
            await turns.take(fail)

    async def waits() -> None:
        await turns.take(lambda: tickets.take(1))

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fails)
            await checkpoint()
            tasks.start_soon(waits)
            await settle()
            tickets.left = 1
            turns.notify()
    assert tickets.taken == [1]


async def test_opening_many_streams_beyond_the_limit_tries_each_a_few_times(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 300

    async def swallow(connection: Connection) -> None:
        async for stream in connection:
            async with stream:
                async for _ in stream:
                    pass

    with anyio.fail_after(BOUND):
        async with pair(swallow, max_bidirectional_streams=2) as (connection, _):
            tries = [0]
            attempt = Connection._open

            def counted(self: Connection, bidirectional: bool) -> object:
                tries[0] += self is connection
                return attempt(self, bidirectional)

            monkeypatch.setattr(Connection, "_open", counted)
            order: list[int] = []

            async def one() -> None:
                stream = await connection.open_stream()
                order.append(stream.stream_id)
                async with stream:
                    await stream.send_eof()
                    async for _ in stream:
                        pass

            async with anyio.create_task_group() as tasks:
                for _ in range(count):
                    tasks.start_soon(one)
            assert sorted(order) == [4 * number for number in range(count)]
            assert tries[0] <= 3 * count


async def test_whoever_waits_for_a_stream_learns_of_the_end(pair: Pair) -> None:
    async def idle(connection: Connection) -> None:
        await connection.wait_closed()

    with anyio.fail_after(BOUND):
        async with pair(idle, max_bidirectional_streams=0) as (connection, _):
            ended = []

            async def one(bidirectional: bool) -> None:
                with pytest.raises((anyio.ClosedResourceError, ropewalk.ConnectionLost)):
                    await (
                        connection.open_stream()
                        if bidirectional
                        else connection.open_stream(bidirectional=False)
                    )
                ended.append(bidirectional)

            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(one, True)
                await settle()
                await connection.close()
            assert len(ended) == 5
