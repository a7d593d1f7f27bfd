"""aioquic's and qh3's side of the benchmark; they share one shape. Runs in their environment."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import Any

import twin_http3
from side import (
    BACKGROUND_BYTES,
    DATAGRAM_PATIENCE,
    HEADER,
    HOST,
    LOOK_SECONDS,
    Clock,
    arguments,
    leave,
    percentiles,
    request,
    say,
    shares,
)
from twin_library import HttpLibrary, Totals, enlarge, listen, protocol_class, settings

#: Messages between two turns of the event loop: the libraries have nothing that makes a writer
#: wait, and bundle what they got between two turns.
_MESSAGES_A_TURN = 64

Facts = dict[str, object]


async def run_server(library: HttpLibrary, given: argparse.Namespace) -> None:
    """Listen until the runner ends this process."""
    totals = Totals()
    over_http3 = given.protocol == "http3"
    protocol = (twin_http3.server_class if over_http3 else protocol_class)(library, totals)
    transport = await listen(library, settings(library, given), protocol)
    enlarge(transport)
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    clock = Clock()
    say(port=transport.get_extra_info("sockname")[1])
    await ending.wait()
    say(packets=totals.packets, largest=totals.largest, **clock.facts())


class Client:
    """One run of one work."""

    def __init__(self, library: HttpLibrary, given: argparse.Namespace) -> None:
        self.given = given
        self.totals = Totals()
        over_http3 = given.protocol == "http3"
        make = twin_http3.client_class if over_http3 else protocol_class
        self._connect: Callable[[], AbstractAsyncContextManager[Any]] = partial(
            library.asyncio.connect,
            HOST,
            given.port,
            configuration=settings(library, given),
            create_protocol=make(library, self.totals),
        )

    async def run(self) -> Facts:
        """The figures of the work, the handshakes before it apart."""
        if self.given.work == "handshakes":
            return await self.handshakes()
        if self.given.work == "idle":
            await self.idle()
        works: dict[str, Callable[[list[Any]], Awaitable[Facts]]] = {
            "download": self.bulk,
            "upload": self.bulk,
            "both": self.bulk,
            "requests": self.requests,
            "messages": self.messages,
            "datagrams": self.datagrams,
            "latency": self.latency,
        }
        if self.given.protocol == "http3":
            works = twin_http3.works(self.given)
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(self._connect())
                for _ in range(self.given.connections)
            ]
            packets = self.totals.packets
            clock = Clock()
            found = await works[self.given.work](clients)
            facts = clock.facts()
            packets = self.totals.packets - packets
            found |= {"packets": packets, "largest": self.totals.largest, **facts}
            if len(clients) > 1:
                say(**found)
                leave()  # a hundred closes, one after the other, would outlast the run
        return found

    async def bulk(self, clients: list[Any]) -> Facts:
        """``count`` bytes over ``parallel`` streams: to here, from here, or half each way."""
        given, client = self.given, clients[0]
        if given.work == "both":
            half = given.count // 2
            messages = [request(half, HEADER), request(0, HEADER + given.count - half)]
        elif given.work == "download":
            messages = [request(share, HEADER) for share in shares(given.count, given.parallel)]
        else:
            messages = [request(0, HEADER + share) for share in shares(given.count, given.parallel)]
        sizes = await asyncio.gather(*(client.exchange(message) for message in messages))
        return {"received": sum(sizes)}

    async def requests(self, clients: list[Any]) -> Facts:
        """``count`` requests, each on a stream of its own, ``parallel`` at a time."""
        given, client = self.given, clients[0]

        async def worker(count: int) -> None:
            for _ in range(count):
                size = await client.exchange(request(given.answer, given.ask))
                assert size == given.answer

        await asyncio.gather(*(worker(share) for share in shares(given.count, given.parallel)))
        return {"done": given.count}

    async def messages(self, clients: list[Any]) -> Facts:
        """``count`` messages on one stream, each a write of its own."""
        client, message = clients[0], bytes(self.given.ask)
        stream = await client.next_stream()
        client.sizes[stream] = 0
        answer = client.waiting[stream] = asyncio.get_running_loop().create_future()
        client._quic.send_stream_data(stream, bytes(HEADER), False)
        for number in range(self.given.count):
            client._quic.send_stream_data(stream, message, False)
            if number % _MESSAGES_A_TURN == 0:
                client._transmit_soon()
                await asyncio.sleep(0)
        client._quic.send_stream_data(stream, b"", True)
        client._transmit_soon()
        await answer
        return {"done": self.given.count}

    async def datagrams(self, clients: list[Any]) -> Facts:
        """``count`` datagrams that come back, ``parallel`` of them on their way."""
        given, client = self.given, clients[0]
        done = lost = under_way = 0
        payload = bytes(given.ask)
        while done < given.count:
            wanted = min(given.parallel, given.count - done) - under_way
            for _ in range(wanted):
                client._quic.send_datagram_frame(payload)
            under_way += max(0, wanted)
            client._transmit_soon()
            client.echo.clear()
            try:
                async with asyncio.timeout(DATAGRAM_PATIENCE):
                    await client.echo.wait()
            except TimeoutError:
                lost += under_way
                under_way = 0
            done += client.echoed
            under_way = max(0, under_way - client.echoed)
            client.echoed = 0
        return {"done": done, "lost": lost}

    async def latency(self, clients: list[Any]) -> Facts:
        """One small request after the other, beside a transfer that never ends."""
        given, client = self.given, clients[0]

        async def transfer() -> None:
            while True:
                await client.exchange(request(BACKGROUND_BYTES, HEADER))

        background = asyncio.create_task(transfer())
        await asyncio.sleep(given.seconds / 4)  # past slow start
        seconds = []
        end = time.perf_counter() + given.seconds
        while (began := time.perf_counter()) < end:
            await client.exchange(request(given.answer, given.ask))
            seconds.append(time.perf_counter() - began)
        background.cancel()
        return dict(percentiles(seconds))

    async def handshakes(self) -> Facts:
        """``count`` connections, ``parallel`` at a time; each closes while the next begins."""
        closing = []

        async def once(connected: asyncio.Event) -> None:
            async with self._connect():
                connected.set()

        async def worker(count: int) -> None:
            for _ in range(count):
                connected = asyncio.Event()
                closing.append(asyncio.create_task(once(connected)))
                await connected.wait()

        clock = Clock()
        shared = shares(self.given.count, self.given.parallel)
        await asyncio.gather(*(worker(share) for share in shared))
        facts = clock.facts()
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(*closing)
        return {"done": self.given.count, **facts}

    async def idle(self) -> None:
        """``count`` connections, silence, ``connections`` more, silence; the process ends."""
        async with AsyncExitStack() as stack:
            for count in (self.given.count, self.given.connections):
                for _ in range(count):
                    await stack.enter_async_context(self._connect())
                await asyncio.sleep(self.given.seconds)
                say(settled=count)
                await asyncio.sleep(LOOK_SECONDS)
            leave()


async def run_client(library: HttpLibrary, given: argparse.Namespace) -> None:
    """Do the work, and tell of it."""
    say(**await Client(library, given).run())


def main() -> None:
    """Command line of the runner."""
    given = arguments(__doc__, ["aioquic", "qh3"])
    library = HttpLibrary(given.stack)
    asyncio.run((run_server if given.role == "server" else run_client)(library, given))


if __name__ == "__main__":
    main()
