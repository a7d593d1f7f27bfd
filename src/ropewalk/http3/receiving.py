"""Requests and responses on their way in (RFC 9114 4)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.http3.errors import (
    H3_EXCESSIVE_LOAD,
    H3_FRAME_ERROR,
    H3_FRAME_UNEXPECTED,
    H3_ID_ERROR,
    H3_MESSAGE_ERROR,
    H3_NO_ERROR,
    H3_REQUEST_CANCELLED,
    H3_REQUEST_INCOMPLETE,
    H3_REQUEST_REJECTED,
    H3_STREAM_CREATION_ERROR,
    FieldSectionTooLarge,
    Http3Error,
)
from ropewalk.http3.events import (
    BodyReadable,
    MessageComplete,
    MessageFailed,
    RequestReceived,
    ResponseReceived,
    StopReceived,
    StreamResetReceived,
    TrailersReceived,
)
from ropewalk.http3.fields import (
    Fields,
    MessageError,
    check_request,
    check_response,
    check_trailers,
    join_cookies,
)
from ropewalk.http3.frames import (
    CANCEL_PUSH,
    DATA,
    GOAWAY,
    HEADERS,
    MAX_PUSH_ID,
    NO_FRAME,
    PUSH_PROMISE,
    SETTINGS,
    frame_name,
    is_http2_leftover,
)
from ropewalk.http3.requests import (
    CONNECT_HEADER,
    CONTENT,
    END,
    FAILURE,
    HEADER,
    INFORMATIONAL,
    START,
    TRAILER,
    Exchange,
)
from ropewalk.http3.sending import Sender, has_no_content
from ropewalk.http3.state import Http3State
from ropewalk.http3.streams import UnidirectionalStreams
from ropewalk.quic.types.errors import Error, StreamReset, StreamStateError

#: How much is read at once where no body is expected. It may hold the first bytes of a body,
#: which is all of a body that is ever kept on this side of QUIC's flow control.
_CHUNK: Final = 2048
#: The largest field section when no limit was advertised.
LARGEST_SECTION: Final = 1024 * 1024
#: 1xx responses to one request. They are free of flow control once read, so a limit is ours to
#: set (RFC 9114 10.5).
_MOST_INFORMATIONAL: Final = 32

_HEADERS_TOO_LARGE: Final = [(b":status", b"431"), (b"content-length", b"0")]


@final
class Receiver:
    """Reads messages and tells what they hold.

    Header and trailer sections are read as they arrive; content stays in QUIC's buffers,
    and so under its flow control, until :meth:`read_body` takes it.
    """

    def __init__(self, state: Http3State, streams: UnidirectionalStreams, sender: Sender) -> None:
        self._state = state
        self._streams = streams
        self._sender = sender
        limit = state.settings.max_field_section_size
        self._section_limit: i64 = LARGEST_SECTION if limit is None else limit

    def on_opened(self, stream_id: int) -> None:
        """The peer opened a bidirectional stream."""
        state = self._state
        if state.is_client:
            raise Http3Error(H3_STREAM_CREATION_ERROR, "a server cannot open request streams")
        state.next_request = max(state.next_request, stream_id + 4)
        if 0 <= state.goaway_sent <= stream_id:
            # RFC 9114 5.2: not processed at all, which the code tells the client.
            state.stop(stream_id, H3_REQUEST_REJECTED)
            state.reset(stream_id, H3_REQUEST_REJECTED)
            return
        state.exchanges[stream_id] = Exchange(stream_id)
        if state.watch is not None:
            state.watch.observer.http3_stream_type(state.watch.now, True, stream_id, -1)

    def on_readable(self, exchange: Exchange) -> None:
        """The stream has bytes or its end. Raises ``Http3Error`` for the connection."""
        try:
            if self._to_content(exchange, _CHUNK):
                self._state.events.append(BodyReadable(exchange.stream_id))
        except MessageError as error:
            self.fail(exchange, error)

    def on_unblocked(self, exchange: Exchange) -> None:
        """The QPACK encoder stream brought what a field section had waited for."""
        section = exchange.blocked_section
        if section is None or exchange.incoming.is_over():
            return
        exchange.blocked_section = None
        try:
            self._on_section(exchange, section)
        except MessageError as error:
            self.fail(exchange, error)
            return
        self.on_readable(exchange)

    def on_reset(self, exchange: Exchange, code: int) -> None:
        """The peer gave up its message."""
        self._state.drop_reset(exchange.stream_id)
        self._reset(exchange, code)

    def read_body(self, exchange: Exchange, limit: int) -> tuple[bytes, bool]:
        """At most ``limit`` bytes of content, and whether the message has ended.

        Raises ``StreamReset`` or ``MessageError`` when the message failed, any other
        ``Http3Error`` when the connection did.
        """
        try:
            data = self._read_content(exchange, limit)
        except MessageError as error:
            self.fail(exchange, error)
            raise
        failure = exchange.failure
        if failure is not None:
            raise failure
        return data, exchange.incoming.is_over()

    def _read_content(self, exchange: Exchange, limit: i64) -> bytes:
        frames = exchange.frames
        first = b""
        pieces: list[bytes] = []
        total: i64 = 0
        while total < limit and self._to_content(exchange, limit - total):
            if frames.available() == 0 and not self._fill(exchange, limit - total):
                break
            piece = frames.take(limit - total)
            total += len(piece)
            if not first:
                first = piece
            else:
                pieces.append(piece)
        if exchange.stream_ended and frames.available() == 0 and exchange.incoming.state != START:
            self._to_content(exchange, _CHUNK)
        if pieces:
            return first + b"".join(pieces)
        return first

    def _to_content(self, exchange: Exchange, chunk: i64) -> bool:
        """Work through all that comes before the next content; True when content is next.

        ``chunk`` is how much may be read from QUIC at once.
        """
        frames = exchange.frames
        incoming = exchange.incoming
        while not incoming.is_over() and exchange.blocked_section is None:
            if frames.frame_type == DATA:
                if frames.remaining > 0:
                    return True
                frames.skip()
            elif frames.frame_type == NO_FRAME:
                if frames.available() == 0 and not self._fill(exchange, chunk):
                    return False
                if frames.read_header():
                    self._begin(exchange)
            else:
                if (
                    frames.available() == 0
                    and frames.remaining > 0
                    and not self._fill(exchange, chunk)
                ):
                    return False
                self._consume(exchange)
        return False

    def _fill(self, exchange: Exchange, limit: i64) -> bool:
        """Get more of the stream from QUIC; False when there is nothing more now."""
        if exchange.stream_ended:
            self._end(exchange)
            return False
        try:
            data, end = self._state.quic.read(exchange.stream_id, limit)
        except StreamReset as error:
            self._reset(exchange, error.code)
            return False
        except StreamStateError:
            return False
        exchange.stream_ended = end
        if data:
            exchange.frames.feed(data)
            return True
        if end:
            self._end(exchange)
        return False

    def _begin(self, exchange: Exchange) -> None:
        """A frame begins: may it come now (RFC 9114 4.1, 7.2)?"""
        frames = exchange.frames
        incoming = exchange.incoming
        frame_type = frames.frame_type
        watch = self._state.watch
        if watch is not None and frame_type != HEADERS:
            watch.observer.http3_frame(
                watch.now, False, exchange.stream_id, frame_type, frames.remaining, b""
            )
        if frame_type == DATA:
            if not incoming.allows(CONTENT):
                raise self._unexpected(exchange)
            incoming.count(frames.remaining)
        elif frame_type == HEADERS:
            if incoming.state != START and not incoming.allows(TRAILER):
                raise self._unexpected(exchange)
            if frames.remaining > self._section_limit:
                self._too_large(
                    exchange, FieldSectionTooLarge(int(frames.remaining), int(self._section_limit))
                )
        elif frame_type == PUSH_PROMISE and self._state.is_client:
            # RFC 9114 7.2.5: we never sent MAX_PUSH_ID, so every push ID is too large.
            raise Http3Error(H3_ID_ERROR, "a push is promised, but no push was ever allowed")
        elif (
            frame_type == PUSH_PROMISE
            or frame_type == SETTINGS
            or frame_type == CANCEL_PUSH
            or frame_type == GOAWAY
            or frame_type == MAX_PUSH_ID
            or is_http2_leftover(frame_type)
        ):
            raise self._unexpected(exchange)

    def _consume(self, exchange: Exchange) -> None:
        """Use what is here of a frame that is not DATA."""
        frames = exchange.frames
        if frames.frame_type != HEADERS:
            frames.skip()
            return
        payload = frames.collect(self._section_limit)
        if payload is not None:
            self._on_section(exchange, payload)

    def _on_section(self, exchange: Exchange, payload: bytes) -> None:
        """A header or trailer section is here."""
        state = self._state
        try:
            fields = state.decoder.decode(exchange.stream_id, payload)
        except FieldSectionTooLarge as error:
            self._too_large(exchange, error)
            return
        if fields is None:
            exchange.blocked_section = payload
            return
        if state.watch is not None:
            state.watch.observer.http3_headers(
                state.watch.now, False, exchange.stream_id, len(payload), list(fields)
            )
        self._streams.flush_qpack()
        if exchange.incoming.state != START:
            check_trailers(fields)
            exchange.incoming.move(TRAILER)
            state.events.append(TrailersReceived(exchange.stream_id, fields))
        elif state.is_client:
            self._on_response(exchange, fields)
        else:
            self._on_request(exchange, fields)

    def _on_request(self, exchange: Exchange, fields: Fields) -> None:
        state = self._state
        line = check_request(fields, state.settings.enable_connect_protocol)
        incoming = exchange.incoming
        exchange.method = line.method
        incoming.announced = -1 if line.is_connect else line.content_length
        incoming.move(CONNECT_HEADER if line.is_connect else HEADER)
        end = self._ends_here(exchange)
        if not incoming.is_over():
            state.events.append(RequestReceived(exchange.stream_id, join_cookies(fields), end))
            if exchange.declined >= 0:
                state.events.append(StopReceived(exchange.stream_id, exchange.declined))

    def _on_response(self, exchange: Exchange, fields: Fields) -> None:
        state = self._state
        line = check_response(fields)
        incoming = exchange.incoming
        if line.status < 200:
            if exchange.informational == _MOST_INFORMATIONAL:
                raise MessageError(
                    H3_EXCESSIVE_LOAD, f"more than {_MOST_INFORMATIONAL} informational responses"
                )
            exchange.informational += 1
            incoming.move(INFORMATIONAL)
            state.events.append(ResponseReceived(exchange.stream_id, fields, True, False))
            return
        if exchange.method == b"CONNECT" and line.status < 300:
            incoming.move(CONNECT_HEADER)
        else:
            incoming.announced = line.content_length
            incoming.bodiless = has_no_content(exchange.method, line.status)
            incoming.move(HEADER)
        end = self._ends_here(exchange)
        if not incoming.is_over():
            state.events.append(ResponseReceived(exchange.stream_id, fields, False, end))

    def _ends_here(self, exchange: Exchange) -> bool:
        """Whether nothing follows the header section, as far as is known by now.

        Not :meth:`_fill`, which would tell of the end before the header section was told of.
        """
        if exchange.frames.available() > 0:
            return False
        if not exchange.stream_ended:
            try:
                data, end = self._state.quic.read(exchange.stream_id, _CHUNK)
            except StreamReset as error:
                self._reset(exchange, error.code)
                return False
            except StreamStateError:
                return False
            exchange.stream_ended = end
            if data:
                exchange.frames.feed(data)
                return False
        return exchange.stream_ended

    def _end(self, exchange: Exchange) -> None:
        """The stream has ended: is the message whole?"""
        incoming = exchange.incoming
        if not exchange.frames.is_between():
            raise self._cut(exchange)
        if not incoming.allows(END):
            if self._state.is_client:
                raise MessageError(H3_MESSAGE_ERROR, "the response ends before its header section")
            raise MessageError(H3_REQUEST_INCOMPLETE, "the request ends before its header section")
        incoming.check_end()
        incoming.move(END)
        self._state.events.append(MessageComplete(exchange.stream_id))
        self._state.retire(exchange)

    def _cut(self, exchange: Exchange) -> Http3Error:
        """RFC 9114 7.1: a stream that ends within a frame ends the connection."""
        frame_type = exchange.frames.frame_type
        name = "a frame header" if frame_type == NO_FRAME else frame_name(frame_type)
        return Http3Error(H3_FRAME_ERROR, f"stream {exchange.stream_id} ends within {name}")

    def _reset(self, exchange: Exchange, code: int) -> None:
        incoming = exchange.incoming
        if incoming.is_over():
            return
        state = self._state
        unheard = incoming.state == START and not state.is_client
        incoming.move(FAILURE)
        exchange.failure = StreamReset(code)
        state.decoder.cancel(exchange.stream_id)
        self._streams.flush_qpack()
        if unheard:
            # The application never knew of it.
            state.abort(exchange, H3_REQUEST_CANCELLED)
        else:
            state.events.append(StreamResetReceived(exchange.stream_id, code))
            state.retire(exchange)

    def fail(self, exchange: Exchange, error: MessageError) -> None:
        """The message is bad: give its stream up (RFC 9114 4.1.2)."""
        state = self._state
        exchange.failure = error
        state.events.append(MessageFailed(exchange.stream_id, error.code, error.reason))
        state.abort(exchange, error.code)

    def _too_large(self, exchange: Exchange, error: FieldSectionTooLarge) -> None:
        """RFC 9114 4.2.2: a server may answer 431."""
        state = self._state
        outgoing = exchange.outgoing
        if state.is_client or not outgoing.allows(HEADER):
            raise MessageError(error.code, error.reason)
        exchange.failure = MessageError(error.code, error.reason)
        state.events.append(MessageFailed(exchange.stream_id, error.code, error.reason))
        state.give_up_incoming(exchange, H3_NO_ERROR)
        try:
            self._sender.send_response(exchange, _HEADERS_TOO_LARGE, True)
        except Error:
            # The client wants no answer, or not even one as small as this.
            state.abort(exchange, error.code)

    def _unexpected(self, exchange: Exchange) -> Http3Error:
        return Http3Error(
            H3_FRAME_UNEXPECTED,
            f"{frame_name(exchange.frames.frame_type)} on stream {exchange.stream_id} "
            "where it must not come",
        )
