"""What both ends of a pair said, packet by packet, and packets that nobody would send."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.observe.observer import Observer
from ropewalk.quic.connection import Connection
from ropewalk.quic.protection.burst import BurstWriter
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.wire.frames import Frame, PaddingFrame, parse_frames
from ropewalk.quic.wire.header import (
    PACKET_HANDSHAKE,
    PACKET_INITIAL,
    LongHeader,
    is_long_header,
    parse_long_header,
    write_long_header,
    write_short_header,
)
from tests.connection.pair import Pair, split

NUMBERED = {PACKET_INITIAL: INITIAL, PACKET_HANDSHAKE: HANDSHAKE}
#: A host that the client never was at.
ELSEWHERE = Address("203.0.113.66", 9)


@dataclass(frozen=True)
class Seen:
    """A packet in the clear."""

    now: float
    level: int
    number: int
    size: int
    payload: bytes

    @property
    def frames(self) -> list[Frame]:
        """Its frames but for padding."""
        return [one for one in parse_frames(self.payload) if not isinstance(one, PaddingFrame)]

    def has(self, kind: type[Frame]) -> bool:
        """Whether one of its frames is of the kind."""
        return any(isinstance(one, kind) for one in self.frames)


class Watcher(Observer):
    """Notes every packet of one side."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Seen] = []
        self.received: list[Seen] = []

    def packet_sent(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        self.sent.append(Seen(now, level, packet_number, size, payload))

    def packet_received(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        self.received.append(Seen(now, level, packet_number, size, payload))

    def frames(self, kind: type[Frame]) -> list[Frame]:
        """All frames of a kind that this side sent, in order."""
        return [one for seen in self.sent for one in seen.frames if isinstance(one, kind)]


class Watched(Pair):
    """A pair with a watcher on each side."""

    def __init__(
        self,
        *,
        client: dict[str, object] | None = None,
        server: dict[str, object] | None = None,
        **settings: object,
    ) -> None:
        self.client_watch = Watcher()
        self.server_watch = Watcher()
        super().__init__(
            client={"observer": self.client_watch, **(client or {})},
            server={"observer": self.server_watch, **(server or {})},
            **settings,  # type: ignore[arg-type]  # tests name the fields
        )

    def connect(self) -> Watched:
        super().connect()
        return self

    def server_bursts(self) -> list[tuple[Address, list[bytes]]]:
        """What the server sends right now, by whom it goes to. Nothing of it arrives."""
        sent = []
        self.server_endpoint.touch(self.server)
        while (burst := self.server_endpoint.transmit(self.now)) is not None:
            sent.append((burst.remote, split(burst.data, burst.segment_size)))
        return sent

    def wait_for_server(self, seconds: float) -> list[tuple[float, Address, list[bytes]]]:
        """Let time go by at the server alone; what it sends and when."""
        end = self.now + seconds
        sent = [(self.now, *one) for one in self.server_bursts()]
        while self.server_endpoint.deadline() <= end:
            self.now = max(self.now, self.server_endpoint.deadline())
            self.server_endpoint.on_timeout(self.now)
            sent += [(self.now, *one) for one in self.server_bursts()]
        self.now = end
        return sent


def long_headers(datagram: bytes) -> list[LongHeader]:
    """The long headers of the packets in a datagram."""
    found = []
    position = 0
    while position < len(datagram) and is_long_header(datagram[position]):
        header = parse_long_header(datagram, position, len(datagram))
        if header is None:
            break
        found.append(header)
        position = header.end
    return found


def by_datagram(datagrams: list[bytes], packets: list[Seen]) -> list[list[Seen]]:
    """The packets of each datagram that has numbered ones: both lists are in order."""
    left = list(packets)
    grouped = []
    for datagram in datagrams:
        headers = long_headers(datagram)
        count = sum(1 for header in headers if header.packet_type in NUMBERED)
        end = headers[-1].end if headers else 0
        if end < len(datagram) and datagram[end] & 0xC0 == 0x40:
            count += 1
        if count:
            grouped.append(left[:count])
            left = left[count:]
    return grouped


def seal(
    sender: Connection,
    payload: bytes,
    level: int = ONE_RTT,
    *,
    destination: bytes | None = None,
    source: bytes | None = None,
    token: bytes = b"",
    first_bits: int = 0,
) -> bytes:
    """An authentic packet with any field, numbered as the sender's next. Nothing is padded;
    ``first_bits`` are set in the first byte of a long header before protection."""
    state = sender.state
    burst = BurstWriter()
    if destination is None:
        destination = state.path.peer_ids.current.connection_id
    owner = state.initial if level == INITIAL else state.handshake_level
    space = state.path.space if level == ONE_RTT or owner is None else owner.space
    number = space.ledger.next_packet_number
    space.ledger.next_packet_number += 1
    space.ledger.slots[number & space.ledger.mask].clear()
    if level == ONE_RTT:
        assert state.keys is not None
        header = write_short_header(destination, number, 4, state.keys.send_phase, 0)
        burst.add(state.keys.send, 0, number, header, 4, payload)
        return burst.finish()
    assert owner is not None
    assert owner.send is not None
    if source is None:
        source = state.path.own_ids.active[0].connection_id
    packet_type = PACKET_INITIAL if level == INITIAL else PACKET_HANDSHAKE
    header = write_long_header(
        packet_type, 1, destination, source, token, number, 4, len(payload) + 16
    )
    header = bytes([header[0] | first_bits]) + header[1:]
    burst.add(owner.send, 0, number, header, 4, payload)
    return burst.finish()
