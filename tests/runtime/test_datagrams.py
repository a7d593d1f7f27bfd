"""Unreliable datagrams (RFC 9221) through the runtime."""

from __future__ import annotations

import anyio
import pytest

import ropewalk
from ropewalk.runtime import Connection

from .conftest import BOUND, Pair, echo

pytestmark = pytest.mark.anyio


async def reflect(connection: Connection) -> None:
    """A handler that sends datagrams back."""
    while True:
        await connection.send_datagrams(await connection.receive_datagrams())


async def test_datagrams_go_there_and_back(pair: Pair) -> None:
    sent = [b"datagram %d" % number for number in range(20)]
    received: list[bytes] = []
    with anyio.fail_after(BOUND):
        async with pair(reflect) as (connection, _):
            assert await connection.send_datagrams(sent) == len(sent)
            while len(received) < len(sent):
                received += await connection.receive_datagrams()
    assert sorted(received) == sorted(sent)


async def test_no_more_are_handed_out_than_asked_for(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(reflect) as (connection, _):
            await connection.send_datagrams([b"1", b"2", b"3"])
            seen = 0
            while seen < 3:
                batch = await connection.receive_datagrams(1)
                assert len(batch) == 1
                seen += 1
            with pytest.raises(ValueError, match="limit"):
                await connection.receive_datagrams(0)


async def test_a_datagram_beyond_the_limit_is_refused(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(reflect) as (connection, _):
            size = connection.max_datagram_size
            assert 1000 < size < 1200
            with pytest.raises(ropewalk.Error):
                await connection.send_datagrams([bytes(size + 1)])
            await connection.send_datagrams([bytes(size)])
            assert await connection.receive_datagrams() == [bytes(size)]


async def test_a_peer_may_refuse_datagrams(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(echo, max_datagram_frame_size=0) as (connection, _):
            assert connection.max_datagram_size == 0
            with pytest.raises(ropewalk.Unsupported):
                await connection.send_datagrams([b"x"])


async def test_a_cancelled_receive_loses_nothing(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(reflect) as (connection, _):
            with anyio.move_on_after(0.01):
                await connection.receive_datagrams()
            await connection.send_datagrams([b"kept"])
            await anyio.sleep(0.1)  # so that there is something to lose
            with anyio.CancelScope() as scope:
                scope.cancel()
                await connection.receive_datagrams()
            assert await connection.receive_datagrams() == [b"kept"]


async def test_waiting_for_datagrams_ends_with_the_connection(pair: Pair) -> None:
    async def handler(connection: Connection) -> None:
        await connection.close(3, "no more")

    with anyio.fail_after(BOUND):
        async with pair(handler) as (connection, _):
            with pytest.raises(ropewalk.ApplicationError) as caught:
                await connection.receive_datagrams()
            assert caught.value.code == 3


async def test_what_became_of_datagrams_is_counted(pair: Pair) -> None:
    async def ignore(connection: Connection) -> None:
        await connection.wait_closed()

    with anyio.fail_after(BOUND):
        async with pair(ignore, datagram_queue=8) as (connection, server):
            nothing = ropewalk.DatagramStats(0, 0, 0, 0, 0, 0, 0, 0)
            assert connection.stats.datagrams == nothing
            with pytest.raises(ropewalk.DatagramTooLarge):
                await connection.send_datagrams([bytes(60_000)])
            assert await connection.send_datagrams([b"x"] * 20) == 8
            counted = connection.stats.datagrams
            assert counted.dropped_full == 12
            while connection.stats.datagrams.acked < 8:
                await anyio.sleep(0.005)
            counted = connection.stats.datagrams
            assert (counted.sent, counted.acked, counted.lost) == (8, 8, 0)
            assert await connection.send_datagrams([b"y"] * 3) == 3
            while connection.stats.datagrams.acked < 11:
                await anyio.sleep(0.005)
            (other,) = server.connections
            counted = other.stats.datagrams
            assert (counted.received, counted.dropped_unread) == (8, 3)
            assert counted.dropped_full == counted.dropped_expired == 0
            assert counted.dropped_too_large == 0
            await connection.send_datagrams([b"late"], deadline=0.0)
            assert connection.stats.datagrams.dropped_expired == 1
            assert connection.stats.packets_dropped == connection.core.counters.packets_dropped
