"""``serve_http``: a handler per request."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final, Protocol, Unpack, final, runtime_checkable

from anyio import (
    ClosedResourceError,
    create_task_group,
    get_cancelled_exc_class,
    move_on_after,
)
from anyio.abc import TaskGroup

from ropewalk.http.errors import RequestFailed
from ropewalk.http.headers import Field, FieldsGiven, Headers, pseudo
from ropewalk.http.session import ALPN, READ_SIZE, Exchange, Message, Session, session_of
from ropewalk.http3 import Settings as Http3Settings
from ropewalk.http3 import events as http3
from ropewalk.http3.errors import H3_INTERNAL_ERROR, H3_NO_ERROR, H3_REQUEST_CANCELLED
from ropewalk.http3.settings import check_advertised
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConnectionLost, StopSending
from ropewalk.quic.types.events import Event as QuicEvent
from ropewalk.quic.types.events import HandshakeComplete
from ropewalk.quic.types.identity import CredentialStore
from ropewalk.runtime import Connection, NetworkProvider, Server, Settings, serve
from ropewalk.runtime.settings import Pem
from ropewalk.runtime.signal import Signal

_logger: Final = logging.getLogger("ropewalk.http")


@runtime_checkable
class _Closable(Protocol):
    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class Response:
    """What a handler answers.

    ``body`` is bytes, text (sent as UTF-8), or an asynchronous iterable of bytes, which is
    read only as fast as the client takes it, and closed if it has an ``aclose``, also when it
    was not read to its end. content-length is added for the first two, date
    for all. Trailers go behind the body.
    """

    status: int = 200
    headers: FieldsGiven = ()
    body: bytes | str | AsyncIterable[bytes] = b""
    trailers: FieldsGiven = ()


@final
class Request(Message):
    """A request, whose body is read as a byte stream or by iterating."""

    def __init__(self, session: ServerSession, exchange: Exchange, fields: list[Field]) -> None:
        super().__init__(session, exchange, Headers.from_wire(fields))
        self._server_session = session
        self._continued = False
        self.method = pseudo(fields, b":method")
        self.scheme = pseudo(fields, b":scheme")
        self.authority = pseudo(fields, b":authority") or self.headers.get("host", "")
        #: Path and query as they were sent, percent-encoding and all.
        self.target = pseudo(fields, b":path")

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target} on stream {self._exchange.stream_id}>"

    @property
    def path(self) -> str:
        """The target without its query, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark, "" without one."""
        return self.target.partition("?")[2]

    @property
    def client(self) -> Address:
        """Where the client is."""
        return self._session.connection.remote_address

    def inform(self, status: int, headers: FieldsGiven = ()) -> None:
        """Send a 1xx response, such as 103 with ``link`` fields. Never waits."""
        self._session.check(self._exchange)
        fields = [(b":status", b"%d" % status), *Headers(headers).to_wire()]
        self._session.h3.send_informational(self._exchange.stream_id, fields)
        self._session.connection.kick()

    async def receive(self, max_bytes: int = READ_SIZE) -> bytes:
        """As :meth:`Message.receive`; a client that waits for 100 (Continue) gets it."""
        if not self._continued:
            self._continued = True
            if self.headers.get("expect", "").lower() == "100-continue":
                self.inform(100)
        return await super().receive(max_bytes)


Handler = Callable[[Request], Awaitable[Response]]

_INTERNAL_ERROR: Final = Response(
    500, {"content-type": "text/plain; charset=utf-8"}, "Internal Server Error\n"
)


@asynccontextmanager
async def serve_http(
    handler: Handler,
    host: str | None,
    port: int,
    *,
    certificate: Pem | None = None,
    key: Pem | None = None,
    credentials: CredentialStore | None = None,
    grace: float = 5.0,
    retry: bool | None = None,
    max_connections: int = 10_000,
    http3_settings: Http3Settings | None = None,
    network: NetworkProvider | None = None,
    **settings: Unpack[Settings],
) -> AsyncIterator[Server]:
    """Serve HTTP/3: run ``handler(request)`` in a task for each request, send what it returns.

    A handler that raises is answered for with 500 (Internal Server Error), or, when its
    response had begun, by giving that up; the error is logged, and neither its connection
    nor other requests suffer. One whose client goes away or cancels is cancelled.

    Leaving the body in good order sends GOAWAY, lets requests that were received finish for
    ``grace`` seconds at most, then closes all connections with H3_NO_ERROR. Left by an
    exception or cancelled, it does not wait. The other parameters and the errors are those of
    :func:`ropewalk.serve`.
    """
    check_advertised(http3_settings)
    site = _Site(handler, http3_settings)
    async with serve(
        site.run,
        host,
        port,
        alpn=ALPN,
        certificate=certificate,
        key=key,
        credentials=credentials,
        retry=retry,
        max_connections=max_connections,
        error_code=H3_INTERNAL_ERROR,
        application=site.adopt,
        network=network,
        **settings,
    ) as server:
        yield server
        with move_on_after(grace):
            await site.drain()


@final
class _Site:
    """What the connections of one server share."""

    def __init__(self, handler: Handler, settings: Http3Settings | None) -> None:
        self.handler = handler
        self.draining = False
        self._settings = settings
        self._sessions: list[ServerSession] = []

    def adopt(self, connection: Connection) -> ServerSession:
        """The application of a new connection."""
        return ServerSession(connection, self, self._settings)

    async def run(self, connection: Connection) -> None:
        """Serve one connection until it is over."""
        session = session_of(connection, ServerSession)
        self._sessions.append(session)
        try:
            async with create_task_group() as requests:
                session.begin(requests)
                await session.over.wait()
                requests.cancel_scope.cancel()
        finally:
            self._sessions.remove(session)

    async def drain(self) -> None:
        """Take no more requests, and wait until those that were received are answered."""
        self.draining = True
        async with create_task_group() as sessions:
            for session in self._sessions:
                sessions.start_soon(session.drain)


@final
class ServerSession(Session):
    """The server's side of an HTTP/3 connection."""

    def __init__(self, connection: Connection, site: _Site, settings: Http3Settings | None) -> None:
        super().__init__(connection, False, settings)
        self._site = site
        self._requests: TaskGroup | None = None
        self._early: list[Request] = []
        self._idle = Signal()
        self._running = 0

    def on_event(self, event: QuicEvent) -> bool:
        taken = super().on_event(event)
        if self._site.draining and isinstance(event, HandshakeComplete):
            self.h3.goaway()
        return taken

    def on_http3(self, event: http3.Http3Event) -> None:
        if isinstance(event, http3.RequestReceived):
            opened = self.exchanges[event.stream_id] = Exchange(event.stream_id)
            opened.ended = event.end
            request = Request(self, opened, event.fields)
            if self._requests is None:
                self._early.append(request)
            else:
                self._start(self._requests, request)
            return
        super().on_http3(event)
        if isinstance(event, (http3.StopReceived, http3.StreamResetReceived, http3.MessageFailed)):
            exchange = self.exchanges.get(event.stream_id)
            # H3_NO_ERROR says that the rest is not needed, not that all was for nothing.
            if exchange is not None and event.code != H3_NO_ERROR:
                exchange.scope.cancel()

    def begin(self, requests: TaskGroup) -> None:
        """Start handlers from now on, those of requests that are waiting first."""
        self._requests = requests
        for request in self._early:
            self._start(requests, request)
        self._early.clear()

    async def drain(self) -> None:
        """Send GOAWAY, and wait until the client has all its responses."""
        self.h3.goaway()
        self.connection.kick()
        while self._running and not self.over.is_set():
            await self._idle.wait()
        try:
            await self.connection.flush()
        except ConnectionLost:
            return

    def _start(self, requests: TaskGroup, request: Request) -> None:
        self._running += 1
        requests.start_soon(self._serve, request, name=f"handler of {request}")

    async def _serve(self, request: Request) -> None:
        exchange = request._exchange
        code = H3_REQUEST_CANCELLED
        whole = False
        try:
            with exchange.scope:
                await self._answer(request, exchange)
                whole = True
        except (ConnectionLost, RequestFailed, StopSending, ClosedResourceError) as error:
            _logger.info("%s from %s ended: %s", request, request.client, error)
        except Exception:
            _logger.exception("the response to %s broke off", request)
            code = H3_INTERNAL_ERROR
        finally:
            if whole:
                self._finish(exchange)
            else:
                self.cancel(exchange, code)
            self._running -= 1
            if not self._running:
                self._idle.notify()

    def _finish(self, exchange: Exchange) -> None:
        self.exchanges.pop(exchange.stream_id, None)
        if not exchange.ended and not self.connection.lost:
            # RFC 9114 4.1: the response is whole, the rest of the request is not wanted.
            self.h3.stop_reading(exchange.stream_id, H3_NO_ERROR)
            self.connection.kick()

    async def _answer(self, request: Request, exchange: Exchange) -> None:
        try:
            response = await self._site.handler(request)
            await self._respond(request, exchange, response)
        except get_cancelled_exc_class():
            raise
        except Exception as error:
            gone = exchange.failure is not None or exchange.stopped is not None
            if gone or self.over.is_set():
                raise  # the peer's doing
            if exchange.head is not None:
                raise  # too late for another status
            _logger.error("the handler of %s failed", request, exc_info=error)
            await self._respond(request, exchange, _INTERNAL_ERROR)

    async def _respond(self, request: Request, exchange: Exchange, response: Response) -> None:
        body = response.body.encode() if isinstance(response.body, str) else response.body
        headers = Headers(response.headers)
        trailers = Headers(response.trailers)
        fields = [(b":status", b"%d" % response.status), *headers.to_wire()]
        bodiless = request.method == "HEAD" or response.status in (204, 304)
        if "date" not in headers:
            now = self.connection.core.state.config.wall_clock()
            fields.append((b"date", formatdate(now, usegmt=True).encode()))
        counted = response.status not in (204, 304) and "content-length" not in headers
        if counted and isinstance(body, bytes):
            fields.append((b"content-length", b"%d" % len(body)))
        async with AsyncExitStack() as stack:
            if isinstance(body, _Closable):
                await stack.enter_async_context(aclosing(body))
            self.check(exchange)
            if exchange.stopped is not None:
                # A task that was woken before is not cancelled until it waits again.
                raise StopSending(exchange.stopped)
            self.h3.send_response(exchange.stream_id, fields)
            exchange.head = (response.status, headers)
            if not bodiless:
                if isinstance(body, bytes):
                    await self.send(exchange, body)
                else:
                    async for piece in body:
                        if not await self.send(exchange, piece):
                            break
            self.finish(exchange, None if bodiless else trailers)
