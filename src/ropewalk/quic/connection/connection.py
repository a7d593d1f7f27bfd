"""One QUIC connection: the object that an application and an endpoint hold (RFC 9000)."""

from __future__ import annotations

from math import inf
from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.connection.accounting import Accounting
from ropewalk.quic.connection.ack_frequency import AckFrequency
from ropewalk.quic.connection.assembler import Assembler
from ropewalk.quic.connection.dispatcher import Dispatcher
from ropewalk.quic.connection.flight import Flight
from ropewalk.quic.connection.handshaking import Handshaking
from ropewalk.quic.connection.lifecycle import Lifecycle
from ropewalk.quic.connection.receiver import Receiver
from ropewalk.quic.connection.routing import Routing
from ropewalk.quic.connection.sizing import Sizing
from ropewalk.quic.connection.state import (
    ACTIVE,
    CLOSED,
    CLOSING,
    ConnectionState,
    Counters,
)
from ropewalk.quic.connection.timers import Timers
from ropewalk.quic.connection.watching import tell_send_key_update, tell_start
from ropewalk.quic.connection.workspace import Workspace
from ropewalk.quic.path.connection_ids import OwnConnectionIds, PeerConnectionIds
from ropewalk.quic.path.path import Path
from ropewalk.quic.path.route import Route
from ropewalk.quic.path.scheduler.single import SinglePath
from ropewalk.quic.path.stats import PathStats, path_stats
from ropewalk.quic.recovery.congestion.registry import make_controller
from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.quic.recovery.space import PacketSpace
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.congestion import CongestionGroup
from ropewalk.quic.types.datagrams import Burst, Datagrams
from ropewalk.quic.types.error_codes import AEAD_LIMIT_REACHED, INTERNAL_ERROR
from ropewalk.quic.types.errors import (
    ConfigurationError,
    ConnectionLost,
    ConnectionRefused,
    TransportError,
    Unsupported,
)
from ropewalk.quic.types.events import Event
from ropewalk.quic.types.handshake import ONE_RTT, Handshake, PeerIdentity
from ropewalk.quic.wire.varint import MAX_VARINT

#: Packet numbers end at 2**62 - 1 (RFC 9000 12.3). A burst needs fewer than those left here.
_LAST_PACKET_NUMBER: Final = MAX_VARINT - 256


@final
class Connection:
    """A client or server connection without any I/O.

    Made by ``Endpoint.open`` or ``Incoming.accept``. After any call that changes what there
    is to send, tell the endpoint with ``touch(connection)``. Times are seconds on the
    caller's monotonic clock.
    """

    def __init__(
        self,
        config: Configuration,
        is_client: bool,
        handshake: Handshake,
        local: int,
        local_ip: str,
        remote: Address,
        source_cid: bytes,
        destination_cid: bytes,
        original_destination_cid: bytes,
        retry_source_cid: bytes | None,
        reset_token: bytes,
        validated: bool,
        workspace: Workspace,
        now: float,
    ) -> None:
        group = CongestionGroup()
        size = config.initial_udp_payload
        controller = make_controller(config.congestion, size, group)
        recovery = RouteRecovery(controller, size, config.initial_rtt)
        route = Route(local, local_ip, remote, recovery, size, validated or is_client)
        path = Path(
            0,
            PacketSpace(ONE_RTT, 0),
            route,
            OwnConnectionIds(source_cid),
            PeerConnectionIds(destination_cid, config.active_connection_id_limit),
        )
        path.space.received.max_ack_delay = config.max_ack_delay
        state = ConnectionState(
            config, is_client, handshake, path, group, SinglePath(), original_destination_cid, now
        )
        state.retry_source_cid = None if is_client else retry_source_cid
        self._state = state
        self._lifecycle = Lifecycle(state)
        self._handshaking = Handshaking(state, source_cid)
        self._routing = Routing(state)
        self._sizing = Sizing(state)
        ack_frequency = AckFrequency(state)
        accounting = Accounting(state, self._sizing, ack_frequency)
        self._dispatcher = Dispatcher(
            state,
            self._lifecycle,
            self._handshaking,
            self._routing,
            accounting,
            ack_frequency,
            workspace,
        )
        self._receiver = Receiver(
            state,
            self._lifecycle,
            self._handshaking,
            self._routing,
            self._dispatcher,
            len(source_cid),
            workspace,
        )
        self._assembler = Assembler(state, self._sizing, ack_frequency, workspace)
        self._flight = Flight(state, self._lifecycle, self._handshaking, source_cid, workspace)
        self._timers = Timers(state, self._lifecycle, self._routing, accounting, self._sizing)
        if state.observer is not None:
            tell_start(state.observer, state, source_cid, now)
        self._handshaking.start(reset_token)

    # -- what it is

    @property
    def is_client(self) -> bool:
        """Whether this side opened the connection."""
        return self._state.is_client

    @property
    def handshake_complete(self) -> bool:
        """Keys are agreed and the peer is authenticated."""
        return self._state.handshake_complete

    @property
    def handshake_confirmed(self) -> bool:
        """Both sides are known to have completed the handshake."""
        return self._state.handshake_confirmed

    @property
    def alpn(self) -> str | None:
        """The application protocol agreed on, None before."""
        return self._state.handshake.alpn

    @property
    def server_name(self) -> str | None:
        """The server name of the handshake (SNI)."""
        return self._state.handshake.server_name

    @property
    def cipher_suite(self) -> int:
        """TLS code point of the cipher suite in use, 0 before it is known."""
        return int(self._state.handshake.cipher_suite)

    @property
    def key_exchange_group(self) -> str:
        """Name of the key-exchange group in use, "" before it is known."""
        return self._state.handshake.group

    @property
    def peer_identity(self) -> PeerIdentity | None:
        """Who the peer proved to be; None when it proved nothing."""
        return self._state.handshake.peer_identity

    @property
    def remote(self) -> Address:
        """The peer's address on the active route."""
        return self._state.path.active.remote

    @property
    def local(self) -> int:
        """The driver's number of the socket that the active route uses."""
        return int(self._state.path.active.local)

    @property
    def closed(self) -> bool:
        """Nothing is left of the connection."""
        return self._state.life == CLOSED

    @property
    def active(self) -> bool:
        """Neither closing, draining nor closed."""
        return self._state.life == ACTIVE

    @property
    def close_error(self) -> ConnectionLost | None:
        """Why the connection ended or is ending."""
        return self._state.error

    @property
    def counters(self) -> Counters:
        """Totals since the connection began."""
        return self._state.counters

    @property
    def state(self) -> ConnectionState:
        """The inner state, for oracles and tools; not part of the stable interface."""
        return self._state

    def events(self) -> list[Event]:
        """What happened since the last call, in order."""
        events = self._state.events
        if not events:
            return []
        taken = events.copy()
        events.clear()
        return taken

    def has_events(self) -> bool:
        """Whether :meth:`events` would return something."""
        return len(self._state.events) > 0

    # -- streams

    def open_stream(self, bidirectional: bool = True) -> int | None:
        """Open a stream; None while the peer's limit forbids it (wait for
        ``StreamsAvailable``)."""
        self._require_active()
        return self._state.streams.open(bidirectional)

    def write(self, stream_id: int, data: bytes) -> int:
        """Queue bytes, by reference; how many were accepted. 0 means full: wait for
        ``StreamWritable``. Raises ``StreamStateError`` or ``StopSending``."""
        self._require_active()
        return self._state.streams.write(stream_id, data)

    def finish(self, stream_id: int) -> None:
        """No more bytes will follow on this stream."""
        self._require_active()
        self._state.streams.finish(stream_id)

    def reset(self, stream_id: int, code: int) -> None:
        """Give up sending; the peer learns ``code`` (RESET_STREAM)."""
        self._require_active()
        self._state.streams.reset(stream_id, code)

    def stop(self, stream_id: int, code: int) -> None:
        """Stop reading; the peer is asked to stop sending (STOP_SENDING)."""
        self._require_active()
        self._state.streams.stop(stream_id, code)

    def read(self, stream_id: int, limit: int) -> tuple[bytes, bool]:
        """At most ``limit`` bytes in order, and whether the stream has ended. (b"", False)
        means nothing now. Raises ``StreamReset`` once the peer gave up."""
        return self._state.streams.read(stream_id, limit)

    def priority(self, stream_id: int, urgency: int, incremental: bool) -> None:
        """Order of sending: urgency 0 (first) to 7, default 3 (RFC 9218)."""
        self._state.streams.priority(stream_id, urgency, incremental)

    def undelivered(self) -> int:
        """Bytes written that the peer has not acknowledged; an end or a reset counts as one."""
        return self._state.streams.undelivered()

    # -- datagrams

    def max_datagram_size(self) -> int:
        """Largest datagram that can be sent now; 0 when the peer takes none."""
        state = self._state
        parameters = state.peer_parameters
        if parameters is None or parameters.max_datagram_frame_size == 0:
            return 0
        path = state.path
        room = path.active.datagram_size - 1 - len(path.peer_ids.current.connection_id) - 4 - 16
        frame = min(room, parameters.max_datagram_frame_size)
        # type and length field
        return int(max(0, frame - 3))

    def send_datagrams(self, datagrams: list[bytes], flow: int = 0, deadline: float = inf) -> int:
        """Queue datagrams (RFC 9221); how many were accepted, in order. Those not sent by
        ``deadline`` are dropped and counted. Raises ``Unsupported`` when the peer takes
        none."""
        self._require_active()
        limit = self.max_datagram_size()
        if limit == 0:
            if self._state.peer_parameters is None:
                return 0
            raise Unsupported("the peer accepts no datagrams (max_datagram_frame_size is 0)")
        accepted = self._state.datagrams.send(datagrams, flow, deadline, limit)
        watch = self._state.watch
        if watch is not None:
            for data in datagrams[:accepted]:
                watch.observer.datagram_data(watch.now, len(data), True)
        return accepted

    def receive_datagrams(self, limit: int) -> list[bytes]:
        """At most ``limit`` datagrams that have arrived."""
        datagrams = self._state.datagrams.receive(limit)
        watch = self._state.watch
        if watch is not None:
            for data in datagrams:
                watch.observer.datagram_data(watch.now, len(data), False)
        return datagrams

    # -- life

    def close(self, code: int, reason: str, now: float) -> None:
        """Close with an application error code (0 for none in most protocols). Idempotent.

        Raises ``ConfigurationError`` for a code that no varint can carry.
        """
        if not 0 <= code <= MAX_VARINT:
            raise ConfigurationError(f"application error code {code} is not within 0 to 2**62 - 1")
        self._note_time(now)
        self._lifecycle.close_by_application(code, reason, now)

    def fail(self, error: TransportError, now: float) -> None:
        """Close with a transport error code. Idempotent."""
        self._note_time(now)
        self._lifecycle.fail(error, now)

    def ping(self, now: float) -> None:
        """Ask the peer for a sign of life."""
        self._state.ping_pending = True

    def update_keys(self, now: float) -> bool:
        """Start a key update (RFC 9001 6). False when it is too early for one."""
        self._note_time(now)
        state = self._state
        if state.keys is None or state.life != ACTIVE:
            return False
        state.keys.set_previous_lifetime(3 * state.probe_timeout())
        if state.keys.initiate(now, state.handshake_confirmed):
            state.counters.key_updates = state.keys.generation
            if state.observer is not None:
                generation = int(state.keys.generation)
                tell_send_key_update(state.observer, generation, "local_update", now)
            return True
        return False

    # -- paths

    def add_path(self, local: int, remote: Address, now: float) -> int:
        """Open another path (RFC 10069). Raises ``Unsupported``: multipath is not built."""
        raise Unsupported("multipath is not built yet; the connection has path 0 alone")

    def abandon_path(self, path_id: int, code: int, now: float) -> None:
        """Give a path up (RFC 10069). Raises ``Unsupported``: multipath is not built."""
        raise Unsupported("multipath is not built yet; close the connection instead")

    def set_path_status(self, path_id: int, backup: bool, now: float) -> None:
        """Advise the peer on using a path (RFC 10069). Raises ``Unsupported``."""
        raise Unsupported("multipath is not built yet; path 0 is always available")

    def migrate(self, local: int, remote: Address | None, now: float) -> None:
        """Move to another route (RFC 9000 9.2). Raises ``Unsupported``: not built."""
        raise Unsupported("active migration is not built yet; open a new connection instead")

    def path_stats(self) -> list[PathStats]:
        """A snapshot of every path."""
        return [path_stats(self._state.path)]

    # -- for the endpoint

    def receive(self, datagrams: Datagrams, start: i64, stop: i64, now: float) -> None:
        """Take a run of whole segments that are addressed to this connection."""
        self._note_time(now)
        data = datagrams.data
        offset = start + 1
        if data[start] & 0x80:
            offset = start + 6
        own = self._state.path.own_ids.active
        length: i64 = len(own[0].connection_id) if own else 0
        self._dispatcher.set_destination(data[offset : offset + length])
        self._receiver.receive(datagrams, start, stop, now)

    def end_of_batch(self, now: float) -> None:
        """One receive call is through: decide about acknowledgments."""
        self._receiver.end_of_batch(now)

    def transmit(self, now: float) -> Burst | None:
        """The next burst; None when there is nothing to send, or it is not yet time."""
        state = self._state
        self._note_time(now)
        if state.life != ACTIVE:
            if state.life == CLOSING and self._lifecycle.pending:
                return self._flight.close(now)
            return None
        state.pacing_deadline = inf
        try:
            if state.initial is not None or state.handshake_level is not None:
                burst = self._flight.transmit(now)
                if burst is not None:
                    return burst
            if state.keys is not None:
                if state.path.space.ledger.next_packet_number >= _LAST_PACKET_NUMBER:
                    # 12.3: no packet is left for a CONNECTION_CLOSE either.
                    used_up = TransportError(INTERNAL_ERROR, "the packet numbers are used up")
                    self._lifecycle.abandon(used_up, now)
                    return None
                if state.keys.exhausted():
                    raise TransportError(AEAD_LIMIT_REACHED, "the send keys are used up")
                burst = self._assembler.transmit(now)
                if burst is not None:
                    self._confirm_as_server(now)
                return burst
        except TransportError as error:
            self._lifecycle.fail(error, now)
            return self._flight.close(now)
        return None

    def deadline(self, now: float) -> float:
        """When :meth:`on_timeout` is due; inf for never."""
        return self._timers.deadline(now)

    def on_timeout(self, now: float) -> None:
        """Act on every timer that is due."""
        self._note_time(now)
        try:
            self._timers.on_timeout(now)
        except TransportError as error:
            self._lifecycle.fail(error, now)

    def on_refused(self, detail: str, now: float) -> None:
        """The system says that nobody listens. Believed only before the first authenticated
        packet: later, anyone on the way could have forged it."""
        if self._state.is_client and self._state.authenticated_packets == 0:
            self._lifecycle.abandon(
                ConnectionRefused(f"nobody listens at {self.remote}: {detail}"), now
            )

    def on_too_large(self, size: i64, now: float) -> None:
        """The system refused to send datagrams of ``size`` bytes to this peer."""
        if self._state.handshake_confirmed:
            self._sizing.on_refused(size, now)

    def on_reset(self, error: ConnectionLost, now: float) -> None:
        """The endpoint recognised a stateless reset for this connection."""
        self._note_time(now)
        self._lifecycle.on_reset(error, now)

    def set_new_token(self, token: bytes) -> None:
        """A token to give to the client once the handshake is complete (8.1.3)."""
        self._state.new_token = token

    def wants_connection_ids(self) -> int:
        """How many more connection IDs the peer may be given."""
        state = self._state
        if not state.handshake_complete or state.life != ACTIVE:
            return 0
        return int(state.peer_active_cid_limit) - len(state.path.own_ids.active)

    def issue_connection_id(self, connection_id: bytes, reset_token: bytes) -> None:
        """Announce another connection ID to the peer (NEW_CONNECTION_ID)."""
        self._state.path.own_ids.issue(connection_id, reset_token)
        watch = self._state.watch
        if watch is not None:
            watch.observer.connection_id(watch.now, True, b"", connection_id)

    def take_retired_cids(self) -> list[bytes]:
        """Our connection IDs that the peer retired since the last call."""
        state = self._state
        if not state.removed_cids:
            return state.removed_cids
        taken = state.removed_cids
        state.removed_cids = []
        return taken

    def take_added_reset_tokens(self) -> list[bytes]:
        """Stateless-reset tokens of the peer to watch for, new since the last call."""
        peer_ids = self._state.path.peer_ids
        if not peer_ids.added_tokens:
            return peer_ids.added_tokens
        taken = peer_ids.added_tokens
        peer_ids.added_tokens = []
        return taken

    def take_removed_reset_tokens(self) -> list[bytes]:
        """Stateless-reset tokens that no longer count, since the last call."""
        peer_ids = self._state.path.peer_ids
        if not peer_ids.removed_tokens:
            return peer_ids.removed_tokens
        taken = peer_ids.removed_tokens
        peer_ids.removed_tokens = []
        return taken

    def own_cids(self) -> list[bytes]:
        """All connection IDs that the peer may address us with."""
        return [one.connection_id for one in self._state.path.own_ids.active]

    def _note_time(self, now: float) -> None:
        """For the observer of what brings no time of its own."""
        watch = self._state.watch
        if watch is not None:
            watch.now = now

    def _confirm_as_server(self, now: float) -> None:
        # RFC 9001 4.9.2: a server drops Handshake keys once HANDSHAKE_DONE is on its way.
        state = self._state
        if not state.is_client and state.handshake_complete and not state.handshake_confirmed:
            self._handshaking.confirm(now)

    def _require_active(self) -> None:
        if self._state.life != ACTIVE:
            raise self._state.error or ConnectionLost("the connection is closed")
