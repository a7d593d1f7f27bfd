"""1-RTT keys over their generations (RFC 9001 6)."""

from __future__ import annotations

import math
from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.types.error_codes import KEY_UPDATE_ERROR
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.protection import PacketProtection

#: Above every packet number.
_NONE_YET: Final = 0x4000000000000000


@final
class PhaseNumbers:
    """The packet numbers that one path saw, as far as they tell generations apart."""

    def __init__(self) -> None:
        #: Lowest and highest opened with the current receive keys.
        self.lowest_received: i64 = _NONE_YET
        self.highest_received: i64 = -1
        #: Highest opened with any older keys.
        self.highest_before: i64 = -1
        #: First sent with the current send keys.
        self.first_sent: i64 = -1


@final
class OneRttKeys:
    """The keys of 1-RTT packets in both directions, and the rules for changing them.

    Packets are sealed with :attr:`send` and carry :attr:`send_phase` in their header; each
    one sealed is reported to :meth:`sealed`. Received ones go through :meth:`open`, which
    finds the generation: the keys after the current ones are always ready, so the time that
    a packet takes does not tell whether its key phase was the expected one (RFC 9001 9.5).

    Packet numbers are counted per path, the limits over all paths together (RFC 10069).
    The limits may be lowered by assignment.
    """

    def __init__(self, send: PacketProtection, receive: PacketProtection) -> None:
        self.send = send
        #: 0 or 1, the Key Phase bit of packets to send.
        self.send_phase: i64 = 0
        self.receive = receive
        self.receive_phase: i64 = 0
        #: Key updates so far, by either side.
        self.generation: i64 = 0
        #: Set when the peer's new keys are taken up; the owner may clear it.
        self.updated = False
        #: When :meth:`expire` has something to do; infinity for never.
        self.expires = math.inf
        self.confidentiality_limit: i64 = send.confidentiality_limit
        self.integrity_limit: i64 = receive.integrity_limit
        #: Packets sealed with the current send keys.
        self.sealed_count: i64 = 0
        #: Packets that failed to open, over all keys.
        self.failed_count: i64 = 0
        self._next_receive = receive.next_generation()
        self._previous: PacketProtection | None = None
        self._previous_lifetime = 1.0
        #: Key updates of the receive keys alone.
        self.receive_generation: i64 = 0
        #: Generation of the keys that opened the newest packet.
        self._opened_generation: i64 = 0
        #: An ACK came for a packet under the current send keys.
        self._confirmed = False
        self._next_update = -math.inf
        self._path_zero = PhaseNumbers()
        self._other_paths: dict[int, PhaseNumbers] = {}

    # -- receiving

    def open(
        self,
        path_id: i64,
        packet_number: i64,
        phase: i64,
        header: bytes,
        ciphertext: bytes,
        now: float,
    ) -> bytes | None:
        """The payload, or ``None`` for a packet that is not authentic under any fitting keys.

        ``phase`` is the unmasked Key Phase bit, 0 or 1. Opening the first packet of the next
        phase takes the new keys up, for sending too. Raises ``TransportError`` with
        KEY_UPDATE_ERROR when an authentic packet shows that the peer breaks the rules.
        """
        numbers = self._path_zero if path_id == 0 else self._numbers(path_id)
        if phase != self.receive_phase:
            return self._open_other_phase(numbers, path_id, packet_number, header, ciphertext, now)
        payload = self.receive.open(path_id, packet_number, header, ciphertext)
        if payload is None:
            return None
        if packet_number > numbers.highest_received:
            numbers.highest_received = packet_number
        if packet_number < numbers.lowest_received:
            if packet_number < numbers.highest_before:
                raise _older_keys_for_higher_number(packet_number, numbers.highest_before)
            numbers.lowest_received = packet_number
        self._opened_generation = self.receive_generation
        return payload

    def _open_other_phase(
        self,
        numbers: PhaseNumbers,
        path_id: i64,
        packet_number: i64,
        header: bytes,
        ciphertext: bytes,
        now: float,
    ) -> bytes | None:
        previous = self._previous
        # RFC 9001 6.3: a number below all of the current phase belongs to the previous one.
        # On a path that has not seen the current phase, everything known of it is older.
        older = packet_number < numbers.lowest_received
        if older and previous is not None and now < self.expires:
            payload = previous.open(path_id, packet_number, header, ciphertext)
            if payload is not None:
                if packet_number > numbers.highest_before:
                    numbers.highest_before = packet_number
                self._opened_generation = self.receive_generation - 1
            return payload
        payload = self._next_receive.open(path_id, packet_number, header, ciphertext)
        if payload is None:
            return None
        self._take_up(numbers, packet_number, now)
        return payload

    def _take_up(self, numbers: PhaseNumbers, packet_number: i64, now: float) -> None:
        """An authentic packet came under the next keys: make them the current ones."""
        highest: i64 = numbers.highest_received
        if packet_number < highest:
            raise _older_keys_for_higher_number(packet_number, highest)
        if self.receive_generation == self.generation and self.sealed_count == 0:
            # RFC 9001 6.2: the peer cannot have had an acknowledgment under our current keys.
            raise TransportError(
                KEY_UPDATE_ERROR,
                "the peer updated its keys again before its last update was answered",
            )
        self._previous = self.receive
        self.expires = now + self._previous_lifetime
        self.receive = self._next_receive
        self._next_receive = self.receive.next_generation()
        self.receive_phase ^= 1
        self.receive_generation += 1
        self._opened_generation = self.receive_generation
        _turn_received(self._path_zero)
        for other in self._other_paths.values():
            _turn_received(other)
        numbers.lowest_received = packet_number
        numbers.highest_received = packet_number
        if self.generation < self.receive_generation:
            self._update_send()
        self.updated = True

    def opening_failed(self) -> bool:
        """Count a packet that :meth:`open` refused.

        True when the integrity limit is reached and the connection must close with
        AEAD_LIMIT_REACHED (RFC 9001 6.6).
        """
        self.failed_count += 1
        return self.failed_count >= self.integrity_limit

    # -- sending

    def sealed(self, packet_number: i64, path_id: i64 = 0) -> None:
        """A packet was sealed with :attr:`send`."""
        self.sealed_count += 1
        numbers = self._path_zero if path_id == 0 else self._numbers(path_id)
        if numbers.first_sent < 0:
            numbers.first_sent = packet_number

    def on_acked(self, packet_number: i64, now: float, path_id: i64 = 0) -> None:
        """The packet that :meth:`open` yielded last acknowledges ``packet_number`` as its largest.

        Raises ``TransportError`` with KEY_UPDATE_ERROR when older keys protect the
        acknowledgment than the packet it is for (RFC 9001 6.2).
        """
        numbers = self._path_zero if path_id == 0 else self._numbers(path_id)
        if numbers.first_sent < 0 or packet_number < numbers.first_sent:
            return
        if self._opened_generation < self.generation:
            raise TransportError(
                KEY_UPDATE_ERROR,
                f"packet {packet_number} was sent with new keys but acknowledged with old ones",
            )
        if not self._confirmed:
            self._confirmed = True
            if self.generation > 0:
                # RFC 9001 6.5: leave the peer time to drop its old keys.
                self._next_update = now + self._previous_lifetime

    def initiate(self, now: float, confirmed: bool) -> bool:
        """Start a key update, if that is allowed now (RFC 9001 6.1, 6.5).

        It is once the handshake is ``confirmed``, a packet under the current keys was
        acknowledged, and three PTO have gone by since the last update was seen through.
        """
        self.expire(now)
        if not confirmed or not self._confirmed or now < self._next_update:
            return False
        self._update_send()
        return True

    def should_update(self) -> bool:
        """Whether seven eighths of the packets that the send keys are good for are sealed."""
        return self.sealed_count >= self.confidentiality_limit - (self.confidentiality_limit >> 3)

    def exhausted(self) -> bool:
        """Whether the send keys must seal nothing more (RFC 9001 6.6)."""
        return self.sealed_count >= self.confidentiality_limit

    def _update_send(self) -> None:
        self.send = self.send.next_generation()
        self.send_phase ^= 1
        self.generation += 1
        self.sealed_count = 0
        self._confirmed = False
        self._path_zero.first_sent = -1
        for other in self._other_paths.values():
            other.first_sent = -1

    # -- time and paths

    def set_previous_lifetime(self, seconds: float) -> None:
        """How long old keys are kept: three PTO, the largest over all paths (RFC 9001 6.5)."""
        self._previous_lifetime = seconds

    def expire(self, now: float) -> bool:
        """Drop the previous receive keys once their time has come; whether it has."""
        if now < self.expires:
            return False
        self._previous = None
        self.expires = math.inf
        return True

    def forget_path(self, path_id: i64) -> None:
        """The path is gone for good; its packet numbers no longer matter."""
        self._other_paths.pop(path_id, None)

    def _numbers(self, path_id: i64) -> PhaseNumbers:
        numbers = self._other_paths.get(path_id)
        if numbers is None:
            numbers = PhaseNumbers()
            self._other_paths[path_id] = numbers
        return numbers


def _turn_received(numbers: PhaseNumbers) -> None:
    if numbers.highest_received > numbers.highest_before:
        numbers.highest_before = numbers.highest_received
    numbers.lowest_received = _NONE_YET
    numbers.highest_received = -1


def _older_keys_for_higher_number(lower: i64, higher: i64) -> TransportError:
    # RFC 9001 6.4: higher packet numbers take the same or newer keys.
    return TransportError(
        KEY_UPDATE_ERROR,
        f"packet {higher} is protected with older keys than packet {lower} before it",
    )
