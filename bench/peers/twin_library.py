"""aioquic and qh3 as the benchmark uses them: settings, what both roles share, listening.

Each library is used as its documentation shows and as fast as that goes: a protocol class that
only adds up what arrives, all there is to send in one write, windows and kernel buffers as
large as Ropewalk's. qh3 gets its own batching UDP transport on the server too, where its
``serve`` would not use it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import importlib
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from side import (
    ALPN,
    HEADER,
    HOST,
    IDLE_SECONDS,
    RECEIVE_BUFFER,
    SERVER_NAME,
    WINDOW,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "interop" / "peers"))
from raw_peer import Library

# The libraries' classes are known only once one is chosen, hence the Any.


class Totals:
    """What a process received over all its connections."""

    def __init__(self) -> None:
        self.packets = 0
        self.largest = 0

    def count(self, datagrams: int, first: bytes) -> None:
        """Note what one call of the transport brought."""
        self.packets += datagrams
        self.largest = max(self.largest, len(first))


def settings(library: Library, given: argparse.Namespace) -> Any:
    """What all stacks are set to."""
    config = library.configuration.QuicConfiguration(
        is_client=given.role == "client",
        alpn_protocols=["h3" if given.protocol == "http3" else ALPN],
        max_datagram_size=given.mtu,
        max_datagram_frame_size=65535,
        max_data=WINDOW,
        max_stream_data=WINDOW,
        idle_timeout=IDLE_SECONDS,
        cipher_suites=[library.tls.CipherSuite.AES_128_GCM_SHA256],
    )
    if library.name == "qh3":
        config.probe_datagram_size = False  # it would go on beyond the cap
    if given.role == "client":
        config.server_name = SERVER_NAME
        config.load_verify_locations(cafile=given.ca)
        config.verify_mode = ssl.CERT_REQUIRED
    else:
        config.load_cert_chain(given.certificate, given.key)
    _take_only(library, given.group)
    return config


def _take_only(library: Library, group: str) -> None:
    """Neither library has a setting for it; aioquic would take P-256, qh3 X25519MLKEM768."""
    tls: Any = library.tls
    name = {"X25519": "X25519", "X25519MLKEM768": "X25519ML768"}[group]
    chosen = getattr(tls.Group, name, None)
    if chosen is None:
        raise SystemExit(f"{library.name} has no {group}")
    original: Callable[..., None] = tls.Context.__init__

    def init(self: Any, *positional: Any, **named: Any) -> None:
        original(self, *positional, **named)
        self._supported_groups = [chosen]

    tls.Context.__init__ = init


def counting(library: Library, totals: Totals) -> Any:
    """The library's protocol class, made to count datagrams and enlarge its socket."""

    # The base is known at run time only: one of two libraries with the same names.
    class Counting(library.asyncio.QuicConnectionProtocol):  # type: ignore[misc, name-defined]
        def datagram_received(self, data: bytes, address: Any) -> None:
            totals.count(1, data)
            super().datagram_received(data, address)

        def datagrams_received(self, data: list[bytes], address: Any) -> None:
            totals.count(len(data), data[0])
            super().datagrams_received(data, address)

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            enlarge(transport)

        async def next_stream(self) -> int:
            """The next stream's number, once the peer allows it.

            aioquic queues what the limit does not allow yet, qh3 raises. The limit counts all
            streams so far, whatever the property's name suggests.
            """
            stream: int = self._quic.get_next_available_stream_id()
            while stream // 4 >= getattr(self._quic, "max_concurrent_bidi_streams", stream + 1):
                await asyncio.sleep(0)
                stream = self._quic.get_next_available_stream_id()
            return stream

    return Counting


def protocol_class(library: Library, totals: Totals) -> Any:
    """The protocol of both roles over QUIC."""
    stream_data = library.events.StreamDataReceived
    datagram = library.events.DatagramFrameReceived
    base = counting(library, totals)

    class Protocol(base):  # type: ignore[misc, valid-type]
        """Counts; answers requests as a server, sends them as a client."""

        def __init__(self, *positional: Any, **named: Any) -> None:
            super().__init__(*positional, **named)
            self.heads: dict[int, bytes] = {}
            self.sizes: dict[int, int] = {}
            self.waiting: dict[int, asyncio.Future[int]] = {}
            self.echoed = 0
            self.echo = asyncio.Event()

        def quic_event_received(self, event: Any) -> None:
            if isinstance(event, stream_data):
                stream = event.stream_id
                if not self._quic.configuration.is_client:
                    self._serve(stream, event)
                    return
                self.sizes[stream] += len(event.data)
                if event.end_stream:
                    self.waiting.pop(stream).set_result(self.sizes.pop(stream))
            elif isinstance(event, datagram):
                if self._quic.configuration.is_client:
                    self.echoed += 1
                    self.echo.set()
                else:
                    self._quic.send_datagram_frame(event.data)

        def _serve(self, stream: int, event: Any) -> None:
            # What is sent from here leaves when the protocol has seen all events of a datagram.
            head = self.heads.get(stream, b"")
            if len(head) < HEADER:
                head += event.data[: HEADER - len(head)]
            if event.end_stream:
                self.heads.pop(stream, None)
                self._quic.send_stream_data(stream, bytes(int.from_bytes(head, "big")), True)
            else:
                self.heads[stream] = head

        async def exchange(self, message: bytes) -> int:
            """Send the message on a new stream; the size of the answer once it has ended."""
            stream = await self.next_stream()
            self.sizes[stream] = 0
            answer = self.waiting[stream] = asyncio.get_running_loop().create_future()
            self._quic.send_stream_data(stream, message, True)
            self._transmit_soon()
            size: int = await answer
            return size

    return Protocol


def enlarge(transport: Any) -> None:
    """Give the socket the receive buffer that Ropewalk asks for."""
    with contextlib.suppress(OSError):
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER
        )


async def listen(library: Library, config: Any, protocol: Any) -> Any:
    """The listening transport."""
    if library.name == "aioquic":
        server = await library.asyncio.serve(
            HOST, 0, configuration=config, create_protocol=protocol
        )
        return server._transport
    from qh3.asyncio._transport import create_optimized_datagram_transport
    from qh3.asyncio.server import QuicServer

    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((HOST, 0))
    transport, _ = await create_optimized_datagram_transport(
        asyncio.get_running_loop(),
        functools.partial(QuicServer, configuration=config, create_protocol=protocol),
        sock=bound,
    )
    return transport


class HttpLibrary(Library):
    """The chosen library with its HTTP/3 part."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.h3: Any = importlib.import_module(f"{name}.h3.connection")
        self.h3_events: Any = importlib.import_module(f"{name}.h3.events")
