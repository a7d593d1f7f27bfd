"""An HTTP/3 client on one connection."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Final, Unpack, final

from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint_if_cancelled

from ropewalk.http.errors import RequestFailed
from ropewalk.http.headers import FieldsGiven, Headers, pseudo
from ropewalk.http.session import ALPN, Exchange, Message, Session, session_of
from ropewalk.http3 import Settings as Http3Settings
from ropewalk.http3 import events as http3
from ropewalk.http3.errors import (
    H3_NO_ERROR,
    H3_REQUEST_CANCELLED,
    H3_REQUEST_REJECTED,
    Http3Error,
)
from ropewalk.http3.settings import check_advertised
from ropewalk.quic.types.configuration import Verification
from ropewalk.quic.types.errors import (
    ConfigurationError,
    ConnectionLost,
    HandshakeError,
    VersionMismatch,
)
from ropewalk.runtime import Connection, NetworkProvider, Settings, connect
from ropewalk.runtime.nest import nest
from ropewalk.runtime.settings import Pem, Pin
from ropewalk.runtime.signal import Signal

#: A request's body: at once, or piece by piece.
Body = bytes | AsyncIterable[bytes]

_NO_APPLICATION_PROTOCOL: Final = 120


@asynccontextmanager
async def http3_client(
    host: str,
    port: int = 443,
    *,
    ca: Pem | None = None,
    pin: Pin | Iterable[Pin] | None = None,
    verification: Verification | None = None,
    server_name: str | None = None,
    http3_settings: Http3Settings | None = None,
    network: NetworkProvider | None = None,
    **settings: Unpack[Settings],
) -> AsyncIterator[Client]:
    """Connect to an HTTP/3 server, and own the connection for the length of the body.

    Whom to trust, further keywords and errors are those of :func:`ropewalk.connect`. Leaving
    the body gives up what requests are still under way, sends GOAWAY and closes with H3_NO_ERROR.
    """
    check_advertised(http3_settings)
    async with AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(
                connect(
                    host,
                    port,
                    alpn=ALPN,
                    ca=ca,
                    pin=pin,
                    verification=verification,
                    server_name=server_name,
                    error_code=H3_NO_ERROR,
                    application=lambda made: ClientSession(made, http3_settings),
                    network=network,
                    **settings,
                )
            )
        except ConnectionLost as error:
            _advise(error)
            raise
        session = session_of(connection, ClientSession)
        name = (server_name or host).partition("%")[0]
        authority = f"[{name}]" if ":" in name else name
        async with nest() as tasks:
            try:
                yield Client(session, authority if port == 443 else f"{authority}:{port}", tasks)
            finally:
                session.give_up()
        # Last of all, and not waited for: nobody needs it to have arrived.
        await connection.flush()
        session.leave()


def _advise(error: ConnectionLost) -> None:
    """Say what to do about a server that is there but speaks something else."""
    if isinstance(error, HandshakeError) and error.alert == _NO_APPLICATION_PROTOCOL:
        error.add_note(
            "the server speaks QUIC but not HTTP/3 (ALPN h3): check the port, or ask for the "
            "protocol that it does speak"
        )
    elif isinstance(error, VersionMismatch):
        error.add_note(
            "Ropewalk speaks QUIC version 1 (RFC 9000): switch that on at the server, or update it"
        )


@final
class ClientSession(Session):
    """The client's side of an HTTP/3 connection."""

    def __init__(self, connection: Connection, settings: Http3Settings | None) -> None:
        super().__init__(connection, True, settings)
        self._available = Signal()

    def on_http3(self, event: http3.Http3Event) -> None:
        if isinstance(event, http3.ResponseReceived):
            exchange = self.exchanges.get(event.stream_id)
            if exchange is None:
                return
            status, headers = int(pseudo(event.fields, b":status")), Headers.from_wire(event.fields)
            if event.informational:
                exchange.informational.append((status, headers))
            else:
                exchange.head = (status, headers)
                exchange.readable.notify()
        elif isinstance(event, (http3.RequestsAvailable, http3.GoawayReceived)):
            self._available.notify()
        elif isinstance(event, http3.RequestUnprocessed):
            exchange = self.exchanges.get(event.stream_id)
            if exchange is not None:
                exchange.fail(_going_away())
        else:
            super().on_http3(event)

    async def open(self, fields: list[tuple[bytes, bytes]], end: bool) -> Exchange:
        """Send a request's header section, waiting while the server allows no more streams."""
        await checkpoint_if_cancelled()
        while True:
            self.connection.check_open()
            try:
                stream_id = self.h3.send_request(fields, end)
            except Http3Error as error:
                if error.code == H3_REQUEST_REJECTED:
                    raise _going_away() from None
                raise
            if stream_id is not None:
                break
            await self._available.wait()
        exchange = self.exchanges[stream_id] = Exchange(stream_id)
        exchange.sending = not end
        self.connection.kick()
        return exchange

    async def head(self, exchange: Exchange) -> tuple[int, Headers]:
        """Wait for the final response's header section."""
        while exchange.head is None:
            self.check(exchange)
            await exchange.readable.wait()
        return exchange.head

    async def pour(self, exchange: Exchange, body: Body, trailers: Headers) -> None:
        """Send a request's body to its end. A failure becomes the exchange's."""
        try:
            if isinstance(body, bytes):
                await self.send(exchange, body)
            else:
                await self._pour_pieces(exchange, body)
            self.finish(exchange, trailers)
        except (ConnectionLost, RequestFailed):
            return  # whoever waits for the response hears of it
        except Exception as error:
            exchange.fail(RequestFailed(H3_REQUEST_CANCELLED, f"the body broke off: {error!r}"))
            assert exchange.failure is not None
            exchange.failure.__cause__ = error
            self.cancel(exchange, H3_REQUEST_CANCELLED)
        finally:
            exchange.sending = False
            self.forget_if_over(exchange)

    async def _pour_pieces(self, exchange: Exchange, body: AsyncIterable[bytes]) -> None:
        async with AsyncExitStack() as stack:
            if isinstance(body, AsyncGenerator):
                await stack.enter_async_context(aclosing(body))
            async for piece in body:
                if not await self.send(exchange, piece):
                    return

    def give_up(self) -> None:
        """The owner leaves: cancel what is under way."""
        self._available.notify()
        for exchange in list(self.exchanges.values()):
            self.cancel(exchange, H3_REQUEST_CANCELLED)

    def leave(self) -> None:
        """All is delivered: send GOAWAY (RFC 9114 5.2) and close."""
        if not self.connection.lost:
            self.h3.goaway()
            self.connection.kick()
            self.connection.start_close(H3_NO_ERROR, "")


@final
class Client:
    """Sends requests, any number at a time. Made by :func:`http3_client`, which owns it."""

    def __init__(self, session: ClientSession, authority: str, tasks: TaskGroup) -> None:
        self._session = session
        self._tasks = tasks
        #: What requests name as their :authority.
        self.authority = authority

    @property
    def connection(self) -> Connection:
        """The QUIC connection below: facts and statistics."""
        return self._session.connection

    @property
    def going_away(self) -> bool:
        """The server said that it takes no more requests on this connection (GOAWAY)."""
        return self._session.h3.going_away

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: FieldsGiven = (),
        body: Body = b"",
        trailers: FieldsGiven = (),
    ) -> Response:
        """Send a request; returns when the response's header section is here.

        ``path`` is the request target with its query, such as ``/a?b=c``. The body is sent by
        a task of the client's, so that a response may come before its end; an asynchronous
        iterable is read only as fast as the server takes it. Cancelling gives the request up
        (H3_REQUEST_CANCELLED), as does leaving the client.

        Raises :exc:`RequestFailed` when there will be no response, with ``unprocessed`` where
        the server has not acted on it, :exc:`ConnectionLost`, ``ConfigurationError`` and
        ``MessageError`` for fields that cannot be sent.
        """
        session = self._session
        given = Headers(headers)
        fields = [
            (b":method", _ascii("method", method, "give a name such as GET")),
            (b":scheme", b"https"),
            (b":authority", self.authority.encode("latin-1")),
            (b":path", _ascii("path", path, "percent-encode it, by urllib.parse.quote")),
            *given.to_wire(),
        ]
        if isinstance(body, bytes) and body and "content-length" not in given:
            fields.append((b"content-length", b"%d" % len(body)))
        following = Headers(trailers)
        end = isinstance(body, bytes) and not body and not following
        exchange = await session.open(fields, end)
        try:
            if not end:
                self._tasks.start_soon(session.pour, exchange, body, following)
            status, received = await session.head(exchange)
        except BaseException:
            session.cancel(exchange, H3_REQUEST_CANCELLED)
            raise
        return Response(session, exchange, status, received)

    async def get(self, path: str, *, headers: FieldsGiven = ()) -> Response:
        """A GET request; see :meth:`request`."""
        return await self.request("GET", path, headers=headers)


@final
class Response(Message):
    """A response, whose body is read as a byte stream or by iterating.

    One that is not read to its end holds flow-control credit until it is closed: use ``async
    with``, or :meth:`read`.
    """

    def __init__(
        self, session: ClientSession, exchange: Exchange, status: int, headers: Headers
    ) -> None:
        super().__init__(session, exchange, headers)
        #: The status code of the final response.
        self.status = status
        #: The 1xx responses that came before: status and headers.
        self.informational = tuple(exchange.informational)

    def __repr__(self) -> str:
        return f"<Response {self.status} on stream {self._exchange.stream_id}>"

    async def aclose(self) -> None:
        """Give up what has not been read (H3_REQUEST_CANCELLED). A whole body is no loss."""
        if not self._exchange.ended:
            self._session.cancel(self._exchange, H3_REQUEST_CANCELLED)
        await super().aclose()


def _ascii(what: str, text: str, advice: str) -> bytes:
    """What has to be ASCII on the wire (RFC 9110 9.1, RFC 3986 2)."""
    if not text.isascii():
        raise ConfigurationError(f"the {what} {text!r} has characters beyond ASCII; {advice}")
    return text.encode("ascii")


def _going_away() -> RequestFailed:
    return RequestFailed(
        H3_REQUEST_REJECTED,
        "the server is going away and did not process the request; send it again on another "
        "connection",
        unprocessed=True,
    )
