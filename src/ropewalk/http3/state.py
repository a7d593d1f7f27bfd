"""What the parts of one HTTP/3 connection share. Data, and the few calls all of them need."""

from __future__ import annotations

from typing import final

from ropewalk.http3.events import Http3Event
from ropewalk.http3.qpack.decoder import Decoder
from ropewalk.http3.qpack.encoder import Encoder
from ropewalk.http3.requests import FAILURE, Exchange
from ropewalk.http3.settings import INITIAL_SETTINGS, Settings
from ropewalk.quic.connection import Connection
from ropewalk.quic.types.errors import StreamReset, StreamStateError
from ropewalk.quic.types.watch import Watch


@final
class Http3State:
    """The state of one HTTP/3 connection."""

    def __init__(
        self,
        quic: Connection,
        is_client: bool,
        settings: Settings,
        encoder: Encoder,
        decoder: Decoder,
    ) -> None:
        self.quic = quic
        #: the observer of the QUIC connection sees HTTP/3, too
        self.watch: Watch | None = quic.state.watch
        self.is_client = is_client
        self.settings = settings
        self.encoder = encoder
        self.decoder = decoder
        self.peer_settings: Settings = INITIAL_SETTINGS
        self.settings_received = False
        self.events: list[Http3Event] = []
        self.exchanges: dict[int, Exchange] = {}
        #: server: the lowest request stream that the client has not used yet
        self.next_request = 0
        #: the identifier of the last GOAWAY in each direction, -1 for none
        self.goaway_sent = -1
        self.goaway_received = -1

    def stop(self, stream_id: int, code: int) -> None:
        """Stop reading a stream; nothing happens when it is too late for that."""
        if self.quic.active:
            try:
                self.quic.stop(stream_id, code)
            except StreamStateError:
                return

    def reset(self, stream_id: int, code: int) -> None:
        """Stop writing a stream; nothing happens when it is too late for that."""
        if self.quic.active:
            try:
                self.quic.reset(stream_id, code)
            except StreamStateError:
                return

    def drop_reset(self, stream_id: int) -> None:
        """Take note of the peer's reset, so that QUIC can forget the stream."""
        try:
            self.quic.read(stream_id, 1)
        except (StreamReset, StreamStateError):
            return

    def abort(self, exchange: Exchange, code: int) -> None:
        """Give up both directions of an exchange, as far as they are not over."""
        if not exchange.incoming.is_over():
            self.give_up_incoming(exchange, code)
        if not exchange.outgoing.is_over() or exchange.unsent:
            self.reset(exchange.stream_id, code)
            exchange.outgoing.move(FAILURE)
            exchange.unsent.clear()
            exchange.finish_due = False
        self.retire(exchange)

    def give_up_incoming(self, exchange: Exchange, code: int) -> None:
        """Read no more of the incoming message."""
        self.stop(exchange.stream_id, code)
        exchange.incoming.move(FAILURE)
        self.decoder.cancel(exchange.stream_id)

    def retire(self, exchange: Exchange) -> None:
        """Forget the exchange if both of its messages are over."""
        if exchange.is_over() and exchange.stream_id in self.exchanges:
            del self.exchanges[exchange.stream_id]
