"""One HTTP/3 connection: the object that a client or server holds (RFC 9114)."""

from __future__ import annotations

from typing import Final, final

from ropewalk.http3.errors import (
    H3_NO_ERROR,
    H3_REQUEST_CANCELLED,
    Http3Error,
)
from ropewalk.http3.events import Http3Event, RequestsAvailable, StopReceived
from ropewalk.http3.fields import Fields, MessageError
from ropewalk.http3.qpack.decoder import Decoder
from ropewalk.http3.qpack.encoder import Encoder
from ropewalk.http3.receiving import LARGEST_SECTION, Receiver
from ropewalk.http3.requests import FAILURE, START, Exchange
from ropewalk.http3.sending import Sender
from ropewalk.http3.settings import Settings, check_advertised
from ropewalk.http3.state import Http3State
from ropewalk.http3.streams import UnidirectionalStreams
from ropewalk.quic.connection import Connection
from ropewalk.quic.types.errors import ConnectionLost, StreamStateError
from ropewalk.quic.types.events import (
    Event,
    HandshakeComplete,
    StreamOpened,
    StreamReadable,
    StreamResetByPeer,
    StreamsAvailable,
    StreamStoppedByPeer,
    StreamWritable,
)

#: The ALPN name of HTTP/3 (RFC 9114 3.1).
ALPN: Final = "h3"

#: The highest request stream ID: a first GOAWAY that refuses nothing yet (RFC 9114 5.2).
_EVERY_REQUEST: Final = (1 << 62) - 4

_UNIDIRECTIONAL: Final = 2


@final
class Http3Connection:
    """HTTP/3 on a QUIC connection whose ALPN is "h3".

    Give every QUIC event to :meth:`handle`, and act on what it returns. After any call that
    may send, tell the QUIC endpoint with ``touch``, as for the QUIC connection's own calls.
    A rule broken by the peer closes the QUIC connection with the code of RFC 9114 8.1; the
    reason is then in ``quic.close_error``.

    ``settings`` is what we advertise; ``Unsupported`` is raised for features that are not built,
    extended CONNECT and HTTP datagrams. Times (``now``) are seconds on the caller's clock. What
    sends raises ``ConnectionLost`` once the QUIC connection is at its end.
    """

    def __init__(self, quic: Connection, is_client: bool, settings: Settings | None = None) -> None:
        check_advertised(settings)
        chosen = Settings() if settings is None else settings
        limit = chosen.max_field_section_size
        decoder = Decoder(
            chosen.qpack_max_table_capacity,
            chosen.qpack_blocked_streams,
            LARGEST_SECTION if limit is None else limit,
        )
        state = Http3State(quic, is_client, chosen, Encoder(), decoder)
        self._state = state
        self._streams = UnidirectionalStreams(state)
        self._sender = Sender(state)
        self._receiver = Receiver(state, self._streams, self._sender)
        #: the peer broke a rule; what else it says no longer counts
        self._failed = False

    # -- what it is

    @property
    def quic(self) -> Connection:
        """The QUIC connection below."""
        return self._state.quic

    @property
    def is_client(self) -> bool:
        """Whether this side sends the requests."""
        return self._state.is_client

    @property
    def peer_settings(self) -> Settings:
        """The peer's settings; the initial values until they arrive."""
        return self._state.peer_settings

    @property
    def open_requests(self) -> int:
        """Requests whose exchange is not over in both directions."""
        return len(self._state.exchanges)

    @property
    def going_away(self) -> bool:
        """Whether either side sent GOAWAY: there are no new requests."""
        return self._state.goaway_sent >= 0 or self._state.goaway_received >= 0

    # -- events

    def start(self, now: float) -> None:
        """Open the control and QPACK streams and send SETTINGS.

        Due when the handshake is complete; :meth:`handle` does it at that event, so that only
        those who come later need to call it. Again is harmless.
        """
        try:
            self._streams.open()
        except ConnectionLost:
            return

    def handle(self, event: Event, now: float) -> list[Http3Event]:
        """Take one event of the QUIC connection; what it means for HTTP/3, in order."""
        if self._failed:
            return []
        if self._state.watch is not None:
            self._state.watch.now = now
        try:
            self._dispatch(event)
        except Http3Error as error:
            self._close(error, now)
        except ConnectionLost:
            # The QUIC connection is at its end; its own event tells why.
            return self.events()
        return self.events()

    def events(self) -> list[Http3Event]:
        """What happened since the last call. Ask after :meth:`read_body`, which may meet
        the trailers or the end of a message."""
        events = self._state.events
        self._state.events = []
        return events

    def _dispatch(self, event: Event) -> None:
        state = self._state
        if isinstance(event, StreamReadable):
            self._on_readable(event.stream_id)
        elif isinstance(event, StreamWritable):
            exchange = state.exchanges.get(event.stream_id)
            if exchange is not None:
                self._sender.on_writable(exchange)
            else:
                self._streams.on_writable(event.stream_id)
        elif isinstance(event, StreamOpened):
            if event.stream_id & _UNIDIRECTIONAL:
                self._streams.on_opened(event.stream_id)
            else:
                self._receiver.on_opened(event.stream_id)
        elif isinstance(event, StreamResetByPeer):
            if event.stream_id & _UNIDIRECTIONAL:
                self._streams.on_reset(event.stream_id)
            else:
                exchange = state.exchanges.get(event.stream_id)
                if exchange is not None:
                    self._receiver.on_reset(exchange, event.code)
        elif isinstance(event, StreamStoppedByPeer):
            self._on_stopped(event.stream_id, event.code)
        elif isinstance(event, HandshakeComplete):
            self._streams.open()
        elif isinstance(event, StreamsAvailable):
            if event.bidirectional:
                state.events.append(RequestsAvailable())
            else:
                self._streams.open()

    def _on_readable(self, stream_id: int) -> None:
        state = self._state
        if stream_id & _UNIDIRECTIONAL:
            self._streams.on_readable(stream_id)
            for unblocked in state.decoder.unblocked():
                waiting = state.exchanges.get(unblocked)
                if waiting is not None:
                    self._receiver.on_unblocked(waiting)
            # Only now: an acknowledged section tells of its insertions by the way.
            self._streams.flush_qpack()
            return
        exchange = state.exchanges.get(stream_id)
        if exchange is not None:
            self._receiver.on_readable(exchange)

    def _on_stopped(self, stream_id: int, code: int) -> None:
        """QUIC has answered with RESET_STREAM already."""
        if stream_id & _UNIDIRECTIONAL:
            self._streams.on_stopped(stream_id)
            return
        state = self._state
        exchange = state.exchanges.get(stream_id)
        if exchange is None:
            return
        exchange.unsent.clear()
        exchange.finish_due = False
        exchange.outgoing.move(FAILURE)
        if not state.is_client and exchange.incoming.state == START:
            exchange.declined = code  # told after the request, which nobody has heard of yet
        else:
            state.events.append(StopReceived(stream_id, code))
        state.retire(exchange)

    # -- messages in

    def read_body(self, stream_id: int, limit: int, now: float) -> tuple[bytes, bool]:
        """At most ``limit`` bytes of content, and whether the message has ended.

        (b"", False) means nothing now: wait for ``BodyReadable`` or ``MessageComplete``.
        What is not read stays under QUIC's flow control and holds the peer back. Raises
        ``StreamReset`` when the peer gave up, ``MessageError`` when the message turned out
        malformed, ``Http3Error`` when the connection failed, ``StreamStateError`` when the
        exchange is over.
        """
        exchange = self._exchange(stream_id)
        try:
            return self._receiver.read_body(exchange, limit)
        except MessageError:
            raise
        except Http3Error as error:
            self._close(error, now)
            raise

    def stop_reading(self, stream_id: int, code: int = H3_NO_ERROR) -> None:
        """Read no more of the message; the response may go on (STOP_SENDING; RFC 9114 4.1)."""
        exchange = self._state.exchanges.get(stream_id)
        if exchange is not None and not exchange.incoming.is_over():
            self._state.give_up_incoming(exchange, code)
            self._state.retire(exchange)

    # -- messages out

    def send_request(self, fields: Fields, end: bool = False) -> int | None:
        """Send a request's header section; its stream ID (client).

        None while the server's stream limit forbids it: wait for ``RequestsAvailable``.
        Raises ``MessageError`` for fields that are not well-formed, ``ConfigurationError``
        when they exceed what the server accepts, ``Http3Error`` with H3_REQUEST_REJECTED
        after a GOAWAY.
        """
        return self._sender.send_request(fields, end)

    def send_response(self, stream_id: int, fields: Fields, end: bool = False) -> None:
        """Send the final response's header section (server). Raises as the others, and
        ``StopSending`` when the client wants no response."""
        self._sender.send_response(self._exchange(stream_id), fields, end)

    def send_informational(self, stream_id: int, fields: Fields) -> None:
        """Send a 1xx response, before the final one (server)."""
        self._sender.send_informational(self._exchange(stream_id), fields)

    def send_body(self, stream_id: int, data: bytes) -> int:
        """Send content, by reference; how many bytes were accepted.

        When that is less than all, ``BodyWritable`` follows as soon as there is room. Raises
        ``MessageError`` for more content than content-length announced, ``StopSending`` when
        the peer wants no more.
        """
        return self._sender.send_body(self._exchange(stream_id), data)

    def send_trailers(self, stream_id: int, fields: Fields) -> None:
        """Send the trailer section and end the message."""
        self._sender.send_trailers(self._exchange(stream_id), fields)

    def finish(self, stream_id: int) -> None:
        """End the message. Raises ``MessageError`` when content is missing that
        content-length announced."""
        self._sender.finish(self._exchange(stream_id))

    def cancel(self, stream_id: int, code: int = H3_REQUEST_CANCELLED) -> None:
        """Give up both directions, as far as they are not over (RFC 9114 4.1.1).

        A server that has not acted on the request uses H3_REQUEST_REJECTED, so that the
        client may try again. Nothing happens when the exchange is over.
        """
        exchange = self._state.exchanges.get(stream_id)
        if exchange is not None:
            self._state.abort(exchange, code)
            self._streams.flush_qpack()

    # -- the end

    def goaway(self, final: bool = True) -> None:
        """Announce that this connection is about to end (RFC 9114 5.2).

        A server serves what it has received and refuses later requests with
        H3_REQUEST_REJECTED; with ``final`` false it only warns, and still takes what is on
        its way: call again a round trip later. A client sends no more requests.
        """
        state = self._state
        identifier = 0
        if not state.is_client:
            identifier = state.next_request if final else _EVERY_REQUEST
        if 0 <= state.goaway_sent <= identifier:
            return
        state.goaway_sent = identifier
        self._streams.send_goaway()

    def drained(self) -> bool:
        """Whether no exchange is open and the peer has acknowledged all that was sent: after
        :meth:`goaway`, the moment to :meth:`close` without loss."""
        state = self._state
        return not state.exchanges and state.quic.undelivered() == 0

    def close(self, now: float, code: int = H3_NO_ERROR, reason: str = "") -> None:
        """Close the QUIC connection at once, whatever is under way. Idempotent."""
        self._state.quic.close(code, reason, now)

    # -- within

    def _exchange(self, stream_id: int) -> Exchange:
        exchange = self._state.exchanges.get(stream_id)
        if exchange is None:
            raise StreamStateError(f"stream {stream_id} has no request, or it is over")
        return exchange

    def _close(self, error: Http3Error, now: float) -> None:
        self._failed = True
        self._state.quic.close(error.code, error.reason, now)
