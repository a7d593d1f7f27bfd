"""Programs on the asynchronous API that are to survive a cancellation at any await point."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import anyio

from ropewalk.http import Request, RequestFailed, Response
from ropewalk.lab.cancellation.sweeping import CancellationScenario
from ropewalk.lab.cancellation.trial import Transfer, Trial
from ropewalk.lab.testbed import CLIENT_IP, LINE, SERVER_IP
from ropewalk.quic.types.errors import ConnectionLost, StopSending, StreamReset
from ropewalk.runtime import (
    Connection,
    ReceiveStream,
    Stream,
)

_PIECE: Final = bytes(range(256)) * 16
#: Named before the server's address by the resolver; nothing answers there.
_DEAD_IP: Final = "192.0.2.9"


async def _idle(connection: Connection) -> None:
    await connection.wait_closed()


async def _echo(connection: Connection) -> None:
    async for stream in connection:
        # What becomes of one stream is no concern of the others.
        with suppress(StreamReset, StopSending):
            async with stream:
                async for data in stream:
                    await stream.send(data)


# -- connecting


async def _connecting(trial: Trial) -> None:
    async def client() -> None:
        async with trial.testbed.connect():
            pass

    async with trial.testbed.serve(_idle):
        await trial.whole(client)


async def _happy_eyeballs(trial: Trial) -> None:
    testbed = trial.testbed
    testbed.lay(CLIENT_IP, _DEAD_IP, LINE)
    testbed.client.names["two.sim"] = [_DEAD_IP, SERVER_IP]

    async def client() -> None:
        async with trial.testbed.connect("two.sim") as connection:
            assert connection.remote_address.ip == SERVER_IP

    async with trial.testbed.serve(_idle):
        await trial.whole(client)


# -- streams


async def _echoing(trial: Trial) -> None:
    there, back = trial.transfer("to the server"), trial.transfer("back")

    async def echo(connection: Connection) -> None:
        async for stream in connection:
            async with stream:
                async for data in stream:
                    there.arrive(data)
                    await stream.send(back.offer(data))

    async def send(stream: Stream) -> None:
        for _ in range(3):
            await stream.send(there.offer(_PIECE))
        await stream.send_eof()

    async def client() -> None:
        async with trial.testbed.connect(send_buffer=6_000) as connection:
            async with (
                await connection.open_stream() as stream,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(trial.stepped(send), stream)
                async for data in stream:
                    back.arrive(data)
            await connection.flush()
            there.confirm()
            back.confirm()

    async with trial.testbed.serve(echo):
        await trial.whole(client)


async def _waiting_turns(trial: Trial) -> None:
    """Six tasks want a stream each, where two are allowed at a time: one may be cancelled."""
    finished: list[int] = []
    cancelled: list[int] = []

    async with (
        trial.testbed.serve(_echo, max_bidirectional_streams=2),
        trial.testbed.connect() as connection,
    ):

        async def one(number: int) -> None:
            async with await connection.open_stream() as stream:
                await stream.send(bytes([number]))
                await stream.send_eof()
                assert b"".join([data async for data in stream]) == bytes([number])
            finished.append(number)

        async def wait(number: int) -> None:
            if not await trial.part(one, number):
                cancelled.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(wait, number)
        assert len(cancelled) <= 1
        assert sorted({*finished, *cancelled}) == list(range(6))


async def _accepting(trial: Trial) -> None:
    """What a cancelled accept or receive did not take, the next one gets."""
    transfers = [trial.transfer(f"stream {number}") for number in range(3)]

    async def accept(connection: Connection, taken: list[ReceiveStream]) -> None:
        taken.append(await connection.accept_stream(bidirectional=False))

    async def read(stream: ReceiveStream, transfer: Transfer) -> None:
        async for data in stream:
            transfer.arrive(data)

    async def handler(connection: Connection) -> None:
        for number, transfer in enumerate(transfers):
            taken: list[ReceiveStream] = []
            await trial.part(accept, connection, taken)
            if not taken:
                await accept(connection, taken)
            assert [stream.stream_id for stream in taken] == [4 * number + 2]
            if not await trial.part(read, taken[0], transfer):
                await read(taken[0], transfer)

    async with trial.testbed.serve(handler), trial.testbed.connect() as connection:
        for transfer in transfers:
            async with await connection.open_stream(bidirectional=False) as stream:
                await stream.send(transfer.offer(_PIECE))
        await connection.flush()
        for transfer in transfers:
            transfer.confirm()


async def _sending(trial: Trial) -> None:
    """A cancelled send resets its stream, or has sent nothing; its neighbours go on."""
    transfers = [trial.transfer(f"stream {number}") for number in range(3)]
    ends: dict[int, str] = {}

    async def handler(connection: Connection) -> None:
        for number, transfer in enumerate(transfers):
            stream = await connection.accept_stream(bidirectional=False)
            try:
                async for data in stream:
                    transfer.arrive(data)
                ends[number] = "whole"
            except StreamReset:
                ends[number] = "reset"

    async with (
        trial.testbed.serve(handler, stream_window=8192, stream_window_limit=8192),
        trial.testbed.connect(send_buffer=4096) as connection,
    ):
        for number, transfer in enumerate(transfers):
            stream = await connection.open_stream(bidirectional=False)
            finished = await trial.part(stream.send, transfer.offer(3 * _PIECE))
            if not finished:
                stream.reset()
            await stream.aclose()
            await connection.flush()
            if finished:
                transfer.confirm()
            while number not in ends:
                await anyio.sleep(0.01)
            assert ends[number] == ("whole" if finished else "reset")


# -- datagrams


async def _datagrams(trial: Trial) -> None:
    async def echo(connection: Connection) -> None:
        with suppress(ConnectionLost, anyio.ClosedResourceError):
            while True:
                await connection.send_datagrams(await connection.receive_datagrams())

    async with trial.testbed.serve(echo), trial.testbed.connect() as connection:

        async def exchange(text: bytes) -> None:
            assert await connection.send_datagrams([text]) == 1
            answers.extend(await connection.receive_datagrams())

        for number in range(4):
            answers: list[bytes] = []
            text = b"%d" % number
            if not await trial.part(exchange, text):
                await anyio.sleep(0.1)  # an answer that nobody waits for may be on its way
                await exchange(b"again")
                assert answers in ([b"again"], [text, b"again"], [text])
                while answers[-1] != b"again":
                    answers += await connection.receive_datagrams()
            else:
                assert answers == [text]


# -- servers


async def _serving(trial: Trial) -> None:
    """The server is cancelled, in a handler or outside; its client learns."""
    listening, done = anyio.Event(), anyio.Event()
    back = trial.transfer("to the client")

    async def handler(connection: Connection) -> None:
        stream = await connection.accept_stream()
        async for _ in stream:
            await stream.send(back.offer(_PIECE))
        await stream.send_eof()

    async def server() -> None:
        async with trial.testbed.serve(trial.stepped(handler)):
            listening.set()
            await done.wait()

    async def client() -> None:
        await listening.wait()
        with suppress(ConnectionLost, StreamReset, StopSending, anyio.ClosedResourceError):
            async with trial.testbed.connect(handshake_timeout=1.0) as connection:
                async with await connection.open_stream() as stream:
                    await stream.send(b"please")
                    await stream.send_eof()
                    async for data in stream:
                        back.arrive(data)
                back.confirm()
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client)
        if not await trial.whole(server):
            tasks.cancel_scope.cancel()


async def _handling(trial: Trial) -> None:
    """One of two handlers is cancelled; the other connection does not notice."""
    answers: list[bytes] = []
    cancelled: list[Connection] = []

    async def answer(connection: Connection) -> None:
        async with await connection.accept_stream() as stream:
            await stream.send(b"".join([data async for data in stream]))

    async def handler(connection: Connection) -> None:
        if not await trial.part(answer, connection):
            cancelled.append(connection)

    async def client() -> None:
        with suppress(ConnectionLost, StreamReset, StopSending, anyio.ClosedResourceError):
            async with (
                trial.testbed.connect() as connection,
                await connection.open_stream() as stream,
            ):
                await stream.send(b"hello")
                await stream.send_eof()
                answers.append(b"".join([data async for data in stream]))

    async with trial.testbed.serve(handler), anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(client)
    assert answers.count(b"hello") >= 2 - len(cancelled)
    assert len(cancelled) <= 1


# -- the end


async def _closing(trial: Trial) -> None:
    there = trial.transfer("to the server")

    async def read(connection: Connection) -> None:
        with suppress(ConnectionLost, StreamReset):
            stream = await connection.accept_stream(bidirectional=False)
            async for data in stream:
                there.arrive(data)
            await connection.wait_closed()

    async def client() -> None:
        async with trial.testbed.connect() as connection:
            async with await connection.open_stream(bidirectional=False) as stream:
                await stream.send(there.offer(_PIECE))
            await connection.flush()
            there.confirm()
            await connection.close(7, "enough")
            await connection.wait_closed()

    async with trial.testbed.serve(read):
        await trial.whole(client)


# -- HTTP/3


async def _http_get(trial: Trial) -> None:
    body = trial.transfer("the response")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield body.offer(_PIECE)

    async def handler(request: Request) -> Response:
        return Response(body=pieces())

    async def client() -> None:
        async with trial.testbed.http3_client() as http, await http.get("/") as response:
            async for data in response:
                body.arrive(data)
            body.confirm()

    async with trial.testbed.serve_http(handler):
        await trial.whole(client)


async def _http_step(trial: Trial) -> None:
    """One request is cancelled; the connection goes on to serve the next."""

    async def handler(request: Request) -> Response:
        return Response(body=await request.read())

    async with trial.testbed.serve_http(handler), trial.testbed.http3_client() as http:

        async def ask(body: bytes) -> None:
            async with await http.request("POST", "/", body=body) as response:
                assert await response.read() == body

        await trial.part(ask, _PIECE)
        await ask(b"and one more")


async def _http_upload(trial: Trial) -> None:
    body = trial.transfer("the request")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield body.offer(_PIECE)

    async def handler(request: Request) -> Response:
        size = 0
        async for data in request:
            body.arrive(data)
            size += len(data)
        return Response(body=str(size))

    async def client() -> None:
        async with (
            trial.testbed.http3_client() as http,
            await http.request("POST", "/", body=pieces()) as response,
        ):
            assert int(await response.read()) == 4 * len(_PIECE)
            body.confirm()

    async with trial.testbed.serve_http(handler):
        await trial.whole(client)


async def _http_serving(trial: Trial) -> None:
    """The server is cancelled while requests are being answered."""
    listening, done = anyio.Event(), anyio.Event()

    async def answer(request: Request) -> Response:
        return Response(body=await request.read())

    handler = answer

    async def server() -> None:
        async with trial.testbed.serve_http(handler):
            listening.set()
            await done.wait()

    async def client() -> None:
        await listening.wait()
        with suppress(ConnectionLost, RequestFailed, anyio.ClosedResourceError):
            async with trial.testbed.http3_client() as http, await http.get("/") as response:
                await response.read()
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client)
        if not await trial.whole(server):
            tasks.cancel_scope.cancel()


def _named(*scenarios: CancellationScenario) -> dict[str, CancellationScenario]:
    return {scenario.name: scenario for scenario in scenarios}


#: All of them by name.
SCENARIOS: Final = _named(
    CancellationScenario("connect", "a client connects and leaves", _connecting),
    CancellationScenario("happy-eyeballs", "the first of two addresses is dead", _happy_eyeballs),
    CancellationScenario("echo", "bytes there and back on one stream", _echoing),
    CancellationScenario(
        "turns", "six tasks want streams of which two are allowed", _waiting_turns
    ),
    CancellationScenario("accept", "a server accepts and reads streams", _accepting),
    CancellationScenario("send", "sends that flow control holds up", _sending),
    CancellationScenario("datagrams", "datagrams there and back", _datagrams),
    CancellationScenario("serve", "a server and its handler", _serving),
    CancellationScenario("handlers", "one of two handlers", _handling),
    CancellationScenario("close", "flush, close with a code, drain", _closing),
    CancellationScenario("http-get", "a response is read piece by piece", _http_get),
    CancellationScenario("http-step", "one request of several", _http_step),
    CancellationScenario("http-upload", "a request's body is sent piece by piece", _http_upload),
    CancellationScenario("http-serve", "an HTTP server and its requests", _http_serving),
)
