"""The coupled dual queue for L4S: DualPI2 (RFC 9332, appendix A)."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import final

from ropewalk.quic.types.datagrams import ECN_NOT_ECT
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.element import Packet
from ropewalk.sim.queues import PacketQueue, QueueDiscipline, QueueProfile


@final
@dataclass(frozen=True, kw_only=True)
class DualPi2(QueueProfile):
    """Two queues, one for L4S traffic (ECT(1) and CE), one for all other, under one PI
    controller that keeps the classic one near ``target`` seconds.

    The controller's output ``p`` marks or drops classic packets with the chance ``p`` squared
    and marks L4S packets with ``coupling * p``, which makes one classic and one L4S flow
    about equal; the L4S queue also marks by itself, from ``ramp_start`` seconds of waiting
    with a chance that reaches 1 at ``ramp_end``. While both queues have packets the classic
    one gets ``classic_share`` of the bytes. ``update`` is the controller's period,
    ``longest_rtt`` the round trip for which its gains are stable. ``size`` bounds both
    queues together, in bytes on the wire. The defaults are those of RFC 9332 A.1.
    """

    target: float = 0.015
    update: float = 0.015
    longest_rtt: float = 0.1
    coupling: float = 2.0
    ramp_start: float = 0.0008
    ramp_end: float = 0.0012
    classic_share: float = 1.0 / 16.0
    size: int = 10_000_000

    def __post_init__(self) -> None:
        for name in ("target", "update", "longest_rtt", "coupling"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"DualPI2 {name} must be positive")
        if not 0.0 <= self.ramp_start < self.ramp_end:
            raise ConfigurationError("DualPI2's ramp needs 0 <= ramp_start < ramp_end")
        if not 0.0 < self.classic_share < 1.0 or self.size < 1:
            raise ConfigurationError("DualPI2 needs 0 < classic_share < 1 and a size above 0")

    def build(self, source: random.Random) -> QueueDiscipline:
        """Two empty queues."""
        return _DualQueue(self)


@final
class _Chance:
    """Events of a given likelihood, evenly spread instead of drawn (RFC 9332 A.1, recur)."""

    def __init__(self) -> None:
        self._sum = 0.0

    def comes(self, likelihood: float) -> bool:
        self._sum += likelihood
        if self._sum > 1.0:
            self._sum -= 1.0
            return True
        return False


@final
class _DualQueue(QueueDiscipline):
    def __init__(self, profile: DualPi2) -> None:
        super().__init__()
        self._profile = profile
        self._l4s = PacketQueue()
        self._classic = self.waiting
        self._l4s_chance = _Chance()
        self._classic_chance = _Chance()
        # RFC 9332 A.1: the integral and the proportional gain, in Hz.
        self._alpha = 0.1 * profile.update / profile.longest_rtt**2
        self._beta = 0.3 / profile.longest_rtt
        #: p' of the RFC, the controller's output
        self.base = 0.0
        self._delay_before = 0.0
        self._next_update = profile.update
        #: bytes that the classic queue may send though L4S packets wait
        self._classic_credit = 0.0

    def length(self) -> int:
        return len(self._l4s) + len(self._classic)

    def size(self) -> int:
        return self._l4s.size + self._classic.size

    def enqueue(self, packet: Packet, now: float) -> None:
        self._run_controller(now)
        if self.size() + packet.size > self._profile.size:
            self.drop(packet)
        elif packet.ecn & 1:  # ECT(1) or CE
            self._l4s.push(packet, now)
        else:
            self._classic.push(packet, now)

    def dequeue(self, now: float) -> Packet | None:
        self._run_controller(now)
        while True:
            from_l4s = self._l4s_is_next()
            packet = self._next(from_l4s)
            if packet is None:
                return None
            if self._l4s_passes(packet, now) if from_l4s else self._classic_passes(packet):
                return packet
            self.drop(packet)

    def _l4s_is_next(self) -> bool:
        if not len(self._l4s):
            return False
        return not len(self._classic) or self._classic_credit < self._classic.first_size()

    def _next(self, from_l4s: bool) -> Packet | None:
        contended = len(self._l4s) > 0 and len(self._classic) > 0
        packet = self._l4s.pop() if from_l4s else self._classic.pop()
        if contended and packet is not None:
            # Weighted turns: what the L4S queue sends earns the classic one its share.
            if from_l4s:
                share = self._profile.classic_share
                self._classic_credit += packet.size * share / (1.0 - share)
            else:
                self._classic_credit -= packet.size
        return packet

    def _l4s_passes(self, packet: Packet, now: float) -> bool:
        coupled = self._profile.coupling * self.base
        if coupled >= 1.0:
            # RFC 9332 4.2.3: marking alone no longer holds the load.
            if self._l4s_chance.comes(self.base * self.base):
                return False
            self.mark(packet)
            return True
        native = self._ramp(now - packet.queued_at) if len(self._l4s) else 0.0
        if self._l4s_chance.comes(max(native, coupled)):
            self.mark(packet)
        return True

    def _ramp(self, delay: float) -> float:
        profile = self._profile
        if delay >= profile.ramp_end:
            return 1.0
        if delay <= profile.ramp_start:
            return 0.0
        return (delay - profile.ramp_start) / (profile.ramp_end - profile.ramp_start)

    def _classic_passes(self, packet: Packet) -> bool:
        likelihood = self.base * self.base
        if not self._classic_chance.comes(likelihood):
            return True
        overloaded = self._profile.coupling * self.base >= 1.0
        return packet.ecn != ECN_NOT_ECT and not overloaded and self.mark(packet)

    def _run_controller(self, now: float) -> None:
        """Catch up with the controller's periods. The queue looks the same at each of them:
        whatever changes it comes here first."""
        profile = self._profile
        while self._next_update <= now:
            at = self._next_update
            delay = max(self._classic.delay(at), self._l4s.delay(at))
            self.base += self._alpha * (delay - profile.target)
            self.base += self._beta * (delay - self._delay_before)
            self.base = min(max(self.base, 0.0), 1.0)
            if self.base == 0.0 and delay == self._delay_before == 0.0:
                # Nothing changes while nothing waits: skip the idle periods.
                at += profile.update * math.floor((now - at) / profile.update)
            self._delay_before = delay
            self._next_update = at + profile.update
