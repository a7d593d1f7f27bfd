"""Sends the fate of packets to the owners of what they carried.

``recovery`` tells which slots were acknowledged or lost; only this module knows who put
what into them.
"""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from ropewalk.quic.connection.ack_frequency import AckFrequency
from ropewalk.quic.connection.crypto_stream import CryptoSender
from ropewalk.quic.connection.sizing import Sizing
from ropewalk.quic.connection.state import ConnectionState
from ropewalk.quic.connection.watching import tell_lost
from ropewalk.quic.recovery.sent_packet import (
    TOKEN_ACK,
    TOKEN_ACK_FREQUENCY,
    TOKEN_CRYPTO,
    TOKEN_DATAGRAM,
    TOKEN_HANDSHAKE_DONE,
    TOKEN_NEW_CONNECTION_ID,
    TOKEN_NEW_TOKEN,
    TOKEN_PING,
    TOKEN_RETIRE_CONNECTION_ID,
    TOKEN_STREAM,
    TOKEN_STREAM_FIN,
    SentPacket,
    Token,
)
from ropewalk.quic.recovery.space import PacketSpace
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL


@final
class Accounting:
    """Dispatches acknowledged and lost slots of every packet-number space."""

    def __init__(self, state: ConnectionState, sizing: Sizing, ack_frequency: AckFrequency) -> None:
        self._state = state
        self._sizing = sizing
        self._ack_frequency = ack_frequency

    def settle(self, space: PacketSpace, now: float) -> None:
        """Hand out what the last ACK or loss timer found, and empty the space's lists."""
        streams = self._state.streams
        if space.acked:
            if self._state.observer is not None:
                numbers = [int(slot.packet_number) for slot in space.acked]
                self._state.observer.packets_acked(now, space.level, space.path_id, numbers)
            for slot in space.acked:
                if slot.stream_id >= 0:
                    streams.on_stream_acked(
                        slot.stream_id, slot.stream_offset, slot.stream_length, slot.stream_fin
                    )
                elif slot.mtu_probe:
                    self._sizing.on_probe_acked(slot, now)
                if slot.ack_largest >= 0:
                    space.received.on_ack_of_ack(slot.ack_largest)
                if slot.tokens is not None:
                    for token in slot.tokens:
                        self._acked(space, token)
            if self._state.path.active.search is not None:
                self._sizing.on_acked(space.acked)
            space.acked.clear()
        if space.lost:
            self._settle_lost(space, now)

    def _settle_lost(self, space: PacketSpace, now: float) -> None:
        state = self._state
        streams = state.streams
        counters = state.counters
        for slot in space.lost:
            counters.packets_lost += 1
            counters.bytes_lost += slot.size
            if slot.stream_id >= 0:
                streams.on_stream_lost(
                    slot.stream_id, slot.stream_offset, slot.stream_length, slot.stream_fin
                )
            if slot.tokens is not None:
                for token in slot.tokens:
                    self._lost(space, token)
            self._sizing.on_lost(slot, now)
        state.path.active.packets_lost += len(space.lost)
        if state.observer is not None:
            tell_lost(state.observer, space, now)
        space.lost.clear()

    def repeat(self, slot: SentPacket, space: PacketSpace) -> None:
        """A probe shall carry what this unacknowledged packet carried (RFC 9002 6.2.4)."""
        if slot.stream_id >= 0:
            self._state.streams.on_stream_lost(
                slot.stream_id, slot.stream_offset, slot.stream_length, slot.stream_fin
            )
        if slot.tokens is not None:
            for token in slot.tokens:
                if token.kind != TOKEN_DATAGRAM:
                    self._lost(space, token)

    def _acked(self, space: PacketSpace, token: Token) -> None:
        state = self._state
        kind = token.kind
        if kind == TOKEN_STREAM or kind == TOKEN_STREAM_FIN:
            state.streams.on_stream_acked(token.a, token.b, token.c, kind == TOKEN_STREAM_FIN)
        elif kind == TOKEN_CRYPTO:
            crypto = self._crypto(token.a)
            if crypto is not None:
                crypto.on_acked(token.b, token.c)
        elif kind == TOKEN_ACK:
            space.received.on_ack_of_ack(token.a)
        elif kind == TOKEN_RETIRE_CONNECTION_ID:
            state.path.peer_ids.on_retirement_acked(token.a)
        elif kind == TOKEN_DATAGRAM:
            state.datagrams.on_acked(token.a)
        elif kind not in (
            TOKEN_PING,
            TOKEN_HANDSHAKE_DONE,
            TOKEN_NEW_TOKEN,
            TOKEN_NEW_CONNECTION_ID,
            TOKEN_ACK_FREQUENCY,
        ):
            state.streams.on_token_acked(token)

    def _lost(self, space: PacketSpace, token: Token) -> None:
        state = self._state
        kind = token.kind
        if kind == TOKEN_STREAM or kind == TOKEN_STREAM_FIN:
            state.streams.on_stream_lost(token.a, token.b, token.c, kind == TOKEN_STREAM_FIN)
        elif kind == TOKEN_CRYPTO:
            crypto = self._crypto(token.a)
            if crypto is not None:
                crypto.on_lost(token.b, token.c)
        elif kind == TOKEN_HANDSHAKE_DONE:
            state.handshake_done_pending = True
        elif kind == TOKEN_NEW_TOKEN:
            state.new_token_pending = True
        elif kind == TOKEN_NEW_CONNECTION_ID:
            state.path.own_ids.announce_again(token.a)
        elif kind == TOKEN_RETIRE_CONNECTION_ID:
            state.path.peer_ids.on_retirement_lost(token.a)
        elif kind == TOKEN_DATAGRAM:
            state.datagrams.on_lost(token.a)
        elif kind == TOKEN_ACK_FREQUENCY:
            self._ack_frequency.on_lost(token.a)
        elif kind != TOKEN_PING and kind != TOKEN_ACK:
            state.streams.on_token_lost(token)

    def _crypto(self, level: i64) -> CryptoSender | None:
        state = self._state
        if level == INITIAL:
            return None if state.initial is None else state.initial.crypto_out
        if level == HANDSHAKE:
            return None if state.handshake_level is None else state.handshake_level.crypto_out
        return state.crypto_out
