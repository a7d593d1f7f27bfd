"""Our side of the interop cases, over the public API. One process, one connection.

Prints ``READY`` and a port where it serves, then JSON lines with what was seen; the runner
(``run.py``) draws the conclusions. See ``peers/raw_peer.py`` for the raw protocol.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from h3_bytes import CONTROL_STREAM, H3Error, Settings, frames, request, response

import ropewalk
from ropewalk.quic.types.handshake import CHACHA20_POLY1305

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from pattern import ALPN, digest, pattern

H3_NO_ERROR = 0x100


def say(**facts: object) -> None:
    """One JSON line for the runner."""
    print(json.dumps(facts), flush=True)


def settings(arguments: argparse.Namespace) -> ropewalk.runtime.Settings:
    """Keywords of ``connect`` and ``serve`` that a case asks for."""
    chosen: ropewalk.runtime.Settings = {"handshake_timeout": 10.0}
    if arguments.chacha20:
        chosen["cipher_suites"] = (CHACHA20_POLY1305,)
    if arguments.groups:
        chosen["groups"] = tuple(arguments.groups.split(","))
        chosen["key_shares"] = chosen["groups"][:1]
    if arguments.key_shares:
        chosen["key_shares"] = tuple(arguments.key_shares.split(","))
    return chosen


async def read_all(stream: ropewalk.runtime.ReceiveStream) -> bytes:
    """Everything up to the end of a stream."""
    pieces = []
    async for piece in stream:
        pieces.append(piece)
    return b"".join(pieces)


async def confirmed(connection: ropewalk.Connection) -> bool:
    """Wait a while for the handshake to be confirmed, and tell whether it was."""
    for _ in range(200):
        if connection.core.handshake_confirmed:
            return True
        await anyio.sleep(0.01)
    return False


async def update_keys(connection: ropewalk.Connection) -> None:
    """Start a key update as soon as one is allowed: a packet of the present phase must have
    been acknowledged (RFC 9001 6.1)."""
    for _ in range(100):
        if connection.core.update_keys(anyio.current_time()):
            break
        connection.core.ping(anyio.current_time())
        connection.kick()
        await anyio.sleep(0.01)
    connection.kick()


def facts(connection: ropewalk.Connection) -> dict[str, object]:
    """What every case wants to know of a connection."""
    return {
        "alpn": connection.alpn,
        "cipher_suite": connection.core.cipher_suite,
        "group": connection.core.key_exchange_group,
        "retried": connection.core.state.retry_source_cid is not None,
        "key_updates": int(connection.core.counters.key_updates),
    }


# -- raw streams, for aioquic and qh3


async def raw_client(arguments: argparse.Namespace) -> None:
    """Connect, move what was asked for, close."""
    async with ropewalk.connect(
        "localhost" if arguments.host is None else arguments.host,
        arguments.port,
        alpn=ALPN,
        ca=arguments.ca,
        server_name="localhost",
        **settings(arguments),
    ) as connection:
        say(confirmed=await confirmed(connection), **facts(connection))
        if arguments.key_update:
            await update_keys(connection)
        if arguments.download:
            stream = await connection.open_stream()
            await stream.send(b"GET %d\n" % arguments.download)
            await stream.send_eof()
            data = await read_all(stream)
            expected = digest(pattern(arguments.download))
            say(downloaded=len(data), intact=digest(data) == expected)
        if arguments.upload:
            data = pattern(arguments.upload)
            stream = await connection.open_stream()
            await stream.send(b"PUT %d\n" % len(data))
            await stream.send(data)
            await stream.send_eof()
            answer = (await read_all(stream)).decode("ascii", "replace")
            say(uploaded=len(data), intact=answer == digest(data))
        say(**facts(connection))
    say(closed=True, error=None if connection.error is None else str(connection.error))


async def raw_answer(stream: ropewalk.Stream) -> None:
    """One request of the raw protocol."""
    line, _, body = (await read_all(stream)).partition(b"\n")
    verb, _, size = line.partition(b" ")
    if verb == b"GET":
        await stream.send(pattern(int(size)))
    else:
        await stream.send(digest(body).encode())
    await stream.send_eof()
    say(request=line.decode("ascii", "replace"), body=len(body))


async def raw_handler(arguments: argparse.Namespace, connection: ropewalk.Connection) -> None:
    """Answer requests until the client closes."""
    say(confirmed=await confirmed(connection), **facts(connection))
    if arguments.key_update:
        await update_keys(connection)
    async for stream in connection:
        await raw_answer(stream)
    say(**facts(connection))


# -- HTTP/3 by hand, for ngtcp2's examples: they speak no other protocol


async def h3_streams(connection: ropewalk.Connection) -> None:
    """Take the peer's three unidirectional streams and tell what they begin with."""
    kinds = []
    for _ in range(3):
        stream = await connection.accept_stream(bidirectional=False)
        data = await stream.receive()
        kinds.append(data[0])
        if data[0] == CONTROL_STREAM:
            while (parsed := Settings.parse(data[1:])) is None:
                data += await stream.receive()
            say(settings=parsed.values)
    say(stream_kinds=sorted(kinds))


async def h3_client(arguments: argparse.Namespace) -> None:
    """Open the control stream, send one request, take the answer apart."""
    async with ropewalk.connect(
        "127.0.0.1",
        arguments.port,
        alpn="h3",
        ca=arguments.ca,
        server_name="localhost",
        **settings(arguments),
    ) as connection:
        say(confirmed=await confirmed(connection), **facts(connection))
        if arguments.key_update:
            await update_keys(connection)
        control = await connection.open_stream(bidirectional=False)
        await control.send(bytes([CONTROL_STREAM]) + Settings([]).encode())
        with anyio.fail_after(10):
            await h3_streams(connection)
        stream = await connection.open_stream()
        await stream.send(request("GET", "/" + arguments.path))
        await stream.send_eof()
        kinds, body = frames(await read_all(stream))
        say(answer_frames=kinds, body=len(body), sha256=digest(body))
        say(**facts(connection))
        await connection.close(H3_NO_ERROR, "")
    say(closed=True, error=None if connection.error is None else str(connection.error))


async def h3_handler(arguments: argparse.Namespace, connection: ropewalk.Connection) -> None:
    """Take the client's streams, answer its requests, wait for its close."""
    say(confirmed=await confirmed(connection), **facts(connection))
    if arguments.key_update:
        await update_keys(connection)
    control = await connection.open_stream(bidirectional=False)
    await control.send(bytes([CONTROL_STREAM]) + Settings([]).encode())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(h3_streams, connection)
        try:
            while True:
                stream = await connection.accept_stream()
                kinds, body = frames(await read_all(stream))
                say(request_frames=kinds, body=len(body), sha256=digest(body))
                await stream.send(response(200, pattern(arguments.download)))
                await stream.send_eof()
        except ropewalk.ApplicationError as error:
            if not (error.from_peer and error.code == H3_NO_ERROR):
                raise
    say(**facts(connection))


# -- serving one connection


async def serve(
    arguments: argparse.Namespace,
    handler: Callable[[argparse.Namespace, ropewalk.Connection], Awaitable[None]],
    alpn: str,
) -> None:
    """Serve until one connection has ended, then tell how."""
    over = anyio.Event()

    async def handle(connection: ropewalk.Connection) -> None:
        failure = ""
        try:
            await handler(arguments, connection)
        except (ropewalk.Error, H3Error, anyio.ClosedResourceError, ExceptionGroup) as error:
            failure = repr(error)
        why = connection.error
        say(
            ended=True,
            failure=failure,
            error=None if why is None else str(why),
            close_code=why.code if isinstance(why, ropewalk.ApplicationError) else None,
            from_peer=isinstance(why, ropewalk.ApplicationError) and why.from_peer,
        )
        over.set()

    async with ropewalk.serve(
        handle,
        "127.0.0.1",
        arguments.port,
        alpn=alpn,
        certificate=arguments.certificate,
        key=arguments.key,
        retry=arguments.retry,
        **settings(arguments),
    ):
        print("READY", flush=True)
        await over.wait()


def main() -> int:
    """Command line of the runner."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["raw-client", "raw-server", "h3-client", "h3-server"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--ca")
    parser.add_argument("--path", default="")
    parser.add_argument("--download", type=int, default=0)
    parser.add_argument("--upload", type=int, default=0)
    parser.add_argument("--chacha20", action="store_true")
    parser.add_argument("--groups", default="")
    parser.add_argument("--key-shares", default="")
    parser.add_argument("--retry", action="store_true")
    parser.add_argument("--key-update", action="store_true")
    parser.add_argument("--timeout", type=float, default=60.0)
    arguments = parser.parse_args()
    parts: dict[str, Callable[[], Awaitable[None]]] = {
        "raw-client": functools.partial(raw_client, arguments),
        "raw-server": functools.partial(serve, arguments, raw_handler, ALPN),
        "h3-client": functools.partial(h3_client, arguments),
        "h3-server": functools.partial(serve, arguments, h3_handler, "h3"),
    }

    async def bounded() -> None:
        with anyio.fail_after(arguments.timeout):
            await parts[arguments.part]()

    anyio.run(bounded)
    return 0


if __name__ == "__main__":
    sys.exit(main())
