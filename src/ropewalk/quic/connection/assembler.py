"""Assembles 1-RTT packets into bursts: what goes in, and how many go (RFC 9000 12, 13)."""

from __future__ import annotations

from math import inf
from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.quic.connection.ack_frequency import AckFrequency
from ropewalk.quic.connection.sizing import Sizing
from ropewalk.quic.connection.state import ConnectionState
from ropewalk.quic.connection.watching import tell_recovery, tell_send_key_update
from ropewalk.quic.connection.workspace import Workspace
from ropewalk.quic.path.path import Path
from ropewalk.quic.path.route import MINIMUM_DATAGRAM_SIZE, Route
from ropewalk.quic.protection.key_update import OneRttKeys
from ropewalk.quic.recovery.sent_packet import (
    TOKEN_ACK_FREQUENCY,
    TOKEN_CRYPTO,
    TOKEN_HANDSHAKE_DONE,
    TOKEN_NEW_CONNECTION_ID,
    TOKEN_NEW_TOKEN,
    TOKEN_PING,
    TOKEN_RETIRE_CONNECTION_ID,
    SentPacket,
)
from ropewalk.quic.recovery.space import PacketSpace
from ropewalk.quic.types.datagrams import ECN_NOT_ECT, Burst
from ropewalk.quic.types.handshake import ONE_RTT
from ropewalk.quic.types.scheduling import Demand, PathView
from ropewalk.quic.wire.header import write_short_header
from ropewalk.quic.wire.packet_number import packet_number_length
from ropewalk.quic.wire.varint import varint_size
from ropewalk.quic.wire.writers import (
    write_crypto,
    write_handshake_done,
    write_new_connection_id,
    write_new_token,
    write_padding,
    write_path_challenge,
    write_path_response,
    write_ping,
    write_retire_connection_id,
)

#: A GSO send holds at most this many segments (UDP_MAX_SEGMENTS of Linux).
_MAX_SEGMENTS: Final = 64
_MAX_BURST_BYTES: Final = 65000
#: Room that every control frame of fixed size fits into.
_CONTROL_FRAME: Final = 64
_PATH_RESPONSE: Final = 9
#: A datagram that a probe of a route fits into.
_LEAST_PROBE: Final = 64
_TAG: Final = 16
#: After so many packets that only acknowledge, ask for an ACK, so that our own state of
#: received packets can be trimmed (RFC 9000 13.2.4).
_ACK_ONLY_RUN: Final = 32


@final
class Assembler:
    """Fills bursts for the active route, and single probes for routes under validation."""

    def __init__(
        self,
        state: ConnectionState,
        sizing: Sizing,
        ack_frequency: AckFrequency,
        workspace: Workspace,
    ) -> None:
        self._state = state
        self._sizing = sizing
        self._ack_frequency = ack_frequency
        self._writer = workspace.payload
        self._burst = workspace.burst
        self._demand = Demand()
        self._view = PathView(0)
        self._views = [self._view]
        self._ack_only_run: i64 = 0
        self._next_skip: i64 = 64
        #: the packet being filled must make a datagram of at least 1,200 bytes (8.2)
        self._expand = False

    def transmit(self, now: float) -> Burst | None:
        """The next burst, or None. Sets ``state.pacing_deadline`` when the pacer holds it back."""
        state = self._state
        keys = state.keys
        if keys is None:
            return None
        path = state.path
        probe = self._probe_routes(keys, path, now)
        if probe is not None:
            return probe
        route = path.active
        if not route.validated and route.amplification_room() < route.datagram_size:
            return None
        if state.probes == 0:
            size = self._sizing.probe_size(route, now)
            if size > 0:
                return self._probe_size(keys, path, route, size, now)
        wanted = state.probes > 0 or self._has_frames()
        allowance: i64 = 0
        if wanted:
            allowance = self._allowance(path, route, now)
        elif not path.space.received.should_ack(now):
            if state.handshake_complete:
                route.recovery.on_app_limited(now)
            return None
        if allowance == 0 and not path.space.received.should_ack(now):
            return None
        return self._fill(keys, path, route, allowance, now)

    def _has_frames(self) -> bool:
        state = self._state
        return (
            state.streams.has_frames()
            or state.datagrams.has_pending()
            or state.crypto_out.has_pending()
            or self._has_control_frames()
        )

    def _has_control_frames(self) -> bool:
        state = self._state
        path = state.path
        if (
            state.ping_pending
            or state.handshake_done_pending
            or state.new_token_pending
            or state.ack_frequency_pending
            or len(path.own_ids.announcements) > 0
            or len(path.peer_ids.retirements) > 0
            or len(path.responses) > 0
        ):
            return True
        if state.extensions:
            for extension in state.config.extensions:
                if extension.pending():
                    return True
        return False

    def _allowance(self, path: Path, route: Route, now: float) -> i64:
        """Bytes of ack-eliciting packets that may leave in this burst."""
        state = self._state
        recovery = route.recovery
        if state.probes > 0:
            # RFC 9002 7.5: probes are not held back by the congestion window.
            return state.probes * route.datagram_size
        view = self._view
        view.allowance = min(recovery.can_send(now), recovery.burst_limit())
        view.smoothed_rtt = recovery.rtt.smoothed
        view.congestion_window = recovery.controller.congestion_window
        view.bytes_in_flight = recovery.bytes_in_flight
        view.max_datagram_size = route.datagram_size
        view.backup = path.backup
        demand = self._demand
        demand.default = state.streams.sendable_bytes()
        demand.latency = state.datagrams.queued_bytes
        demand.window_left = state.streams.credit_left()
        demand.nearest_deadline = state.datagrams.nearest_deadline()
        if not state.scheduler.select(self._views, demand):
            state.pacing_deadline = min(state.pacing_deadline, recovery.next_send_time(now))
            return 0
        return view.allowance

    def _fill(
        self, keys: OneRttKeys, path: Path, route: Route, allowance: i64, now: float
    ) -> Burst | None:
        burst = self._burst
        burst.reset()
        segment_size: i64 = 0
        segments: i64 = 0
        datagram_size = route.datagram_size
        # A single datagram may be larger than what several of them should come to.
        limit = min(allowance, max(_MAX_BURST_BYTES, datagram_size))
        if not route.validated:
            limit = min(limit, route.amplification_room())
        while segments < _MAX_SEGMENTS:
            before = burst.size()
            if segments > 0 and before + datagram_size > limit:
                break
            may_elicit = before + datagram_size <= limit
            if not self._packet(keys, path, route, may_elicit, now):
                break
            size = burst.size() - before
            segments += 1
            if segments == 1:
                segment_size = size
            if size < datagram_size or not may_elicit:
                break
        if segments == 0:
            if allowance > 0:
                route.recovery.on_app_limited(now)
            return None
        if keys.should_update():
            self._update_keys(keys, now)
        data = burst.finish()
        self._account(route, segments, len(data), now)
        if self._state.observer is not None:
            tell_recovery(self._state.observer, self._state, now)
        return Burst(
            data, segment_size, route.local, route.local_ip, route.remote, ECN_NOT_ECT, now
        )

    def _update_keys(self, keys: OneRttKeys, now: float) -> None:
        state = self._state
        if keys.initiate(now, state.handshake_confirmed):
            state.counters.key_updates = keys.generation
            if state.observer is not None:
                tell_send_key_update(state.observer, int(keys.generation), "local_update", now)

    def _account(self, route: Route, segments: i64, size: i64, now: float) -> None:
        state = self._state
        route.bytes_sent += size
        route.packets_sent += segments
        state.counters.packets_sent += segments
        state.counters.bytes_sent += size
        state.last_sent = now

    def _packet(
        self, keys: OneRttKeys, path: Path, route: Route, may_elicit: bool, now: float
    ) -> bool:
        """Add one packet to the burst. False when there was nothing to put into it."""
        state = self._state
        space = path.space
        writer = self._writer
        writer.truncate(0)
        self._expand = False
        self._skip_now_and_then(space)
        slot = space.reserve()
        number_length = packet_number_length(slot.packet_number, space.largest_acked)
        destination = path.peer_ids.current.connection_id
        room = route.datagram_size - 1 - len(destination) - number_length - _TAG
        received = space.received
        due = received.ack_deadline < inf
        # 13.2.1: what leaves anyway repeats an ACK that may have got lost.
        again = may_elicit and received.worth_repeating(now, route.recovery.rtt.smoothed)
        if (due or again) and received.write_ack(writer, room, now, 3):
            slot.ack_largest = received.largest
        ack_size: i64 = len(writer)
        if may_elicit:
            self._write_frames(writer, room, slot, path, route, now)
        elicits = len(writer) > ack_size
        if not elicits:
            if may_elicit and state.probes > 0:
                write_ping(writer)
                elicits = True
            elif ack_size == 0 or not due:
                return False
            else:
                elicits = self._ping_after_acks(writer, slot)
        else:
            self._ack_only_run = 0
        if self._expand:
            write_padding(writer, MINIMUM_DATAGRAM_SIZE - route.datagram_size + room - len(writer))
        if state.probes > 0 and elicits:
            state.probes -= 1
        self._seal(keys, path, route, slot, number_length, destination, elicits, now)
        return True

    def _seal(
        self,
        keys: OneRttKeys,
        path: Path,
        route: Route,
        slot: SentPacket,
        number_length: i64,
        destination: bytes,
        elicits: bool,
        now: float,
    ) -> None:
        state = self._state
        writer = self._writer
        if len(writer) < 4:
            write_padding(writer, 4 - len(writer))
        payload = writer.getvalue()
        packet_number = slot.packet_number
        header = write_short_header(destination, packet_number, number_length, keys.send_phase, 0)
        burst = self._burst
        before = burst.size()
        burst.add(keys.send, path.path_id, packet_number, header, number_length, payload)
        keys.sealed(packet_number, path.path_id)
        slot.size = burst.size() - before
        slot.ack_eliciting = elicits
        slot.in_flight = elicits
        slot.route = route.recovery
        path.space.commit(slot, now)
        if elicits and not state.sent_since_received:
            # RFC 9000 10.1: the idle timer also restarts on the first such packet after one
            # was received.
            state.sent_since_received = True
            state.last_activity = now
        if state.extensions:
            for extension in state.config.extensions:
                extension.on_assembled(path.path_id, packet_number, payload)
        if state.observer is not None:
            state.observer.packet_sent(
                now, ONE_RTT, path.path_id, packet_number, slot.size, payload
            )

    def _skip_now_and_then(self, space: PacketSpace) -> None:
        """RFC 9000 21.4: packet numbers left out betray a peer that acknowledges blindly."""
        if space.ledger.next_packet_number >= self._next_skip:
            space.ledger.skip()
            spread = self._state.config.entropy(2)
            self._next_skip = space.ledger.next_packet_number + 256 + (spread[0] << 8 | spread[1])

    def _ping_after_acks(self, writer: BytesWriter, slot: SentPacket) -> bool:
        self._ack_only_run += 1
        if self._ack_only_run < _ACK_ONLY_RUN:
            return False
        self._ack_only_run = 0
        write_ping(writer)
        slot.add_token(TOKEN_PING)
        return True

    # -- frames

    def _write_frames(
        self,
        writer: BytesWriter,
        room: i64,
        slot: SentPacket,
        path: Path,
        route: Route,
        now: float,
    ) -> None:
        state = self._state
        if self._has_control_frames():
            self._write_control(writer, room, slot, path, route)
        if state.crypto_out.has_pending():
            self._write_crypto(writer, room, slot)
        streams = state.streams
        if streams.has_frames():
            streams.write_control_frames(writer, room, slot)
        if state.datagrams.has_pending():
            state.datagrams.write_frames(writer, room, slot, now)
        if streams.has_frames():
            streams.write_stream_frames(writer, room, slot)
        if state.extensions:
            for extension in state.config.extensions:
                if extension.pending():
                    writer.write(extension.write(path.path_id, room - len(writer)))

    def _write_control(
        self, writer: BytesWriter, room: i64, slot: SentPacket, path: Path, route: Route
    ) -> None:
        state = self._state
        if state.ping_pending:
            state.ping_pending = False
            write_ping(writer)
            slot.add_token(TOKEN_PING)
        if state.handshake_done_pending:
            state.handshake_done_pending = False
            write_handshake_done(writer)
            slot.add_token(TOKEN_HANDSHAKE_DONE)
        if state.new_token_pending and room - len(writer) > len(state.new_token) + 8:
            state.new_token_pending = False
            write_new_token(writer, state.new_token)
            slot.add_token(TOKEN_NEW_TOKEN)
        if state.ack_frequency_pending and room - len(writer) >= _CONTROL_FRAME:
            slot.add_token(TOKEN_ACK_FREQUENCY, self._ack_frequency.write(writer))
        if path.responses and self._write_responses(writer, room, path, route):
            self._expand = True
        retirements = path.peer_ids.retirements
        while retirements and room - len(writer) >= _CONTROL_FRAME:
            sequence = retirements.pop(0)
            write_retire_connection_id(writer, sequence)
            slot.add_token(TOKEN_RETIRE_CONNECTION_ID, sequence, path.path_id)
        announcements = path.own_ids.announcements
        while announcements and room - len(writer) >= _CONTROL_FRAME:
            one = announcements.pop(0)
            write_new_connection_id(writer, one.sequence, 0, one.connection_id, one.reset_token)
            slot.add_token(TOKEN_NEW_CONNECTION_ID, one.sequence, path.path_id)

    def _write_responses(self, writer: BytesWriter, room: i64, path: Path, route: Route) -> bool:
        """Answer the challenges that came on ``route``, as far as there is room (8.2.2)."""
        before: i64 = len(writer)
        kept = []
        for response in path.responses:
            if response.route is route and room - len(writer) >= _PATH_RESPONSE:
                write_path_response(writer, response.data)
            else:
                kept.append(response)
        path.responses = kept
        return len(writer) > before

    def _write_crypto(self, writer: BytesWriter, room: i64, slot: SentPacket) -> None:
        crypto = self._state.crypto_out
        offset, length = crypto.next_range()
        length = min(length, room - len(writer) - 3 - varint_size(offset))
        if length > 0:
            write_crypto(writer, offset, crypto.take(offset, length))
            slot.add_token(TOKEN_CRYPTO, ONE_RTT, offset, length)

    def _probe_size(
        self, keys: OneRttKeys, path: Path, route: Route, size: i64, now: float
    ) -> Burst:
        """One padded packet that makes a datagram of ``size`` bytes (14.4)."""
        space = path.space
        writer = self._writer
        writer.truncate(0)
        slot = space.reserve()
        number_length = packet_number_length(slot.packet_number, space.largest_acked)
        destination = path.peer_ids.current.connection_id
        write_ping(writer)
        write_padding(writer, size - 1 - len(destination) - number_length - _TAG - len(writer))
        slot.mtu_probe = True
        self._sizing.on_probe_sent(route)
        return self._single(keys, path, route, slot, number_length, destination, now)

    # -- routes under validation

    def _probe_routes(self, keys: OneRttKeys, path: Path, now: float) -> Burst | None:
        """PATH_CHALLENGE on any route, PATH_RESPONSE on one that is not the active one (8.2)."""
        if path.active.challenge_pending and path.active.amplification_room() >= _LEAST_PROBE:
            return self._probe(keys, path, path.active, path.active.amplification_room(), now)
        if not path.candidates and path.fallback is None:
            return None
        for route in path.under_validation()[1:]:
            responses = [one for one in path.responses if one.route is route]
            if not route.challenge_pending and not responses:
                continue
            room = route.amplification_room()
            if room < _LEAST_PROBE:
                continue
            return self._probe(keys, path, route, room, now)
        return None

    def _probe(
        self, keys: OneRttKeys, path: Path, route: Route, room: i64, now: float
    ) -> Burst | None:
        space = path.space
        writer = self._writer
        writer.truncate(0)
        slot = space.reserve()
        number_length = packet_number_length(slot.packet_number, space.largest_acked)
        destination = path.peer_ids.current.connection_id
        if route.challenge_pending:
            route.challenge_pending = False
            route.challenges_sent += 1
            route.challenge_sent_at = now
            write_path_challenge(writer, route.challenge)
        # 8.2.1: expand to 1,200 bytes unless the amplification limit forbids it.
        size = min(room, MINIMUM_DATAGRAM_SIZE)
        if size < MINIMUM_DATAGRAM_SIZE and route.challenge:
            route.unexpanded.append(route.challenge)
        overhead = 1 + len(destination) + number_length + _TAG
        self._write_responses(writer, size - overhead, path, route)
        write_padding(writer, size - overhead - len(writer))
        return self._single(keys, path, route, slot, number_length, destination, now)

    def _single(
        self,
        keys: OneRttKeys,
        path: Path,
        route: Route,
        slot: SentPacket,
        number_length: i64,
        destination: bytes,
        now: float,
    ) -> Burst:
        """Seal what was written as a burst of one packet."""
        self._burst.reset()
        # 9.4: a probe of a route that the peer may have left says nothing of congestion.
        counts = route is not path.fallback
        self._seal(keys, path, route, slot, number_length, destination, counts, now)
        data = self._burst.finish()
        self._account(route, 1, len(data), now)
        return Burst(data, len(data), route.local, route.local_ip, route.remote, ECN_NOT_ECT, now)
