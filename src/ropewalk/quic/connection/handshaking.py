"""Carries the handshake: CRYPTO bytes, keys, transport parameters, Retry (RFC 9001 4)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.connection.ack_frequency import own_min_ack_delay_us
from ropewalk.quic.connection.state import MAX_TOKEN, ConnectionState
from ropewalk.quic.connection.watching import tell_keys_discarded, tell_parameters
from ropewalk.quic.protection.aead import make_protection
from ropewalk.quic.protection.initial import initial_protection
from ropewalk.quic.protection.key_update import OneRttKeys
from ropewalk.quic.protection.retry import retry_is_authentic
from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION, TRANSPORT_PARAMETER_ERROR
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.events import HandshakeComplete, HandshakeConfirmed, TicketReceived
from ropewalk.quic.types.handshake import (
    EARLY_ACCEPTED,
    HANDSHAKE,
    INITIAL,
    ONE_RTT,
    ZERO_RTT,
    TrafficSecret,
)
from ropewalk.quic.wire.frame_types import CRYPTO
from ropewalk.quic.wire.header import LongHeader
from ropewalk.quic.wire.transport_parameters import (
    TransportParameters,
    decode_transport_parameters,
    encode_transport_parameters,
)

#: Connection IDs issued beyond the first, whatever the peer would allow.
_MAX_ISSUED: Final = 8


@final
class Handshaking:
    """Feeds the handshake and installs what comes out of it."""

    def __init__(self, state: ConnectionState, source_cid: bytes) -> None:
        self._state = state
        self._source_cid = source_cid

    def start(self, reset_token: bytes) -> None:
        """Install Initial keys and begin. ``reset_token`` is the server's for its first ID."""
        state = self._state
        self.install_initial_keys(state.path.peer_ids.current.connection_id)
        parameters = self._parameters(reset_token)
        if state.watch is not None:
            tell_parameters(state.watch.observer, parameters, False, state.watch.now)
        state.handshake.start(encode_transport_parameters(parameters))
        if state.is_client:
            self._drain_handshake()

    def install_initial_keys(self, client_destination_cid: bytes) -> None:
        """RFC 9001 5.2; again after a Retry, which changes the client's destination ID."""
        state = self._state
        assert state.initial is not None
        if not state.is_client:
            client_destination_cid = self._initial_key_cid()
        client, server = initial_protection(int(state.version), client_destination_cid)
        state.initial.send = client if state.is_client else server
        state.initial.receive = server if state.is_client else client
        if state.watch is not None:
            watch = state.watch
            watch.observer.key_updated(watch.now, INITIAL, True, 0, "tls")
            watch.observer.key_updated(watch.now, INITIAL, False, 0, "tls")

    def on_crypto(self, level: i64, offset: i64, data: bytes) -> None:
        """A CRYPTO frame of ``level`` arrived."""
        state = self._state
        if level == ONE_RTT:
            receiver = state.crypto_in
        else:
            owner = state.initial if level == INITIAL else state.handshake_level
            if owner is None:
                return
            receiver = owner.crypto_in
        ready = receiver.receive(offset, data)
        if ready:
            state.handshake.receive(level, ready)
            self._drain_handshake()

    def on_retry(self, header: LongHeader, packet: bytes, now: float) -> bool:
        """A Retry arrived (RFC 9000 17.2.5). False when it has to be dropped."""
        state = self._state
        peer_ids = state.path.peer_ids
        if (
            not state.is_client
            or state.retry_source_cid is not None
            or state.authenticated_packets > 0
            or state.initial is None
            or not 0 < len(header.retry_token) <= MAX_TOKEN
            or header.source_cid == peer_ids.current.connection_id
            or not retry_is_authentic(int(state.version), state.original_destination_cid, packet)
        ):
            return False
        state.retry_source_cid = header.source_cid
        state.token = header.retry_token
        if state.observer is not None:
            state.observer.retry_received(now, header.source_cid, header.retry_token)
        self._replace_first(header.source_cid)
        self.install_initial_keys(header.source_cid)
        # 17.2.5.3: packet numbers go on; what was sent before is treated as lost.
        state.initial.space.mark_all_lost(now)
        state.initial.crypto_out.lose_unacknowledged()
        if state.observer is not None:
            numbers = [int(slot.packet_number) for slot in state.initial.space.lost]
            state.observer.packets_lost(now, INITIAL, 0, numbers, "retry")
        state.initial.space.lost.clear()
        return True

    def on_peer_source_cid(self, source_cid: bytes) -> None:
        """The first authenticated long header fixes the peer's first ID (7.2)."""
        state = self._state
        if state.peer_source_cid is None:
            state.peer_source_cid = source_cid
            if state.watch is not None and state.is_client:
                version = int(state.version)
                state.watch.observer.versions(state.watch.now, [version], [], version)
            self._replace_first(source_cid)

    def _replace_first(self, connection_id: bytes) -> None:
        state = self._state
        peer_ids = state.path.peer_ids
        before = peer_ids.current.connection_id
        peer_ids.replace_first(connection_id)
        if state.watch is not None and connection_id != before:
            state.watch.observer.connection_id(state.watch.now, False, before, connection_id)

    def discard_initial(self, now: float) -> None:
        """Initial keys go (RFC 9001 4.9.1)."""
        state = self._state
        if state.initial is not None:
            tell_keys_discarded(state, True, now)
            state.initial.space.discard()
            state.initial = None
            state.path.active.recovery.pto_count = 0

    def confirm(self, now: float) -> None:
        """The handshake is confirmed (RFC 9001 4.1.2): Handshake keys go."""
        state = self._state
        if state.handshake_confirmed:
            return
        state.handshake_confirmed = True
        state.peer_validated_address = True
        self.discard_initial(now)
        if state.handshake_level is not None:
            tell_keys_discarded(state, False, now)
            state.handshake_level.space.discard()
            state.handshake_level = None
            state.path.active.recovery.pto_count = 0
        state.undecryptable.clear()
        state.handshake.confirm()
        if state.observer is not None:
            state.observer.handshake_confirmed(now)
        state.events.append(HandshakeConfirmed())

    def _initial_key_cid(self) -> bytes:
        # After our Retry the client addresses the ID that the Retry chose.
        state = self._state
        if state.retry_source_cid is not None:
            return state.retry_source_cid
        return state.original_destination_cid

    def _drain_handshake(self) -> None:
        state = self._state
        handshake = state.handshake
        for secret in handshake.take_secrets():
            self._install(secret)
        for level in (INITIAL, HANDSHAKE, ONE_RTT):
            data = handshake.take_crypto(level)
            if data:
                self._queue(level, data)
        for ticket in handshake.take_tickets():
            state.events.append(TicketReceived(ticket))
        if state.peer_parameters is None:
            encoded = handshake.peer_transport_parameters()
            if encoded is not None:
                self._apply(decode_transport_parameters(encoded, not state.is_client))
        if handshake.complete and not state.handshake_complete:
            self._complete()

    def _queue(self, level: i64, data: bytes) -> None:
        state = self._state
        if level == ONE_RTT:
            state.crypto_out.append(data)
            return
        owner = state.initial if level == INITIAL else state.handshake_level
        if owner is not None:
            owner.crypto_out.append(data)

    def _install(self, secret: TrafficSecret) -> None:
        state = self._state
        if secret.level == ZERO_RTT:
            return
        if not secret.sending:
            self._check_consumed(secret.level)
        protection = make_protection(secret.suite, secret.secret, int(state.version))
        if state.watch is not None:
            watch = state.watch
            watch.observer.key_updated(watch.now, secret.level, secret.sending, 0, "tls")
        if secret.level == ONE_RTT:
            if secret.sending:
                state.pending_send_key = protection
            else:
                state.pending_receive_key = protection
            if state.pending_send_key is not None and state.pending_receive_key is not None:
                state.keys = OneRttKeys(state.pending_send_key, state.pending_receive_key)
                state.pending_send_key = None
                state.pending_receive_key = None
            return
        owner = state.handshake_level if secret.level == HANDSHAKE else state.initial
        if owner is None:
            return
        if secret.sending:
            owner.send = protection
        else:
            owner.receive = protection

    def _check_consumed(self, level: i64) -> None:
        """RFC 9001 4.1.3: when keys of a level come, nothing may be left of those before it."""
        state = self._state
        earlier = state.handshake_level if level == ONE_RTT else state.initial
        if earlier is not None and earlier.crypto_in.waiting:
            raise TransportError(
                PROTOCOL_VIOLATION, "CRYPTO data of the level before is left over", CRYPTO
            )

    def _complete(self) -> None:
        state = self._state
        handshake = state.handshake
        if state.peer_parameters is None:
            raise TransportError(
                TRANSPORT_PARAMETER_ERROR, "the peer sent no transport parameters", CRYPTO
            )
        state.handshake_complete = True
        if state.watch is not None:
            watch = state.watch
            watch.observer.alpn(watch.now, list(state.config.alpn), handshake.alpn or "")
            watch.observer.handshake_complete(watch.now, handshake.cipher_suite, handshake.group)
        state.events.append(
            HandshakeComplete(handshake.alpn, handshake.early_data == EARLY_ACCEPTED)
        )
        if not state.is_client:
            # RFC 9001 4.1.2: at the server, complete is confirmed.
            state.handshake_done_pending = True
            state.new_token_pending = len(state.new_token) > 0

    def _parameters(self, reset_token: bytes) -> TransportParameters:
        state = self._state
        config = state.config
        server = not state.is_client
        return TransportParameters(
            max_idle_timeout_ms=round(config.idle_timeout * 1000),
            initial_max_data=config.connection_window,
            initial_max_stream_data_bidi_local=config.stream_window,
            initial_max_stream_data_bidi_remote=config.stream_window,
            initial_max_stream_data_uni=config.stream_window,
            initial_max_streams_bidi=config.max_bidirectional_streams,
            initial_max_streams_uni=config.max_unidirectional_streams,
            max_ack_delay_ms=round(config.max_ack_delay * 1000),
            active_connection_id_limit=config.active_connection_id_limit,
            max_datagram_frame_size=config.max_datagram_frame_size,
            min_ack_delay_us=own_min_ack_delay_us(config),
            initial_source_connection_id=self._source_cid,
            original_destination_connection_id=(state.original_destination_cid if server else None),
            stateless_reset_token=reset_token if server else None,
            retry_source_connection_id=state.retry_source_cid if server else None,
        )

    def _apply(self, parameters: TransportParameters) -> None:
        state = self._state
        self._authenticate(parameters)
        state.peer_parameters = parameters
        if state.watch is not None:
            tell_parameters(state.watch.observer, parameters, True, state.watch.now)
        state.streams.set_peer_limits(
            parameters.initial_max_data,
            parameters.initial_max_stream_data_bidi_local,
            parameters.initial_max_stream_data_bidi_remote,
            parameters.initial_max_stream_data_uni,
            parameters.initial_max_streams_bidi,
            parameters.initial_max_streams_uni,
        )
        state.peer_max_ack_delay = parameters.max_ack_delay_ms / 1000.0
        state.peer_ack_delay_unit = float(2**parameters.ack_delay_exponent) * 1e-6
        state.peer_active_cid_limit = min(parameters.active_connection_id_limit, _MAX_ISSUED)
        peer_idle = parameters.max_idle_timeout_ms / 1000.0
        if peer_idle > 0 and (state.idle_timeout == 0 or peer_idle < state.idle_timeout):
            state.idle_timeout = peer_idle
        route = state.path.active
        if parameters.max_udp_payload_size < route.datagram_size:
            before = route.datagram_size
            route.datagram_size = max(1200, parameters.max_udp_payload_size)
            if state.watch is not None:
                path_id = state.path.path_id
                state.watch.observer.mtu(state.watch.now, path_id, before, route.datagram_size)
            route.recovery.set_max_datagram_size(route.datagram_size)
        if parameters.stateless_reset_token is not None:
            state.path.peer_ids.set_first_token(parameters.stateless_reset_token)

    def _authenticate(self, parameters: TransportParameters) -> None:
        """RFC 9000 7.3: the connection IDs of the handshake are the ones we saw."""
        state = self._state
        if parameters.initial_source_connection_id != state.peer_source_cid:
            raise TransportError(
                TRANSPORT_PARAMETER_ERROR, "initial_source_connection_id does not match", CRYPTO
            )
        if not state.is_client:
            return
        if parameters.original_destination_connection_id != state.original_destination_cid:
            raise TransportError(
                TRANSPORT_PARAMETER_ERROR,
                "original_destination_connection_id does not match",
                CRYPTO,
            )
        if parameters.retry_source_connection_id != state.retry_source_cid:
            raise TransportError(
                TRANSPORT_PARAMETER_ERROR, "retry_source_connection_id does not match", CRYPTO
            )
