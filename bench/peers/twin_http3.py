"""aioquic's and qh3's side of the benchmark over HTTP/3."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from side import shares
from twin_library import HttpLibrary, Totals, counting

#: The most that a server hands to the library at once; what is larger costs it a copy.
_PIECE = 1 << 20

Facts = dict[str, object]


def _session_class(library: HttpLibrary, totals: Totals) -> Any:
    """What both roles share: an HTTP/3 connection, and its events apart."""
    negotiated = library.events.ProtocolNegotiated
    base = counting(library, totals)

    class Session(base):  # type: ignore[misc, valid-type]
        def __init__(self, *positional: Any, **named: Any) -> None:
            super().__init__(*positional, **named)
            self.session: Any = None

        def quic_event_received(self, event: Any) -> None:
            if isinstance(event, negotiated):
                self.session = library.h3.H3Connection(self._quic)
            if self.session is not None:
                for seen in self.session.handle_event(event):
                    self.http_event(seen)

        def http_event(self, event: Any) -> None:
            raise NotImplementedError

    return Session


def server_class(library: HttpLibrary, totals: Totals) -> Any:
    """Answers ``/NUMBER`` with so many bytes once the request has ended."""
    headers, data = library.h3_events.HeadersReceived, library.h3_events.DataReceived
    base = _session_class(library, totals)

    class Server(base):  # type: ignore[misc, valid-type]
        def __init__(self, *positional: Any, **named: Any) -> None:
            super().__init__(*positional, **named)
            self.asked: dict[int, int] = {}

        def http_event(self, event: Any) -> None:
            if isinstance(event, headers):
                path = dict(event.headers)[b":path"]
                self.asked[event.stream_id] = int(path[1:])
            elif not isinstance(event, data):
                return
            if event.stream_ended:
                self._answer(event.stream_id, self.asked.pop(event.stream_id))

        def _answer(self, stream: int, size: int) -> None:
            # It leaves when the protocol has seen all events of a datagram.
            fields = [(b":status", b"200"), (b"content-length", b"%d" % size)]
            self.session.send_headers(stream, fields, end_stream=not size)
            while size > 0:
                piece = min(size, _PIECE)
                size -= piece
                self.session.send_data(stream, bytes(piece), end_stream=not size)

    return Server


def client_class(library: HttpLibrary, totals: Totals) -> Any:
    """Sends requests; adds up what their responses bring."""
    headers, data = library.h3_events.HeadersReceived, library.h3_events.DataReceived
    base = _session_class(library, totals)

    class Client(base):  # type: ignore[misc, valid-type]
        def __init__(self, *positional: Any, **named: Any) -> None:
            super().__init__(*positional, **named)
            self.sizes: dict[int, int] = {}
            self.waiting: dict[int, asyncio.Future[int]] = {}

        def http_event(self, event: Any) -> None:
            if isinstance(event, data):
                self.sizes[event.stream_id] += len(event.data)
            elif not isinstance(event, headers):
                return
            if event.stream_ended:
                self.waiting.pop(event.stream_id).set_result(self.sizes.pop(event.stream_id))

        async def fetch(self, down: int, up: int, port: int) -> int:
            """One request; the size of its response."""
            stream = await self.next_stream()
            fields = [
                (b":method", b"POST" if up else b"GET"),
                (b":scheme", b"https"),
                (b":authority", b"localhost:%d" % port),
                (b":path", b"/%d" % down),
            ]
            self.sizes[stream] = 0
            answer = self.waiting[stream] = asyncio.get_running_loop().create_future()
            self.session.send_headers(stream, fields, end_stream=not up)
            while up > 0:
                piece = min(up, _PIECE)
                up -= piece
                self.session.send_data(stream, bytes(piece), end_stream=not up)
            self._transmit_soon()
            size: int = await answer
            return size

    return Client


def works(given: argparse.Namespace) -> dict[str, Callable[[list[Any]], Awaitable[Facts]]]:
    """What a client can do over HTTP/3, by name."""

    async def bulk(clients: list[Any]) -> Facts:
        down = given.count if given.work == "download" else 0
        received = await clients[0].fetch(down, given.count - down, given.port)
        return {"received": received}

    async def requests(clients: list[Any]) -> Facts:
        async def worker(client: Any, count: int) -> None:
            for _ in range(count):
                assert await client.fetch(given.answer, 0, given.port) == given.answer

        shared = shares(given.count, len(clients) * given.parallel)
        await asyncio.gather(
            *(worker(clients[number % len(clients)], share) for number, share in enumerate(shared))
        )
        return {"done": given.count}

    return {"download": bulk, "upload": bulk, "requests": requests}
