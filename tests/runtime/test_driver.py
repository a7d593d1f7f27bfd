"""The driver: blocked sockets, bounded turns, timers that do not spin."""

from __future__ import annotations

import anyio
import pytest

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import Carrier, SendFailure
from ropewalk.quic.types.datagrams import Burst, Datagrams
from ropewalk.runtime import Connection, Stream, SystemNetwork, connect, serve
from ropewalk.runtime.certificates import MadeCertificate
from ropewalk.runtime.driver import Driver

from .conftest import ALPN, BOUND, Pair, echo

pytestmark = pytest.mark.anyio


class Stubborn(Carrier):
    """A carrier whose socket is full every other time."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self.local = carrier.local
        self.mtu = carrier.mtu
        self.reliable = carrier.reliable
        self.ecn = carrier.ecn
        self.gso = carrier.gso
        self._turn = 0
        self._refused: Burst | None = None
        self.refusals = 0
        self.confused = 0

    def send(self, burst: Burst) -> bool:
        if self._refused is not None and burst is not self._refused:
            self.confused += 1  # something else, while a burst was to be kept
        self._turn += 1
        if self._turn % 2:
            self._refused = burst
            self.refusals += 1
            return False
        self._refused = None
        return self._carrier.send(burst)

    def receive(self, limit: int = 64) -> list[Datagrams]:
        return self._carrier.receive(limit)

    def failures(self) -> list[SendFailure]:
        return self._carrier.failures()

    def address(self) -> Address:
        return self._carrier.address()

    async def readable(self) -> None:
        await self._carrier.readable()

    async def writable(self) -> None:
        await self._carrier.writable()

    def close(self) -> None:
        self._carrier.close()


class StubbornNetwork(SystemNetwork):
    def __init__(self) -> None:
        super().__init__()
        self.carriers: list[Stubborn] = []

    def connect(self, remote: Address, local: int) -> Carrier:
        self.carriers.append(Stubborn(super().connect(remote, local)))
        return self.carriers[-1]


async def test_a_blocked_socket_keeps_its_burst_and_goes_on(made: MadeCertificate) -> None:
    network = StubbornNetwork()
    received = bytearray()
    with anyio.fail_after(BOUND):
        async with (
            serve(
                echo, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
            ) as server,
            connect(
                "127.0.0.1",
                server.address.port,
                alpn=ALPN,
                ca=made.cert_pem,
                network=network,
            ) as connection,
            await connection.open_stream() as stream,
            anyio.create_task_group() as tasks,
        ):

            async def send() -> None:
                await stream.send(bytes(range(256)) * 2000)
                await stream.send_eof()

            tasks.start_soon(send)
            async for data in stream:
                received += data
        (carrier,) = network.carriers
    assert received == bytes(range(256)) * 2000
    assert carrier.refusals > 10
    assert carrier.confused == 0


async def test_an_idle_connection_costs_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0
    pump = Driver.pump

    def counted(self: Driver, now: float) -> None:
        nonlocal turns
        turns += 1
        pump(self, now)

    monkeypatch.setattr(Driver, "pump", counted)
    with anyio.fail_after(BOUND):
        async with pair(echo) as (connection, _), await connection.open_stream() as stream:
            await stream.send(b"x")
            assert await stream.receive() == b"x"
            await anyio.sleep(0.3)  # acknowledgements and the handshake's rest settle
            turns = 0
            await anyio.sleep(1.0)
            assert turns <= 10


async def test_no_turn_sends_without_bound(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 0
    pump, send = Driver.pump, Driver._send
    bursts = 0

    def counted_pump(self: Driver, now: float) -> None:
        nonlocal bursts, most
        bursts = 0
        pump(self, now)
        most = max(most, bursts)

    def counted_send(self: Driver, burst: Burst, now: float) -> None:
        nonlocal bursts
        bursts += 1
        send(self, burst, now)

    monkeypatch.setattr(Driver, "pump", counted_pump)
    monkeypatch.setattr(Driver, "_send", counted_send)
    with anyio.fail_after(BOUND):
        async with pair(swallow) as (connection, _), await connection.open_stream() as stream:
            await stream.send(bytes(8_000_000))
    assert 1 <= most <= 16


async def swallow(connection: Connection) -> None:
    """A handler that reads everything."""
    async with anyio.create_task_group() as tasks:
        async for stream in connection:
            tasks.start_soon(drain, stream)


async def drain(stream: Stream) -> None:
    async for _ in stream:
        pass


async def test_a_bulk_sender_does_not_starve_its_neighbours(made: MadeCertificate) -> None:
    """A ping-pong goes on next to a task that sends as fast as it may."""
    rounds = 0

    async def handler(connection: Connection) -> None:
        async with anyio.create_task_group() as tasks:
            async for stream in connection:
                tasks.start_soon(answer, stream)

    async def answer(stream: Stream) -> None:
        async with stream:
            async for data in stream:
                if len(data) == 1:
                    await stream.send(data)

    async def flood(stream: Stream) -> None:
        while True:
            await stream.send(bytes(1 << 18))

    with anyio.fail_after(BOUND):
        async with serve(
            handler, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
        ) as server:
            port = server.address.port
            async with (
                connect("127.0.0.1", port, alpn=ALPN, ca=made.cert_pem) as busy,
                connect("127.0.0.1", port, alpn=ALPN, ca=made.cert_pem) as calm,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(flood, await busy.open_stream())
                async with await calm.open_stream() as stream:
                    for _ in range(50):
                        await stream.send(b"p")
                        assert await stream.receive() == b"p"
                        rounds += 1
                tasks.cancel_scope.cancel()
    assert rounds == 50
