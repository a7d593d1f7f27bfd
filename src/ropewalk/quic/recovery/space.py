"""One packet-number space: what was sent, acknowledged, lost and received (RFC 9002 A)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.recovery.ack_ranges import covers, subtract_ranges
from ropewalk.quic.recovery.ledger import SentLedger
from ropewalk.quic.recovery.persistent_congestion import is_persistent
from ropewalk.quic.recovery.received import ReceivedPackets
from ropewalk.quic.recovery.reordering import ReorderingTolerance
from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.quic.recovery.rtt import GRANULARITY
from ropewalk.quic.recovery.sent_packet import ACKED, FREE, LOST, OUTSTANDING, SentPacket
from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.handshake import INITIAL, ONE_RTT
from ropewalk.quic.wire.ack import AckFrame

INFINITY: Final = float("inf")
#: This side's default promise in the 1-RTT space, until the owner sets another.
_DEFAULT_MAX_ACK_DELAY: Final = 0.025


@final
class PacketSpace:
    """A packet-number space at an encryption level; 1-RTT packets have one per path.

    ``acked`` and ``lost`` hold the slots that the last :meth:`on_ack`, :meth:`detect_lost`
    or :meth:`mark_all_lost` settled, in ascending order; they are valid until the next
    :meth:`reserve`. A packet that was in ``lost`` before may turn up in ``acked`` later,
    with ``spurious`` set. Times in seconds, sizes in bytes.
    """

    def __init__(self, level: i64, path_id: i64) -> None:
        self.level: i64 = level
        self.path_id: i64 = path_id
        self.ledger = SentLedger()
        self.received = ReceivedPackets(_DEFAULT_MAX_ACK_DELAY if level == ONE_RTT else 0.0)
        self.largest_acked: i64 = -1
        #: When the next packet behind an acknowledged one counts as lost; infinity = none.
        self.loss_time = INFINITY
        self.last_ack_eliciting_sent = 0.0
        self.ack_eliciting_in_flight: i64 = 0
        self.acked: list[SentPacket] = []
        self.lost: list[SentPacket] = []
        self.reordering = ReorderingTolerance()
        #: What was in ``lost`` up to this number had been overtaken by too many packets, the
        #: rest by too much time (RFC 9002 6.1).
        self.overtaken: i64 = -1
        #: ECN counts that the peer reported last (RFC 9000 19.3.2).
        self.peer_ect0: i64 = 0
        self.peer_ect1: i64 = 0
        self.peer_ce: i64 = 0
        #: The route of the newest packet in flight.
        self.last_route: RouteRecovery | None = None

        # Below this number nothing is outstanding in flight.
        self._scan_from: i64 = 0
        # The peer's max_ack_delay, for the length of persistent congestion.
        self._peer_max_ack_delay = 0.0
        # Ranges of the ACK processed last: what they covered is settled already.
        self._known: list[int] = []
        # Scratch of on_ack: new parts of ranges (descending high, low), routes touched and
        # the newest packet acknowledged on each.
        self._parts: list[int] = []
        self._routes: list[RouteRecovery] = []
        self._newest: list[SentPacket] = []

    # -- sending

    def reserve(self) -> SentPacket:
        """An empty slot for the next packet; see :class:`SentPacket` for who fills what."""
        return self.ledger.reserve()

    def commit(self, slot: SentPacket, now: float) -> None:
        """The packet of the reserved ``slot`` was sent at ``now`` (RFC 9002 A.5)."""
        self.ledger.commit(slot)
        slot.state = OUTSTANDING
        slot.time_sent = now
        if not slot.in_flight:
            return
        route = slot.owner()
        if slot.ack_eliciting:
            self.ack_eliciting_in_flight += 1
            self.last_ack_eliciting_sent = now
        size = slot.size
        sampler = route.sampler
        if route.bytes_in_flight == 0:
            sampler.restart(now)
        slot.delivered = sampler.delivered
        slot.delivered_time = sampler.delivered_time
        slot.first_sent_time = sampler.first_sent_time
        slot.app_limited = sampler.app_limited_until != 0
        in_flight = route.bytes_in_flight + size
        slot.tx_in_flight = in_flight
        route.bytes_in_flight = in_flight
        route.bytes_sent += size
        route.packets_sent += 1
        route.pacer.credit -= float(size)
        self.last_route = route
        route.controller.on_sent(now, size, in_flight, slot.packet_number)

    # -- acknowledgements

    def on_ack(
        self,
        ack: AckFrame,
        ack_delay: float,
        now: float,
        handshake_confirmed: bool,
        max_ack_delay: float,
        reset_backoff: bool = True,
    ) -> None:
        """Process an ACK frame (RFC 9002 A.7); the result is in ``acked`` and ``lost``.

        ``ack_delay`` is the frame's delay in seconds, ``max_ack_delay`` the peer's promise.
        ``reset_backoff`` is False for a client that cannot know whether the server has
        validated its address (6.2.1). Raises ``TransportError`` PROTOCOL_VIOLATION when
        the frame acknowledges a packet that was never sent (RFC 9000 13.1).
        """
        acked = self.acked
        acked.clear()
        self.lost.clear()
        if ack.largest >= self.ledger.next_packet_number:
            raise TransportError(
                PROTOCOL_VIOLATION,
                f"packet {ack.largest} was acknowledged but never sent",
                3 if ack.has_ecn else 2,
            )
        self._peer_max_ack_delay = max_ack_delay
        subtract_ranges(ack.ranges, self._known, self.ledger.oldest, self._parts)
        self._known.clear()
        self._known.extend(ack.ranges)
        if self.ledger.skipped:
            self._check_skipped(ack)
        raises_largest = ack.largest > self.largest_acked
        eliciting_before = self.ack_eliciting_in_flight
        spurious = self._acknowledge()
        if raises_largest:
            self.largest_acked = ack.largest
        if not acked:
            return
        eliciting = self.ack_eliciting_in_flight != eliciting_before
        newest = acked[len(acked) - 1]
        # On a route of its own, so that no other one's packet decided when the ACK came (5.1).
        eliciting = eliciting and newest.owner().touched
        if newest.packet_number == ack.largest and (eliciting or newest.ack_eliciting):
            self._sample_rtt(newest, ack_delay, now, handshake_confirmed, max_ack_delay)
        if spurious:
            self._on_spurious(now)
        routes = self._routes
        index: i64 = 0
        while index < len(routes):
            self._begin_sample(routes[index], self._newest[index], now)
            index += 1
        if raises_largest and ack.has_ecn:
            self._on_ecn(ack, newest, now)
        self._find_lost(now)
        for route in routes:
            if reset_backoff:
                route.pto_count = 0
            route.touched = False
            route.controller.on_acked(
                now, route.sampler.sample, route.bytes_in_flight, route.rtt.smoothed
            )
        self._prune(now)

    def detect_lost(self, now: float) -> None:
        """The loss timer ran out at ``now``: what is overdue goes to ``lost`` (A.9)."""
        self.acked.clear()
        self.lost.clear()
        self._find_lost(now)
        self._prune(now)

    # -- the ends of a space

    def discard(self) -> None:
        """The keys are gone: nothing of this space is in flight any more (A.11, RFC 9001
        4.9). No controller hears of it."""
        ledger = self.ledger
        number = ledger.oldest
        while number < ledger.next_packet_number:
            slot = ledger.slots[number & ledger.mask]
            if slot.state == OUTSTANDING and slot.in_flight:
                self._take_out_of_flight(slot)
            slot.state = FREE
            number += 1
        if self.last_route is not None:
            self.last_route.pto_count = 0
        self.acked.clear()
        self.lost.clear()
        self._settle_all()
        ledger.clear()

    def mark_all_lost(self, now: float) -> None:
        """Everything outstanding goes to ``lost`` without any controller being told: the
        peer answered with a Retry or refused 0-RTT (RFC 9002 6.3, 6.2.3)."""
        ledger = self.ledger
        self.acked.clear()
        self.lost.clear()
        number = ledger.oldest
        while number < ledger.next_packet_number:
            slot = ledger.slots[number & ledger.mask]
            if slot.state == OUTSTANDING and slot.in_flight:
                self._take_out_of_flight(slot)
                slot.state = LOST
                slot.time_lost = now
                # Should its ACK come after all, no congestion event is there to be undone.
                slot.in_flight = False
                self.lost.append(slot)
            number += 1
        if self.last_route is not None:
            self.last_route.pto_count = 0
        self._settle_all()

    def outstanding(self, limit: i64) -> list[SentPacket]:
        """The oldest ack-eliciting packets in flight, at most ``limit``: their contents are
        what a probe best carries again (RFC 9002 6.2.4)."""
        found: list[SentPacket] = []
        ledger = self.ledger
        number = max(ledger.oldest, self._scan_from)
        while number < ledger.next_packet_number and len(found) < limit:
            slot = ledger.slots[number & ledger.mask]
            if slot.state == OUTSTANDING and slot.ack_eliciting:
                found.append(slot)
            number += 1
        return found

    # -- steps of on_ack

    def _check_skipped(self, ack: AckFrame) -> None:
        for number in self.ledger.skipped:
            if covers(ack.ranges, number):
                raise TransportError(
                    PROTOCOL_VIOLATION,
                    f"packet {number} was acknowledged but left out on purpose",
                    3 if ack.has_ecn else 2,
                )

    def _acknowledge(self) -> bool:
        """Settle the packets of ``_parts`` in ascending order; True if some were spurious."""
        parts = self._parts
        slots = self.ledger.slots
        mask = self.ledger.mask
        acked = self.acked
        self._routes.clear()
        self._newest.clear()
        spurious = False
        route: RouteRecovery | None = None
        size: i64 = 0
        last: SentPacket | None = None
        index: i64 = len(parts)
        while index > 0:
            index -= 2
            high: i64 = parts[index]
            number: i64 = parts[index + 1]
            while number <= high:
                slot = slots[number & mask]
                number += 1
                state = slot.state
                if state == OUTSTANDING:
                    slot.state = ACKED
                    acked.append(slot)
                    if not slot.in_flight:
                        continue
                    if slot.ack_eliciting:
                        self.ack_eliciting_in_flight -= 1
                    if slot.route is not route:
                        if route is not None and last is not None:
                            self._settle(route, last, size)
                        route = slot.route
                        size = 0
                    size += slot.size
                    last = slot
                elif state == LOST:
                    slot.state = ACKED
                    slot.spurious = True
                    acked.append(slot)
                    spurious = True
        if route is not None and last is not None:
            self._settle(route, last, size)
        return spurious

    def _settle(self, route: RouteRecovery, newest: SentPacket, size: i64) -> None:
        """``size`` bytes in a row were acknowledged on ``route``, ``newest`` last."""
        if not route.touched:
            route.touched = True
            sample = route.sampler.begin_sample()
            sample.prior_in_flight = route.bytes_in_flight
            self._routes.append(route)
            self._newest.append(newest)
        else:
            index: i64 = 0
            while self._routes[index] is not route:
                index += 1
            self._newest[index] = newest
        route.bytes_in_flight -= size
        route.bytes_acked += size
        route.sampler.delivered += size
        route.sampler.sample.acked += size

    def _sample_rtt(
        self,
        newest: SentPacket,
        ack_delay: float,
        now: float,
        handshake_confirmed: bool,
        max_ack_delay: float,
    ) -> None:
        """RFC 9002 5.1 and 5.3: the sample belongs to the packet's own route."""
        route = newest.route
        if route is None:
            return
        if self.level == INITIAL:
            ack_delay = 0.0
        elif handshake_confirmed:
            ack_delay = min(ack_delay, max_ack_delay)
        route.rtt.update(now - newest.time_sent, ack_delay, now)

    def _begin_sample(self, route: RouteRecovery, newest: SentPacket, now: float) -> None:
        sampler = route.sampler
        sample = sampler.sample
        sample.rtt = now - newest.time_sent
        sample.largest_acked = newest.packet_number
        sample.largest_sent_time = newest.time_sent
        sample.app_limited = newest.app_limited
        sample.tx_in_flight = newest.tx_in_flight
        sampler.take_newest(
            newest.time_sent,
            newest.first_sent_time,
            newest.delivered,
            newest.delivered_time,
            route.rtt.minimum,
            now,
        )

    def _on_spurious(self, now: float) -> None:
        """Packets declared lost were acknowledged: tell the controllers, and widen what
        counts as reordering."""
        for slot in self.acked:
            route = slot.route
            if not slot.spurious or not slot.in_flight or slot.mtu_probe or route is None:
                continue
            route.packets_spurious += 1
            route.bytes_spurious += slot.size
            route.sampler.delivered += slot.size
            self.reordering.on_spurious(
                self.largest_acked - slot.packet_number,
                now - slot.time_sent,
                route.rtt.smoothed,
            )
            route.controller.on_spurious(now, slot.size, slot.time_sent)

    def _on_ecn(self, ack: AckFrame, newest: SentPacket, now: float) -> None:
        """RFC 9002 A.7: more CE marks than before are a congestion signal on the route."""
        more: i64 = ack.ce - self.peer_ce
        self.peer_ect0 = max(self.peer_ect0, ack.ect0)
        self.peer_ect1 = max(self.peer_ect1, ack.ect1)
        self.peer_ce = max(self.peer_ce, ack.ce)
        route = newest.route
        if more > 0 and route is not None and route.sends_ect:
            route.controller.on_ecn(now, newest.time_sent, more, route.bytes_in_flight)

    # -- loss

    def _find_lost(self, now: float) -> None:
        """Declare lost what lies too far or too long behind the largest acknowledged packet
        (RFC 9002 6.1), and set ``loss_time`` for the rest."""
        ledger = self.ledger
        slots = ledger.slots
        mask = ledger.mask
        number = max(ledger.oldest, self._scan_from)
        largest = self.largest_acked
        certain = largest - self.reordering.packets
        self.overtaken = certain
        self.loss_time = INFINITY
        first_left: i64 = -1
        route: RouteRecovery | None = None
        delay = 0.0
        while number < largest:
            slot = slots[number & mask]
            if slot.state == OUTSTANDING and slot.in_flight:
                if slot.route is not route:
                    route = slot.owner()
                    delay = self._loss_delay(route)
                overdue = slot.time_sent + delay
                if number <= certain or overdue <= now:
                    slot.state = LOST
                    slot.time_lost = now
                    self.lost.append(slot)
                else:
                    if first_left < 0:
                        first_left = number
                    if overdue < self.loss_time:
                        self.loss_time = overdue
            number += 1
        if largest >= 0:
            self._scan_from = first_left if first_left >= 0 else max(self._scan_from, largest)
        if self.lost:
            self._on_lost(now)

    def _loss_delay(self, route: RouteRecovery) -> float:
        rtt = max(route.rtt.smoothed, route.rtt.latest)
        return self.reordering.loss_delay(rtt, GRANULARITY)

    def _on_lost(self, now: float) -> None:
        """Settle the packets in ``lost`` with their routes, one call per controller."""
        told: list[RouteRecovery] = []
        any_persistent = False
        # RFC 9000 14.4: a lost size probe is no sign of congestion.
        counted: list[SentPacket] = []
        for slot in self.lost:
            route = slot.owner()
            if slot.ack_eliciting:
                self.ack_eliciting_in_flight -= 1
            route.bytes_in_flight -= slot.size
            route.bytes_lost += slot.size
            route.packets_lost += 1
            if slot.mtu_probe:
                continue
            counted.append(slot)
            if route not in told:
                told.append(route)
        for route in told:
            size: i64 = 0
            largest = counted[0]
            for slot in counted:
                if slot.route is route:
                    size += slot.size
                    largest = slot
            persistent = is_persistent(self.ledger, counted, route, self._peer_max_ack_delay)
            if persistent:
                any_persistent = True
                route.rtt.restart_minimum()
            if route.touched:
                route.sampler.sample.lost += size
            route.controller.on_lost(
                now,
                size,
                largest.time_sent,
                largest.packet_number,
                route.bytes_in_flight,
                persistent,
            )
        self.reordering.on_loss(any_persistent)

    def _take_out_of_flight(self, slot: SentPacket) -> None:
        route = slot.owner()
        route.bytes_in_flight -= slot.size
        route.bytes_discarded += slot.size

    def _settle_all(self) -> None:
        """Nothing is in flight any more."""
        self.loss_time = INFINITY
        self.ack_eliciting_in_flight = 0
        self._scan_from = self.ledger.next_packet_number

    def _prune(self, now: float) -> None:
        route = self.last_route
        # Long enough for an ACK that was merely reordered to come in.
        hold = route.rtt.probe_timeout() if route is not None else 0.0
        self.ledger.prune(self.largest_acked, now - hold)
