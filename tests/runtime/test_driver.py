"""The driver: blocked sockets, bounded turns, timers that do not spin."""

from __future__ import annotations

from math import inf

import anyio
import anyio.lowlevel
import pytest

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import Carrier, SendFailure
from ropewalk.quic.types.datagrams import Burst, Datagrams
from ropewalk.quic.types.local import LocalChange
from ropewalk.runtime import Connection, Stream, SystemNetwork, connect, serve
from ropewalk.runtime.certificates import MadeCertificate
from ropewalk.runtime.driver import Driver
from ropewalk.runtime.settings import client_configuration, endpoint_configuration
from ropewalk.runtime.signal import Signal

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


class LosesTheClose(Stubborn):
    """A carrier on which the first burst after a cancellation is lost."""

    def __init__(self, carrier: Carrier, scope: anyio.CancelScope) -> None:
        super().__init__(carrier)
        self._scope = scope
        self._lost = False

    def send(self, burst: Burst) -> bool:
        if self._scope.cancel_called and not self._lost:
            self._lost = True
            return True
        return self._carrier.send(burst)


async def test_a_cancelled_owner_repeats_a_lost_close_while_draining(
    made: MadeCertificate,
) -> None:
    learned = anyio.Event()

    async def chatter(connection: Connection) -> None:
        while not connection.lost:
            await connection.send_datagrams([b"are you there?"])
            await anyio.sleep(0.005)
        learned.set()

    class LossyNetwork(SystemNetwork):
        def connect(self, remote: Address, local: int) -> Carrier:
            return LosesTheClose(super().connect(remote, local), scope)

    with anyio.fail_after(BOUND):
        async with serve(
            chatter, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
        ) as server:
            port = server.address.port
            with anyio.CancelScope() as scope:
                async with connect(
                    "127.0.0.1", port, alpn=ALPN, ca=made.cert_pem, network=LossyNetwork()
                ) as connection:
                    await connection.receive_datagrams()
                    scope.cancel()
                    await anyio.sleep_forever()
            await learned.wait()


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


class Bottomless:
    """What the driver uses of an endpoint, with a thousand bursts to send at once."""

    def __init__(self) -> None:
        self.left = 1000

    def transmit(self, now: float) -> Burst | None:
        if not self.left:
            return None
        self.left -= 1
        return Burst(b"x", 1, 0, "", Address("127.0.0.1", 9), 0, now)

    def deadline(self) -> float:
        return inf

    def eventful(self) -> list[object]:
        return []

    def connections(self) -> list[object]:
        return []

    def take_faults(self) -> list[Exception]:
        return []

    def on_local(self, local: int, what: LocalChange, now: float) -> None:
        pass


class Sink(Carrier):
    """Takes every burst and hears nothing."""

    def __init__(self) -> None:
        self.local = 0
        self.sent = 0

    def send(self, burst: Burst) -> bool:
        self.sent += 1
        return True

    def receive(self, limit: int = 64) -> list[Datagrams]:
        return []

    def failures(self) -> list[SendFailure]:
        return []

    def address(self) -> Address:
        return Address("127.0.0.1", 1)

    async def readable(self) -> None:
        await anyio.sleep_forever()

    async def writable(self) -> None:
        await anyio.sleep_forever()

    def close(self) -> None:
        pass


async def test_a_thousand_bursts_leave_the_other_tasks_their_turns(made: MadeCertificate) -> None:
    configuration = client_configuration("h", ALPN, None, made.spki_sha256, None, None)
    driver = Driver(endpoint_configuration(configuration))
    driver.endpoint = Bottomless()  # type: ignore[assignment]  # the part of it that is used
    sink = Sink()
    most = before = 0
    with anyio.fail_after(BOUND):
        async with driver.running():
            driver.add(sink)
            while sink.sent < 1000:
                await anyio.lowlevel.checkpoint()
                most, before = max(most, sink.sent - before), sink.sent
    # Receiver and timer may each have had a turn between two of ours.
    assert most <= 64


async def test_a_driver_that_leaves_something_behind_says_so(
    made: MadeCertificate, caplog: pytest.LogCaptureFixture
) -> None:
    configuration = client_configuration("h", ALPN, None, made.spki_sha256, None, None)
    tidy, untidy = (Driver(endpoint_configuration(configuration)) for _ in range(2))
    with anyio.fail_after(BOUND):
        async with tidy.running():
            tidy.add(Sink())
        assert tidy.leftovers() == []
        assert caplog.records == []
        async with untidy.running():
            untidy._watchers.append(Signal())
    (record,) = caplog.records
    assert "a driver has left watchers of progress (1)" in record.getMessage()


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
