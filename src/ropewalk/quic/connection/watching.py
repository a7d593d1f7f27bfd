"""What an observer is told that takes more than one line. Called for watched connections only."""

from __future__ import annotations

from ropewalk.observe.observer import Observer
from ropewalk.quic.connection.state import ConnectionState
from ropewalk.quic.recovery.space import PacketSpace
from ropewalk.quic.types.congestion import NO_THRESHOLD
from ropewalk.quic.types.errors import (
    ApplicationError,
    ConnectionLost,
    ConnectionRefused,
    HandshakeTimeout,
    IdleTimeout,
    StatelessReset,
    TransportError,
    VersionMismatch,
)
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.wire.transport_parameters import TransportParameters


def tell_start(observer: Observer, state: ConnectionState, source_cid: bytes, now: float) -> None:
    """What a connection begins with."""
    path = state.path
    route = path.active
    recovery = route.recovery
    observer.route(now, path.path_id, "assigned", route.local_ip, str(route.remote))
    chosen = 0 if state.is_client else int(state.version)
    observer.versions(now, [int(state.config.version)], [], chosen)
    observer.connection_id(now, True, b"", source_cid)
    observer.connection_id(now, False, b"", path.peer_ids.current.connection_id)
    observer.recovery_parameters(
        now,
        path.path_id,
        state.config.initial_rtt,
        recovery.max_datagram_size,
        recovery.controller.congestion_window,
        recovery.controller.name,
    )
    observer.mtu(now, path.path_id, 0, route.datagram_size)
    tell_recovery(observer, state, now)


def tell_recovery(observer: Observer, state: ConnectionState, now: float) -> None:
    """What an ACK or a timer did to the recovery of the active route."""
    path_id = state.path.path_id
    recovery = state.path.active.recovery
    rtt = recovery.rtt
    if rtt.samples != recovery.told_samples:
        recovery.told_samples = rtt.samples
        observer.rtt_sample(now, path_id, rtt.latest)
    controller = recovery.controller
    phase = controller.phase_name()
    if phase != recovery.told_phase:
        observer.congestion_state(now, path_id, recovery.told_phase, phase)
        recovery.told_phase = phase
    threshold = controller.slow_start_threshold
    observer.metrics(
        now,
        path_id,
        controller.congestion_window,
        recovery.bytes_in_flight,
        rtt.smoothed,
        rtt.latest,
        rtt.minimum,
        rtt.variation,
        threshold if threshold < NO_THRESHOLD else -1,
        recovery.pacing_rate(),
        recovery.pto_count,
    )


def tell_lost(observer: Observer, space: PacketSpace, now: float) -> None:
    """What is in ``space.lost``, by the rule that found it."""
    overtaken: list[int] = []
    overdue: list[int] = []
    for slot in space.lost:
        if slot.packet_number <= space.overtaken:
            overtaken.append(int(slot.packet_number))
        else:
            overdue.append(int(slot.packet_number))
    if overtaken:
        observer.packets_lost(now, space.level, space.path_id, overtaken, "reordering_threshold")
    if overdue:
        observer.packets_lost(now, space.level, space.path_id, overdue, "time_threshold")


def tell_closed(observer: Observer, error: ConnectionLost, now: float) -> None:
    """Why a connection ends."""
    if isinstance(error, ApplicationError):
        observer.closed(now, "application", error.from_peer, error.code, 0, error.reason)
    elif isinstance(error, TransportError):
        observer.closed(
            now, "transport", error.from_peer, error.code, error.frame_type, error.reason
        )
    elif isinstance(error, StatelessReset):
        observer.closed(now, "stateless_reset", True, -1, 0, str(error))
    else:
        observer.closed(now, _cause(error), False, -1, 0, str(error))


def _cause(error: ConnectionLost) -> str:
    if isinstance(error, IdleTimeout):
        return "idle_timeout"
    if isinstance(error, HandshakeTimeout):
        return "handshake_timeout"
    if isinstance(error, ConnectionRefused):
        return "refused"
    if isinstance(error, VersionMismatch):
        return "version_mismatch"
    return "other"


def tell_keys_discarded(state: ConnectionState, initial: bool, now: float) -> None:
    """The keys of one handshake level are gone, as far as there were any."""
    observer = state.observer
    level = state.initial if initial else state.handshake_level
    if observer is None or level is None:
        return
    number = INITIAL if initial else HANDSHAKE
    if level.send is not None:
        observer.key_discarded(now, number, True, 0, "tls")
    if level.receive is not None:
        observer.key_discarded(now, number, False, 0, "tls")


def tell_key_update(observer: Observer, generation: int, by_peer: bool, now: float) -> None:
    """New 1-RTT receive keys are in use; and send keys, unless our own update came first."""
    trigger = "remote_update" if by_peer else "local_update"
    observer.key_updated(now, ONE_RTT, False, generation, trigger)
    if by_peer:
        tell_send_key_update(observer, generation, trigger, now)


def tell_send_key_update(observer: Observer, generation: int, trigger: str, now: float) -> None:
    """New 1-RTT send keys are in use; the old ones are gone at once."""
    observer.key_updated(now, ONE_RTT, True, generation, trigger)
    observer.key_discarded(now, ONE_RTT, True, generation - 1, trigger)


def tell_parameters(
    observer: Observer, parameters: TransportParameters, from_peer: bool, now: float
) -> None:
    """Transport parameters, without the secrets among them."""
    values: dict[str, int | bytes] = {
        "max_idle_timeout": parameters.max_idle_timeout_ms,
        "max_udp_payload_size": parameters.max_udp_payload_size,
        "initial_max_data": parameters.initial_max_data,
        "initial_max_stream_data_bidi_local": parameters.initial_max_stream_data_bidi_local,
        "initial_max_stream_data_bidi_remote": parameters.initial_max_stream_data_bidi_remote,
        "initial_max_stream_data_uni": parameters.initial_max_stream_data_uni,
        "initial_max_streams_bidi": parameters.initial_max_streams_bidi,
        "initial_max_streams_uni": parameters.initial_max_streams_uni,
        "ack_delay_exponent": parameters.ack_delay_exponent,
        "max_ack_delay": parameters.max_ack_delay_ms,
        "active_connection_id_limit": parameters.active_connection_id_limit,
        "max_datagram_frame_size": parameters.max_datagram_frame_size,
    }
    if parameters.disable_active_migration:
        values["disable_active_migration"] = 1
    original = parameters.original_destination_connection_id
    if original is not None:
        values["original_destination_connection_id"] = original
    source = parameters.initial_source_connection_id
    if source is not None:
        values["initial_source_connection_id"] = source
    retry = parameters.retry_source_connection_id
    if retry is not None:
        values["retry_source_connection_id"] = retry
    observer.parameters(now, from_peer, values, parameters.unknown)
