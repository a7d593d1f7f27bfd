"""QUIC and HTTP/3 for scripts: the same things without ``async``.

An event loop runs in a thread of its own for as long as a ``with`` block lasts; the calls
here wait for what happens there. Whatever waits takes a ``timeout`` in seconds and raises
``TimeoutError`` when it is over; None waits for ever. Ctrl-C ends the waiting.

Meanings, errors and further keywords are those of the asynchronous API.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Literal, Self, TypeVar, Unpack, final, overload

from anyio import EndOfStream, fail_after
from anyio.from_thread import BlockingPortal, start_blocking_portal

from ropewalk import http, runtime
from ropewalk.http.headers import FieldsGiven, Headers
from ropewalk.http.session import READ_SIZE
from ropewalk.http.url import parse_url
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import Verification
from ropewalk.quic.types.handshake import PeerIdentity
from ropewalk.runtime import ConnectionStats, Settings
from ropewalk.runtime.settings import Pem, Pin

__all__ = [
    "Client",
    "Connection",
    "ReceiveStream",
    "Reply",
    "Response",
    "SendStream",
    "Stream",
    "connect",
    "get",
    "http3_client",
    "request",
]

_T = TypeVar("_T")


@final
class _Loop:
    """The event loop in the other thread."""

    def __init__(self, portal: BlockingPortal) -> None:
        self._portal = portal

    def wait(self, call: Callable[[], Awaitable[_T]], timeout: float | None = None) -> _T:
        """Run a coroutine there and wait for it; cancelled if this thread is interrupted."""

        async def bounded() -> _T:
            with fail_after(timeout):
                return await call()

        future = self._portal.start_task_soon(bounded)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def do(self, call: Callable[[], _T]) -> _T:
        """Run a plain function there: the loop's objects belong to its thread."""
        return self._portal.call(call)


# -- QUIC


@contextmanager
def connect(
    host: str,
    port: int,
    *,
    alpn: str | Iterable[str],
    ca: Pem | None = None,
    pin: Pin | Iterable[Pin] | None = None,
    verification: Verification | None = None,
    server_name: str | None = None,
    **settings: Unpack[Settings],
) -> Iterator[Connection]:
    """As :func:`ropewalk.connect`. ``handshake_timeout`` bounds the connecting."""
    with start_blocking_portal() as portal:
        manager = runtime.connect(
            host,
            port,
            alpn=alpn,
            ca=ca,
            pin=pin,
            verification=verification,
            server_name=server_name,
            **settings,
        )
        with portal.wrap_async_context_manager(manager) as connection:
            yield Connection(_Loop(portal), connection)


@final
class Connection:
    """A QUIC connection, for use from one thread or several."""

    def __init__(self, loop: _Loop, connection: runtime.Connection) -> None:
        self._loop = loop
        self._connection = connection

    @property
    def alpn(self) -> str | None:
        """The application protocol that was agreed on."""
        return self._connection.alpn

    @property
    def peer_identity(self) -> PeerIdentity | None:
        """Who the peer proved to be."""
        return self._connection.peer_identity

    @property
    def remote_address(self) -> Address:
        """Where the peer is reached."""
        return self._connection.remote_address

    @property
    def max_datagram_size(self) -> int:
        """The largest datagram that can be sent now; 0 when the peer takes none."""
        return self._loop.do(lambda: self._connection.max_datagram_size)

    @property
    def stats(self) -> ConnectionStats:
        """Figures as of now."""
        return self._loop.do(lambda: self._connection.stats)

    @overload
    def open_stream(
        self, bidirectional: Literal[True] = True, *, timeout: float | None = None
    ) -> Stream: ...
    @overload
    def open_stream(
        self, bidirectional: Literal[False], *, timeout: float | None = None
    ) -> SendStream: ...

    def open_stream(
        self, bidirectional: bool = True, *, timeout: float | None = None
    ) -> Stream | SendStream:
        """Open a stream, waiting while the peer's limit on streams is used up."""
        if bidirectional:
            return Stream(self._loop, self._loop.wait(self._connection.open_stream, timeout))
        return SendStream(
            self._loop, self._loop.wait(partial(self._connection.open_stream, False), timeout)
        )

    @overload
    def accept_stream(
        self, bidirectional: Literal[True] = True, *, timeout: float | None = None
    ) -> Stream: ...
    @overload
    def accept_stream(
        self, bidirectional: Literal[False], *, timeout: float | None = None
    ) -> ReceiveStream: ...

    def accept_stream(
        self, bidirectional: bool = True, *, timeout: float | None = None
    ) -> Stream | ReceiveStream:
        """The next stream that the peer opened."""
        if bidirectional:
            return Stream(self._loop, self._loop.wait(self._connection.accept_stream, timeout))
        return ReceiveStream(
            self._loop, self._loop.wait(partial(self._connection.accept_stream, False), timeout)
        )

    def send_datagrams(self, datagrams: Sequence[bytes], *, flow: int = 0) -> int:
        """Queue unreliable datagrams; returns how many the queue had room for."""
        return self._loop.wait(partial(self._connection.send_datagrams, datagrams, flow=flow))

    def receive_datagrams(self, limit: int = 256, *, timeout: float | None = None) -> list[bytes]:
        """At least one and at most ``limit`` datagrams that arrived."""
        return self._loop.wait(partial(self._connection.receive_datagrams, limit), timeout)

    def close(self, code: int = 0, reason: str = "") -> None:
        """Close at once."""
        self._loop.wait(partial(self._connection.close, code, reason))


class _Half:
    """What both directions of a stream have."""

    def __init__(self, loop: _Loop, stream: runtime.SendStream | runtime.ReceiveStream) -> None:
        self._loop = loop
        self._stream = stream
        #: The stream's number (RFC 9000 2.1).
        self.stream_id = stream.stream_id

    def close(self) -> None:
        """End sending in good order, stop receiving."""
        self._loop.wait(self._stream.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.wait(partial(self._stream.__aexit__, exc_type, exc_value, traceback))


class SendStream(_Half):
    """The sending direction of a stream."""

    def __init__(self, loop: _Loop, stream: runtime.SendStream) -> None:
        super().__init__(loop, stream)
        self._sending = stream

    def send(self, data: bytes, *, timeout: float | None = None) -> None:
        """Send all of ``data``. A timeout midway resets the stream."""
        self._loop.wait(partial(self._sending.send, data), timeout)

    def send_eof(self) -> None:
        """End the sending direction."""
        self._loop.wait(self._sending.send_eof)

    def reset(self, code: int = 0) -> None:
        """Give up sending."""
        self._loop.do(partial(self._sending.reset, code))


class ReceiveStream(_Half):
    """The receiving direction of a stream."""

    def __init__(self, loop: _Loop, stream: runtime.ReceiveStream) -> None:
        super().__init__(loop, stream)
        self._receiving = stream

    def receive(self, max_bytes: int = READ_SIZE, *, timeout: float | None = None) -> bytes:
        """The next bytes; ``b""`` after the last one."""
        try:
            return self._loop.wait(partial(self._receiving.receive, max_bytes), timeout)
        except EndOfStream:
            return b""

    def stop(self, code: int = 0) -> None:
        """Tell the peer that nothing more will be read."""
        self._loop.do(partial(self._receiving.stop, code))

    def __iter__(self) -> Iterator[bytes]:
        while data := self.receive():
            yield data


class Stream(SendStream, ReceiveStream):
    """A bidirectional stream."""

    def __init__(self, loop: _Loop, stream: runtime.Stream) -> None:
        super().__init__(loop, stream)
        self._receiving = stream


# -- HTTP/3


@contextmanager
def http3_client(
    host: str,
    port: int = 443,
    *,
    ca: Pem | None = None,
    pin: Pin | Iterable[Pin] | None = None,
    verification: Verification | None = None,
    server_name: str | None = None,
    **settings: Unpack[Settings],
) -> Iterator[Client]:
    """As :func:`ropewalk.http.http3_client`: any number of requests on one connection."""
    with start_blocking_portal() as portal:
        manager = http.http3_client(
            host,
            port,
            ca=ca,
            pin=pin,
            verification=verification,
            server_name=server_name,
            **settings,
        )
        with portal.wrap_async_context_manager(manager) as client:
            yield Client(_Loop(portal), client)


@final
class Client:
    """Sends requests to one server; threads may share it."""

    def __init__(self, loop: _Loop, client: http.Client) -> None:
        self._loop = loop
        self._client = client

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: FieldsGiven = (),
        body: bytes = b"",
        timeout: float | None = None,
    ) -> Response:
        """Send a request; returns when the response's header section is here."""
        call = partial(self._client.request, method, path, headers=headers, body=body)
        return Response(self._loop, self._loop.wait(call, timeout))

    def get(
        self, path: str, *, headers: FieldsGiven = (), timeout: float | None = None
    ) -> Response:
        """A GET request."""
        return self.request("GET", path, headers=headers, timeout=timeout)


@final
class Response:
    """A response. Read it to the end or close it: ``with client.get(path) as response``."""

    def __init__(self, loop: _Loop, response: http.ClientResponse) -> None:
        self._loop = loop
        self._response = response
        self.status = response.status
        self.headers = response.headers

    @property
    def trailers(self) -> Headers | None:
        """The trailer fields, once the body was read."""
        return self._response.trailers

    def read(self, *, timeout: float | None = None) -> bytes:
        """The rest of the body."""
        return self._loop.wait(self._response.read, timeout)

    def receive(self, max_bytes: int = READ_SIZE, *, timeout: float | None = None) -> bytes:
        """The next bytes of the body; ``b""`` after the last one."""
        try:
            return self._loop.wait(partial(self._response.receive, max_bytes), timeout)
        except EndOfStream:
            return b""

    def __iter__(self) -> Iterator[bytes]:
        while data := self.receive():
            yield data

    def close(self) -> None:
        """Give up what has not been read."""
        self._loop.wait(self._response.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Reply:
    """A whole response."""

    status: int
    headers: Headers
    content: bytes

    @property
    def text(self) -> str:
        """The content as UTF-8; what is not is replaced."""
        return self.content.decode(errors="replace")

    def json(self) -> object:
        """The content as JSON. Raises ``ValueError``."""
        value: object = json.loads(self.content)
        return value


def request(
    method: str,
    url: str,
    *,
    headers: FieldsGiven = (),
    body: bytes = b"",
    ca: Pem | None = None,
    pin: Pin | Iterable[Pin] | None = None,
    verification: Verification | None = None,
    timeout: float | None = None,
    **settings: Unpack[Settings],
) -> Reply:
    """Send one request on a connection of its own, and read the response whole.

    ``timeout`` bounds all of it and raises ``TimeoutError``; ``handshake_timeout`` bounds the
    connecting by itself. A status of 400 or above is no error here. Redirects are not followed.
    """
    target = parse_url(url)

    async def exchange() -> Reply:
        async with http.http3_client(
            target.host, target.port, ca=ca, pin=pin, verification=verification, **settings
        ) as client:
            response = await client.request(method, target.target, headers=headers, body=body)
            async with response:
                return Reply(response.status, response.headers, await response.read())

    with start_blocking_portal() as portal:
        return _Loop(portal).wait(exchange, timeout)


def get(
    url: str,
    *,
    headers: FieldsGiven = (),
    ca: Pem | None = None,
    pin: Pin | Iterable[Pin] | None = None,
    verification: Verification | None = None,
    timeout: float | None = None,
    **settings: Unpack[Settings],
) -> Reply:
    """Fetch a URL; see :func:`request`."""
    return request(
        "GET",
        url,
        headers=headers,
        ca=ca,
        pin=pin,
        verification=verification,
        timeout=timeout,
        **settings,
    )
