"""What is remembered about one packet that was sent (RFC 9002 A.1.1).

A slot has inline fields for what the common packet carries (one STREAM frame, one ACK
frame) and a list of tokens for everything else. Recovery keeps the tokens and gives them
back with the acknowledged or lost slot; it never looks into them.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.recovery.route_recovery import RouteRecovery

#: States of a slot.
FREE: Final = 0
OUTSTANDING: Final = 1
ACKED: Final = 2
LOST: Final = 3

#: Kinds of tokens, with the meaning of a, b and c.
TOKEN_STREAM: Final = 0  # stream ID, offset, length
TOKEN_STREAM_FIN: Final = 1  # stream ID, offset, length; the frame carried FIN
TOKEN_CRYPTO: Final = 2  # encryption level, offset, length
TOKEN_MAX_DATA: Final = 3  # value
TOKEN_MAX_STREAM_DATA: Final = 4  # stream ID, value
TOKEN_MAX_STREAMS: Final = 5  # 1 bidirectional / 0 unidirectional, value
TOKEN_RESET_STREAM: Final = 6  # stream ID
TOKEN_STOP_SENDING: Final = 7  # stream ID
TOKEN_DATA_BLOCKED: Final = 8  # limit
TOKEN_STREAM_DATA_BLOCKED: Final = 9  # stream ID, limit
TOKEN_STREAMS_BLOCKED: Final = 10  # 1 bidirectional / 0 unidirectional, limit
TOKEN_NEW_CONNECTION_ID: Final = 11  # sequence number, path ID
TOKEN_RETIRE_CONNECTION_ID: Final = 12  # sequence number, path ID
TOKEN_HANDSHAKE_DONE: Final = 13
TOKEN_NEW_TOKEN: Final = 14
TOKEN_DATAGRAM: Final = 15  # number of DATAGRAM frames
TOKEN_ACK: Final = 16  # largest packet number acknowledged
TOKEN_PING: Final = 17
TOKEN_ACK_FREQUENCY: Final = 18  # sequence number


@final
class Token:
    """A frame that was sent, as three numbers that only its owner understands."""

    def __init__(self, kind: i64, a: i64, b: i64, c: i64) -> None:
        self.kind: i64 = kind
        self.a: i64 = a
        self.b: i64 = b
        self.c: i64 = c

    def __repr__(self) -> str:
        return f"Token(kind={self.kind}, a={self.a}, b={self.b}, c={self.c})"


@final
class SentPacket:
    """One slot of the ledger's ring; it is refilled for later packets, never replaced.

    Whoever assembles a packet sets ``size`` (bytes of the whole QUIC packet, AEAD tag
    included), ``ack_eliciting``, ``in_flight``, ``route`` and the frames' fields between
    ``PacketSpace.reserve`` and ``PacketSpace.commit``. The rest is recovery's.
    """

    def __init__(self) -> None:
        self.packet_number: i64 = -1
        self.state: i64 = FREE
        #: Seconds; ``time_lost`` is meaningful only once the packet was declared lost.
        self.time_sent = 0.0
        self.time_lost = 0.0
        self.size: i64 = 0
        self.ack_eliciting = False
        self.in_flight = False
        #: Probes the size of datagrams, its own: its loss says nothing about congestion.
        self.mtu_probe = False
        #: Acknowledged after it had been declared lost.
        self.spurious = False
        self.route: RouteRecovery | None = None

        #: The first STREAM frame; ``stream_id`` is -1 when there is none.
        self.stream_id: i64 = -1
        self.stream_offset: i64 = 0
        self.stream_length: i64 = 0
        self.stream_fin = False
        #: Largest packet number that the packet's ACK frame acknowledged, -1 without one.
        self.ack_largest: i64 = -1
        self.tokens: list[Token] | None = None

        #: The route's delivery state when the packet left (delivery-rate estimation, P.*).
        self.delivered: i64 = 0
        self.delivered_time = 0.0
        self.first_sent_time = 0.0
        self.app_limited = False
        self.tx_in_flight: i64 = 0

    def owner(self) -> RouteRecovery:
        """The route of a packet in flight. Raises ``ValueError`` when none was set."""
        route = self.route
        if route is None:
            raise ValueError(f"packet {self.packet_number} is in flight but has no route")
        return route

    def add_token(self, kind: i64, a: i64 = 0, b: i64 = 0, c: i64 = 0) -> None:
        """Remember a frame that has no inline field."""
        tokens = self.tokens
        if tokens is None:
            self.tokens = [Token(kind, a, b, c)]
        else:
            tokens.append(Token(kind, a, b, c))

    def clear(self) -> None:
        """Make the slot ready for another packet."""
        self.state = FREE
        self.size = 0
        self.ack_eliciting = False
        self.in_flight = False
        self.mtu_probe = False
        self.spurious = False
        self.stream_id = -1
        self.stream_fin = False
        self.ack_largest = -1
        # A store of None costs a reference count each; most packets have neither.
        if self.tokens is not None:
            self.tokens = None

    def __repr__(self) -> str:
        state = ("free", "outstanding", "acked", "lost")[self.state]
        return f"SentPacket({self.packet_number}, {state}, {self.size} bytes)"
