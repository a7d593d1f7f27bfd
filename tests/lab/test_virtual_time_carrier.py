"""The simulated carrier: batches, marks, sizes, faults; and the machine that opens it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from ropewalk.lab.testbed import CLIENT_IP, SERVER_IP, Testbed
from ropewalk.lab.virtual_time import BACKENDS, Backend, run
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import SendFailure
from ropewalk.quic.types.datagrams import ECN_ECT0, Burst, Datagrams
from ropewalk.quic.types.errors import ConfigurationError, ConnectionLost
from ropewalk.runtime import Connection
from ropewalk.sim.batching import Coalescing
from ropewalk.sim.carrier import SimCarrier
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.provider import SimulatedNetwork

THERE = Address(SERVER_IP, 443)
INSTANT = LinkProfile(delay=0.01)

pytestmark = pytest.mark.parametrize("backend", BACKENDS)

Program = Callable[[Testbed], Awaitable[None]]


def play(backend: Backend, program: Program, profile: LinkProfile = INSTANT) -> None:
    async def main() -> None:
        testbed = Testbed(1, profile)
        async with testbed.running():
            await program(testbed)

    run(main, backend=backend)


def burst(data: bytes, size: int, ecn: int = 0, remote: Address = THERE) -> Burst:
    return Burst(data, size, 0, "", remote, ecn, 0.0)


def cut(buffers: list[Datagrams]) -> list[bytes]:
    return [
        buffer.data[start : start + int(buffer.segment_size)]
        for buffer in buffers
        for start in range(0, len(buffer.data), int(buffer.segment_size))
    ]


def pair(testbed: Testbed) -> tuple[SimCarrier, SimCarrier]:
    return testbed.client.connect(THERE, 0), testbed.server.bind(SERVER_IP, 443, 3)


def test_a_burst_arrives_as_one_buffer(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        client, server = pair(testbed)
        assert client.send(burst(b"a" * 100 + b"b" * 100 + b"c" * 7, 100, ECN_ECT0))
        assert server.receive() == []
        await server.readable()
        (buffer,) = server.receive()
        assert cut([buffer]) == [b"a" * 100, b"b" * 100, b"c" * 7]
        assert (buffer.segment_size, buffer.ecn, buffer.local) == (100, ECN_ECT0, 3)
        assert (buffer.local_ip, buffer.remote) == (SERVER_IP, client.address())

    play(backend, program)


def test_no_more_buffers_are_taken_than_asked_for(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        client, server = pair(testbed)
        for number in range(5):
            client.send(burst(bytes(number + 1), 100))
        await server.readable()
        # Each is longer than the one before, which a buffer cannot hold.
        assert [len(each) for each in cut(server.receive(2))] == [1, 2]
        await server.readable()
        assert [len(each) for each in cut(server.receive(2))] == [3, 4]
        assert [len(each) for each in cut(server.receive(2))] == [5]

    play(backend, program)


def test_a_window_gathers_what_arrives_within_it(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        gathering = SimulatedNetwork(
            testbed.network, [SERVER_IP], coalescing=Coalescing(window=0.005)
        )
        client, server = testbed.client.connect(THERE, 0), gathering.bind(SERVER_IP, 443, 0)
        for _ in range(4):
            client.send(burst(bytes(100), 100))
            await anyio.sleep(0.002)
        await server.readable()
        assert anyio.current_time() == pytest.approx(0.015)
        assert [len(buffer.data) for buffer in server.receive()] == [300]
        server.close()

    play(backend, program)


def test_a_connected_carrier_hears_its_peer_only(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        client, server = pair(testbed)
        other = testbed.server.bind(SERVER_IP, 444, 0)
        other.send(burst(b"stranger", 100, remote=client.address()))
        server.send(burst(b"friend", 100, remote=client.address()))
        await client.readable()
        assert cut(client.receive()) == [b"friend"]

    play(backend, program)


def test_marks_are_dropped_where_the_system_sets_none(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        plain = SimulatedNetwork(testbed.network, [CLIENT_IP], ecn=False)
        client, server = plain.connect(THERE, 0), testbed.server.bind(SERVER_IP, 443, 0)
        assert not client.ecn
        client.send(burst(b"x", 100, ECN_ECT0))
        await server.readable()
        assert server.receive()[0].ecn == 0

    play(backend, program)


def test_a_datagram_beyond_the_mtu_is_a_failure(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        small = SimulatedNetwork(testbed.network, [CLIENT_IP], mtu=1300)
        client = small.connect(THERE, 0)
        assert client.send(burst(bytes(1400), 1400))
        (failure,) = client.failures()
        assert (failure.kind, failure.remote, failure.size) == ("too-large", THERE, 1400)
        assert client.failures() == []

    play(backend, program)


def test_a_full_receive_buffer_drops_what_comes(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ropewalk.sim.carrier.RECEIVE_BUFFER", 250)

    async def program(testbed: Testbed) -> None:
        client, server = pair(testbed)
        client.send(burst(bytes(400), 100))
        await server.readable()
        assert len(cut(server.receive())) == 2
        assert server.dropped == 2
        client.send(burst(bytes(100), 100))
        await server.readable()
        assert len(cut(server.receive())) == 1

    play(backend, program)


def test_a_blocked_carrier_takes_nothing_until_it_is_not(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        client, server = pair(testbed)
        client.blocked = True
        assert not client.send(burst(b"x", 100))

        async def unblock() -> None:
            await anyio.sleep(2)
            client.blocked = False

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(unblock)
            await client.writable()
        assert anyio.current_time() == 2.0
        assert client.send(burst(b"x", 100))
        await client.writable()
        await server.readable()
        assert cut(server.receive()) == [b"x"]

    play(backend, program)


def test_a_connection_survives_a_socket_that_blocks_and_fails(backend: Backend) -> None:
    async def echo(connection: Connection) -> None:
        async for stream in connection:
            async with stream:
                async for data in stream:
                    await stream.send(data)

    async def program(testbed: Testbed) -> None:
        async def disturb() -> None:
            while True:
                for carrier in testbed.client.carriers:
                    carrier.blocked = not carrier.blocked
                    carrier.fail(SendFailure("refused", None, 0, "forged"))
                await anyio.sleep(0.013)

        received = bytearray()
        async with (
            testbed.serve(echo),
            testbed.connect() as connection,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(disturb)
            async with await connection.open_stream() as stream:
                await stream.send(bytes(100_000))
                await stream.send_eof()
                async for data in stream:
                    received += data
            tasks.cancel_scope.cancel()
            testbed.client.carriers[0].blocked = False
        assert received == bytes(100_000)

    play(backend, program)


def test_closing_tells_whoever_waits_and_gives_the_address_back(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        client, server = pair(testbed)
        client.blocked = True

        async def wait(waiting: Callable[[], Awaitable[None]]) -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await waiting()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, client.readable)
            tasks.start_soon(wait, client.writable)
            await anyio.sleep(1)
            client.close()
            client.close()
        await wait(client.readable)
        assert testbed.client.carriers == []
        again = testbed.server.bind
        with pytest.raises(ConfigurationError, match=r"192\.0\.2\.2:443"):
            again(SERVER_IP, 443, 0)
        server.close()
        again(SERVER_IP, 443, 0)

    play(backend, program)


def test_a_machine_knows_its_addresses_and_names(backend: Backend) -> None:
    async def program(testbed: Testbed) -> None:
        machine = SimulatedNetwork(
            testbed.network, ["192.0.2.7", "2001:db8::7"], {"www": ["2001:db8::1", SERVER_IP]}
        )
        assert list(await machine.resolve("www", 80)) == [
            Address("2001:db8::1", 80),
            Address(SERVER_IP, 80),
        ]
        assert list(await machine.resolve("::1", 1)) == [Address("::1", 1)]
        with pytest.raises(ConfigurationError, match="does not know the name 'mail'"):
            await machine.resolve("mail", 25)
        assert machine.connect(Address("2001:db8::1", 80), 0).address().ip == "2001:db8::7"
        everywhere = machine.bind("", 4433, 1)
        assert everywhere.address() == Address("::", 4433)
        assert [address.ip for address in everywhere.addresses] == ["192.0.2.7", "2001:db8::7"]
        with pytest.raises(ConfigurationError, match=r"cannot listen at 192\.0\.2\.8"):
            machine.bind("192.0.2.8", 1, 0)
        with pytest.raises(ConnectionLost, match="no way leads"):
            testbed.client.connect(Address("2001:db8::1", 80), 0)

    play(backend, program)
