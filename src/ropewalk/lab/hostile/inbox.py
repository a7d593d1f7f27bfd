"""What a bending peer received, opened with its own copy of the keys."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.quic.protection.unmask import ShortHeaderBatch, unmask_long
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.types.protection import PacketProtection
from ropewalk.quic.wire.ack import AckFrame
from ropewalk.quic.wire.frame import Frame
from ropewalk.quic.wire.frames import ConnectionCloseFrame, parse_frames
from ropewalk.quic.wire.header import (
    PACKET_HANDSHAKE,
    PACKET_INITIAL,
    PACKET_RETRY,
    PACKET_VERSION_NEGOTIATION,
    LongHeader,
    parse_long_header,
)
from ropewalk.quic.wire.packet_number import decode_packet_number

#: Datagrams that nothing opens yet; older ones are given up, as stateless resets must be.
_MAX_WAITING = 64

_LEVELS = {PACKET_INITIAL: INITIAL, PACKET_HANDSHAKE: HANDSHAKE}


@dataclass(frozen=True)
class OpenedPacket:
    """One packet from the victim; ``datagram_size`` is that of the datagram it came in."""

    time: float
    level: int
    packet_number: int
    key_phase: int
    destination: bytes
    frames: list[Frame]
    datagram_size: int


@dataclass(frozen=True)
class Closure:
    """A CONNECTION_CLOSE that the victim sent.

    ``frame_type`` is None for one of the application (0x1d); ``data`` is the whole datagram
    that brought it.
    """

    level: int
    code: int
    frame_type: int | None
    reason: str
    data: bytes


class Inbox:
    """Opens what arrives as soon as there are keys, and keeps it for the story to look at."""

    def __init__(self, own_cid_length: int) -> None:
        self._own_cid_length = own_cid_length
        self._keys: dict[int, list[PacketProtection]] = {INITIAL: [], HANDSHAKE: [], ONE_RTT: []}
        self._largest = {INITIAL: -1, HANDSHAKE: -1, ONE_RTT: -1}
        self._waiting: list[tuple[float, bytes]] = []
        #: every datagram that arrived
        self.datagrams: list[bytes] = []
        self.packets: list[OpenedPacket] = []
        self.closures: list[Closure] = []
        #: Retry and Version Negotiation packets
        self.unprotected: list[LongHeader] = []

    def add_keys(self, level: int, protection: PacketProtection) -> None:
        """Packets of ``level`` may be sealed with these keys, beside those known before."""
        self._keys[level].append(protection)

    def take(self, data: bytes, now: float) -> None:
        """A datagram arrived."""
        self.datagrams.append(data)
        self._waiting.append((now, data))
        self.read_again()

    def read_again(self) -> None:
        """Try what could not be opened before."""
        waiting = self._waiting[-_MAX_WAITING:]
        self._waiting = []
        for time, data in waiting:
            self._read(time, data)

    def frames(self, kind: type[Frame]) -> list[Frame]:
        """All frames of a kind, in order."""
        return [one for packet in self.packets for one in packet.frames if isinstance(one, kind)]

    def acknowledged(self, level: int, packet_number: int) -> bool:
        """Whether an ACK of that level covers a packet number."""
        for packet in self.packets:
            if packet.level != level:
                continue
            for frame in packet.frames:
                if isinstance(frame, AckFrame) and _covers(frame, packet_number):
                    return True
        return False

    def _read(self, time: float, data: bytes) -> None:
        position = 0
        while position < len(data) and data[position] & 0x80:
            header = parse_long_header(data, position, len(data))
            if header is None:
                return
            end = int(header.end)
            if header.packet_type in (PACKET_RETRY, PACKET_VERSION_NEGOTIATION):
                self.unprotected.append(header)
            elif int(header.packet_type) in _LEVELS and not self._open_long(
                time, data, position, header
            ):
                self._waiting.append((time, data[position:end]))
            position = end
        if position < len(data) and not self._open_short(time, data[position:]):
            self._waiting.append((time, data[position:]))

    def _open_long(self, time: float, data: bytes, start: int, header: LongHeader) -> bool:
        level = _LEVELS[int(header.packet_type)]
        offset = int(header.packet_number_offset)
        for protection in self._keys[level]:
            unmasked = unmask_long(data, start, offset, header.end, protection)
            if unmasked is None:
                return True  # too short to ever be opened
            full, truncated, length = unmasked
            number = int(decode_packet_number(truncated, length, self._largest[level]))
            sealed = data[offset + int(length) : int(header.end)]
            payload = protection.open(0, number, full, sealed)
            if payload is not None:
                self._note(time, level, number, 0, header.destination_cid, payload, data)
                return True
        return False

    def _open_short(self, time: float, data: bytes) -> bool:
        offset = 1 + self._own_cid_length
        batch = ShortHeaderBatch()
        for generation, protection in enumerate(self._keys[ONE_RTT]):
            batch.unmask(data, 0, len(data), len(data), offset, protection)
            first = int(batch.first_byte(0))
            if first < 0:
                return True
            number = int(
                decode_packet_number(
                    batch.truncated(0), batch.packet_number_length(0), self._largest[ONE_RTT]
                )
            )
            payload = protection.open(0, number, batch.header(0), batch.ciphertext(0))
            if payload is not None:
                if generation + 1 == len(self._keys[ONE_RTT]):
                    # The victim may update its keys at any time.
                    self.add_keys(ONE_RTT, protection.next_generation())
                phase = first >> 2 & 1
                self._note(time, ONE_RTT, number, phase, data[1:offset], payload, data)
                return True
        return False

    def _note(
        self,
        time: float,
        level: int,
        number: int,
        phase: int,
        destination: bytes,
        payload: bytes,
        data: bytes,
    ) -> None:
        self._largest[level] = max(self._largest[level], number)
        frames = parse_frames(payload)
        self.packets.append(
            OpenedPacket(time, level, number, phase, destination, frames, len(data))
        )
        for frame in frames:
            if isinstance(frame, ConnectionCloseFrame):
                reason = frame.reason.decode("utf-8", "replace")
                self.closures.append(
                    Closure(level, int(frame.code), frame.frame_type, reason, data)
                )


def _covers(ack: AckFrame, packet_number: int) -> bool:
    return any(
        low <= packet_number <= high
        for high, low in zip(ack.ranges[0::2], ack.ranges[1::2], strict=True)
    )
