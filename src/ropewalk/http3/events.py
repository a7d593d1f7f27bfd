"""What HTTP/3 tells its user. Events come from ``Http3Connection.handle`` and ``events``."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.http3.settings import Settings

#: A field line: name (in lower case) and value. A field section is a list of them.
Field = tuple[bytes, bytes]


@dataclass(frozen=True)
class Http3Event:
    """Root of all HTTP/3 events."""


@dataclass(frozen=True)
class SettingsReceived(Http3Event):
    """The peer's SETTINGS arrived. Nothing need wait for them."""

    settings: Settings


@dataclass(frozen=True)
class RequestReceived(Http3Event):
    """A request's header section arrived and is well-formed (server).

    ``end`` tells that the request has neither body nor trailers.
    """

    stream_id: int
    fields: list[Field]
    end: bool


@dataclass(frozen=True)
class ResponseReceived(Http3Event):
    """A response's header section arrived and is well-formed (client).

    ``informational`` is true for a 1xx, after which another one follows.
    """

    stream_id: int
    fields: list[Field]
    informational: bool
    end: bool


@dataclass(frozen=True)
class BodyReadable(Http3Event):
    """``read_body`` has something: call it until it returns no bytes, or the end."""

    stream_id: int


@dataclass(frozen=True)
class BodyWritable(Http3Event):
    """``send_body`` takes bytes again after it had refused some."""

    stream_id: int


@dataclass(frozen=True)
class TrailersReceived(Http3Event):
    """The trailer section arrived; the body is complete."""

    stream_id: int
    fields: list[Field]


@dataclass(frozen=True)
class MessageComplete(Http3Event):
    """The request or response was received to its end."""

    stream_id: int


@dataclass(frozen=True)
class MessageFailed(Http3Event):
    """The message was malformed, incomplete or too large. Its stream was given up with
    ``code`` in both directions, except that a server has answered 431 to a request whose
    field section was too large."""

    stream_id: int
    code: int
    reason: str


@dataclass(frozen=True)
class StreamResetReceived(Http3Event):
    """The peer gave up sending its message (RESET_STREAM).

    Our own message may go on; ``cancel`` gives it up as well. H3_REQUEST_REJECTED from a
    server means that it did not act on the request, which is then safe to send again.
    """

    stream_id: int
    code: int


@dataclass(frozen=True)
class StopReceived(Http3Event):
    """The peer no longer wants our message (STOP_SENDING). With H3_NO_ERROR from a server
    the response is good all the same (RFC 9114 4.1)."""

    stream_id: int
    code: int


@dataclass(frozen=True)
class RequestsAvailable(Http3Event):
    """``send_request``, which had returned None, has a stream again (client)."""


@dataclass(frozen=True)
class GoawayReceived(Http3Event):
    """The peer is going away (RFC 9114 5.2).

    For a client ``identifier`` is the first request that the server will not process; a
    :class:`RequestUnprocessed` follows for each that is under way. For a server it is a
    push ID and means no more than that the client is about to leave.
    """

    identifier: int


@dataclass(frozen=True)
class RequestUnprocessed(Http3Event):
    """The server did not act on this request and will not: it is safe to send it again on
    another connection (client). The stream was given up."""

    stream_id: int
