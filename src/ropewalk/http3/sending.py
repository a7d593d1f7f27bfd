"""Requests and responses on their way out (RFC 9114 4)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.http3.errors import H3_REQUEST_REJECTED, Http3Error
from ropewalk.http3.events import BodyWritable
from ropewalk.http3.fields import (
    Fields,
    check_request,
    check_response,
    check_trailers,
    section_size,
)
from ropewalk.http3.frames import DATA, HEADERS, encode_frame, encode_frame_header
from ropewalk.http3.requests import (
    CONNECT_HEADER,
    CONTENT,
    END,
    HEADER,
    INFORMATIONAL,
    PART_NAMES,
    STATE_NAMES,
    TRAILER,
    Exchange,
    Message,
)
from ropewalk.http3.state import Http3State
from ropewalk.quic.types.errors import ConfigurationError, StreamError, StreamStateError

#: Largest DATA frame made. What of it QUIC refuses waits here, so it bounds that too.
_LARGEST_DATA: Final = 256 * 1024
#: Content up to this is copied behind its frame header rather than sent as a second piece.
_JOINED: Final = 2048


def has_no_content(method: bytes, status: i64) -> bool:
    """Whether a response has no content whatever its fields say (RFC 9110 6.4.1)."""
    return method == b"HEAD" or status == 204 or status == 304


@final
class Sender:
    """Writes messages. Raises ``StreamStateError`` for what does not fit the message's state,
    ``MessageError`` for what would make it malformed."""

    def __init__(self, state: Http3State) -> None:
        self._state = state

    def send_request(self, fields: Fields, end: bool) -> int | None:
        """Open a request; None while the server's stream limit forbids it."""
        state = self._state
        if not state.is_client:
            raise StreamStateError("only a client sends requests")
        if state.goaway_received >= 0 or state.goaway_sent >= 0:
            raise Http3Error(H3_REQUEST_REJECTED, "the connection is going away; open another one")
        line = check_request(fields, state.peer_settings.enable_connect_protocol)
        outgoing = Message()
        outgoing.announced = -1 if line.is_connect else line.content_length
        if end:
            outgoing.check_end()
        block = self._encode(fields)
        # From here on nothing is refused, so that no stream is left half used.
        stream_id = state.quic.open_stream()
        if stream_id is None:
            return None
        exchange = Exchange(stream_id)
        exchange.method = line.method
        exchange.outgoing = outgoing
        state.exchanges[stream_id] = exchange
        if state.watch is not None:
            state.watch.observer.http3_stream_type(state.watch.now, False, stream_id, -1)
        self._put(exchange, CONNECT_HEADER if line.is_connect else HEADER, fields, block)
        if end:
            self.finish(exchange)
        return stream_id

    def send_response(self, exchange: Exchange, fields: Fields, end: bool) -> None:
        """Send the final response's header section."""
        line = check_response(fields)
        if line.status < 200:
            raise StreamStateError(f"status {line.status} is not final; use send_informational")
        outgoing = exchange.outgoing
        part: i64 = HEADER
        if exchange.method == b"CONNECT" and line.status < 300:
            part = CONNECT_HEADER
        self._require(exchange, part)
        block = self._encode(fields)
        outgoing.announced = line.content_length
        outgoing.bodiless = has_no_content(exchange.method, line.status)
        if end:
            # Before anything is sent: another response is still possible.
            outgoing.check_end()
        self._put(exchange, part, fields, block)
        if end:
            self.finish(exchange)

    def send_informational(self, exchange: Exchange, fields: Fields) -> None:
        """Send a 1xx response."""
        line = check_response(fields)
        if line.status >= 200:
            raise StreamStateError(f"status {line.status} is final; use send_response")
        self._require(exchange, INFORMATIONAL)
        self._put(exchange, INFORMATIONAL, fields, self._encode(fields))

    def send_trailers(self, exchange: Exchange, fields: Fields) -> None:
        """Send the trailer section, which ends the message."""
        check_trailers(fields)
        self._require(exchange, TRAILER)
        exchange.outgoing.check_end()
        self._put(exchange, TRAILER, fields, self._encode(fields))
        self.finish(exchange)

    def send_body(self, exchange: Exchange, data: bytes) -> int:
        """Send content; how many bytes were accepted."""
        self._require(exchange, CONTENT)
        outgoing = exchange.outgoing
        total: i64 = len(data)
        done: i64 = 0
        while done < total:
            if exchange.unsent:
                exchange.refused = True
                break
            size: i64 = total - done
            if size > _LARGEST_DATA:
                size = _LARGEST_DATA
            outgoing.count(size)
            payload = data
            if size < total:
                payload = data[done : done + size]
            header = encode_frame_header(DATA, size)
            watch = self._state.watch
            if watch is not None:
                watch.observer.http3_frame(watch.now, True, exchange.stream_id, DATA, size, b"")
            if size <= _JOINED:
                self._write(exchange, header + payload)
            else:
                self._write(exchange, header)
                self._write(exchange, payload)
            done += size
        return int(done)

    def finish(self, exchange: Exchange) -> None:
        """End the message."""
        self._require(exchange, END)
        exchange.outgoing.check_end()
        exchange.outgoing.move(END)
        if exchange.unsent:
            exchange.finish_due = True
            return
        self._state.quic.finish(exchange.stream_id)
        self._state.retire(exchange)

    def on_writable(self, exchange: Exchange) -> None:
        """QUIC takes bytes again."""
        try:
            self._flush(exchange)
        except StreamError:
            # The peer stopped the stream; the event about it is on its way.
            return

    def _flush(self, exchange: Exchange) -> None:
        waiting = exchange.unsent
        exchange.unsent = []
        for data in waiting:
            self._write(exchange, data)
        if exchange.unsent:
            return
        if exchange.finish_due:
            exchange.finish_due = False
            self._state.quic.finish(exchange.stream_id)
            self._state.retire(exchange)
        elif exchange.refused:
            exchange.refused = False
            self._state.events.append(BodyWritable(exchange.stream_id))

    def _require(self, exchange: Exchange, part: i64) -> None:
        if not exchange.outgoing.allows(part):
            raise StreamStateError(
                f"stream {exchange.stream_id}: {PART_NAMES[part]} cannot be sent in state "
                f"{STATE_NAMES[exchange.outgoing.state]}"
            )

    def _encode(self, fields: Fields) -> bytes:
        """Compress a field section that the peer is willing to take (RFC 9114 4.2.2)."""
        limit = self._state.peer_settings.max_field_section_size
        if limit is not None:
            size = section_size(fields)
            if size > limit:
                raise ConfigurationError(
                    f"the field section has {size} bytes; the peer accepts {limit}"
                )
        return self._state.encoder.encode(fields)

    def _put(self, exchange: Exchange, part: i64, fields: Fields, block: bytes) -> None:
        exchange.outgoing.move(part)
        watch = self._state.watch
        if watch is not None:
            watch.observer.http3_headers(
                watch.now, True, exchange.stream_id, len(block), list(fields)
            )
        self._write(exchange, encode_frame(HEADERS, block))

    def _write(self, exchange: Exchange, data: bytes) -> None:
        if exchange.unsent:
            exchange.unsent.append(data)
            return
        accepted = self._state.quic.write(exchange.stream_id, data)
        if accepted < len(data):
            exchange.unsent.append(data[accepted:])
