"""The runtime's hook: an application sees a connection's events first."""

from __future__ import annotations

import anyio
import pytest

import ropewalk
from ropewalk.quic.types import events
from ropewalk.runtime import Connection
from ropewalk.runtime.application import Application
from ropewalk.runtime.certificates import MadeCertificate

from .conftest import BOUND

pytestmark = pytest.mark.anyio

ALPN = "lines"
GOOD_END = 77


class Shouter(Application):
    """Answers every stream with its content in capitals, from within the driver's turn."""

    no_error_code = GOOD_END

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.seen: list[str] = []

    def on_event(self, event: events.Event) -> bool:
        self.seen.append(type(event).__name__)
        core = self.connection.core
        if isinstance(event, events.StreamReadable):
            data, end = core.read(event.stream_id, 1000)
            core.write(event.stream_id, data.upper())
            if end:
                core.finish(event.stream_id)
            self.connection.kick()
        return isinstance(event, (events.StreamOpened, events.StreamReadable))


class Quiet(Application):
    """Only knows another code for a good end."""

    no_error_code = GOOD_END

    def on_event(self, event: events.Event) -> bool:
        return False


class Faulty(Application):
    """Has a bug."""

    def on_event(self, event: events.Event) -> bool:
        if isinstance(event, events.StreamOpened):
            raise LookupError("a bug of the application's")
        return False


async def wait(connection: Connection) -> None:
    await connection.wait_closed()


async def test_events_reach_the_application_from_the_first_on(made: MadeCertificate) -> None:
    async def poke(port: int) -> None:
        async with (
            ropewalk.connect("127.0.0.1", port, alpn=ALPN, ca=made.cert_pem) as client,
            await client.open_stream() as stream,
        ):
            await stream.send(b"x")
            await stream.receive()

    with anyio.fail_after(BOUND):
        async with (
            ropewalk.serve(
                wait,
                "127.0.0.1",
                0,
                alpn=ALPN,
                certificate=made.cert_pem,
                key=made.key_pem,
                application=Shouter,
            ) as server,
            ropewalk.connect(
                "127.0.0.1", server.address.port, alpn=ALPN, ca=made.cert_pem
            ) as client,
        ):
            async with await client.open_stream() as stream:
                await stream.send(b"hello")
                await stream.send_eof()
                assert b"".join([data async for data in stream]) == b"HELLO"
            theirs = server.connections[0]
            assert isinstance(theirs.application, Shouter)
            assert theirs.application.seen[0] == "HandshakeComplete"
            assert "StreamOpened" in theirs.application.seen
            with anyio.move_on_after(0.05) as waited:
                await theirs.accept_stream()
            assert waited.cancelled_caught, "a taken stream was handed out all the same"


async def test_its_code_closes_in_good_order(made: MadeCertificate) -> None:
    with anyio.fail_after(BOUND):
        async with ropewalk.serve(
            wait, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
        ) as server:
            async with ropewalk.connect(
                "127.0.0.1",
                server.address.port,
                alpn=ALPN,
                ca=made.cert_pem,
                application=Shouter,
            ):
                while not server.connections:
                    await anyio.sleep(0.01)
                (theirs,) = server.connections
            await theirs.wait_closed()
    assert isinstance(theirs.error, ropewalk.ApplicationError)
    assert theirs.error.code == GOOD_END


async def test_its_code_ends_an_iteration_over_streams(made: MadeCertificate) -> None:
    ended = anyio.Event()

    async def count(connection: Connection) -> None:
        async for _ in connection:
            pass
        ended.set()

    with anyio.fail_after(BOUND):
        async with ropewalk.serve(
            count,
            "127.0.0.1",
            0,
            alpn=ALPN,
            certificate=made.cert_pem,
            key=made.key_pem,
            application=lambda connection: Quiet(),
        ) as server:
            async with ropewalk.connect(
                "127.0.0.1", server.address.port, alpn=ALPN, ca=made.cert_pem
            ) as client:
                await client.close(GOOD_END)
            await ended.wait()


async def test_its_fault_ends_its_own_connection_only(
    made: MadeCertificate, caplog: pytest.LogCaptureFixture
) -> None:
    async def poke(port: int) -> None:
        async with (
            ropewalk.connect("127.0.0.1", port, alpn=ALPN, ca=made.cert_pem) as client,
            await client.open_stream() as stream,
        ):
            await stream.send(b"x")
            await stream.receive()

    with anyio.fail_after(BOUND):
        async with (
            ropewalk.serve(
                wait,
                "127.0.0.1",
                0,
                alpn=ALPN,
                certificate=made.cert_pem,
                key=made.key_pem,
                error_code=5,
                application=lambda connection: Faulty(),
            ) as server,
            ropewalk.connect(
                "127.0.0.1", server.address.port, alpn=ALPN, ca=made.cert_pem
            ) as other,
        ):
            with pytest.raises(ropewalk.ApplicationError) as caught:
                await poke(server.address.port)
            assert caught.value.code == 5
            assert not other.lost
    assert "a bug of the application's" in caplog.text
