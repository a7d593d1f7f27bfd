"""HTTP/3 on both ends of the virtual wire, or on one end with a raw client at the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from ropewalk.http3 import Http3Connection, Settings
from ropewalk.http3.errors import Http3Error
from ropewalk.http3.events import (
    BodyReadable,
    BodyWritable,
    Http3Event,
    MessageComplete,
    RequestReceived,
    ResponseReceived,
    TrailersReceived,
)
from ropewalk.http3.fields import Fields
from ropewalk.quic.types.errors import ApplicationError, StreamReset
from ropewalk.quic.types.events import Event, StreamOpened
from ropewalk.quic.wire.varint import encode_varint
from tests.connection.pair import Pair

GET: Fields = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"localhost"),
    (b":path", b"/"),
]
OK: Fields = [(b":status", b"200")]

SETTINGS_STREAM = b"\x00\x04\x00"  # a control stream with empty SETTINGS


def request(method: bytes, path: bytes = b"/", *more: tuple[bytes, bytes]) -> Fields:
    """A request's header section."""
    return [
        (b":method", method),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", path),
        *more,
    ]


def h3_frame(frame_type: int, payload: bytes = b"") -> bytes:
    """A frame's bytes."""
    return encode_varint(frame_type) + encode_varint(len(payload)) + payload


def section(*lines: tuple[bytes, bytes]) -> bytes:
    """A field section of plain literals: no table, no Huffman, no mercy."""
    block = bytearray(2)
    for name, value in lines:
        block += _prefixed(0x20, 7, len(name)) + name
        block += _prefixed(0x00, 127, len(value)) + value
    return bytes(block)


def _prefixed(bits: int, most: int, value: int) -> bytes:
    if value < most:
        return bytes([bits | value])
    out = bytearray([bits | most])
    value -= most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


@dataclass
class Side:
    """What one side heard, and what it still wants to say."""

    http: Http3Connection
    events: list[Http3Event] = field(default_factory=list)
    bodies: dict[int, bytes] = field(default_factory=dict)
    to_send: dict[int, bytes] = field(default_factory=dict)
    #: read bodies as they come; a test that reads by itself switches it off
    reads: bool = True
    limit: int = 65536

    def of(self, kind: type[Http3Event]) -> list[Http3Event]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def take(self, events: list[Http3Event], now: float) -> None:
        """Note events; read and write bodies that they speak of."""
        for event in events:
            self.events.append(event)
            if isinstance(event, BodyReadable) and self.reads:
                self.read(event.stream_id, now)
            elif isinstance(event, BodyWritable):
                self.push(event.stream_id)

    def read(self, stream_id: int, now: float) -> None:
        """Read all that is there."""
        end = False
        while not end:
            try:
                data, end = self.http.read_body(stream_id, self.limit, now)
            except (Http3Error, StreamReset):
                break
            self.bodies[stream_id] = self.bodies.get(stream_id, b"") + data
            if not data:
                break
        self.take(self.http.events(), now)

    def say(self, stream_id: int, body: bytes) -> None:
        """Send a body and end the message, at whatever pace the peer allows."""
        self.to_send[stream_id] = body
        self.push(stream_id)

    def push(self, stream_id: int) -> None:
        """Send what is accepted now."""
        left = self.to_send.get(stream_id)
        if left is None:
            return
        left = left[self.http.send_body(stream_id, left) :]
        self.to_send[stream_id] = left
        if not left:
            del self.to_send[stream_id]
            self.http.finish(stream_id)

    def complete(self) -> list[int]:
        """Streams whose message arrived whole."""
        return [event.stream_id for event in self.events if isinstance(event, MessageComplete)]


class Talk(Pair):
    """A connected pair with HTTP/3 on top, unless a side is to be raw."""

    def __init__(
        self,
        *,
        raw_client: bool = False,
        raw_server: bool = False,
        client: dict[str, object] | None = None,
        server: dict[str, object] | None = None,
        client_settings: Settings | None = None,
        server_settings: Settings | None = None,
        delay: float = 0.01,
    ) -> None:
        super().__init__(
            client={"alpn": ("h3",), **(client or {})},
            server={"alpn": ("h3",), **(server or {})},
            delay=delay,
        )
        self.server_settings = server_settings
        self.raw_server = raw_server
        self.c: Side | None = None
        self.s: Side | None = None
        self.seen = [0, 0]
        self.opened_by_server: list[int] = []
        if not raw_client:
            self.c = Side(Http3Connection(self.client, True, client_settings))
        self.connect()

    def flush(self) -> None:
        while True:
            super().flush()
            if self.servers and self.s is None and not self.raw_server:
                self.s = Side(Http3Connection(self.server, False, self.server_settings))
            news = self._news(0, self.client_events, self.c)
            if not (self._news(1, self.server_events, self.s) or news):
                return

    def _news(self, index: int, events: list[Event], side: Side | None) -> bool:
        new = events[self.seen[index] :]
        self.seen[index] = len(events)
        for event in new:
            if side is not None:
                side.take(side.http.handle(event, self.now), self.now)
            elif isinstance(event, StreamOpened) and index == 0:
                self.opened_by_server.append(event.stream_id)
        return bool(new)

    # -- shorthand

    @property
    def client_side(self) -> Side:
        """The client's HTTP/3."""
        assert self.c is not None
        return self.c

    @property
    def server_side(self) -> Side:
        """The server's HTTP/3."""
        assert self.s is not None
        return self.s

    def ask(self, fields: Fields, body: bytes | None = None) -> int:
        """Send a request and let it arrive."""
        stream_id = self.client_side.http.send_request(fields, body is None)
        assert stream_id is not None
        if body is not None:
            self.client_side.say(stream_id, body)
        self.drive(0.1)
        return stream_id

    def raw_uni(self, data: bytes, from_client: bool = True) -> int:
        """Open a unidirectional stream with any bytes."""
        connection = self.client if from_client else self.server
        stream_id = connection.open_stream(False)
        assert stream_id is not None
        connection.write(stream_id, data)
        self.drive(0.1)
        return stream_id

    def raw_request(self, data: bytes, end: bool = True) -> int:
        """Open a request stream with any bytes."""
        stream_id = self.client.open_stream()
        assert stream_id is not None
        self.client.write(stream_id, data)
        if end:
            self.client.finish(stream_id)
        self.drive(0.1)
        return stream_id

    def close_code(self) -> int | None:
        """The application code with which our HTTP/3 closed; None while it is open."""
        connection = self.client if self.raw_server else self.server
        error = connection.close_error
        if error is None:
            return None
        assert isinstance(error, ApplicationError), error
        assert not error.from_peer
        return error.code


def requests(side: Side) -> list[RequestReceived]:
    """The requests a server heard."""
    return [event for event in side.events if isinstance(event, RequestReceived)]


def responses(side: Side) -> list[ResponseReceived]:
    """The responses a client heard."""
    return [event for event in side.events if isinstance(event, ResponseReceived)]


def trailers(side: Side) -> list[TrailersReceived]:
    """The trailer sections a side heard."""
    return [event for event in side.events if isinstance(event, TrailersReceived)]
