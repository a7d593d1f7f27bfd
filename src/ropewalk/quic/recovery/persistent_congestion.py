"""Recognising that a path carried nothing for a long time (RFC 9002 7.6)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from ropewalk.quic.recovery.ledger import SentLedger
from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.quic.recovery.sent_packet import ACKED, SentPacket

#: kPersistentCongestionThreshold, in probe timeouts.
PERIODS: Final = 3


def is_persistent(
    ledger: SentLedger, lost: list[SentPacket], route: RouteRecovery, max_ack_delay: float
) -> bool:
    """Whether ``lost`` (ascending) holds two ack-eliciting packets of ``route``, both sent
    after its first RTT sample and further apart than three probe timeouts, while nothing
    that was sent between them has been acknowledged (7.6.2).

    ``max_ack_delay`` is the peer's, in seconds; it counts in every packet-number space.
    """
    if not route.rtt.has_sample:
        return False
    duration = PERIODS * route.probe_timeout(max_ack_delay)
    if lost[len(lost) - 1].time_sent - lost[0].time_sent <= duration:
        return False
    first_sample = route.rtt.first_sample_time
    began = -1.0
    previous: i64 = -1
    for slot in lost:
        if slot.route is not route or slot.time_sent <= first_sample:
            continue
        number = slot.packet_number
        while 0 <= previous < number:
            between = ledger.slots[previous & ledger.mask]
            if between.state == ACKED and between.route is route:
                began = -1.0
            previous += 1
        previous = number
        if not slot.ack_eliciting:
            continue
        if began < 0.0:
            began = slot.time_sent
        elif slot.time_sent - began > duration:
            return True
    return False
