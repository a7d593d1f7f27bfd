"""Which packets of one packet-number space arrived, and when to acknowledge them
(RFC 9000 13.2)."""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.quic.types.datagrams import ECN_CE, ECN_ECT0, ECN_ECT1
from ropewalk.quic.wire.ack import write_ack

INFINITY: Final = float("inf")
#: Ranges remembered, the newest one not counted.
MAX_RANGES: Final = 64
#: Reported ranges from which on an acknowledgement of our ACKs is worth a PING.
_MANY_RANGES: Final = 16
_MICROSECONDS: Final = 1e6


@final
class ReceivedPackets:
    """Ranges of received packet numbers and the state of the pending acknowledgement.

    The newest range lives in two integers, older ones in two lists in descending order.
    Packets below the oldest remembered range count as duplicates. ``max_ack_delay``
    (seconds) is this side's own promise; 0.0 makes every ACK immediate, as Initial and
    Handshake packets want it (13.2.1).
    """

    def __init__(self, max_ack_delay: float) -> None:
        self.max_ack_delay: float = max_ack_delay
        #: Ack-eliciting packets that may wait at the end of a batch without an ACK being due.
        self.ack_threshold: i64 = 2
        #: Packets out of order that make an ACK due at once; 0: never. Both thresholds are
        #: the peer's to ask for (:meth:`follow`).
        self.reordering_threshold: i64 = 1
        self.largest: i64 = -1
        self.largest_time = 0.0
        #: Ack-eliciting packets not yet acknowledged.
        self.unacknowledged: i64 = 0
        #: When an ACK is due at the latest; infinity while none is pending.
        self.ack_deadline = INFINITY
        #: ECN counts of accepted packets (RFC 9000 13.4.1).
        self.ect0: i64 = 0
        self.ect1: i64 = 0
        self.ce: i64 = 0

        #: Largest number reported in an ACK frame so far.
        self._largest_reported: i64 = -1
        self._last_ecn: i64 = 0
        self._largest_low: i64 = -1
        self._largest_eliciting: i64 = -1
        #: Everything below is forgotten and counts as a duplicate.
        self._floor: i64 = 0
        #: The peer knows about all received packets below; they are not reported again.
        self._confirmed_below: i64 = 0
        # Largest number of the last ACK frame that had no room for all ranges.
        self._cut_short: i64 = -1
        #: When the last ACK frame was written.
        self._told_at = -INFINITY
        self._highs: list[int] = []
        self._lows: list[int] = []

    def is_duplicate(self, packet_number: i64) -> bool:
        """Whether the packet was received before, or is too old to tell."""
        if packet_number > self.largest:
            return False
        if packet_number >= self._largest_low or packet_number < self._floor:
            return True
        highs = self._highs
        lows = self._lows
        index: i64 = 0
        count: i64 = len(highs)
        while index < count:
            low: i64 = lows[index]
            if packet_number >= low:
                high: i64 = highs[index]
                return packet_number <= high
            index += 1
        return False

    def record(self, packet_number: i64, now: float, ack_eliciting: bool, ecn: i64) -> None:
        """Note a packet that was authenticated and processed; never a duplicate.

        ``ecn`` is the IP header's code point. An ACK becomes due at once when the packet
        shows reordering, leaves a gap or carries a CE mark (13.2.1, 13.2.2), else within
        ``max_ack_delay``.
        """
        at_once = False
        largest = self.largest
        if packet_number == largest + 1 and largest >= 0:
            self.largest = packet_number
            self.largest_time = now
        elif packet_number > largest:
            if largest >= 0:
                self._highs.insert(0, largest)
                self._lows.insert(0, self._largest_low)
                self._cap()
                at_once = self.reordering_threshold == 1
            self._largest_low = packet_number
            self.largest = packet_number
            self.largest_time = now
        else:
            self._insert(packet_number)
            at_once = packet_number < self._largest_eliciting and (
                self.reordering_threshold == 1
                or packet_number <= self._largest_reported - self.reordering_threshold
            )
        if ecn != 0:
            if ecn == ECN_ECT0:
                self.ect0 += 1
            elif ecn == ECN_ECT1:
                self.ect1 += 1
            elif ecn == ECN_CE:
                self.ce += 1
                # ACK frequency 6.4: beyond "every second packet" only the first of a row.
                if self.ack_threshold <= 2 or self._last_ecn != ECN_CE:
                    at_once = True
        self._last_ecn = ecn
        if not ack_eliciting:
            return
        if packet_number > self._largest_eliciting:
            self._largest_eliciting = packet_number
        if self.reordering_threshold > 1 and self._highs and not at_once:
            at_once = self._is_gap_old()
        self.unacknowledged += 1
        if at_once:
            self.ack_deadline = now
        elif self.ack_deadline == INFINITY:
            self.ack_deadline = now + self.max_ack_delay

    def follow(self, threshold: i64, max_ack_delay: float, reordering_threshold: i64) -> None:
        """Acknowledge as the peer asked (ACK_FREQUENCY): once more than ``threshold`` packets
        wait, within ``max_ack_delay`` seconds, and at once when a packet is missing that is
        ``reordering_threshold`` numbers older than the newest."""
        self.ack_threshold = threshold + 1
        self.max_ack_delay = max_ack_delay
        self.reordering_threshold = reordering_threshold

    def _is_gap_old(self) -> bool:
        """Whether the oldest gap that no ACK frame has made certain yet is old enough
        (ACK frequency 6.2)."""
        threshold = self.reordering_threshold
        newest = self._largest_eliciting
        certain: i64 = max(self._largest_reported - threshold + 1, 0)
        index: i64 = len(self._highs) - 1
        while index >= 0:
            # The gap above the older range, up to the next one.
            first: i64 = i64(self._highs[index]) + 1
            end: i64 = self._largest_low if index == 0 else i64(self._lows[index - 1])
            missing = max(first, certain)
            if missing < end and missing < newest:
                return newest - missing >= threshold
            index -= 1
        return False

    def end_of_batch(self, now: float) -> None:
        """All packets of one receive call are recorded."""
        if self.unacknowledged >= self.ack_threshold and self.ack_deadline > now:
            self.ack_deadline = now

    def should_ack(self, now: float) -> bool:
        """Whether an ACK must go out now, in a packet of its own if need be."""
        return self.ack_deadline <= now

    def worth_repeating(self, now: float, interval: float) -> bool:
        """Whether a packet that leaves anyway should say again what was said at least
        ``interval`` seconds ago: the ACK may have been lost, and the peer, whose window is
        full or whose probes have backed off, waits for it (13.2.1).
        """
        return self._largest_eliciting >= self._confirmed_below and now - self._told_at >= interval

    def write_ack(
        self, writer: BytesWriter, room: i64, now: float, ack_delay_exponent: i64
    ) -> bool:
        """Append an ACK frame of at most ``room`` bytes with the newest ranges.

        Nothing is pending any more afterwards. False when nothing was received yet or not
        even one range fits; then nothing is written and everything stays pending.
        """
        if self.largest < 0:
            return False
        highs: list[int] = [self.largest]
        lows: list[int] = [self._largest_low]
        if self._highs:
            confirmed = self._confirmed_below
            index: i64 = 0
            count: i64 = len(self._highs)
            while index < count:
                high: i64 = self._highs[index]
                if high < confirmed:
                    break
                highs.append(high)
                lows.append(self._lows[index])
                index += 1
        delay: i64 = 0
        if now > self.largest_time:
            delay = i64((now - self.largest_time) * _MICROSECONDS)
            steps = ack_delay_exponent
            while steps > 0:
                delay = delay // 2
                steps -= 1
        ect0: i64 = -1
        if self.ect0 + self.ect1 + self.ce > 0:
            ect0 = self.ect0
        written = write_ack(writer, highs, lows, delay, room, ect0, self.ect1, self.ce)
        if written == 0:
            return False
        if written < len(highs):
            self._cut_short = self.largest
        self.unacknowledged = 0
        self.ack_deadline = INFINITY
        self._largest_reported = self.largest
        self._told_at = now
        return True

    def on_ack_of_ack(self, largest: i64) -> None:
        """The peer acknowledged a packet whose ACK frame reported up to ``largest``: what
        arrived until then need not be reported again (13.2.4).

        The ranges themselves stay, to recognise duplicates; should one more packet arrive
        below ``largest``, reporting reaches down to it again.
        """
        if self._cut_short < largest <= self.largest and largest >= self._confirmed_below:
            self._confirmed_below = largest + 1

    def reported_ranges(self) -> i64:
        """How many ranges the next ACK frame wants to carry."""
        if self.largest < 0:
            return 0
        count: i64 = 1
        confirmed = self._confirmed_below
        for high in self._highs:
            if high < confirmed:
                break
            count += 1
        return count

    def wants_ack_of_ack(self) -> bool:
        """Whether so many ranges pile up that a PING beside the next ACK is worth it
        (13.2.4); once per round trip is enough."""
        return len(self._highs) >= _MANY_RANGES and self.reported_ranges() > _MANY_RANGES

    def _insert(self, packet_number: i64) -> None:
        """Add a number below ``largest`` that is in no range yet."""
        if packet_number < self._floor:
            return
        if packet_number < self._confirmed_below:
            self._confirmed_below = packet_number
        highs = self._highs
        lows = self._lows
        # Find the first older range that lies wholly below the number.
        index: i64 = 0
        count: i64 = len(highs)
        while index < count and packet_number < i64(lows[index]):
            index += 1
        joins_below = index < count and i64(highs[index]) == packet_number - 1
        if index == 0:
            joins_above = self._largest_low == packet_number + 1
        else:
            joins_above = i64(lows[index - 1]) == packet_number + 1
        if joins_above:
            low = packet_number
            if joins_below:
                low = lows[index]
                del highs[index]
                del lows[index]
            if index == 0:
                self._largest_low = low
            else:
                lows[index - 1] = low
        elif joins_below:
            highs[index] = packet_number
        else:
            highs.insert(index, packet_number)
            lows.insert(index, packet_number)
            self._cap()

    def _cap(self) -> None:
        if len(self._highs) > MAX_RANGES:
            del self._highs[-1]
            del self._lows[-1]
            self._floor = self._lows[-1]
