"""aioquic or qh3 as the far end of the HTTP/3 cases: a file server and a client.

The server answers GET and HEAD with files of a folder, POST with the SHA-256 of the body, and
prints ``READY`` once it listens. The client prints one JSON line with what it saw, like every
client of these cases. Runs in the peers' own environment.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import mimetypes
import sys
from pathlib import Path
from typing import Any

from pattern import digest
from raw_peer import Library, say

H3_NO_ERROR = 0x100


class HttpLibrary(Library):
    """The chosen library with its HTTP/3 part."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.h3: Any = importlib.import_module(f"{name}.h3.connection")
        self.h3_events: Any = importlib.import_module(f"{name}.h3.events")

    def http_settings(self, arguments: argparse.Namespace, is_client: bool) -> Any:
        """Like ``settings``, for ALPN h3 and with the windows of the case."""
        config = self.settings(arguments, is_client)
        config.alpn_protocols = ["h3"]
        if arguments.window:
            config.max_data = arguments.window
            config.max_stream_data = arguments.window
        return config


def http_protocol(library: HttpLibrary, root: Path | None) -> type:
    """The protocol class for both roles; without ``root`` it is a client's."""
    base = library.asyncio.QuicConnectionProtocol

    # The base is known at run time only: one of two libraries with the same names.
    class Http(base):  # type: ignore[misc, valid-type]
        """Collects messages; a server answers them, a client hands them to who waits."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.session: Any = None
            self.heads: dict[int, dict[bytes, bytes]] = {}
            self.bodies: dict[int, list[bytes]] = {}
            self.waiting: dict[int, asyncio.Future[tuple[dict[bytes, bytes], bytes]]] = {}
            self.gone: ConnectionError | None = None

        def quic_event_received(self, event: Any) -> None:
            if isinstance(event, library.events.ProtocolNegotiated):
                self.session = library.h3.H3Connection(self._quic)
            elif isinstance(event, library.events.ConnectionTerminated):
                if root is not None:
                    say(ended=True, close_code=event.error_code, why=event.reason_phrase)
                self.gone = ConnectionError(f"closed: {event.error_code} {event.reason_phrase}")
                for waiting in self.waiting.values():
                    if not waiting.done():
                        waiting.set_exception(self.gone)
            if self.session is not None:
                for seen in self.session.handle_event(event):
                    self.http_event(seen)

        def http_event(self, event: Any) -> None:
            if isinstance(event, library.h3_events.HeadersReceived):
                self.heads.setdefault(event.stream_id, dict(event.headers))
            elif isinstance(event, library.h3_events.DataReceived):
                self.bodies.setdefault(event.stream_id, []).append(event.data)
            else:
                return
            if event.stream_ended:
                head = self.heads.pop(event.stream_id)
                body = b"".join(self.bodies.pop(event.stream_id, []))
                if root is not None:
                    self.answer(event.stream_id, head, body)
                elif event.stream_id in self.waiting:
                    self.waiting[event.stream_id].set_result((head, body))

        def answer(self, stream: int, head: dict[bytes, bytes], body: bytes) -> None:
            assert root is not None
            method = head[b":method"]
            name = head[b":path"].decode().partition("?")[0].lstrip("/")
            status, content = b"200", b""
            if method == b"POST":
                content = digest(body).encode()
            elif ".." not in name and (root / name).is_file():
                content = (root / name).read_bytes()
            else:
                status = b"404"
            kind = (mimetypes.guess_type(name)[0] or "text/plain").encode()
            fields = [
                (b":status", status),
                (b"content-type", kind),
                (b"content-length", b"%d" % len(content)),
            ]
            empty = method == b"HEAD" or not content
            self.session.send_headers(stream, fields, end_stream=empty)
            if not empty:
                self.session.send_data(stream, content, end_stream=True)
            self.transmit()

        async def ask(self, fields: list[tuple[bytes, bytes]], body: bytes) -> Any:
            """One request; the answer's fields and body."""
            if self.gone is not None:
                raise self.gone
            stream = self._quic.get_next_available_stream_id()
            # aioquic queues what the peer's limit does not allow yet, qh3 raises. The limit
            # counts all streams so far, whatever the property's name suggests.
            while stream // 4 >= getattr(self._quic, "max_concurrent_bidi_streams", stream + 1):
                await asyncio.sleep(0.005)
                stream = self._quic.get_next_available_stream_id()
            self.session.send_headers(stream, fields, end_stream=not body)
            answer = self.waiting[stream] = asyncio.get_running_loop().create_future()
            if body:
                self.session.send_data(stream, body, end_stream=True)
            self.transmit()
            return await answer

    return Http


async def serve(library: HttpLibrary, arguments: argparse.Namespace) -> None:
    """Listen until the runner ends this process."""
    config = library.http_settings(arguments, is_client=False)
    if arguments.version:
        config.supported_versions = [arguments.version]
    await library.asyncio.serve(
        arguments.host,
        arguments.port,
        configuration=config,
        create_protocol=http_protocol(library, Path(arguments.root)),
        retry=arguments.retry,
    )
    print("READY", flush=True)
    await asyncio.sleep(arguments.timeout)


async def fetch(library: HttpLibrary, arguments: argparse.Namespace) -> None:
    """Connect, ask, tell, close."""
    config = library.http_settings(arguments, is_client=True)
    if arguments.version:
        config.supported_versions = [arguments.version, 1]
        config.original_version = arguments.version
    body = Path(arguments.upload).read_bytes() if arguments.upload else b""
    async with library.asyncio.connect(
        arguments.host,
        arguments.port,
        configuration=config,
        create_protocol=http_protocol(library, None),
    ) as client:
        if arguments.key_update:
            await client.ping()
            client.request_key_update()
            await client.ping()
        places = asyncio.Semaphore(arguments.parallel)

        async def one(number: int) -> Any:
            path = arguments.path + (f"?n={number}" if arguments.count > 1 else "")
            async with places:
                fields = [
                    (b":method", arguments.method.encode()),
                    (b":scheme", b"https"),
                    (b":authority", b"localhost:%d" % arguments.port),
                    (b":path", path.encode()),
                ]
                return await client.ask(fields, body)

        answers = await asyncio.gather(*(one(n) for n in range(arguments.count)))
        head, content = answers[0]
        tell(answers, head, content, hex(client._quic._version))
        client._quic.close(error_code=H3_NO_ERROR)  # qh3 has no public way to say a code
        client.transmit()
    say(closed=True)


def tell(answers: list[Any], head: dict[bytes, bytes], content: bytes, version: str) -> None:
    """The line that every client of these cases prints."""
    sums = {digest(body) for _, body in answers}
    statuses = {fields[b":status"] for fields, _ in answers}
    say(
        protocol="h3",
        completed=len(answers),
        alike=len(sums) == 1 and len(statuses) == 1,
        status=int(head[b":status"]),
        bytes=len(content),
        content_length=head.get(b"content-length", b"").decode(),
        sha256=digest(content),
        body=content[:80].decode("ascii", "replace"),
        version=version,
    )


def main() -> int:
    """Command line of the runner."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=["aioquic", "qh3"])
    parser.add_argument("role", choices=["serve", "get"])
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
    parser.add_argument("--version", type=lambda text: int(text, 0), default=0)
    parser.add_argument("--chacha20", action="store_true")
    parser.add_argument("--retry", action="store_true")
    parser.add_argument("--key-update", action="store_true")
    parser.add_argument("--timeout", type=float, default=60.0)
    arguments = parser.parse_args()
    library = HttpLibrary(arguments.library)
    if arguments.role == "serve":
        asyncio.run(serve(library, arguments))
    else:
        asyncio.run(asyncio.wait_for(fetch(library, arguments), arguments.timeout))
    return 0


if __name__ == "__main__":
    sys.exit(main())
