"""The packets that were sent and not yet forgotten: a ring of refilled slots (RFC 9002 A.1)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.recovery.sent_packet import ACKED, FREE, LOST, SentPacket
from ropewalk.quic.types.error_codes import INTERNAL_ERROR
from ropewalk.quic.types.errors import TransportError

FIRST_SLOTS: Final = 32
#: A peer that acknowledges nothing while we keep answering it cannot make the ring grow
#: beyond this; the connection ends instead.
MAX_SLOTS: Final = 131072
#: From this size on, lost packets are forgotten before the ring grows further.
_CROWDED: Final = 8192
#: How many skipped packet numbers are remembered.
_SKIPPED_KEPT: Final = 8


@final
class SentLedger:
    """Slots of the packet numbers ``oldest`` ≤ number < ``next_packet_number``.

    ``slots`` and ``mask`` are open to the packet space, whose loops index the ring
    directly: the slot of packet ``n`` is ``slots[n & mask]``. Slots that were handed out
    as acknowledged or lost stay as they are until the next :meth:`reserve`.
    """

    def __init__(self) -> None:
        self.oldest: i64 = 0
        self.next_packet_number: i64 = 0
        self.slots: list[SentPacket] = [SentPacket() for _ in range(FIRST_SLOTS)]
        self.mask: i64 = FIRST_SLOTS - 1
        self.skipped: list[int] = []
        self._peak: i64 = 0

    def reserve(self) -> SentPacket:
        """An empty slot for ``next_packet_number``; the same one until it is committed.

        Raises ``TransportError`` (INTERNAL_ERROR) when ``MAX_SLOTS`` packets went out
        since the oldest one that the peer has neither acknowledged nor let us lose.
        """
        number = self.next_packet_number
        if number - self.oldest > self.mask:
            self._make_room()
        slot = self.slots[number & self.mask]
        slot.clear()
        slot.packet_number = number
        return slot

    def commit(self, slot: SentPacket) -> None:
        """The reserved slot's packet was sent."""
        if slot.packet_number != self.next_packet_number:
            raise ValueError(
                f"packet {self.next_packet_number} is to be committed, not {slot.packet_number}"
            )
        self.next_packet_number += 1

    def get(self, packet_number: i64) -> SentPacket | None:
        """The slot of a packet that is still remembered."""
        if packet_number < self.oldest or packet_number >= self.next_packet_number:
            return None
        slot = self.slots[packet_number & self.mask]
        if slot.state == FREE:
            return None
        return slot

    def skip(self) -> None:
        """Leave out one packet number; a peer that acknowledges it did not receive what it
        acknowledges (RFC 9000 21.4)."""
        slot = self.reserve()
        self.skipped.append(slot.packet_number)
        if len(self.skipped) > _SKIPPED_KEPT:
            del self.skipped[0]
        self.next_packet_number += 1

    def was_skipped(self, packet_number: i64) -> bool:
        """Whether the number is one of the last few that were left out."""
        return packet_number in self.skipped

    def occupied(self) -> i64:
        """Slots between the oldest and the newest remembered packet."""
        return self.next_packet_number - self.oldest

    def prune(self, largest_acked: i64, forget_lost_before: float) -> None:
        """Forget what is settled at the front.

        A lost packet stays until ``forget_lost_before`` passes its ``time_lost``, so that
        a late acknowledgement shows the loss to have been spurious. Packets that were
        never in flight (ACK frames only) are forgotten once a later one is acknowledged.
        """
        slots = self.slots
        mask = self.mask
        stop = self.next_packet_number
        oldest = self.oldest
        if stop - oldest > self._peak:
            self._peak = stop - oldest
        while oldest < stop:
            slot = slots[oldest & mask]
            state = slot.state
            if state == LOST:
                if slot.time_lost > forget_lost_before:
                    break
            elif state != ACKED and (slot.in_flight or oldest > largest_acked):
                break
            oldest += 1
        self.oldest = oldest
        if oldest == stop and stop > 0:
            self._shrink()

    def clear(self) -> None:
        """Forget everything; packet numbers go on."""
        self.oldest = self.next_packet_number
        self._peak = 0
        self._shrink()

    def _make_room(self) -> None:
        """The ring is full: forget what nobody will miss, else double it."""
        crowded = self.mask >= _CROWDED
        oldest = self.oldest
        while oldest < self.next_packet_number:
            slot = self.slots[oldest & self.mask]
            if slot.state == LOST:
                if not crowded:
                    break
            elif slot.state != ACKED and slot.in_flight:
                break
            oldest += 1
        self.oldest = oldest
        # Freed slots are worth something only when they last for a while.
        if self.next_packet_number - oldest > self.mask - self.mask // 4:
            self._double()

    def _double(self) -> None:
        old_mask = self.mask
        size = 2 * (old_mask + 1)
        if size > MAX_SLOTS:
            raise TransportError(
                INTERNAL_ERROR,
                f"packet {self.oldest} is neither acknowledged nor lost "
                f"after {MAX_SLOTS // 2} more packets",
            )
        old = self.slots
        new: list[SentPacket] = []
        oldest = self.oldest
        wrap: i64 = size - 1
        index: i64 = 0
        while index < size:
            # The one number of the enlarged ring, counted from the oldest, that lives here.
            number = oldest + ((index - oldest) & wrap)
            new.append(old[number & old_mask] if number < self.next_packet_number else SentPacket())
            index += 1
        self.slots = new
        self.mask = size - 1

    def _shrink(self) -> None:
        """Nothing is remembered: halve a ring that was mostly unused since the last time."""
        if self.mask >= FIRST_SLOTS and self._peak * 4 <= self.mask:
            half = (self.mask + 1) // 2
            self.slots = self.slots[:half]
            self.mask = half - 1
        self._peak = 0
