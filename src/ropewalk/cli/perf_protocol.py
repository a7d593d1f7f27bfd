"""The QUIC performance protocol (draft-banks-quic-performance), both sides.

On each bidirectional stream the client sends eight bytes, big-endian: how many bytes it wants
back. Whatever follows until the end of the stream is the upload.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final, final

from anyio import EndOfStream, create_task_group
from anyio.abc import ByteReceiveStream

from ropewalk.cli.figures import Figures, Meter
from ropewalk.quic.types.errors import ApplicationError, ConnectionLost
from ropewalk.runtime import Connection, Stream

ALPN: Final = "perf"
#: One write, and the most that one read takes.
CHUNK: Final = 256 * 1024
_HEADER: Final = 8
_PROTOCOL_ERROR: Final = 1

_zeros: Final = bytes(CHUNK)


@final
class PerfServer:
    """Answers requests. ``report`` gets the figures whenever the last connection has ended.

    Connections that overlap share one report, because a process has one CPU clock. It runs
    from their first request until the clients have the last byte of their answers.
    """

    def __init__(self, report: Callable[[Figures], None]) -> None:
        self._report = report
        self._active = 0
        #: connections with requests at work, and how many
        self._answering: dict[Connection, int] = {}
        self._meter = Meter("server")

    async def handle(self, connection: Connection) -> None:
        """Serve one connection until the client closes it."""
        if self._active == 0:
            self._meter = Meter("server")
        meter = self._meter
        self._active += 1
        try:
            async with create_task_group() as requests:
                async for stream in connection:
                    meter.begin()
                    requests.start_soon(self._answer, stream, meter)
        finally:
            meter.add([connection])
            self._active -= 1
            if self._active == 0:
                self._report(meter.figures())

    async def _answer(self, stream: Stream, meter: Meter) -> None:
        connection = stream.connection
        self._answering[connection] = self._answering.get(connection, 0) + 1
        try:
            await self._exchange(stream, meter)
        finally:
            self._answering[connection] -= 1
            last = not self._answering[connection]
            if last:
                del self._answering[connection]
            meter.stop()
        if last:
            # What is sent has not arrived. The last of those at work looks for them all, for
            # each wait of this kind looks again in every turn of the event loop.
            with suppress(ConnectionLost):
                await connection.flush()
            meter.stop()

    async def _exchange(self, stream: Stream, meter: Meter) -> None:
        async with stream:
            request, rest = await _read_header(stream)
            meter.bytes_received += len(rest)
            async with create_task_group() as both_ways:
                both_ways.start_soon(_swallow, stream, meter)
                await _pour(stream, request, meter)
            # Not before the upload is read to its end, for that is what the client's clock
            # waits for.
            await stream.send_eof()


async def transfer(stream: Stream, download: int, upload: int, meter: Meter) -> None:
    """The client's side of one stream. Raises :exc:`ApplicationError` for a wrong answer."""
    async with stream, create_task_group() as both_ways:
        both_ways.start_soon(_request, stream, download, upload, meter)
        received = await _swallow(stream, meter)
        if received != download:
            raise ApplicationError(
                _PROTOCOL_ERROR,
                f"the server sent {received} bytes of the {download} asked for; "
                "does it speak draft-banks-quic-performance?",
            )


async def _request(stream: Stream, download: int, upload: int, meter: Meter) -> None:
    await stream.send(download.to_bytes(_HEADER, "big"))
    await _pour(stream, upload, meter)
    await stream.send_eof()


async def _pour(stream: Stream, size: int, meter: Meter) -> None:
    """Send ``size`` bytes."""
    whole, rest = divmod(size, CHUNK)
    for _ in range(whole):
        await stream.send(_zeros)
        meter.bytes_sent += CHUNK
    if rest:
        await stream.send(_zeros[:rest])
        meter.bytes_sent += rest


async def _swallow(stream: ByteReceiveStream, meter: Meter) -> int:
    """Read to the end; how much it was."""
    received = 0
    try:
        while True:
            size = len(await stream.receive(CHUNK))
            received += size
            meter.bytes_received += size
    except EndOfStream:
        return received


async def _read_header(stream: Stream) -> tuple[int, bytes]:
    """The size asked for, and what came with it."""
    data = b""
    while len(data) < _HEADER:
        try:
            data += await stream.receive(CHUNK)
        except EndOfStream:
            raise ApplicationError(
                _PROTOCOL_ERROR, f"a request has {_HEADER} bytes, this one had {len(data)}"
            ) from None
    return int.from_bytes(data[:_HEADER], "big"), data[_HEADER:]
