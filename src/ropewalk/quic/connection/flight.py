"""Assembles the datagrams of the handshake, and of the close (RFC 9000 12.2, 14.1, 10.2.3)."""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.quic.connection.handshaking import Handshaking
from ropewalk.quic.connection.level import Level
from ropewalk.quic.connection.lifecycle import Lifecycle
from ropewalk.quic.connection.state import ConnectionState
from ropewalk.quic.connection.workspace import Workspace
from ropewalk.quic.path.route import MINIMUM_DATAGRAM_SIZE, Route
from ropewalk.quic.recovery.sent_packet import TOKEN_CRYPTO, SentPacket
from ropewalk.quic.recovery.space import PacketSpace
from ropewalk.quic.types.datagrams import ECN_NOT_ECT, Burst
from ropewalk.quic.types.error_codes import APPLICATION_ERROR
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.types.protection import PacketProtection
from ropewalk.quic.wire.header import (
    PACKET_HANDSHAKE,
    PACKET_INITIAL,
    long_header_size,
    write_long_header,
    write_short_header,
)
from ropewalk.quic.wire.packet_number import packet_number_length
from ropewalk.quic.wire.varint import varint_size
from ropewalk.quic.wire.writers import (
    write_connection_close,
    write_crypto,
    write_padding,
    write_ping,
)

_TAG: Final = 16
_ACK_DELAY_EXPONENT: Final = 3
#: The least that a CRYPTO frame should carry to be worth a packet.
_LEAST_CRYPTO: Final = 16
#: Below this, the Length field of a long header has two bytes.
_LARGEST_DATAGRAM: Final = 16000


@final
class _Part:
    """One packet of a coalesced datagram before it is sealed."""

    def __init__(self, level: Level, slot: SentPacket, payload: bytes, elicits: bool) -> None:
        self.level = level
        self.slot = slot
        self.payload = payload
        self.elicits = elicits
        self.padded = False
        self.number_length: i64 = packet_number_length(
            slot.packet_number, level.space.largest_acked
        )


@final
class Flight:
    """Initial and Handshake packets, coalesced into datagrams of at least 1,200 bytes."""

    def __init__(
        self,
        state: ConnectionState,
        lifecycle: Lifecycle,
        handshaking: Handshaking,
        source_cid: bytes,
        workspace: Workspace,
    ) -> None:
        self._state = state
        self._lifecycle = lifecycle
        self._handshaking = handshaking
        self._source_cid = source_cid
        self._writer = workspace.payload
        self._burst = workspace.burst

    def transmit(self, now: float) -> Burst | None:
        """The next handshake datagram, or None when neither level has something to say."""
        state = self._state
        if state.initial is None and state.handshake_level is None:
            return None
        route = state.path.active
        room = min(route.datagram_size, route.amplification_room(), _LARGEST_DATAGRAM)
        parts: list[_Part] = []
        used: i64 = 0
        for level in (state.initial, state.handshake_level):
            if level is None or level.send is None:
                continue
            if level.level == INITIAL and not state.is_client and room < MINIMUM_DATAGRAM_SIZE:
                # 14.1: the datagram would have to be padded, and the limit forbids that.
                continue
            part = self._part(level, room - used, route, now)
            if part is not None:
                parts.append(part)
                used += self._size(part)
        if not parts:
            return None
        self._pad(parts, used, room)
        return self._seal(parts, route, now)

    def _part(self, level: Level, room: i64, route: Route, now: float) -> _Part | None:
        """One packet of a level, at most ``room`` bytes with header and tag."""
        overhead = self._overhead(level)
        room -= overhead
        if room < 64:
            return None
        writer = self._writer
        writer.truncate(0)
        space = level.space
        slot = space.reserve()
        received = space.received
        if received.should_ack(now) and received.write_ack(writer, room, now, _ACK_DELAY_EXPONENT):
            slot.ack_largest = received.largest
        ack_size: i64 = len(writer)
        probing = level.probes > 0
        # Handshake data must not wait for a window full of 1-RTT packets which the peer cannot
        # acknowledge before it has that very data: with nothing of this space in flight, no
        # timer would ever set it free (RFC 9002 6.2.1 arms none for 1-RTT yet).
        if probing or route.recovery.can_send(now) > 0 or space.ack_eliciting_in_flight == 0:
            self._write_crypto(level, writer, room, slot)
        elif level.crypto_out.has_pending():
            held_until = route.recovery.next_send_time(now)
            self._state.pacing_deadline = min(self._state.pacing_deadline, held_until)
        if probing and len(writer) == ack_size:
            write_ping(writer)
        if len(writer) == 0:
            return None
        elicits = len(writer) > ack_size
        if len(writer) < 4:
            # Enough for a header-protection sample (RFC 9001 5.4.2).
            write_padding(writer, 4 - len(writer))
        if elicits and probing:
            level.probes -= 1
        return _Part(level, slot, writer.getvalue(), elicits)

    def _write_crypto(self, level: Level, writer: BytesWriter, room: i64, slot: SentPacket) -> None:
        crypto = level.crypto_out
        while crypto.has_pending():
            offset, length = crypto.next_range()
            space = room - len(writer) - 3 - varint_size(offset)
            if space < min(length, _LEAST_CRYPTO):
                return
            length = min(length, space)
            write_crypto(writer, offset, crypto.take(offset, length))
            slot.add_token(TOKEN_CRYPTO, level.level, offset, length)

    def _pad(self, parts: list[_Part], used: i64, room: i64) -> None:
        """14.1: a client pads every datagram with an Initial packet, a server those whose
        Initial packet elicits an ACK."""
        state = self._state
        first = parts[0]
        if first.level.level != INITIAL or not (state.is_client or first.elicits):
            return
        if used < MINIMUM_DATAGRAM_SIZE:
            parts[-1].payload += bytes(MINIMUM_DATAGRAM_SIZE - used)
            parts[-1].padded = True

    def _seal(self, parts: list[_Part], route: Route, now: float) -> Burst:
        state = self._state
        burst = self._burst
        burst.reset()
        for part in parts:
            level = part.level
            assert level.send is not None
            before = burst.size()
            header = self._header(level, part)
            number = part.slot.packet_number
            burst.add(level.send, 0, number, header, part.number_length, part.payload)
            slot = part.slot
            slot.size = burst.size() - before
            slot.ack_eliciting = part.elicits
            # RFC 9002 2: padding counts in flight, too.
            slot.in_flight = part.elicits or part.padded
            slot.route = route.recovery
            level.space.commit(slot, now)
            if state.observer is not None:
                state.observer.packet_sent(now, level.level, 0, number, slot.size, part.payload)
            if part.elicits and not state.sent_since_received:
                state.sent_since_received = True
                state.last_activity = now
        data = burst.finish()
        self._account(route, len(parts), data, now)
        if state.is_client and parts[-1].level.level == HANDSHAKE:
            # RFC 9001 4.9.1: a client drops Initial keys when it first sends a Handshake packet.
            self._handshaking.discard_initial(now)
        return self._datagram(route, data, now)

    def _account(self, route: Route, packets: i64, data: bytes, now: float) -> None:
        state = self._state
        route.bytes_sent += len(data)
        route.packets_sent += packets
        state.counters.packets_sent += packets
        state.counters.bytes_sent += len(data)
        state.last_sent = now

    def _datagram(self, route: Route, data: bytes, now: float) -> Burst:
        return Burst(data, len(data), route.local, route.local_ip, route.remote, ECN_NOT_ECT, now)

    def _header(self, level: Level, part: _Part) -> bytes:
        return self._long_header(
            level, part.slot.packet_number, part.number_length, len(part.payload) + _TAG
        )

    def _long_header(
        self, level: Level, packet_number: i64, number_length: i64, length: i64
    ) -> bytes:
        state = self._state
        initial = level.level == INITIAL
        return write_long_header(
            PACKET_INITIAL if initial else PACKET_HANDSHAKE,
            state.version,
            state.path.peer_ids.current.connection_id,
            self._source_cid,
            state.token if initial and state.is_client else b"",
            packet_number,
            number_length,
            length,
        )

    def _overhead(self, level: Level) -> i64:
        state = self._state
        initial = level.level == INITIAL
        space = level.space
        return _TAG + long_header_size(
            len(state.path.peer_ids.current.connection_id),
            len(self._source_cid),
            len(state.token) if initial and state.is_client else 0,
            PACKET_INITIAL if initial else PACKET_HANDSHAKE,
            packet_number_length(space.ledger.next_packet_number, space.largest_acked),
        )

    def _size(self, part: _Part) -> i64:
        return self._overhead(part.level) + len(part.payload)

    # -- CONNECTION_CLOSE

    def close(self, now: float) -> Burst | None:
        """One datagram with CONNECTION_CLOSE for every level the peer may have keys of."""
        state = self._state
        self._lifecycle.pending = False
        route = state.path.active
        room = min(route.datagram_size, route.amplification_room())
        burst = self._burst
        burst.reset()
        packets: i64 = 0
        # 10.2.3: unless the handshake is confirmed, the peer may lack the newer keys. A server
        # has Handshake keys as soon as a client has them.
        if not state.handshake_confirmed:
            initial = state.initial
            handshake = state.handshake_level
            has_handshake = handshake is not None and handshake.send is not None
            if (
                initial is not None
                and initial.send is not None
                and not (state.is_client and has_handshake)
            ):
                packets += self._close_long(initial, initial.send, room, now)
            if handshake is not None and handshake.send is not None:
                packets += self._close_long(handshake, handshake.send, room, now)
        if state.keys is not None and (state.is_client or state.handshake_complete):
            packets += self._close_short(room, now)
        if packets == 0:
            return None
        data = burst.finish()
        self._account(route, packets, data, now)
        return self._datagram(route, data, now)

    def _close_long(self, level: Level, protection: PacketProtection, room: i64, now: float) -> i64:
        state = self._state
        lifecycle = self._lifecycle
        writer = self._writer
        writer.truncate(0)
        if lifecycle.application:
            # 10.2.3: the application's code and words are not shown before 1-RTT.
            write_connection_close(writer, APPLICATION_ERROR, 0, b"", False)
        else:
            write_connection_close(
                writer, lifecycle.code, lifecycle.frame_type, lifecycle.reason, False
            )
        overhead = self._overhead(level)
        left = room - self._burst.size() - overhead
        if left < len(writer):
            return 0
        if level.level == INITIAL and state.is_client:
            target = MINIMUM_DATAGRAM_SIZE - overhead
            write_padding(writer, target - len(writer))
        elif len(writer) < 4:
            write_padding(writer, 4)
        payload = writer.getvalue()
        number = _close_number(level.space)
        length = packet_number_length(number, level.space.largest_acked)
        header = self._long_header(level, number, length, len(payload) + _TAG)
        before = self._burst.size()
        self._burst.add(protection, 0, number, header, length, payload)
        if state.observer is not None:
            size = self._burst.size() - before
            state.observer.packet_sent(now, level.level, 0, number, size, payload)
        return 1

    def _close_short(self, room: i64, now: float) -> i64:
        state = self._state
        lifecycle = self._lifecycle
        keys = state.keys
        assert keys is not None
        writer = self._writer
        writer.truncate(0)
        write_connection_close(
            writer,
            lifecycle.code,
            lifecycle.frame_type,
            lifecycle.reason,
            lifecycle.application,
        )
        space = state.path.space
        number = _close_number(space)
        length = packet_number_length(number, space.largest_acked)
        destination = state.path.peer_ids.current.connection_id
        if len(writer) < 4:
            write_padding(writer, 4)
        if room - self._burst.size() < len(writer) + 1 + len(destination) + length + _TAG:
            return 0
        header = write_short_header(destination, number, length, keys.send_phase, 0)
        before = self._burst.size()
        payload = writer.getvalue()
        self._burst.add(keys.send, state.path.path_id, number, header, length, payload)
        if state.observer is not None:
            size = self._burst.size() - before
            state.observer.packet_sent(now, ONE_RTT, state.path.path_id, number, size, payload)
        return 1


def _close_number(space: PacketSpace) -> i64:
    """The packet number of a close. It takes no slot: nothing is acknowledged any more, and
    a full ledger may be why we close."""
    number = space.ledger.next_packet_number
    space.ledger.next_packet_number = number + 1
    return number
