"""One HTTP/3 connection among tasks: what client and server have in common."""

from __future__ import annotations

from typing import Final, TypeVar

from anyio import CancelScope, ClosedResourceError, EndOfStream, Event, ResourceGuard, current_time
from anyio.abc import ByteReceiveStream
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint

from ropewalk.http.errors import RequestFailed
from ropewalk.http.headers import Headers
from ropewalk.http3 import ALPN, Http3Connection
from ropewalk.http3 import Settings as Http3Settings
from ropewalk.http3 import events as http3
from ropewalk.http3.errors import (
    H3_EXCESSIVE_LOAD,
    H3_NO_ERROR,
    H3_REQUEST_CANCELLED,
    H3_REQUEST_REJECTED,
    Http3Error,
    http3_error_name,
)
from ropewalk.quic.types import events
from ropewalk.quic.types.errors import (
    ApplicationError,
    StopSending,
    StreamReset,
    StreamStateError,
)
from ropewalk.runtime import Connection
from ropewalk.runtime.application import Application
from ropewalk.runtime.signal import Signal

__all__ = ["ALPN", "Exchange", "Message", "Session"]

#: What one read of a body takes at most, unless the caller says otherwise.
READ_SIZE: Final = 262144

#: Events that belong to streams, all of which are HTTP/3's.
_OF_STREAMS: Final = (
    events.StreamOpened,
    events.StreamReadable,
    events.StreamWritable,
    events.StreamResetByPeer,
    events.StreamStoppedByPeer,
    events.StreamsAvailable,
)


class Exchange:
    """A request and its response, as far as tasks wait for them."""

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id
        #: the incoming message's trailers, once they are here
        self.trailers: Headers | None = None
        #: the incoming message has been received and read to its end
        self.ended = False
        #: why the exchange, or what is left of it, will come to nothing
        self.failure: RequestFailed | None = None
        #: the peer wants no more of our message; the code it gave
        self.stopped: int | None = None
        #: our own message is still to be sent, or is being sent
        self.sending = True
        self.readable = Signal()
        self.writable = Signal()
        #: client: the final response's header section, and the 1xx ones before it
        self.head: tuple[int, Headers] | None = None
        self.informational: list[tuple[int, Headers]] = []
        #: server: what runs the handler
        self.scope = CancelScope()

    def fail(self, failure: RequestFailed) -> None:
        """Wake everybody with bad news; the first news counts."""
        if self.failure is None:
            self.failure = failure
        self.wake()

    def wake(self) -> None:
        """Whoever waits shall look."""
        self.readable.notify()
        self.writable.notify()


class Session(Application):
    """Feeds HTTP/3 with QUIC's events and wakes the tasks that wait for the outcome."""

    no_error_code = H3_NO_ERROR

    def __init__(
        self, connection: Connection, is_client: bool, settings: Http3Settings | None
    ) -> None:
        self.connection = connection
        self.h3 = Http3Connection(connection.core, is_client, settings)
        self.exchanges: dict[int, Exchange] = {}
        #: set when the connection is lost or closed
        self.over = Event()

    # -- events

    def on_event(self, event: events.Event) -> bool:
        if isinstance(event, _OF_STREAMS):
            self._feed(event)
            return True
        if isinstance(event, events.HandshakeComplete):
            self._feed(event)
        elif isinstance(event, (events.ConnectionClosing, events.ConnectionClosed)):
            error = event.error
            if isinstance(error, ApplicationError) and not self.over.is_set():
                error.add_note(f"HTTP/3 calls this code {http3_error_name(error.code)}")
            self.over.set()
            for exchange in list(self.exchanges.values()):
                exchange.wake()
        return False

    def _feed(self, event: events.Event) -> None:
        self._hand_out(self.h3.handle(event, current_time()))
        self.connection.kick()

    def _hand_out(self, happened: list[http3.Http3Event]) -> None:
        for event in happened:
            self.on_http3(event)

    def on_http3(self, event: http3.Http3Event) -> None:
        """What concerns client and server alike; the subclasses add the rest."""
        if isinstance(event, (http3.BodyReadable, http3.MessageComplete)):
            exchange = self.exchanges.get(event.stream_id)
            if exchange is not None:
                exchange.readable.notify()
                if isinstance(event, http3.MessageComplete):
                    exchange.ended = True
                    self.forget_if_over(exchange)
        elif isinstance(event, http3.BodyWritable):
            exchange = self.exchanges.get(event.stream_id)
            if exchange is not None:
                exchange.writable.notify()
        elif isinstance(event, http3.TrailersReceived):
            exchange = self.exchanges.get(event.stream_id)
            if exchange is not None:
                exchange.trailers = Headers.from_wire(event.fields)
        elif isinstance(event, http3.StopReceived):
            exchange = self.exchanges.get(event.stream_id)
            if exchange is not None:
                exchange.stopped = event.code
                exchange.wake()
        elif isinstance(event, http3.StreamResetReceived):
            self._fail(event.stream_id, event.code, "the peer gave the message up")
        elif isinstance(event, http3.MessageFailed):
            self._fail(event.stream_id, event.code, f"the message is malformed: {event.reason}")

    def _fail(self, stream_id: int, code: int, reason: str) -> None:
        exchange = self.exchanges.get(stream_id)
        if exchange is not None:
            unprocessed = self.h3.is_client and code == H3_REQUEST_REJECTED
            exchange.fail(RequestFailed(code, reason, unprocessed=unprocessed))

    # -- what tasks do with an exchange

    def read(self, exchange: Exchange, limit: int) -> bytes:
        """What is here of the body, b"" for nothing now or the end (``exchange.ended``).

        Raises why nothing more will come.
        """
        if exchange.ended:
            return b""
        try:
            data, end = self.h3.read_body(exchange.stream_id, limit, current_time())
        except (StreamReset, StreamStateError, Http3Error) as error:
            self._hand_out(self.h3.events())
            self.connection.check_open()
            if exchange.failure is None:
                code = H3_REQUEST_CANCELLED if isinstance(error, StreamStateError) else error.code
                exchange.fail(RequestFailed(code, str(error)))
            assert exchange.failure is not None
            raise exchange.failure.with_traceback(None) from None
        exchange.ended = exchange.ended or end
        self._hand_out(self.h3.events())
        if not self.connection.lost:
            self.connection.kick()  # reading gives credit
        if not data and not exchange.ended:
            if exchange.failure is not None:
                raise exchange.failure.with_traceback(None)
            self.connection.check_open()
        return data

    async def send(self, exchange: Exchange, data: bytes) -> bool:
        """Send content, waiting while there is no room; False when the peer wants no more."""
        await checkpoint()
        sent = 0
        while sent < len(data):
            if exchange.stopped is not None:
                return False
            self.check(exchange)
            rest = data[sent:] if sent else data
            try:
                sent += self.h3.send_body(exchange.stream_id, rest)
            except StopSending as error:
                exchange.stopped = error.code
                return False
            self.connection.kick()
            if sent < len(data) and not self.over.is_set():
                await exchange.writable.wait()
        return exchange.stopped is None

    def finish(self, exchange: Exchange, trailers: Headers | None = None) -> None:
        """End our message, unless the peer no longer wants it."""
        if exchange.stopped is not None:
            return
        self.check(exchange)
        try:
            if trailers:
                self.h3.send_trailers(exchange.stream_id, trailers.to_wire())
            else:
                self.h3.finish(exchange.stream_id)
        except StopSending as error:
            exchange.stopped = error.code
        self.connection.kick()

    def cancel(self, exchange: Exchange, code: int) -> None:
        """Give up what is left of an exchange, and forget it."""
        self.exchanges.pop(exchange.stream_id, None)
        if not self.connection.lost:
            self.h3.cancel(exchange.stream_id, code)
            self.connection.kick()

    def forget_if_over(self, exchange: Exchange) -> None:
        """Keep no track of an exchange that nothing can happen to any more."""
        if exchange.ended and not exchange.sending:
            self.exchanges.pop(exchange.stream_id, None)

    def check(self, exchange: Exchange) -> None:
        """Raise why an exchange cannot go on, if it cannot."""
        self.connection.check_open()
        if exchange.failure is not None:
            raise exchange.failure.with_traceback(None)


class Message(ByteReceiveStream):
    """The body of an incoming message as anyio's byte stream.

    What is not read stays under flow control and holds the sender back.
    """

    def __init__(self, session: Session, exchange: Exchange, headers: Headers) -> None:
        self._session = session
        self._exchange = exchange
        self._guard = ResourceGuard("reading this body")
        self._closed = False
        #: The header fields, without the pseudo-header fields.
        self.headers = headers

    @property
    def trailers(self) -> Headers | None:
        """The trailer fields; None before the body's end, and without any."""
        return self._exchange.trailers

    async def receive(self, max_bytes: int = READ_SIZE) -> bytes:
        """The next bytes of the body, at least 1 and at most ``max_bytes``.

        Raises ``EndOfStream`` after the last byte, :exc:`RequestFailed` when the message will
        not be completed, :exc:`ConnectionLost`, ``ClosedResourceError`` after ``aclose``.
        Cancelling takes nothing.
        """
        if max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        with self._guard:
            # First, so that what was read is not held across an await.
            await checkpoint()
            while True:
                if self._closed:
                    raise ClosedResourceError
                data = self._session.read(self._exchange, max_bytes)
                if data or self._exchange.ended:
                    break
                await self._exchange.readable.wait()
            if not data:
                raise EndOfStream
            return data

    async def read(self, limit: int = 64 * 1024 * 1024) -> bytes:
        """The rest of the body, which must not exceed ``limit`` bytes.

        Raises as :meth:`receive`, and :exc:`RequestFailed` beyond the limit.
        """
        pieces: list[bytes] = []
        size = 0
        async for piece in self:
            size += len(piece)
            if size > limit:
                raise RequestFailed(
                    H3_EXCESSIVE_LOAD,
                    f"the body is larger than {limit} bytes; read it piece by piece",
                )
            pieces.append(piece)
        return b"".join(pieces)

    async def aclose(self) -> None:
        """Read no more. See the subclasses for what becomes of the exchange."""
        self._closed = True
        self._exchange.readable.notify()
        await cancel_shielded_checkpoint()


SessionType = TypeVar("SessionType", bound=Session)


def session_of(connection: Connection, kind: type[SessionType]) -> SessionType:
    """The session that ``connection`` was made with."""
    application = connection.application
    if not isinstance(application, kind):
        raise RuntimeError(f"{connection} has no {kind.__name__}")
    return application
