"""HTTP/3 clients and servers for scenarios that are functions; watched by the H3 laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from ropewalk.http3.connection import ALPN, Http3Connection
from ropewalk.http3.events import (
    BodyReadable,
    BodyWritable,
    GoawayReceived,
    Http3Event,
    MessageComplete,
    MessageFailed,
    RequestReceived,
    RequestsAvailable,
    RequestUnprocessed,
    ResponseReceived,
    StopReceived,
    StreamResetReceived,
)
from ropewalk.lab.http3_witness import Http3Witness
from ropewalk.lab.traffic.content import LARGEST_PIECE, Content
from ropewalk.lab.traffic.records import act
from ropewalk.lab.trial import Trial
from ropewalk.quic.connection import Connection
from ropewalk.quic.endpoint import Incoming
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import StreamError
from ropewalk.quic.types.events import Event, HandshakeComplete
from ropewalk.sim.host import Application, Host
from ropewalk.sim.invariants import Violation
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.network import Network

CLIENT: Final = Address("192.0.2.1", 50000)
SERVER: Final = Address("203.0.113.1", 443)
_READ_LIMIT: Final = 1 << 17
_SEND_BUFFER: Final = 1 << 17


@dataclass(frozen=True, kw_only=True)
class Request:
    """Sends ``upload`` bytes and asks for ``download``."""

    download: int = 0
    upload: int = 0


@final
class _Outgoing:
    """A body on its way out."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.position = 0
        #: the end is held back until this is true
        self.may_finish = True


class Http3End(Application):
    """What both ends share: one HTTP/3 connection, bodies out and in, and the witness."""

    def __init__(self, trial: Trial, is_client: bool) -> None:
        super().__init__()
        self.trial = trial
        self.content = Content(trial.seed)
        self.witness = Http3Witness("client" if is_client else "server", is_client)
        self.http: Http3Connection | None = None
        self.connection: Connection | None = None
        self.complete: list[int] = []
        self.failed: list[int] = []
        #: bytes received, by stream
        self.received: dict[int, int] = {}
        self._outgoing: dict[int, _Outgoing] = {}
        self._is_client = is_client

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        """Give it to HTTP/3, and act on what that says."""
        if isinstance(event, HandshakeComplete):
            self.http = Http3Connection(connection, self._is_client)
        if self.http is not None:
            self._take(host, self.http.handle(event, host.now))
            if isinstance(event, HandshakeComplete):
                self.begin(host, self.http)

    def begin(self, host: Host, http: Http3Connection) -> None:
        """The connection is ready."""

    def on_http(self, host: Host, http: Http3Connection, event: Http3Event) -> None:
        """An event that is no matter of bodies."""

    def send_body(self, stream_id: int, size: int, may_finish: bool = True) -> None:
        """Send so many bytes of content and end the message, if that may be ended yet."""
        body = self._outgoing[stream_id] = _Outgoing(size)
        body.may_finish = may_finish
        self._push(stream_id)

    def finish_body(self, stream_id: int) -> None:
        """What is sent on a stream may be ended from now on."""
        body = self._outgoing.get(stream_id)
        if body is not None:
            body.may_finish = True
            self._push(stream_id)

    def finish(self) -> None:
        """The run is over: what the witness has yet to say."""
        self.witness.finish(self.connection is None or not self.connection.active)

    def _take(self, host: Host, events: Sequence[Http3Event]) -> None:
        assert self.http is not None
        for event in events:
            if isinstance(event, BodyReadable):
                self._read(host, event.stream_id)
            elif isinstance(event, BodyWritable):
                self._push(event.stream_id)
            elif isinstance(event, MessageComplete):
                self.complete.append(event.stream_id)
            elif isinstance(event, (MessageFailed, StreamResetReceived, StopReceived)):
                self.failed.append(event.stream_id)
                self._outgoing.pop(event.stream_id, None)
            self.on_http(host, self.http, event)

    def _read(self, host: Host, stream_id: int) -> None:
        assert self.http is not None
        end = False
        while not end:
            try:
                data, end = self.http.read_body(stream_id, _READ_LIMIT, host.now)
            except StreamError:
                break
            if not data:
                break
            offset = self.received.get(stream_id, 0)
            if not self.content.matches(stream_id, offset, data):
                raise Violation(
                    "inv.quic.delivered_as_written",
                    host.name,
                    host.now,
                    f"the body of stream {stream_id} differs within {len(data)} bytes of {offset}",
                )
            self.received[stream_id] = offset + len(data)
        self._take(host, self.http.events())

    def _push(self, stream_id: int) -> None:
        body = self._outgoing.get(stream_id)
        if body is None or self.http is None:
            return
        try:
            while body.position < body.size:
                size = min(body.size - body.position, LARGEST_PIECE)
                piece = self.content.piece(stream_id, body.position, size)
                accepted = self.http.send_body(stream_id, piece)
                body.position += accepted
                if accepted < size:
                    return
            if not body.may_finish:
                return
            self.http.finish(stream_id)
        except StreamError:
            self.failed.append(stream_id)
        del self._outgoing[stream_id]


@final
class Http3Client(Http3End):
    """Sends requests, ``parallel`` at a time, and closes when all are over."""

    def __init__(self, trial: Trial, requests: Sequence[Request], parallel: int) -> None:
        super().__init__(trial, is_client=True)
        self.requests: dict[int, Request] = {}
        self.statuses: dict[int, bytes] = {}
        self.unprocessed: list[int] = []
        #: once the server goes away, the rest stays here
        self.waiting = list(requests)
        self._parallel = parallel

    def begin(self, host: Host, http: Http3Connection) -> None:
        """Send the first requests."""
        self._send_more(host, http)

    def on_http(self, host: Host, http: Http3Connection, event: Http3Event) -> None:
        """Note answers, and send what may follow."""
        if isinstance(event, ResponseReceived):
            self.statuses[event.stream_id] = dict(event.fields)[b":status"]
        elif isinstance(event, RequestUnprocessed):
            self.unprocessed.append(event.stream_id)
        if isinstance(
            event, (MessageComplete, RequestsAvailable, RequestUnprocessed, GoawayReceived)
        ):
            self._send_more(host, http)

    def cancel(self, host: Host, stream_id: int) -> None:
        """Give up a request in the middle."""
        http, connection = self.http, self.connection
        if http is not None and connection is not None:
            act(host, connection, lambda: http.cancel(stream_id))

    def _send_more(self, host: Host, http: Http3Connection) -> None:
        while self.waiting and not http.going_away and http.open_requests < self._parallel:
            request = self.waiting[0]
            fields = [
                (b":method", b"POST" if request.upload else b"GET"),
                (b":scheme", b"https"),
                (b":authority", b"server.sim"),
                (b":path", b"/%d" % request.download),
            ]
            stream_id = http.send_request(fields, end=not request.upload)
            if stream_id is None:
                return
            del self.waiting[0]
            self.requests[stream_id] = request
            if request.upload:
                self.send_body(stream_id, request.upload)
        if http.open_requests == 0 and (not self.waiting or http.going_away):
            http.close(host.now)


@final
class Http3Server(Http3End):
    """Answers each request with as many bytes as its path says; says GOAWAY after
    ``goaway_after`` requests (0: never)."""

    def __init__(self, trial: Trial, goaway_after: int = 0) -> None:
        super().__init__(trial, is_client=False)
        self.served: list[int] = []
        self._goaway_after = goaway_after
        # Small, so that most of a body is still unsent when something happens to it.
        self._config = trial.server(ALPN, send_buffer=_SEND_BUFFER)
        self._peer = trial.client(ALPN)

    def on_incoming(self, host: Host, incoming: Incoming) -> None:
        """Accept the one client."""
        if self.connection is not None:
            incoming.ignore()
            return
        self.connection = self.trial.accept(host, incoming, self._config, self._peer, self.witness)

    def on_http(self, host: Host, http: Http3Connection, event: Http3Event) -> None:
        """Answer requests. A response ends after its request, for its end is the client's
        sign to leave."""
        if isinstance(event, MessageComplete):
            self.finish_body(event.stream_id)
        if not isinstance(event, RequestReceived):
            return
        self.served.append(event.stream_id)
        size = int(dict(event.fields)[b":path"][1:])
        http.send_response(
            event.stream_id,
            [(b":status", b"200"), (b"content-length", b"%d" % size)],
            end=event.end and size == 0,
        )
        if size or not event.end:
            self.send_body(event.stream_id, size, event.end)
        if len(self.served) == self._goaway_after:
            http.goaway()


@final
class Http3Pair:
    """A client and a server on one line."""

    def __init__(
        self,
        trial: Trial,
        requests: Sequence[Request],
        *,
        parallel: int = 8,
        goaway_after: int = 0,
        up: LinkProfile | None = None,
        down: LinkProfile | None = None,
    ) -> None:
        self.trial = trial
        self.client = Http3Client(trial, requests, parallel)
        self.server = Http3Server(trial, goaway_after)
        self.network: Network = trial.network()
        self.client_host = self.network.add_host("client", self.client, [CLIENT])
        self.server_host = self.network.add_host("server", self.server, [SERVER], accept=True)
        line = LinkProfile(rate=2_500_000.0, delay=0.015, queue_packets=100)
        self.links = self.network.join(CLIENT, SERVER, up or line, down or line)
        self.client.connection = trial.open(
            self.client_host, trial.client(ALPN), SERVER, trial.server(ALPN), self.client.witness
        )

    def run(self, time_limit: float = 60.0) -> None:
        """Play until both ends are closed. Checks that they are, and the laws of HTTP/3."""
        self.client_host.drive()
        self.network.clock.run_until(time_limit, self._closed)
        self.client.finish()
        self.server.finish()
        self.trial.check(self._closed(), "closed", f"not closed after {time_limit} s")

    def check_all_answered(self) -> None:
        """Every request that was sent has its whole answer."""
        for stream_id, request in self.client.requests.items():
            received = self.client.received.get(stream_id, 0)
            self.trial.check(
                received == request.download and stream_id in self.client.complete,
                "answered",
                f"{received} of {request.download} bytes came on stream {stream_id}",
            )
            sent = self.server.received.get(stream_id, 0)
            self.trial.check(
                sent == request.upload,
                "uploaded",
                f"{sent} of {request.upload} bytes went up on stream {stream_id}",
            )

    def _closed(self) -> bool:
        ends = (self.client.connection, self.server.connection)
        return all(one is not None and one.closed for one in ends)
