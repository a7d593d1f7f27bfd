"""From datagrams to payloads: keys, packet numbers, duplicates, routes (RFC 9000 12, 13)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.connection.dispatcher import Dispatcher
from ropewalk.quic.connection.handshaking import Handshaking
from ropewalk.quic.connection.level import Level
from ropewalk.quic.connection.lifecycle import Lifecycle
from ropewalk.quic.connection.routing import Routing
from ropewalk.quic.connection.state import (
    ACTIVE,
    CLOSING,
    MAX_UNDECRYPTABLE,
    ConnectionState,
    Undecryptable,
)
from ropewalk.quic.connection.watching import tell_key_update
from ropewalk.quic.connection.workspace import Workspace
from ropewalk.quic.path.route import MINIMUM_DATAGRAM_SIZE, Route
from ropewalk.quic.protection.key_update import OneRttKeys
from ropewalk.quic.protection.unmask import unmask_long
from ropewalk.quic.recovery.received import ReceivedPackets
from ropewalk.quic.types.datagrams import Datagrams
from ropewalk.quic.types.error_codes import AEAD_LIMIT_REACHED, PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import StatelessReset, TransportError, VersionMismatch
from ropewalk.quic.types.handshake import HANDSHAKE, ONE_RTT
from ropewalk.quic.wire.header import (
    PACKET_HANDSHAKE,
    PACKET_INITIAL,
    PACKET_RETRY,
    PACKET_VERSION_NEGOTIATION,
    LongHeader,
    parse_long_header,
)
from ropewalk.quic.wire.packet_number import decode_packet_number

_LONG_HEADER_BIT: Final = 0x80
_FIXED_BIT: Final = 0x40
_KEY_PHASE_BIT: Final = 0x04
_SHORT_RESERVED_BITS: Final = 0x18
_LONG_RESERVED_BITS: Final = 0x0C
_RESET_TOKEN_LENGTH: Final = 16


@final
class Receiver:
    """Opens packets and hands their payloads to the dispatcher."""

    def __init__(
        self,
        state: ConnectionState,
        lifecycle: Lifecycle,
        handshaking: Handshaking,
        routing: Routing,
        dispatcher: Dispatcher,
        own_cid_length: i64,
        workspace: Workspace,
    ) -> None:
        self._state = state
        self._lifecycle = lifecycle
        self._handshaking = handshaking
        self._routing = routing
        self._dispatcher = dispatcher
        self._packet_number_offset: i64 = 1 + own_cid_length
        self._batch = workspace.batch

    def receive(self, datagrams: Datagrams, start: i64, stop: i64, now: float) -> None:
        """Process ``datagrams.data[start:stop]``, a run of whole segments for this connection."""
        state = self._state
        if state.life != ACTIVE:
            if state.life == CLOSING:
                self._while_closing(datagrams, start, stop, now)
            return
        state.counters.bytes_received += stop - start
        route = self._routing.arrival(datagrams, stop - start, now)
        if route is None:
            self._drop("unknown address", stop - start, now)
            return
        data = datagrams.data
        try:
            position = start
            while position < stop and state.life == ACTIVE:
                if data[position] & _LONG_HEADER_BIT:
                    end = min(stop, position + datagrams.segment_size)
                    self._receive_long(data, position, end, datagrams.ecn, route, now)
                    position = end
                else:
                    # A run of short headers is as long as the batch, but for stray long ones.
                    end = self._end_of_short_run(data, position, stop, datagrams.segment_size)
                    self._receive_short(
                        data, position, end, datagrams.segment_size, datagrams.ecn, route, now
                    )
                    position = end
            if state.undecryptable:
                self._retry_undecryptable(route, now)
        except TransportError as error:
            self._lifecycle.fail(error, now)

    def end_of_batch(self, now: float) -> None:
        """All datagrams of one receive call are in: decide about acknowledging (13.2.2)."""
        state = self._state
        if state.life != ACTIVE:
            return
        if state.extensions:
            self._process_recovered(now)
        if state.initial is not None:
            state.initial.space.received.end_of_batch(now)
        if state.handshake_level is not None:
            state.handshake_level.space.received.end_of_batch(now)
        state.path.space.received.end_of_batch(now)
        rtt = state.path.active.recovery.rtt
        state.streams.tune_windows(rtt.smoothed if rtt.has_sample else 0.0, now)

    def _process_recovered(self, now: float) -> None:
        state = self._state
        try:
            for extension in state.config.extensions:
                for payload in extension.take_recovered():
                    self._dispatcher.process(payload, ONE_RTT, state.path.active, now)
        except TransportError as error:
            self._lifecycle.fail(error, now)

    def _end_of_short_run(self, data: bytes, start: i64, stop: i64, segment_size: i64) -> i64:
        position = start + segment_size
        while position < stop and not data[position] & _LONG_HEADER_BIT:
            position += segment_size
        return min(position, stop)

    # -- 1-RTT

    def _receive_short(
        self,
        data: bytes,
        start: i64,
        stop: i64,
        segment_size: i64,
        ecn: i64,
        route: Route,
        now: float,
    ) -> None:
        state = self._state
        keys = state.keys
        if keys is None or not state.handshake_complete:
            # RFC 9001 5.7: a server reads no 1-RTT packet before the handshake is complete.
            position = start
            while position < stop:
                end = min(stop, position + segment_size)
                self._keep(data, position, end, ecn, now)
                position = end
            return
        batch = self._batch
        received = state.path.space.received
        path_id = state.path.path_id
        count = batch.unmask(
            data, start, stop, segment_size, self._packet_number_offset, keys.receive
        )
        opened: i64 = 0
        index: i64 = 0
        while index < count and state.life == ACTIVE:
            segment = start + index * segment_size
            first = batch.first_byte(index)
            if first < 0 or not first & _FIXED_BIT:
                # 17.3.1: packets whose fixed bit is 0 are not valid.
                self._unopened(data, segment, stop, segment_size, now)
                index += 1
                continue
            packet_number = decode_packet_number(
                batch.truncated(index), batch.packet_number_length(index), received.largest
            )
            payload = keys.open(
                path_id,
                packet_number,
                1 if first & _KEY_PHASE_BIT else 0,
                batch.header(index),
                batch.ciphertext(index),
                now,
            )
            index += 1
            if payload is None:
                self._count_failure(keys, now)
                self._unopened(data, segment, stop, segment_size, now)
                continue
            if first & _SHORT_RESERVED_BITS:
                raise TransportError(PROTOCOL_VIOLATION, "reserved bits of a short header are set")
            if received.is_duplicate(packet_number):
                self._duplicate(min(stop, segment + segment_size) - segment, now)
                continue
            opened += 1
            size = min(stop, segment + segment_size) - segment
            self._process_short(payload, received, packet_number, size, ecn, route, now)
        batch.clear()
        if opened:
            self._authenticated(opened, route, now)
            if keys.updated:
                keys.updated = False
                if state.observer is not None:
                    by_peer = state.counters.key_updates < keys.generation
                    tell_key_update(state.observer, int(keys.generation), by_peer, now)
                state.counters.key_updates = keys.generation

    def _process_short(
        self,
        payload: bytes,
        received: ReceivedPackets,
        packet_number: i64,
        size: i64,
        ecn: i64,
        route: Route,
        now: float,
    ) -> None:
        """A 1-RTT packet of ``size`` bytes that is authentic and new."""
        state = self._state
        dispatcher = self._dispatcher
        path_id = state.path.path_id
        if route is not state.path.active:
            self._routing.adopt(route, now)
        if state.observer is not None:
            state.observer.packet_received(now, ONE_RTT, path_id, packet_number, size, payload)
        newest = packet_number > received.largest
        ack_eliciting = dispatcher.process(payload, ONE_RTT, route, now)
        received.record(packet_number, now, ack_eliciting, ecn)
        if state.extensions:
            for extension in state.config.extensions:
                extension.on_received(path_id, packet_number, payload)
        if newest and dispatcher.non_probing and route is not state.path.active:
            self._routing.on_non_probing(route, now)

    def _count_failure(self, keys: OneRttKeys, now: float) -> None:
        self._state.counters.failed_openings += 1
        if keys.opening_failed():
            raise TransportError(AEAD_LIMIT_REACHED, "too many packets failed authentication")

    def _unopened(self, data: bytes, start: i64, stop: i64, segment_size: i64, now: float) -> None:
        """A datagram that cannot be opened may be a stateless reset (10.3.1)."""
        end = min(stop, start + segment_size)
        if not self._is_reset(data, start, end, now):
            self._drop("not authentic", end - start, now)

    def _is_reset(self, data: bytes, start: i64, end: i64, now: float) -> bool:
        if end - start < 21 or not self._dispatcher.is_reset_token(
            data[end - _RESET_TOKEN_LENGTH : end]
        ):
            return False
        self._lifecycle.on_reset(
            StatelessReset("the peer no longer knows this connection and has reset it"), now
        )
        return True

    # -- long headers

    def _receive_long(
        self, data: bytes, start: i64, stop: i64, ecn: i64, route: Route, now: float
    ) -> None:
        """One datagram that begins with a long header."""
        state = self._state
        opened = state.authenticated_packets + state.counters.duplicates
        self._receive_coalesced(data, start, stop, ecn, route, now)
        if (
            state.life == ACTIVE
            and state.authenticated_packets + state.counters.duplicates == opened
        ):
            # 10.3: a reset of another version may have a long header.
            self._is_reset(data, start, stop, now)

    def _receive_coalesced(
        self, data: bytes, start: i64, stop: i64, ecn: i64, route: Route, now: float
    ) -> None:
        """The packets of one datagram that begins with a long header (12.2)."""
        state = self._state
        position = start
        first_destination: bytes | None = None
        while position < stop and state.life == ACTIVE:
            if not data[position] & _LONG_HEADER_BIT:
                cid = data[position + 1 : position + self._packet_number_offset]
                if first_destination is not None and cid != first_destination:
                    self._drop("coalesced for another connection", stop - position, now)
                else:
                    self._receive_short(data, position, stop, stop - position, ecn, route, now)
                return
            header = parse_long_header(data, position, stop)
            if header is None:
                self._drop("malformed long header", stop - position, now)
                return
            if first_destination is None:
                first_destination = header.destination_cid
            elif header.destination_cid != first_destination:
                # 12.2: coalesced packets for another connection are not ours to process.
                self._drop("coalesced for another connection", header.end - position, now)
                position = header.end
                continue
            if header.packet_type == PACKET_VERSION_NEGOTIATION:
                self._on_version_negotiation(header, now)
                return
            if header.version != state.version:
                self._drop("other version", stop - position, now)
                return
            if header.packet_type == PACKET_RETRY:
                if not self._handshaking.on_retry(header, data[position:stop], now):
                    self._drop("unexpected retry", stop - position, now)
                return
            self._open_long(data, position, header, stop - start, ecn, route, now)
            position = header.end

    def _open_long(
        self,
        data: bytes,
        start: i64,
        header: LongHeader,
        datagram_size: i64,
        ecn: i64,
        route: Route,
        now: float,
    ) -> None:
        state = self._state
        size = header.end - start
        level: Level | None = None
        if header.packet_type == PACKET_INITIAL:
            if not state.is_client and datagram_size < MINIMUM_DATAGRAM_SIZE:
                # 14.1: a client pads every datagram that carries an Initial packet.
                self._drop("Initial in a small datagram", size, now)
                return
            level = state.initial
        elif header.packet_type == PACKET_HANDSHAKE:
            level = state.handshake_level
        if level is None:
            self._drop("no keys", size, now)
            return
        if level.receive is None:
            self._keep(data, start, header.end, ecn, now)
            return
        unmasked = unmask_long(data, start, header.packet_number_offset, header.end, level.receive)
        if unmasked is None:
            self._drop("too short", size, now)
            return
        full_header, truncated, length = unmasked
        received = level.space.received
        packet_number = decode_packet_number(truncated, length, received.largest)
        payload = level.receive.open(
            0, packet_number, full_header, data[header.packet_number_offset + length : header.end]
        )
        if payload is None:
            state.counters.failed_openings += 1
            self._drop("not authentic", size, now)
            return
        if state.is_client and header.packet_type == PACKET_INITIAL and header.token:
            # 17.2.2: a server must not send a token.
            self._drop("token in a server's Initial", size, now)
            return
        if full_header[0] & _LONG_RESERVED_BITS:
            raise TransportError(PROTOCOL_VIOLATION, "reserved bits of a long header are set")
        if state.peer_source_cid is None:
            self._handshaking.on_peer_source_cid(header.source_cid)
        elif header.source_cid != state.peer_source_cid:
            # 7.2: later packets with another source ID are discarded.
            self._drop("other source connection ID", size, now)
            return
        if received.is_duplicate(packet_number):
            self._duplicate(size, now)
            return
        if state.observer is not None:
            state.observer.packet_received(now, level.level, 0, packet_number, size, payload)
        self._process_long(payload, level, received, packet_number, ecn, route, now)

    def _process_long(
        self,
        payload: bytes,
        level: Level,
        received: ReceivedPackets,
        packet_number: i64,
        ecn: i64,
        route: Route,
        now: float,
    ) -> None:
        state = self._state
        if level.level == HANDSHAKE and not state.is_client:
            # RFC 9000 8.1 and RFC 9001 4.9.1: the client's address is proven.
            route.validated = True
            self._handshaking.discard_initial(now)
        if not payload:
            raise TransportError(PROTOCOL_VIOLATION, "a packet without frames")
        ack_eliciting = self._dispatcher.process(payload, level.level, route, now)
        received.record(packet_number, now, ack_eliciting, ecn)
        self._authenticated(1, route, now)

    def _on_version_negotiation(self, header: LongHeader, now: float) -> None:
        state = self._state
        if (
            not state.is_client
            or state.authenticated_packets > 0
            or state.retry_source_cid is not None
            or int(state.version) in header.versions
            or header.source_cid != state.original_destination_cid
        ):
            # 6.2: a list that contains our version is not a refusal, and a late one is forged.
            self._drop("unexpected version negotiation", 0, now)
            return
        if state.observer is not None:
            state.observer.versions(now, [int(state.version)], list(header.versions), 0)
        self._lifecycle.abandon(VersionMismatch(tuple(header.versions)), now)

    # -- shared

    def _authenticated(self, count: i64, route: Route, now: float) -> None:
        state = self._state
        state.authenticated_packets += count
        state.counters.packets_received += count
        route.packets_received += count
        state.last_activity = now
        state.sent_since_received = False

    def _keep(self, data: bytes, start: i64, stop: i64, ecn: i64, now: float) -> None:
        kept = self._state.undecryptable
        if len(kept) < MAX_UNDECRYPTABLE:
            # A slice, for the receive buffer around it may be 64 KiB.
            kept.append(Undecryptable(data[start:stop], 0, stop - start, ecn))
            if self._state.observer is not None:
                self._state.observer.packet_buffered(now, stop - start)
        else:
            self._drop("keys not yet available", stop - start, now)

    def _retry_undecryptable(self, route: Route, now: float) -> None:
        state = self._state
        handshake_ready = (
            state.handshake_level is not None and state.handshake_level.receive is not None
        )
        if not handshake_ready and not state.handshake_complete:
            return
        kept = state.undecryptable
        state.undecryptable = []
        for one in kept:
            if state.life != ACTIVE:
                return
            if one.data[one.start] & _LONG_HEADER_BIT:
                self._receive_long(one.data, one.start, one.stop, one.ecn, route, now)
            else:
                size = one.stop - one.start
                self._receive_short(one.data, one.start, one.stop, size, one.ecn, route, now)

    def _while_closing(self, datagrams: Datagrams, start: i64, stop: i64, now: float) -> None:
        """10.2.1: an endpoint that closes may still learn that the peer closes too."""
        state = self._state
        data = datagrams.data
        self._lifecycle.on_arrival_while_closing()
        keys = state.keys
        if keys is None or data[start] & _LONG_HEADER_BIT:
            return
        batch = self._batch
        count = batch.unmask(
            data, start, stop, datagrams.segment_size, self._packet_number_offset, keys.receive
        )
        largest = state.path.space.received.largest
        index: i64 = 0
        while index < count and state.life == CLOSING:
            if batch.first_byte(index) >= 0:
                packet_number = decode_packet_number(
                    batch.truncated(index), batch.packet_number_length(index), largest
                )
                payload = keys.receive.open(
                    state.path.path_id, packet_number, batch.header(index), batch.ciphertext(index)
                )
                if payload is not None and self._dispatcher.carries_close(payload):
                    self._lifecycle.on_peer_close(0, 0, "", False, now)
            index += 1
        batch.clear()

    def _duplicate(self, size: i64, now: float) -> None:
        state = self._state
        state.counters.duplicates += 1
        if state.observer is not None:
            state.observer.packet_dropped(now, "duplicate", size)

    def _drop(self, reason: str, size: i64, now: float) -> None:
        state = self._state
        state.counters.packets_dropped += 1
        if state.observer is not None:
            state.observer.packet_dropped(now, reason, size)
