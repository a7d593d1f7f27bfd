"""aioquic or qh3 as the far end: raw streams, no HTTP. Runs in the peers' own environment.

The protocol of the cases, ALPN ``ropewalk-interop``: the client opens a bidirectional stream
and sends one line. ``GET n`` is answered with n patterned bytes; ``PUT n`` is followed by n
bytes and answered with their SHA-256 in hexadecimal. Both sides end their direction.

A server prints ``READY`` once it listens, and one JSON line per connection that ended. A
client prints one JSON line with what it saw.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import ssl
import sys
from types import ModuleType
from typing import Any

from pattern import ALPN, digest, pattern

# Both libraries share one shape: qh3 began as a fork of aioquic. Their event and protocol
# classes are known only once the library is chosen, hence the Any below.


class Library:
    """The modules of the chosen library."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asyncio: Any = importlib.import_module(f"{name}.asyncio")
        self.configuration: Any = importlib.import_module(f"{name}.quic.configuration")
        self.events: Any = importlib.import_module(f"{name}.quic.events")
        self.tls: ModuleType = importlib.import_module(f"{name}.tls")

    def settings(self, arguments: argparse.Namespace, is_client: bool) -> Any:
        """The library's configuration object for one side of a case."""
        config = self.configuration.QuicConfiguration(is_client=is_client, alpn_protocols=[ALPN])
        config.max_data = 16 << 20
        config.max_stream_data = 16 << 20
        if arguments.chacha20:
            config.cipher_suites = [self.tls.CipherSuite.CHACHA20_POLY1305_SHA256]
        if is_client:
            config.server_name = "localhost"
            config.load_verify_locations(cafile=arguments.ca)
            config.verify_mode = ssl.CERT_REQUIRED
        else:
            config.load_cert_chain(arguments.certificate, arguments.key)
        return config


def say(**facts: object) -> None:
    """One JSON line for the runner."""
    print(json.dumps(facts), flush=True)


def server_protocol(library: Library) -> type:
    """The server's protocol class, made on the library's own base class."""
    events = library.events

    # The base is known at run time only: one of two libraries with the same names.
    class Server(library.asyncio.QuicConnectionProtocol):  # type: ignore[misc, name-defined]
        """Answers GET and PUT; tells of the handshake and of how the connection ended."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.inbox: dict[int, list[bytes]] = {}
            self.alpn: str | None = None
            self.requests: list[str] = []

        def quic_event_received(self, event: Any) -> None:
            if isinstance(event, events.HandshakeCompleted):
                self.alpn = event.alpn_protocol
            elif isinstance(event, events.StreamDataReceived):
                self.inbox.setdefault(event.stream_id, []).append(event.data)
                if event.end_stream:
                    self.answer(event.stream_id, b"".join(self.inbox.pop(event.stream_id)))
            elif isinstance(event, events.ConnectionTerminated):
                say(
                    alpn=self.alpn,
                    requests=self.requests,
                    close_code=event.error_code,
                    close_frame_type=event.frame_type,
                    close_reason=event.reason_phrase,
                )

        def answer(self, stream_id: int, message: bytes) -> None:
            line, _, body = message.partition(b"\n")
            verb, _, size = line.partition(b" ")
            self.requests.append(line.decode("ascii", "replace"))
            if verb == b"GET":
                reply = pattern(int(size))
            elif len(body) == int(size):
                reply = digest(body).encode()
            else:
                reply = b"%d bytes arrived" % len(body)
            self._quic.send_stream_data(stream_id, reply, True)
            self.transmit()

    return Server


async def serve(library: Library, arguments: argparse.Namespace) -> None:
    """Listen until the runner ends this process."""
    await library.asyncio.serve(
        "127.0.0.1",
        arguments.port,
        configuration=library.settings(arguments, is_client=False),
        create_protocol=server_protocol(library),
        retry=arguments.retry,
    )
    print("READY", flush=True)
    await asyncio.sleep(arguments.timeout)


async def fetch(library: Library, arguments: argparse.Namespace) -> bool:
    """Connect, do what the case asks, close. Whether all bytes were right."""
    config = library.settings(arguments, is_client=True)
    right = True
    async with library.asyncio.connect("127.0.0.1", arguments.port, configuration=config) as client:
        if arguments.key_update:
            await client.ping()  # qh3 insists on a confirmed handshake
            client.request_key_update()
            await client.ping()
        if arguments.download:
            reader, writer = await client.create_stream()
            writer.write(b"GET %d\n" % arguments.download)
            writer.write_eof()
            data = await reader.read()
            same = digest(data) == digest(pattern(arguments.download))
            say(downloaded=len(data), intact=same)
            right = right and same
        if arguments.upload:
            data = pattern(arguments.upload)
            reader, writer = await client.create_stream()
            writer.write(b"PUT %d\n" % len(data) + data)
            writer.write_eof()
            answer = (await reader.read()).decode("ascii", "replace")
            say(uploaded=len(data), intact=answer == digest(data))
            right = right and answer == digest(data)
        await client.ping()
    say(closed=True)
    return right


def main() -> int:
    """Command line of the runner."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=["aioquic", "qh3"])
    parser.add_argument("role", choices=["server", "client"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--ca")
    parser.add_argument("--download", type=int, default=0)
    parser.add_argument("--upload", type=int, default=0)
    parser.add_argument("--chacha20", action="store_true")
    parser.add_argument("--retry", action="store_true")
    parser.add_argument("--key-update", action="store_true")
    parser.add_argument("--timeout", type=float, default=60.0)
    arguments = parser.parse_args()
    library = Library(arguments.library)
    if arguments.role == "server":
        asyncio.run(serve(library, arguments))
        return 0
    return 0 if asyncio.run(asyncio.wait_for(fetch(library, arguments), arguments.timeout)) else 1


if __name__ == "__main__":
    sys.exit(main())
