"""Boxes on the way that let only some datagrams pass, or meddle with their ECN marks."""

from __future__ import annotations

from typing import Final, final

from ropewalk.quic.types.datagrams import ECN_CE, ECN_ECT0, ECN_ECT1, ECN_NOT_ECT
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.element import Element, Packet

#: What a middlebox can do to ECN: nothing; clear it; drop what bears a mark; mark everything
#: that may be marked as having met congestion; turn ECT(0) into ECT(1) and the other way.
ECN_TREATMENTS: Final = ("pass", "bleach", "drop", "mark", "swap")


@final
class Middlebox(Element):
    """Lets datagrams pass, or not; all of it can be changed at any time.

    ``drop_udp``: nothing passes, as behind a firewall that knows TCP only. ``largest``: UDP
    payloads above it vanish without an ICMP message. ``ecn``: one of ``ECN_TREATMENTS``.
    """

    def __init__(self, *, drop_udp: bool = False, largest: int = 65507, ecn: str = "pass") -> None:
        super().__init__()
        if ecn not in ECN_TREATMENTS:
            raise ConfigurationError(f"a middlebox's ecn is one of {', '.join(ECN_TREATMENTS)}")
        self.drop_udp = drop_udp
        self.largest = largest
        self.ecn = ecn
        self.passed = 0
        self.dropped = 0
        #: datagrams that left with another mark than they came with
        self.remarked = 0

    def accept(self, packet: Packet, now: float) -> None:
        """Let it pass, or drop it."""
        marked = packet.ecn != ECN_NOT_ECT
        if self.drop_udp or len(packet.data) > self.largest or (self.ecn == "drop" and marked):
            self.dropped += 1
            return
        mark = self._mark(packet.ecn)
        if mark != packet.ecn:
            packet.ecn = mark
            self.remarked += 1
        self.passed += 1
        packet.move_on(now)

    def _mark(self, mark: int) -> int:
        if mark == ECN_NOT_ECT:
            return mark
        if self.ecn == "bleach":
            return ECN_NOT_ECT
        if self.ecn == "mark":
            return ECN_CE
        if self.ecn == "swap" and mark != ECN_CE:
            return ECN_ECT1 if mark == ECN_ECT0 else ECN_ECT0
        return mark
