"""Controlled delay: CoDel (RFC 8289) and FlowQueue-CoDel (RFC 8290)."""

from __future__ import annotations

import math
import random
import zlib
from collections import deque
from dataclasses import dataclass
from typing import final

from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.element import Packet
from ropewalk.sim.queues import PacketQueue, QueueDiscipline, QueueProfile

#: RFC 8289 4.2: a queue of less than a packet is never too long.
_ONE_PACKET = 1500
#: RFC 8290 4.1.3: at most so many packets go at once when the queue is full.
_DROP_BATCH = 64


@final
@dataclass(frozen=True, kw_only=True)
class CoDel(QueueProfile):
    """Drops (or with ``ecn`` marks) as long as packets wait longer than ``target`` seconds
    over a whole ``interval``, the more often the longer it lasts (RFC 8289)."""

    target: float = 0.005
    interval: float = 0.1
    packets: int = 1000
    ecn: bool = True

    def __post_init__(self) -> None:
        _check("CoDel", self.target, self.interval, self.packets)

    def build(self, source: random.Random) -> QueueDiscipline:
        """One line under one control law."""
        return _CoDelLine(self)


@final
@dataclass(frozen=True, kw_only=True)
class FqCoDel(QueueProfile):
    """A queue for each flow, served in turns, each under CoDel (RFC 8290).

    A flow is a source and a destination address; ``flows`` queues share out all of them by a
    hash. A flow that has been silent goes first for one ``quantum`` (bytes on the wire). When
    ``packets`` wait in all, the longest queue loses from its head.
    """

    target: float = 0.005
    interval: float = 0.1
    packets: int = 10240
    flows: int = 1024
    quantum: int = 1514
    ecn: bool = True

    def __post_init__(self) -> None:
        _check("FQ-CoDel", self.target, self.interval, self.packets)
        if self.flows < 1 or self.quantum < 1:
            raise ConfigurationError("FQ-CoDel needs at least 1 flow and a quantum of 1 byte")

    def build(self, source: random.Random) -> QueueDiscipline:
        """No queue yet; they come with their flows."""
        return _FairQueues(self)


def _check(name: str, target: float, interval: float, packets: int) -> None:
    if not 0.0 < target <= interval < math.inf:
        raise ConfigurationError(f"{name} needs 0 < target <= interval (seconds)")
    if packets < 1:
        raise ConfigurationError(f"{name} holds at least 1 packet")


@final
class _ControlLaw:
    """RFC 8289 5: when to begin dropping, and how much later the next drop is due."""

    def __init__(self, target: float, interval: float, ecn: bool) -> None:
        self._target = target
        self._interval = interval
        self._ecn = ecn
        #: when the delay will have been too long for a whole interval; 0 while it is not
        self._first_above_time = 0.0
        self._drop_next = 0.0
        self._count = 0
        self._last_count = 0
        self._dropping = False
        self._may_drop = False

    def dequeue(self, queue: PacketQueue, owner: QueueDiscipline, now: float) -> Packet | None:
        """The next packet of ``queue`` that may be sent; ``owner`` counts the others."""
        packet = self._take(queue, now)
        if self._dropping:
            if not self._may_drop:
                self._dropping = False
            while self._dropping and packet is not None and now >= self._drop_next:
                self._count += 1
                if self._ecn and owner.mark(packet):
                    self._drop_next = self._later(self._drop_next)
                    break
                owner.drop(packet)
                packet = self._take(queue, now)
                if self._may_drop:
                    self._drop_next = self._later(self._drop_next)
                else:
                    self._dropping = False
        elif self._may_drop and packet is not None:
            if not (self._ecn and owner.mark(packet)):
                owner.drop(packet)
                packet = self._take(queue, now)
            self._begin(now)
        return packet

    def _begin(self, now: float) -> None:
        self._dropping = True
        # A queue that grows again soon after begins near the rate that controlled it last.
        since = self._count - self._last_count
        recent = now - self._drop_next < 16.0 * self._interval
        self._count = since if since > 1 and recent else 1
        self._last_count = self._count
        self._drop_next = self._later(now)

    def _later(self, time: float) -> float:
        return time + self._interval / math.sqrt(float(self._count))

    def _take(self, queue: PacketQueue, now: float) -> Packet | None:
        self._may_drop = False
        packet = queue.pop()
        if packet is None or now - packet.queued_at < self._target or queue.size <= _ONE_PACKET:
            self._first_above_time = 0.0
        elif self._first_above_time == 0.0:
            self._first_above_time = now + self._interval
        else:
            self._may_drop = now >= self._first_above_time
        return packet


@final
class _CoDelLine(QueueDiscipline):
    def __init__(self, profile: CoDel) -> None:
        super().__init__()
        self._packets = profile.packets
        self._law = _ControlLaw(profile.target, profile.interval, profile.ecn)

    def enqueue(self, packet: Packet, now: float) -> None:
        if len(self.waiting) >= self._packets:
            self.drop(packet)
        else:
            self.waiting.push(packet, now)

    def dequeue(self, now: float) -> Packet | None:
        return self._law.dequeue(self.waiting, self, now)


@final
class _Flow:
    def __init__(self, profile: FqCoDel) -> None:
        self.queue = PacketQueue()
        self.law = _ControlLaw(profile.target, profile.interval, profile.ecn)
        self.credit = 0
        self.listed = False


@final
class _FairQueues(QueueDiscipline):
    def __init__(self, profile: FqCoDel) -> None:
        super().__init__()
        self._profile = profile
        self._flows: dict[int, _Flow] = {}
        self._new: deque[_Flow] = deque()
        self._old: deque[_Flow] = deque()
        self._length = 0
        self._size = 0

    def length(self) -> int:
        return self._length

    def size(self) -> int:
        return self._size

    def enqueue(self, packet: Packet, now: float) -> None:
        flow = self._flow_of(packet)
        flow.queue.push(packet, now)
        if not flow.listed:
            flow.listed = True
            flow.credit = self._profile.quantum
            self._new.append(flow)
        self._length += 1
        self._size += packet.size
        if self._length > self._profile.packets:
            self._shorten_the_longest()

    def dequeue(self, now: float) -> Packet | None:
        while self._new or self._old:
            is_new = len(self._new) > 0
            flow = self._new[0] if is_new else self._old[0]
            if flow.credit <= 0:
                flow.credit += self._profile.quantum
                self._unlist(is_new)
                self._old.append(flow)
                continue
            length, size = len(flow.queue), flow.queue.size
            packet = flow.law.dequeue(flow.queue, self, now)
            self._length -= length - len(flow.queue)
            self._size -= size - flow.queue.size
            if packet is None:
                self._unlist(is_new)
                # RFC 8290 4.2: otherwise a flow could go first again and again.
                if is_new:
                    self._old.append(flow)
                else:
                    flow.listed = False
                continue
            flow.credit -= packet.size
            return packet
        return None

    def _unlist(self, is_new: bool) -> None:
        if is_new:
            self._new.popleft()
        else:
            self._old.popleft()

    def _flow_of(self, packet: Packet) -> _Flow:
        # Not hash(): that of a text differs from one process to the next.
        number = zlib.crc32(f"{packet.source}>{packet.destination}".encode()) % self._profile.flows
        flow = self._flows.get(number)
        if flow is None:
            flow = self._flows[number] = _Flow(self._profile)
        return flow

    def _shorten_the_longest(self) -> None:
        longest: _Flow | None = None
        for flow in self._flows.values():
            if longest is None or flow.queue.size > longest.queue.size:
                longest = flow
        if longest is None:
            return
        enough = longest.queue.size // 2
        for _ in range(_DROP_BATCH):
            packet = longest.queue.pop()
            if packet is None:
                return
            self._length -= 1
            self._size -= packet.size
            self.drop(packet)
            if longest.queue.size <= enough:
                return
