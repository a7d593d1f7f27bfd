"""One connection as a task sees it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self, final, overload

from anyio import (
    CancelScope,
    ClosedResourceError,
    Event,
    current_time,
    move_on_after,
    move_on_at,
)
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint, checkpoint_if_cancelled

from ropewalk.quic.connection import Connection as CoreConnection
from ropewalk.quic.types import events
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ApplicationError, ConnectionLost
from ropewalk.quic.types.handshake import PeerIdentity
from ropewalk.runtime.signal import Signal
from ropewalk.runtime.stats import ConnectionStats, connection_stats
from ropewalk.runtime.streams import ReceiveStream, SendStream, Stream
from ropewalk.runtime.turns import Turns

if TYPE_CHECKING:
    from ropewalk.runtime.application import Application
    from ropewalk.runtime.driver import Driver

_logger: Final = logging.getLogger("ropewalk.runtime")

#: No drain takes longer, whatever the round-trip time says.
DRAIN_LIMIT: Final = 5.0
#: How long a flush waits for a peer that takes nothing.
_FLUSH_PATIENCE: Final = 10.0
#: The bit of a stream ID that marks one direction only (RFC 9000 2.1).
_UNIDIRECTIONAL: Final = 2


@final
class Connection:
    """A QUIC connection. Made by ``connect`` and ``serve``; owned by them.

    Methods may be called from any task of the same event loop. Methods that are not
    coroutines take effect at once and never wait.
    """

    def __init__(self, driver: Driver, core: CoreConnection, local: int) -> None:
        #: The sans-IO connection, for what this class does not cover.
        self.core = core
        self.local = local
        #: Code for a close that an exception in the owning body causes.
        self.error_code = 1
        #: Code for a close in good order, which is no error from the peer either.
        self.no_error_code = 0
        #: Address-validation token for a later connection (``connect(..., token=...)``).
        self.token = b""
        self._driver = driver
        self._streams: dict[int, SendStream | ReceiveStream] = {}
        self._opened: deque[Stream] = deque()
        self._opened_unidirectional: deque[ReceiveStream] = deque()
        self._accepting = Signal()
        self._opening = Turns()
        self._opening_unidirectional = Turns()
        self._datagrams = Signal()
        self._progress = Signal()
        self._handshake = Event()
        self._closed = Event()
        self._closing_here = False
        #: The connection is over; ``error`` says why, None after a close by this side.
        self.lost = False
        self.error: ConnectionLost | None = None
        #: What sees the events first, if this connection was made with one.
        self.application: Application | None = None

    def __repr__(self) -> str:
        side = "client" if self.core.is_client else "server"
        return f"<Connection {side} {self.remote_address}{' closed' if self.lost else ''}>"

    # -- facts

    @property
    def alpn(self) -> str | None:
        """The application protocol that was agreed on."""
        return self.core.alpn

    @property
    def peer_identity(self) -> PeerIdentity | None:
        """Who the peer proved to be; None for a client without a certificate."""
        return self.core.peer_identity

    @property
    def remote_address(self) -> Address:
        """Where the peer is reached."""
        return self.core.remote

    @property
    def local_address(self) -> Address:
        """The socket's own address."""
        return self._driver.local_address(self.local)

    @property
    def max_datagram_size(self) -> int:
        """The largest datagram that can be sent now; 0 when the peer takes none."""
        return self.core.max_datagram_size()

    @property
    def stats(self) -> ConnectionStats:
        """Figures as of now; also after the end."""
        return connection_stats(self.core)

    # -- streams

    @overload
    async def open_stream(self, bidirectional: Literal[True] = True) -> Stream: ...
    @overload
    async def open_stream(self, bidirectional: Literal[False]) -> SendStream: ...

    async def open_stream(self, bidirectional: bool = True) -> Stream | SendStream:
        """Open a stream, waiting while the peer's limit on streams is used up.

        Who asked first is served first, for each of the two kinds of streams. The peer learns
        of it with the first bytes. Cancelling opens nothing. Raises :exc:`ConnectionLost`, or
        ``ClosedResourceError`` after a close by this side.
        """
        # Checkpoints come first: what was taken is never held across an await, for nothing
        # shields it from asyncio's own cancellations (asyncio.timeout, Task.cancel).
        await checkpoint()
        turns = self._opening if bidirectional else self._opening_unidirectional
        stream = self._open(bidirectional) if not turns else None
        if stream is not None:
            return stream
        return await turns.take(lambda: self._open(bidirectional))

    @overload
    async def accept_stream(self, bidirectional: Literal[True] = True) -> Stream: ...
    @overload
    async def accept_stream(self, bidirectional: Literal[False]) -> ReceiveStream: ...

    async def accept_stream(self, bidirectional: bool = True) -> Stream | ReceiveStream:
        """The next stream that the peer opened, in the order of their opening.

        Bidirectional and unidirectional streams wait apart. How many can wait is bounded by
        ``max_bidirectional_streams`` and ``max_unidirectional_streams``. Cancelling accepts
        nothing. Raises :exc:`ConnectionLost`, or ``ClosedResourceError`` after a close by
        this side.
        """
        await checkpoint()
        queue = self._opened if bidirectional else self._opened_unidirectional
        while not queue:
            self.check_open()
            await self._accepting.wait()
        return queue.popleft()

    def __aiter__(self) -> Self:
        """Iterate over bidirectional streams as the peer opens them.

        Ends with a clean close: by this side, or by the peer with application code 0. Other
        ends raise as :meth:`accept_stream`.
        """
        return self

    async def __anext__(self) -> Stream:
        try:
            return await self.accept_stream()
        except (ClosedResourceError, ApplicationError):
            if self._closed_cleanly():
                raise StopAsyncIteration from None
            raise

    # -- datagrams

    async def send_datagrams(
        self, datagrams: Sequence[bytes], *, flow: int = 0, deadline: float = inf
    ) -> int:
        """Queue unreliable datagrams (RFC 9221); returns how many the queue had room for.

        The rest is dropped and counted, for a late datagram is often worth less than none.
        ``deadline`` (event-loop time) drops what could not leave before it. Nothing waits
        but the checkpoint at the beginning; cancelled there, nothing is queued. Raises
        ``DatagramTooLarge`` beyond :attr:`max_datagram_size`, :exc:`Unsupported` where the
        peer takes no datagrams, :exc:`ConnectionLost`.
        """
        await checkpoint()
        self.check_open()
        accepted = self.core.send_datagrams(list(datagrams), flow, deadline)
        self.kick()
        return accepted

    async def receive_datagrams(self, limit: int = 256) -> list[bytes]:
        """At least one and at most ``limit`` datagrams that arrived, oldest first.

        The queue is bounded; what finds it full is dropped and counted. Cancelling takes
        nothing. Raises :exc:`ConnectionLost`, or ``ClosedResourceError`` after a close by
        this side.
        """
        if limit < 1:
            raise ValueError("limit must be at least 1")
        await checkpoint()
        datagrams = self.core.receive_datagrams(limit)
        while not datagrams:
            self.check_open()
            await self._datagrams.wait()
            datagrams = self.core.receive_datagrams(limit)
        return datagrams

    # -- the end

    async def close(self, code: int = 0, reason: str = "") -> None:
        """Close at once with an application code (0 to 2^62 - 1) and a reason.

        Streams that have not ended are cut off. Then wait until the connection is gone,
        three probe timeouts at most (RFC 9000 10.2). The close itself is done before the
        first await; cancelling ends the waiting only. A second close does nothing.
        """
        self.start_close(code, reason)
        await self._wait_drained()

    async def wait_closed(self) -> None:
        """Wait until nothing of the connection is left, whoever closed it.

        :attr:`error` then says why. Cancelling has no effect on the connection.
        """
        await self._closed.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.finalize(exc_value)

    async def finalize(self, failure: BaseException | None) -> None:
        """Close as an owner does: after a failure at once, otherwise when all is delivered.

        The drain is shielded from cancellation and short. Raises as :meth:`flush`.
        """
        code = self.error_code
        try:
            if failure is None:
                await self.flush()
                code = self.no_error_code
        finally:
            self.start_close(code, "")
            with CancelScope(shield=True):
                await self._wait_drained()

    async def flush(self) -> None:
        """Wait until the peer has acknowledged all that was sent on streams.

        Cancelling ends the waiting only. Raises :exc:`ConnectionLost` when bytes remain that
        will not arrive: the connection broke, or the peer has taken nothing for ten seconds.
        Bytes that the peer did not want are no error: it stopped the stream, or closed with
        application code 0.
        """
        await checkpoint_if_cancelled()
        left = self.undelivered()
        if not left:
            await cancel_shielded_checkpoint()
            return
        patience = current_time() + _FLUSH_PATIENCE
        with self._driver.watch(self._progress):
            while left and not self.lost:
                with move_on_at(patience):
                    await self._progress.wait()
                before, left = left, self.undelivered()
                if left < before:
                    patience = current_time() + _FLUSH_PATIENCE
                elif current_time() >= patience:
                    raise ConnectionLost(
                        f"the peer at {self.remote_address} has taken nothing for "
                        f"{_FLUSH_PATIENCE:g} seconds, and {left} bytes are left; let it read "
                        "on, or reset the stream before leaving"
                    )
        if left and self.error is not None and not self._closed_cleanly():
            raise self.error.with_traceback(None)

    def undelivered(self) -> int:
        """Bytes given to streams that the peer has not acknowledged, an end counting as one."""
        return self.core.undelivered()

    # -- for the driver and the streams

    @property
    def draining(self) -> bool:
        """Closed by this side after a handshake, and not gone yet."""
        return self._closing_here and self.core.handshake_complete and not self._closed.is_set()

    def leftovers(self) -> list[str]:
        """What is held still, in words; nothing once the connection is lost and its tasks ran."""
        left = [f"stream {stream_id}" for stream_id in self._streams] if self.lost else []
        waiting = len(self._opening) + len(self._opening_unidirectional)
        if waiting:
            left.append(f"{waiting} turns of tasks that want to open a stream")
        return left

    def start_close(self, code: int, reason: str) -> None:
        """Have the core close; nothing if the connection is lost already."""
        if self.lost:
            return
        self._closing_here = True
        self.core.close(code, reason, self._driver.now())
        self._lose(None)
        self.kick()

    def abort(self) -> None:
        """The driver stops: tell the peer if that was not done, and wake everybody."""
        self.start_close(self.error_code, "")
        self._finish(self.error)

    def _closed_cleanly(self) -> bool:
        error = self.error
        return error is None or (
            isinstance(error, ApplicationError) and error.code in (0, self.no_error_code)
        )

    def install(self, application: Application) -> None:
        """Let an application see the events first, from now on."""
        self.application = application
        self.no_error_code = application.no_error_code

    def retire(self, stream_id: int) -> None:
        """A stream needs no more events."""
        self._streams.pop(stream_id, None)

    def kick(self) -> None:
        """The core connection may have something to send."""
        self._driver.kick(self.core)

    def check_open(self) -> None:
        """Raise why the connection is over, if it is."""
        if self.lost:
            if self.error is None:
                raise ClosedResourceError
            raise self.error.with_traceback(None)

    async def wait_handshake(self) -> None:
        """Wait for keys and a verified peer. Raises :exc:`ConnectionLost`."""
        await self._handshake.wait()
        self.check_open()

    def handle(self, event: events.Event) -> None:
        """Turn one of the core's events into what tasks wait for."""
        if self.application is not None and self._is_taken(self.application, event):
            return
        if isinstance(event, (events.StreamReadable, events.StreamResetByPeer)):
            stream = self._streams.get(event.stream_id)
            if isinstance(stream, ReceiveStream):
                stream._on_readable()
        elif isinstance(event, events.StreamWritable):
            stream = self._streams.get(event.stream_id)
            if isinstance(stream, SendStream):
                stream._wake()
        elif isinstance(event, events.StreamOpened):
            self._on_opened(event.stream_id)
        elif isinstance(event, events.StreamStoppedByPeer):
            stream = self._streams.get(event.stream_id)
            if isinstance(stream, SendStream):
                stream._on_stopped(event.code)
        elif isinstance(event, events.StreamsAvailable):
            (self._opening if event.bidirectional else self._opening_unidirectional).notify()
        elif isinstance(event, events.DatagramsReadable):
            self._datagrams.notify()
        elif isinstance(event, events.HandshakeComplete):
            self._handshake.set()
        elif isinstance(event, events.TokenReceived):
            self.token = event.token
        elif isinstance(event, events.ConnectionClosing):
            self._lose(event.error)
        elif isinstance(event, events.ConnectionClosed):
            self._finish(event.error)

    # -- inside

    def _is_taken(self, application: Application, event: events.Event) -> bool:
        try:
            return application.on_event(event)
        except Exception:
            # Its fault ends its own connection, not the driver of all of them.
            _logger.exception("the application of %s failed", self)
            self.application = None
            self.start_close(self.error_code, "")
            return False

    def _open(self, bidirectional: bool) -> Stream | SendStream | None:
        self.check_open()
        stream_id = self.core.open_stream(bidirectional)
        if stream_id is None:
            return None
        kind = Stream if bidirectional else SendStream
        stream = self._streams[stream_id] = kind(self, stream_id)
        return stream

    def _on_opened(self, stream_id: int) -> None:
        if stream_id & _UNIDIRECTIONAL:
            receiving = self._streams[stream_id] = ReceiveStream(self, stream_id)
            self._opened_unidirectional.append(receiving)
        else:
            stream = Stream(self, stream_id)
            self._streams[stream_id] = stream
            self._opened.append(stream)
        self._accepting.notify()

    def _lose(self, error: ConnectionLost | None) -> None:
        if self.lost:
            return
        self.lost = True
        self.error = error
        for stream in self._streams.values():
            stream._wake()
        self._streams.clear()
        for signal in (self._accepting, self._datagrams, self._progress):
            signal.notify()
        self._opening.notify_all()
        self._opening_unidirectional.notify_all()
        self._handshake.set()

    def _finish(self, error: ConnectionLost | None) -> None:
        self._lose(error)
        self._closed.set()
        self._driver.forget(self.core)

    async def _wait_drained(self) -> None:
        if self.draining:
            with move_on_after(DRAIN_LIMIT):
                await self._closed.wait()
        else:
            await cancel_shielded_checkpoint()
