"""aioquic's and qh3's side of the benchmark; they share one shape. Runs in their environment.

Each library is used as its documentation shows and as fast as that goes: one write of all
there is to send, a protocol class that only adds up what arrives, windows and kernel buffers
as large as Ropewalk's. qh3 gets its own batching UDP transport on the server too, where its
``serve`` would not use it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import signal
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
    RECEIVE_BUFFER,
    SERVER_NAME,
    Clock,
    arguments,
    say,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "interop" / "peers"))
from raw_peer import Library

# The libraries' classes are known only once one is chosen, hence the Any.

#: As far as Ropewalk's windows grow.
WINDOW = 16 << 20


def settings(library: Library, given: argparse.Namespace) -> Any:
    """What all stacks are set to."""
    config = library.configuration.QuicConfiguration(
        is_client=given.role == "client",
        alpn_protocols=[ALPN],
        max_datagram_size=given.mtu,
        max_data=WINDOW,
        max_stream_data=WINDOW,
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
    _only_x25519(library)
    return config


def _only_x25519(library: Library) -> None:
    """Neither library has a setting for it; aioquic would take P-256, qh3 X25519MLKEM768."""
    tls: Any = library.tls
    original: Callable[..., None] = tls.Context.__init__

    def init(self: Any, *positional: Any, **named: Any) -> None:
        original(self, *positional, **named)
        self._supported_groups = [tls.Group.X25519]

    tls.Context.__init__ = init


class Totals:
    """What a process received over all its connections."""

    def __init__(self) -> None:
        self.packets = 0
        self.largest = 0


def protocol_class(library: Library, totals: Totals) -> Any:
    """The protocol of both roles, made on the library's own base class."""
    data_received = library.events.StreamDataReceived

    # The base is known at run time only: one of two libraries with the same names.
    class Protocol(library.asyncio.QuicConnectionProtocol):  # type: ignore[misc, name-defined]
        """Counts; answers requests as a server, sends one as a client."""

        def __init__(self, *positional: Any, **named: Any) -> None:
            super().__init__(*positional, **named)
            self.head = b""
            self.received = 0
            self.done: asyncio.Future[None] | None = None

        def datagram_received(self, data: bytes, address: Any) -> None:
            totals.packets += 1
            if len(data) > totals.largest:
                totals.largest = len(data)
            super().datagram_received(data, address)

        def datagrams_received(self, data: list[bytes], address: Any) -> None:
            totals.packets += len(data)
            if len(data[0]) > totals.largest:
                totals.largest = len(data[0])
            super().datagrams_received(data, address)

        def quic_event_received(self, event: Any) -> None:
            if isinstance(event, data_received):
                if len(self.head) < HEADER:
                    self.head += event.data[: HEADER - len(self.head)]
                self.received += len(event.data)
                if event.end_stream:
                    if self.done is not None:
                        self.done.set_result(None)
                    else:
                        size = int.from_bytes(self.head, "big")
                        self._quic.send_stream_data(event.stream_id, bytes(size), True)
                        self.transmit()

        async def request(self, message: bytes) -> None:
            """Send the message on a new stream, and wait for the end of the answer."""
            self.done = asyncio.get_running_loop().create_future()
            stream = self._quic.get_next_available_stream_id()
            self._quic.send_stream_data(stream, message, True)
            self.transmit()
            await self.done

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            enlarge(transport)

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


async def run_server(library: Library, given: argparse.Namespace) -> None:
    """Listen until the runner ends this process."""
    totals = Totals()
    transport = await listen(library, settings(library, given), protocol_class(library, totals))
    enlarge(transport)
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    clock = Clock()
    say(port=transport.get_extra_info("sockname")[1])
    await ending.wait()
    say(packets=totals.packets, largest=totals.largest, **clock.facts())


async def transfer(library: Library, given: argparse.Namespace) -> None:
    """One stream on one connection."""
    totals = Totals()
    message = given.download.to_bytes(HEADER, "big") + bytes(given.upload)
    async with library.asyncio.connect(
        HOST,
        given.port,
        configuration=settings(library, given),
        create_protocol=protocol_class(library, totals),
    ) as client:
        packets = totals.packets
        clock = Clock()
        await client.request(message)
        facts = clock.facts()
        packets = totals.packets - packets
    say(received=client.received, packets=packets, largest=totals.largest, **facts)


async def handshakes(library: Library, given: argparse.Namespace) -> None:
    """New connections, one after the other; each closes while the next begins."""
    config = settings(library, given)
    protocol = protocol_class(library, Totals())

    async def once(connected: asyncio.Event) -> None:
        async with library.asyncio.connect(
            HOST, given.port, configuration=config, create_protocol=protocol
        ):
            connected.set()

    closing = []
    clock = Clock()
    for _ in range(given.handshakes):
        connected = asyncio.Event()
        closing.append(asyncio.create_task(once(connected)))
        await connected.wait()
    facts = clock.facts()
    await asyncio.gather(*closing)
    say(handshakes=given.handshakes, **facts)


def main() -> None:
    """Command line of the runner."""
    given = arguments(__doc__, ["aioquic", "qh3"])
    library = Library(given.stack)
    if given.role == "server":
        asyncio.run(run_server(library, given))
    else:
        asyncio.run((handshakes if given.handshakes else transfer)(library, given))


if __name__ == "__main__":
    main()
