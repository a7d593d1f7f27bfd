"""Anything on the streams of an HTTP/3 connection, from a client or from a server."""

from __future__ import annotations

from contextlib import suppress

from fuzz.duo import Duo
from ropewalk.http3 import Http3Connection, Settings
from ropewalk.http3.errors import Http3Error, http3_error_name
from ropewalk.http3.events import BodyReadable, RequestReceived
from ropewalk.quic.connection import Connection
from ropewalk.quic.types.errors import ApplicationError, StreamError

#: The first byte chooses; seeds are request streams.
SEED_PREFIX = b"\x00"
_SETTINGS_STREAM = b"\x00\x04\x00"
_GET = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"localhost"),
    (b":path", b"/"),
]


def fuzz_http3_streams(data: bytes) -> None:
    """The first byte: who receives it, on what, how it ends. Closed with a code of HTTP/3 or
    QPACK, or open: nothing else may come of it."""
    if len(data) < 2:
        return
    choice, stream = data[0], data[1:]
    duo = Duo(max_bidirectional_streams=8).connect()
    to_server = not choice & 1
    raw, receiver = (duo.client, duo.server) if to_server else (duo.server, duo.client)
    settings = Settings(qpack_max_table_capacity=4096, qpack_blocked_streams=4)
    http = Http3Connection(receiver, not to_server, settings if choice & 2 else None)
    duo.exchange(1)
    _hear(duo, http, receiver)
    if choice & 4:
        _speak(raw, False, _SETTINGS_STREAM)
    if choice & 8:
        # An encoder stream, so that sections can refer to something.
        cut = len(stream) // 2
        _speak(raw, False, b"\x02" + stream[:cut])
        stream = stream[cut:]
    if to_server:
        stream_id = _speak(raw, not choice & 16, stream)
    elif choice & 16:
        stream_id = _speak(raw, False, stream)
    else:
        requested = http.send_request(_GET, True)
        assert requested is not None
        duo.exchange(1)
        stream_id = requested
        raw.write(stream_id, stream)
    _hear_after(duo, http, receiver)
    if raw.active:
        with suppress(StreamError):
            if choice & 32:
                raw.reset(stream_id, 9)
            else:
                raw.finish(stream_id)
    _hear_after(duo, http, receiver)
    duo.check()
    error = receiver.close_error
    assert error is None or isinstance(error, ApplicationError), error
    if error is not None and not error.from_peer:
        assert http3_error_name(error.code).startswith(("H3_", "QPACK_")), error


def _speak(raw: Connection, bidirectional: bool, data: bytes) -> int:
    stream_id = raw.open_stream(bidirectional)
    assert stream_id is not None
    raw.write(stream_id, data)
    return stream_id


def _hear_after(duo: Duo, http: Http3Connection, receiver: Connection) -> None:
    for _ in range(2):
        duo.exchange(1)
        _hear(duo, http, receiver)


def _hear(duo: Duo, http: Http3Connection, receiver: Connection) -> None:
    """Serve events as an application does: read bodies, answer requests."""
    for event in receiver.events():
        for news in http.handle(event, duo.now):
            with suppress(Http3Error, StreamError):
                if isinstance(news, BodyReadable):
                    http.read_body(news.stream_id, 65536, duo.now)
                elif isinstance(news, RequestReceived):
                    http.send_response(news.stream_id, [(b":status", b"200")], True)
