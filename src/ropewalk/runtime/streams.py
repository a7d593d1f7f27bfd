"""Streams as anyio's byte streams (RFC 9000 2 and 3)."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Final

from anyio import (
    BrokenResourceError,
    ClosedResourceError,
    EndOfStream,
    ResourceGuard,
    get_cancelled_exc_class,
)
from anyio.abc import ByteReceiveStream, ByteSendStream, ByteStream
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint

from ropewalk.quic.types.errors import StopSending, StreamError, StreamReset
from ropewalk.runtime.signal import Signal

if TYPE_CHECKING:
    from ropewalk.runtime.connection import Connection

#: The most that one write hands to the core, so that what it refuses is cheap to cut off.
_PIECE: Final = 1 << 20


class _Half:
    """What both directions of a stream know."""

    #: Application error code for a transfer that is given up without a code of the caller's:
    #: a ``send`` cancelled midway, a body left by an exception, ``aclose`` before the end.
    cancel_code: int

    def __init__(self, connection: Connection, stream_id: int) -> None:
        self.connection = connection
        #: The stream's number (RFC 9000 2.1).
        self.stream_id = stream_id
        self.cancel_code = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stream_id}>"

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None:
            await self.aclose()
        else:
            # The end of a stream says "this is all of it". After an exception it is not.
            self._abandon(self.cancel_code)

    async def aclose(self) -> None:
        """Close the stream in the directions it has. See the subclasses."""
        self._close()
        await cancel_shielded_checkpoint()

    def _close(self) -> None:
        """Give up what is open of this direction, in good order."""

    def _abandon(self, code: int) -> None:
        """Give up what is open of this direction, telling the peer that it is not whole."""

    def _wake(self) -> None:
        """The connection is lost: whoever waits shall look."""

    def _is_over(self) -> bool:
        """Whether no event can matter to anybody any more."""
        return True

    def _retire(self) -> None:
        if self._is_over():
            self.connection.retire(self.stream_id)


class SendStream(_Half, ByteSendStream):
    """The sending direction of a stream."""

    def __init__(self, connection: Connection, stream_id: int) -> None:
        super().__init__(connection, stream_id)
        self._writable = Signal()
        self._send_guard = ResourceGuard("sending on this stream")
        self._finished = False
        self._broken = False
        self._stopped: StopSending | None = None

    async def send(self, item: bytes) -> None:
        """Send all of ``item``, waiting while the stream's send buffer is full.

        Returns when the core has taken everything, not when the peer has it. Cancelling has
        no effect as long as nothing was taken; after that a part is on its way, which the
        peer must not mistake for the whole, so the stream is reset with ``cancel_code`` and
        further sends raise ``BrokenResourceError``.

        Raises :exc:`StopSending` when the peer no longer reads, :exc:`ConnectionLost`,
        ``ClosedResourceError`` after :meth:`send_eof`, :meth:`reset` or ``aclose``.
        """
        with self._send_guard:
            # Not after the writing: see Connection.open_stream.
            await checkpoint()
            sent = self._write(item, 0)
            try:
                while sent < len(item):
                    await self._writable.wait()
                    sent += self._write(item, sent)
            except get_cancelled_exc_class():
                if sent:
                    self._break()
                raise

    async def send_eof(self) -> None:
        """End the sending direction: the peer reads what was sent, then the end.

        Takes effect at once and cannot be cancelled. Calling it again does nothing.
        """
        if self._stopped is None and not self._broken:
            self._finish()
        await cancel_shielded_checkpoint()

    def reset(self, code: int = 0) -> None:
        """Give up sending: unsent data is dropped, the peer reads ``StreamReset(code)``.

        Takes effect at once. Does nothing on a direction that has already ended.
        """
        if self._finished:
            # The end may still be on its way, and RFC 9000 3.1 allows to take it back.
            self._ask_core_to_reset(code)
        elif self._stopped is None:
            self._finished = True
            self._ask_core_to_reset(code)
        self._retire()
        self._writable.notify()

    def _write(self, item: bytes, start: int) -> int:
        """Hand the core what it takes of ``item[start:]``."""
        self._check_sendable()
        total = 0
        while start < len(item):
            whole = start == 0 and len(item) <= _PIECE
            piece = bytes(item) if whole else bytes(item[start : start + _PIECE])
            accepted = self.connection.core.write(self.stream_id, piece)
            total += accepted
            start += accepted
            if accepted < len(piece):
                break
        if total:
            self.connection.kick()
        return total

    def _check_sendable(self) -> None:
        if self._stopped is not None:
            raise self._stopped.with_traceback(None)
        if self._broken:
            raise BrokenResourceError("an earlier send on this stream was cancelled midway")
        if self._finished:
            raise ClosedResourceError
        self.connection.check_open()

    def _finish(self) -> None:
        if self._finished:
            return
        self._finished = True
        if not self.connection.lost:
            self.connection.core.finish(self.stream_id)
            self.connection.kick()
        self._retire()

    def _break(self) -> None:
        if not self._finished:
            self._broken = True
            self.reset(self.cancel_code)

    def _ask_core_to_reset(self, code: int) -> None:
        if not self.connection.lost:
            try:
                self.connection.core.reset(self.stream_id, code)
            except StreamError:
                return  # everything had arrived; nothing is left to take back
            self.connection.kick()

    def _on_stopped(self, code: int) -> None:
        self._stopped = StopSending(code)
        self._retire()
        self._writable.notify()

    def _close(self) -> None:
        super()._close()
        if self._stopped is None:
            self._finish()
        self._finished = True
        self._writable.notify()

    def _abandon(self, code: int) -> None:
        super()._abandon(code)
        if not self._finished:
            self.reset(code)

    def _wake(self) -> None:
        super()._wake()
        self._writable.notify()

    def _is_over(self) -> bool:
        return super()._is_over() and (self._finished or self._stopped is not None)


class ReceiveStream(_Half, ByteReceiveStream):
    """The receiving direction of a stream."""

    def __init__(self, connection: Connection, stream_id: int) -> None:
        super().__init__(connection, stream_id)
        self._readable = Signal()
        self._receive_guard = ResourceGuard("receiving from this stream")
        self._ended = False
        self._stopped_reading = False
        self._reset_by_peer: StreamReset | None = None

    async def receive(self, max_bytes: int = 262144) -> bytes:
        """The next bytes in order, at least 1 and at most ``max_bytes``.

        Reading is what gives the peer credit to send more. Cancelling takes nothing.

        Raises ``EndOfStream`` after the last byte, :exc:`StreamReset` when the peer gave up,
        :exc:`ConnectionLost`, ``ClosedResourceError`` after :meth:`stop` or ``aclose``.
        """
        if max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        with self._receive_guard:
            await checkpoint()
            data = self._read(max_bytes)
            while not data:
                await self._readable.wait()
                data = self._read(max_bytes)
            return data

    def stop(self, code: int = 0) -> None:
        """Tell the peer that nothing more will be read (STOP_SENDING).

        Takes effect at once. Does nothing after the end.
        """
        if self._stopped_reading:
            return
        self._stopped_reading = True
        if not (self._ended or self._reset_by_peer or self.connection.lost):
            self.connection.core.stop(self.stream_id, code)
            self.connection.kick()
        self._retire()
        self._readable.notify()

    def _read(self, max_bytes: int) -> bytes:
        if self._stopped_reading:
            raise ClosedResourceError
        if self._ended:
            raise EndOfStream
        if self._reset_by_peer is not None:
            raise self._reset_by_peer.with_traceback(None)
        try:
            data, self._ended = self.connection.core.read(self.stream_id, max_bytes)
        except StreamReset as error:
            self._reset_by_peer = error
            self._retire()
            raise
        if self._ended:
            self._retire()
        if data or self._ended:
            if not self.connection.lost:
                self.connection.kick()
            if not data:
                raise EndOfStream
        else:
            # What had arrived before the connection went is still handed out above.
            self.connection.check_open()
        return data

    def _on_readable(self) -> None:
        self._readable.notify()

    def _close(self) -> None:
        super()._close()
        self.stop(self.cancel_code)

    def _abandon(self, code: int) -> None:
        super()._abandon(code)
        self.stop(code)

    def _wake(self) -> None:
        super()._wake()
        self._readable.notify()

    def _is_over(self) -> bool:
        over = self._ended or self._stopped_reading or self._reset_by_peer is not None
        return super()._is_over() and over


class Stream(SendStream, ReceiveStream, ByteStream):
    """A bidirectional stream.

    ``aclose`` ends the sending direction in good order and stops the receiving one if its
    end was not read. Left by an exception, ``async with stream`` resets and stops instead.
    """
