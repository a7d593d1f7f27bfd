"""The public API, unchanged, over simulated links and in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import anyio
import pytest

import ropewalk
from ropewalk.http import Request, RequestFailed, Response
from ropewalk.lab.testbed import CLIENT_IP, SERVER_IP, Testbed
from ropewalk.lab.virtual_time import BACKENDS, Backend, run
from ropewalk.runtime import Connection
from ropewalk.sim.link import LinkProfile

LOSSY = LinkProfile(rate=1_250_000.0, delay=0.015, jitter=0.004, loss=0.03, reordering=0.02)
SATELLITE = LinkProfile(rate=2_500_000.0, delay=0.3, loss=0.01)
DEAD_IP = "192.0.2.9"

pytestmark = pytest.mark.parametrize("backend", BACKENDS)


def play(
    backend: Backend, program: Callable[[Testbed], Awaitable[None]], testbed: Testbed | None = None
) -> None:
    """Run a program on a testbed whose time passes; afterwards no address is in use."""
    bed = Testbed(seed=5) if testbed is None else testbed

    async def main() -> None:
        async with bed.running():
            await program(bed)

    run(main, backend=backend)
    assert [provider.carriers for provider in bed.providers] == [[], []]


async def echo(connection: Connection) -> None:
    async for stream in connection:
        async with stream:
            async for data in stream:
                await stream.send(data)


async def idle(connection: Connection) -> None:
    await connection.wait_closed()


# -- streams and datagrams


def test_an_echo_over_a_lossy_link_is_whole(backend: Backend) -> None:
    sent = bytes(range(256)) * 400

    async def program(testbed: Testbed) -> None:
        received = bytearray()
        async with (
            testbed.serve(echo),
            testbed.connect() as connection,
            await connection.open_stream() as stream,
            anyio.create_task_group() as tasks,
        ):

            async def send() -> None:
                await stream.send(sent)
                await stream.send_eof()

            tasks.start_soon(send)
            async for data in stream:
                received += data
        assert received == sent
        assert testbed.links[0].counters.dropped_loss > 0

    play(backend, program, Testbed(5, LOSSY))


def test_datagrams_are_lost_but_never_changed(backend: Backend) -> None:
    sent = [b"%d" % number for number in range(400)]

    async def program(testbed: Testbed) -> None:
        arrived: list[bytes] = []

        async def collect(connection: Connection) -> None:
            with suppress(ropewalk.ApplicationError):
                while True:
                    arrived.extend(await connection.receive_datagrams())

        async with testbed.serve(collect), testbed.connect() as connection:
            for each in sent:
                await connection.send_datagrams([each])
                await anyio.sleep(0.005)
        assert 300 < len(arrived) < 400
        assert set(arrived) < set(sent)
        assert len(set(arrived)) == len(arrived)

    play(backend, program, Testbed(5, LOSSY))


# -- time


def test_a_dead_address_costs_a_quarter_of_a_second(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        testbed.client.names["two.sim"] = [DEAD_IP, SERVER_IP]
        async with testbed.serve(idle):
            began = anyio.current_time()
            async with testbed.connect("two.sim") as connection:
                took = anyio.current_time() - began
                assert connection.remote_address.ip == SERVER_IP
                assert len(testbed.client.carriers) == 1  # the loser's is closed
        assert 0.25 < took < 0.3

    play(backend, program)


def test_a_handshake_that_nobody_answers_takes_thirty_seconds(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        with pytest.raises(ropewalk.HandshakeTimeout, match="within 30 seconds"):
            async with testbed.connect(DEAD_IP):
                pytest.fail("somebody answered")
        assert anyio.current_time() == pytest.approx(30.0, abs=0.01)

    bed = Testbed(5)
    bed.lay(CLIENT_IP, DEAD_IP, LOSSY)
    play(backend, program, bed)


def test_silence_ends_a_connection_after_its_idle_timeout(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        ends: list[tuple[float, BaseException | None]] = []

        async def wait(connection: Connection) -> None:
            await connection.wait_closed()
            ends.append((anyio.current_time(), connection.error))

        async with testbed.serve(wait):
            async with testbed.connect(idle_timeout=20.0) as connection:
                began = anyio.current_time()
                await connection.wait_closed()
                assert isinstance(connection.error, ropewalk.IdleTimeout)
                assert 20.0 <= anyio.current_time() - began < 20.1
            await anyio.sleep(1)  # the server's clock began to run a little later
        assert [type(error) for _, error in ends] == [ropewalk.IdleTimeout]

    play(backend, program)


def test_an_hour_of_idleness_is_survived_by_keep_alive(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        async with testbed.serve(echo), testbed.connect(keep_alive=10.0) as connection:
            await anyio.sleep(3600)
            async with await connection.open_stream() as stream:
                await stream.send(b"still there?")
                await stream.send_eof()
                assert await stream.receive() == b"still there?"
            # A PING and its acknowledgement, every ten seconds.
            assert 350 <= connection.stats.packets_received <= 800

    play(backend, program)


# -- endings


def test_a_close_is_drained_for_three_probe_timeouts(backend: Backend) -> None:
    learnt: list[tuple[float, int, str]] = []

    async def wait(connection: Connection) -> None:
        await connection.wait_closed()
        assert isinstance(connection.error, ropewalk.ApplicationError)
        learnt.append((anyio.current_time(), connection.error.code, connection.error.reason))

    async def program(testbed: Testbed) -> None:
        async with testbed.serve(wait):
            async with testbed.connect() as connection:
                await anyio.sleep(1)
                began = anyio.current_time()
                await connection.close(7, "enough")
                assert 0.05 < anyio.current_time() - began < 1.0
                await connection.wait_closed()
            await anyio.sleep(1)  # the server drains, too

    play(backend, program)
    ((_, code, reason),) = learnt
    assert (code, reason) == (7, "enough")


def test_a_cancelled_client_tells_its_server_at_once(backend: Backend) -> None:
    learnt: list[tuple[float, int]] = []

    async def wait(connection: Connection) -> None:
        with pytest.raises(ropewalk.ApplicationError) as caught:
            await connection.accept_stream()
        learnt.append((anyio.current_time(), caught.value.code))

    async def program(testbed: Testbed) -> None:
        async with testbed.serve(wait):
            with anyio.move_on_at(5.0):
                async with testbed.connect():
                    await anyio.sleep_forever()

    play(backend, program)
    ((when, code),) = learnt
    assert code == 1
    assert when == pytest.approx(5.01, abs=0.002)  # one way


def test_a_connection_outlives_an_outage_shorter_than_its_idle_timeout(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        clock = testbed.network.clock

        def switch(up: bool) -> None:
            for link in testbed.links:
                link.up = up

        clock.at(0.05, lambda: switch(False))
        clock.at(15.0, lambda: switch(True))
        async with (
            testbed.serve(echo),
            testbed.connect() as connection,
            await connection.open_stream() as stream,
        ):
            await anyio.sleep(1)
            await stream.send(b"during the outage")
            await stream.send_eof()
            assert await stream.receive() == b"during the outage"
            assert 15.0 < anyio.current_time() < 40.0

    play(backend, program)


# -- HTTP/3


def test_large_bodies_cross_a_satellite_link_with_loss(backend: Backend) -> None:
    size = 1_500_000

    async def handler(request: Request) -> Response:
        received = await request.read()
        return Response(body=received[::-1])

    async def program(testbed: Testbed) -> None:
        sent = bytes(range(250)) * (size // 250)
        async with testbed.serve_http(handler), testbed.http3_client() as client:
            async with await client.request("POST", "/", body=sent) as response:
                assert await response.read() == sent[::-1]
            assert client.connection.stats.packets_lost > 0
        assert anyio.current_time() > 3.0

    play(backend, program, Testbed(5, SATELLITE))


def test_a_server_under_load_shuts_down_in_good_order(backend: Backend) -> None:
    async def handler(request: Request) -> Response:
        await anyio.sleep(0.3)
        return Response(body=request.path)

    outcomes: list[str] = []

    async def ask(testbed: Testbed, began: anyio.Event) -> None:
        with anyio.CancelScope():
            try:
                async with testbed.http3_client() as client:
                    for number in range(1000):
                        began.set()
                        async with await client.get(f"/{number}") as response:
                            assert await response.read() == b"/%d" % number
                        outcomes.append("answered")
            except RequestFailed as error:
                outcomes.append("unprocessed" if error.unprocessed else "failed")
            except (ropewalk.ConnectionLost, anyio.ClosedResourceError):
                outcomes.append("too late")

    async def program(testbed: Testbed) -> None:
        async with anyio.create_task_group() as clients:
            began = anyio.Event()
            async with testbed.serve_http(handler) as server:
                for _ in range(5):
                    clients.start_soon(ask, testbed, began)
                await anyio.sleep(2.0)
                assert len(server.connections) == 5
            ended = anyio.current_time()
        assert 2.0 < ended < 2.0 + 5.0
        assert outcomes.count("answered") > 20
        assert outcomes.count("failed") == 0
        assert len(outcomes) - outcomes.count("answered") == 5

    play(backend, program, Testbed(5, LOSSY))


def test_a_streamed_body_is_held_back_by_its_reader(backend: Backend) -> None:
    made = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(1000):
            made += 1
            yield bytes(10_000)

    async def handler(request: Request) -> Response:
        return Response(body=pieces())

    async def program(testbed: Testbed) -> None:
        async with (
            testbed.serve_http(handler, send_buffer=50_000),
            testbed.http3_client(stream_window=50_000, stream_window_limit=50_000) as client,
            await client.get("/") as response,
        ):
            await response.receive(1000)
            await anyio.sleep(60)
            assert made < 50

    play(backend, program)
