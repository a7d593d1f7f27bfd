"""The witness's books on packets: what was sent and received, by number and route."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.recovery.route_recovery import RouteRecovery

#: Lost packets remembered, in case that their ACK comes after all.
_LOST_KEPT: Final = 4096


@final
class RouteBooks:
    """What left on one route, and became of it; with what the route said of itself last time.

    Routes that share their measurements (RFC 9000 9.4: another port) share their books.
    """

    def __init__(self, recovery: RouteRecovery) -> None:
        self.recovery = recovery
        self.bytes_sent: i64 = 0
        self.bytes_acked: i64 = 0
        self.bytes_lost: i64 = 0
        self.bytes_discarded: i64 = 0
        #: an ACK that covered packets of this route came since the last audit
        self.acked_since = False
        #: packets left, or were found lost, since the last audit
        self.touched = False
        # As stated at the last audit.
        self.smoothed_rtt: float = recovery.rtt.smoothed
        self.congestion_window: i64 = recovery.controller.congestion_window
        self.probe_count: i64 = recovery.pto_count

    def in_flight(self) -> i64:
        """Bytes that left and neither arrived, nor were lost, nor discarded with their keys."""
        return self.bytes_sent - self.bytes_acked - self.bytes_lost - self.bytes_discarded


@final
class Sent:
    """A packet that counted in flight. Its route is known once its burst has left."""

    __slots__ = ("exempt", "lost", "probing", "route", "size", "time")

    def __init__(self, time: float, size: i64, probing: bool) -> None:
        self.time = time
        self.size: i64 = size
        #: it has nothing but probing frames (RFC 9000 9.1)
        self.probing = probing
        #: it did not count in flight after all (9.4)
        self.exempt = False
        self.lost = False
        self.route: RouteBooks | None = None


@final
class NumberSet:
    """Packet numbers, kept as ranges: those that arrive in order cost nothing."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, number: i64) -> bool:
        """False when it was there already."""
        starts, ends = self._starts, self._ends
        if ends and ends[-1] + 1 == number:
            ends[-1] = int(number)
            return True
        index: i64 = bisect_right(starts, number)
        if index > 0 and ends[index - 1] >= number:
            return False
        after = index < len(starts) and starts[index] == number + 1
        before = index > 0 and ends[index - 1] == number - 1
        if before and after:
            ends[index - 1] = ends[index]
            del starts[index]
            del ends[index]
        elif before:
            ends[index - 1] = int(number)
        elif after:
            starts[index] = int(number)
        else:
            starts.insert(index, int(number))
            ends.insert(index, int(number))
        return True

    def covers(self, low: i64, high: i64) -> bool:
        """Whether all numbers from ``low`` to ``high`` were added."""
        index: i64 = bisect_right(self._starts, low)
        return index > 0 and self._ends[index - 1] >= high


@final
class SpaceBooks:
    """One packet-number space."""

    def __init__(self) -> None:
        self.last_sent: i64 = -1
        self.largest_acked: i64 = -1
        #: packets in flight, and lost ones, by packet number
        self.packets: dict[int, Sent] = {}
        self.in_flight: i64 = 0
        self.sent: i64 = 0
        self.acked: i64 = 0
        self.lost: i64 = 0
        self.spurious: i64 = 0
        self.voided: i64 = 0
        self.received = NumberSet()
        #: bounds of the last ACK's ranges, descending: high, low, high, low …
        self.known: list[int] = []
        self._lost_numbers: deque[int] = deque()

    def add(self, number: i64, packet: Sent) -> None:
        """A packet left that counts in flight."""
        self.packets[int(number)] = packet
        self.sent += 1
        self.in_flight += 1

    def exempt(self, packet: Sent) -> None:
        """A packet turned out not to count in flight (RFC 9000 9.4)."""
        packet.exempt = True
        self.sent -= 1
        self.in_flight -= 1

    def ack(self, number: i64) -> None:
        """The peer has a packet, for all that it says now for the first time."""
        packet = self.packets.pop(int(number), None)
        if packet is None:
            return
        route = packet.route
        if packet.lost:
            self.spurious += 1
        elif not packet.exempt:
            self.acked += 1
            self.in_flight -= 1
            if route is not None:
                route.bytes_acked += packet.size
        if route is not None:
            route.acked_since = True
            route.touched = True

    def lose(self, number: i64, packet: Sent) -> None:
        """A packet was declared lost; it is kept for a while, in case that its ACK comes."""
        packet.lost = True
        self.lost += 1
        self.in_flight -= 1
        if packet.route is not None:
            packet.route.bytes_lost += packet.size
            packet.route.touched = True
        kept = self._lost_numbers
        kept.append(int(number))
        if len(kept) > _LOST_KEPT:
            self.packets.pop(kept.popleft(), None)

    def void(self, number: i64, packet: Sent) -> None:
        """A Retry made a packet void, without any controller being told (RFC 9002 6.3)."""
        del self.packets[int(number)]
        self.voided += 1
        self.in_flight -= 1
        if packet.route is not None:
            packet.route.bytes_discarded += packet.size
            packet.route.touched = True

    def discard(self) -> None:
        """The keys are gone, and with them what was in flight (RFC 9001 4.9)."""
        for packet in self.packets.values():
            if not packet.lost and not packet.exempt and packet.route is not None:
                packet.route.bytes_discarded += packet.size
        self.packets.clear()
        self.in_flight = 0

    def news(self, bounds: list[int]) -> list[int]:
        """Those bounds of an ACK's ranges (descending) that the one before did not cover."""
        found: list[int] = []
        known = self.known
        self.known = bounds.copy()
        index: i64 = 0
        covered: i64 = 0
        while index < len(bounds):
            high: i64 = bounds[index]
            low: i64 = bounds[index + 1]
            index += 2
            while covered < len(known) and known[covered + 1] > high:
                covered += 2
            place = covered
            while place < len(known) and known[place] >= low:
                if known[place] < high:
                    found.append(int(high))
                    found.append(known[place] + 1)
                high = known[place + 1] - 1
                place += 2
            if high >= low:
                found.append(int(high))
                found.append(int(low))
        return found
