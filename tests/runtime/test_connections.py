"""Connections that come about, and what they tell about themselves."""

from __future__ import annotations

import logging
import random
import socket

import anyio
import pytest

from ropewalk.runtime import Connection, connect, serve
from ropewalk.runtime.certificates import MadeCertificate

from .conftest import ALPN, BOUND, Pair, echo

pytestmark = pytest.mark.anyio


async def test_bytes_go_there_and_back(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(echo) as (connection, _), await connection.open_stream() as stream:
            await stream.send(b"a strand")
            await stream.send_eof()
            assert b"".join([data async for data in stream]) == b"a strand"


async def test_megabytes_arrive_intact_in_both_directions(pair: Pair) -> None:
    payload = bytes(range(256)) * 8192
    received = bytearray()
    with anyio.fail_after(BOUND):
        async with (
            pair(echo) as (connection, _),
            await connection.open_stream() as stream,
            anyio.create_task_group() as tasks,
        ):

            async def send() -> None:
                await stream.send(payload)
                await stream.send_eof()

            tasks.start_soon(send)
            async for data in stream:
                received += data
    assert received == payload


async def test_both_sides_know_what_was_agreed(pair: Pair, made: MadeCertificate) -> None:
    seen: list[Connection] = []

    async def handler(connection: Connection) -> None:
        seen.append(connection)

    with anyio.fail_after(BOUND):
        async with pair(handler) as (connection, server):
            assert connection.alpn == ALPN
            assert connection.remote_address == server.address
            identity = connection.peer_identity
            assert identity is not None
            assert identity.spki_sha256 == made.spki_sha256
            assert identity.verified_by == "private-ca"
            await connection.wait_closed()
    assert seen[0].alpn == ALPN
    assert seen[0].peer_identity is None
    assert seen[0].remote_address.port != server.address.port


async def test_figures_count_both_directions_and_outlive_the_connection(pair: Pair) -> None:
    with anyio.fail_after(BOUND):
        async with pair(echo) as (connection, _), await connection.open_stream() as stream:
            await stream.send(bytes(50_000))
            await stream.send_eof()
            assert len(b"".join([data async for data in stream])) == 50_000
    stats = connection.stats
    assert stats.packets_sent > 40
    assert stats.packets_received > 40
    assert stats.bytes_sent > 50_000
    assert len(stats.paths) == 1
    assert stats.paths[0].smoothed_rtt > 0


async def test_both_sides_open_streams_of_both_kinds(pair: Pair) -> None:
    async def handler(connection: Connection) -> None:
        async with await connection.open_stream(bidirectional=False) as sending:
            await sending.send(b"one way")
        async with await connection.open_stream() as stream:
            await stream.send(b"question")
            await stream.send_eof()
            assert await stream.receive() == b"answer"
        receiving = await connection.accept_stream(bidirectional=False)
        assert await receiving.receive() == b"thanks"
        await connection.close(0, "done")

    with anyio.fail_after(BOUND):
        async with pair(handler) as (connection, _):
            stream = await connection.accept_stream()
            assert await stream.receive() == b"question"
            await stream.send(b"answer")
            await stream.aclose()
            receiving = await connection.accept_stream(bidirectional=False)
            assert await receiving.receive() == b"one way"
            async with await connection.open_stream(bidirectional=False) as sending:
                await sending.send(b"thanks")
            await connection.wait_closed()
            assert str(connection.error) == (
                "the peer closed the connection with application code 0: done"
            )


async def test_many_streams_share_a_connection(pair: Pair) -> None:
    async def handler(connection: Connection) -> None:
        async with anyio.create_task_group() as tasks:
            async for stream in connection:
                tasks.start_soon(answer, stream)

    async def answer(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            async for data in stream:
                await stream.send(data)

    answers: dict[int, bytes] = {}

    async def ask(connection: Connection, number: int) -> None:
        async with await connection.open_stream() as stream:
            await stream.send(str(number).encode() * 100)
            await stream.send_eof()
            answers[number] = b"".join([data async for data in stream])

    with anyio.fail_after(BOUND):
        async with pair(handler) as (connection, _), anyio.create_task_group() as tasks:
            # More than the peer's limit of 128 at a time: opening waits for its turn.
            for number in range(300):
                tasks.start_soon(ask, connection, number)
    assert answers == {number: str(number).encode() * 100 for number in range(300)}


async def test_connections_of_one_server_do_not_mix(made: MadeCertificate) -> None:
    with anyio.fail_after(BOUND):
        async with serve(
            echo, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
        ) as server:

            async def ask(text: bytes) -> None:
                async with (
                    connect(
                        "127.0.0.1", server.address.port, alpn=ALPN, ca=made.cert_pem
                    ) as connection,
                    await connection.open_stream() as stream,
                ):
                    await stream.send(text)
                    await stream.send_eof()
                    assert b"".join([data async for data in stream]) == text

            async with anyio.create_task_group() as tasks:
                for number in range(8):
                    tasks.start_soon(ask, b"client %d" % number)
            assert server.connections == ()


async def test_a_server_on_all_addresses_answers_from_the_one_that_was_asked(
    made: MadeCertificate,
) -> None:
    with anyio.fail_after(BOUND):
        async with serve(
            echo, None, 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
        ) as server:
            for host in ("127.0.0.1", "127.0.0.2", "localhost"):
                async with (
                    connect(
                        host,
                        server.address.port,
                        alpn=ALPN,
                        ca=made.cert_pem,
                        server_name="localhost",
                    ) as connection,
                    await connection.open_stream() as stream,
                ):
                    await stream.send(b"?")
                    assert await stream.receive() == b"?"


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_ipv6_works_like_ipv4(made: MadeCertificate) -> None:
    with anyio.fail_after(BOUND):
        async with (
            serve(echo, "::1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem) as server,
            connect("::1", server.address.port, alpn=ALPN, ca=made.cert_pem) as connection,
            await connection.open_stream() as stream,
        ):
            await stream.send(b"six")
            assert await stream.receive() == b"six"


async def test_clients_prove_their_address_when_the_server_insists(
    made: MadeCertificate,
) -> None:
    with anyio.fail_after(BOUND):
        async with (
            serve(
                echo,
                "127.0.0.1",
                0,
                alpn=ALPN,
                certificate=made.cert_pem,
                key=made.key_pem,
                retry=True,
            ) as server,
            connect("127.0.0.1", server.address.port, alpn=ALPN, pin=made.spki_sha256) as client,
            await client.open_stream() as stream,
        ):
            await stream.send(b"retried")
            assert await stream.receive() == b"retried"
            assert server.driver.endpoint.counters.retries == 1


async def test_a_full_server_refuses_further_connections(made: MadeCertificate) -> None:
    import ropewalk

    with anyio.fail_after(BOUND):
        async with (
            serve(
                echo,
                "127.0.0.1",
                0,
                alpn=ALPN,
                certificate=made.cert_pem,
                key=made.key_pem,
                max_connections=1,
            ) as server,
            connect("127.0.0.1", server.address.port, alpn=ALPN, ca=made.cert_pem),
        ):
            with pytest.raises(ropewalk.TransportError, match="CONNECTION_REFUSED"):
                async with connect("127.0.0.1", server.address.port, alpn=ALPN, ca=made.cert_pem):
                    pytest.fail("the server took a second connection")


async def test_a_server_shrugs_off_bytes_that_are_no_quic(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    noise = random.Random(7)
    with (
        anyio.fail_after(BOUND),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        async with pair(echo) as (connection, server), await connection.open_stream() as stream:
            target = (server.address.ip, server.address.port)
            for size in (1, 7, 20, 21, 100, 1199, 1200, 1500, 9000):
                for first_byte in (0x00, 0x40, 0x80, 0xC0, 0xD3, 0xFF):
                    data = bytes([first_byte]) + noise.randbytes(size - 1)
                    stranger.sendto(data, target)
                    # And with our version, so that parsing goes further.
                    stranger.sendto(data[:1] + b"\x00\x00\x00\x01" + data[5:], target)
            await stream.send(b"still here")
            assert await stream.receive() == b"still here"
            assert server.driver.endpoint.counters.datagrams_dropped > 50
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
