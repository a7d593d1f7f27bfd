"""Our side of the HTTP/3 cases, over the public API of ``ropewalk.http``.

``serve`` answers GET and HEAD with files of a folder, POST with the SHA-256 of the body, and
prints ``READY`` once it listens; ``get`` prints one JSON line with what it saw, like every
client of these cases. Both tell what the connection was like.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import anyio
from ours import confirmed, facts, say, settings, update_keys

import ropewalk
from ropewalk.http import Client, Request, Response, http3_client, serve_http

_KINDS = {
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".css": "text/css",
    ".js": "text/javascript",
}


def chosen(arguments: argparse.Namespace) -> ropewalk.runtime.Settings:
    """The settings of a case, windows included."""
    found = settings(arguments)
    if arguments.window:
        found["connection_window"] = found["connection_window_limit"] = arguments.window
        found["stream_window"] = found["stream_window_limit"] = arguments.window
    return found


async def get(arguments: argparse.Namespace) -> None:
    """Connect, ask as often as the case wants, tell, close."""
    body = Path(arguments.upload).read_bytes() if arguments.upload else b""
    async with http3_client(
        arguments.host,
        arguments.port,
        ca=arguments.ca,
        server_name="localhost",
        **chosen(arguments),
    ) as client:
        say(confirmed=await confirmed(client.connection), **facts(client.connection))
        if arguments.key_update:
            await update_keys(client.connection)
        answers: list[tuple[int, str, bytes]] = []
        places = anyio.CapacityLimiter(arguments.parallel)
        async with anyio.create_task_group() as tasks:
            for number in range(arguments.count):
                tasks.start_soon(ask, client, arguments, number, body, places, answers)
        status, length, content = answers[0]
        say(
            protocol="h3",
            completed=len(answers),
            alike=len(set(answers)) == 1,
            status=status,
            bytes=len(content),
            content_length=length,
            sha256=hashlib.sha256(content).hexdigest(),
            body=content[:80].decode("ascii", "replace"),
            **facts(client.connection),
        )
    error = client.connection.error
    say(closed=True, error=None if error is None else str(error))


async def ask(
    client: Client,
    arguments: argparse.Namespace,
    number: int,
    body: bytes,
    places: anyio.CapacityLimiter,
    answers: list[tuple[int, str, bytes]],
) -> None:
    """One request and its whole answer."""
    query = f"?n={number}" if arguments.count > 1 else ""
    async with places:
        response = await client.request(arguments.method, arguments.path + query, body=body)
        content = await response.read()
    answers.append((response.status, response.headers.get("content-length", ""), content))


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until the runner ends this process, telling of each connection as it changes."""
    root = Path(arguments.root)
    watched: dict[int, Watch] = {}

    def notice() -> None:
        for connection in server.connections:
            if id(connection) not in watched:
                made = watched[id(connection)] = Watch(connection, arguments.key_update)
                tasks.start_soon(made.run)

    async def answer(request: Request) -> Response:
        notice()  # a quick client may be gone before the next look around
        for each in watched.values():
            if each.connection.remote_address == request.client:
                each.requests += 1
        if request.method == "POST":
            digest = hashlib.sha256()
            async for piece in request:
                digest.update(piece)
            return Response(200, {"content-type": "text/plain"}, digest.hexdigest())
        path = root / request.path.lstrip("/")
        if ".." in request.path or not path.is_file():
            return Response(404)
        kind = _KINDS.get(path.suffix, "text/plain")
        return Response(200, {"content-type": kind}, path.read_bytes())

    async with (
        serve_http(
            answer,
            arguments.host,
            arguments.port,
            certificate=arguments.certificate,
            key=arguments.key,
            retry=arguments.retry or None,
            **chosen(arguments),
        ) as server,
        anyio.create_task_group() as tasks,
    ):
        print("READY", flush=True)
        while True:
            notice()
            await anyio.sleep(0.01)


class Watch:
    """Tells what a connection is like when that changes, and how it ended."""

    def __init__(self, connection: ropewalk.Connection, update: bool) -> None:
        self.connection = connection
        self.update = update
        self.requests = 0

    async def run(self) -> None:
        """Until the connection is over."""
        connection = self.connection
        said: dict[str, object] = {}
        while connection.error is None:
            if self.update and connection.core.handshake_confirmed:
                self.update = not connection.core.update_keys(anyio.current_time())
                connection.kick()
            if connection.core.handshake_complete and (seen := facts(connection)) != said:
                say(confirmed=connection.core.handshake_confirmed, **seen)
                said = seen
            await anyio.sleep(0.005 if self.update else 0.02)
        why = connection.error
        code = why.code if isinstance(why, ropewalk.ApplicationError) else None
        say(
            ended=True,
            why=str(why),
            close_code=code,
            requests=self.requests,
            confirmed=connection.core.handshake_confirmed,
            **facts(connection),
        )


def main() -> int:
    """Command line of the runner."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["serve", "get"])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--ca")
    parser.add_argument("--root")
    parser.add_argument("--path", default="/")
    parser.add_argument("--method", default="GET")
    parser.add_argument("--upload", default="")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--window", type=int, default=0)
    parser.add_argument("--chacha20", action="store_true")
    parser.add_argument("--groups", default="")
    parser.add_argument("--key-shares", default="")
    parser.add_argument("--retry", action="store_true")
    parser.add_argument("--key-update", action="store_true")
    parser.add_argument("--timeout", type=float, default=60.0)
    arguments = parser.parse_args()

    async def bounded() -> None:
        with anyio.fail_after(arguments.timeout):
            await (serve if arguments.part == "serve" else get)(arguments)

    try:
        anyio.run(bounded)
    except ropewalk.Error as error:
        print(json.dumps({"error": str(error), "kind": type(error).__name__}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
