"""Where packets wait for a link: the interface of queue disciplines, and the simple ones.

A profile (frozen, shared) builds a discipline (one for each link). A link asks its
discipline for the next packet at the moment it can be sent, so that a discipline may decide
by how long the packet has waited.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from mypy_extensions import mypyc_attr

from ropewalk.quic.types.datagrams import ECN_CE, ECN_NOT_ECT
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.element import Packet


@final
class PacketQueue:
    """Packets in the order of their arrival, and their bytes on the wire."""

    def __init__(self) -> None:
        self.size = 0
        self._packets: deque[Packet] = deque()

    def __len__(self) -> int:
        return len(self._packets)

    def push(self, packet: Packet, now: float) -> None:
        """Add a packet at the end."""
        packet.queued_at = now
        self.size += packet.size
        self._packets.append(packet)

    def pop(self) -> Packet | None:
        """Take the packet that has waited longest, if there is one."""
        if not self._packets:
            return None
        packet = self._packets.popleft()
        self.size -= packet.size
        return packet

    def first_size(self) -> int:
        """Bytes on the wire of the packet that has waited longest; 0 when there is none."""
        return self._packets[0].size if self._packets else 0

    def delay(self, now: float) -> float:
        """How long the first packet has waited; 0 when there is none."""
        return now - self._packets[0].queued_at if self._packets else 0.0


@mypyc_attr(allow_interpreted_subclasses=True)
class QueueDiscipline:
    """The queue before a link. A subclass overrides :meth:`enqueue`, :meth:`dequeue` or
    both; one that needs more than the one ``waiting`` line also overrides :meth:`length`
    and :meth:`size`.
    """

    def __init__(self) -> None:
        self.waiting = PacketQueue()
        #: packets that were dropped, and those that were marked Congestion Experienced
        self.dropped = 0
        self.marked = 0

    def enqueue(self, packet: Packet, now: float) -> None:
        """A packet arrives: keep it, or :meth:`drop` it."""
        self.waiting.push(packet, now)

    def dequeue(self, now: float) -> Packet | None:
        """The packet to send now. None: nothing waits."""
        return self.waiting.pop()

    def length(self) -> int:
        """Packets that wait."""
        return len(self.waiting)

    def size(self) -> int:
        """Bytes on the wire of the packets that wait."""
        return self.waiting.size

    @final
    def drop(self, packet: Packet) -> None:
        """Let go of a packet that is not (or no longer) in the queue."""
        self.dropped += 1

    @final
    def mark(self, packet: Packet) -> bool:
        """Set Congestion Experienced. False: the packet's flow does not understand it
        (RFC 3168 5), so that it has to be dropped instead."""
        if packet.ecn == ECN_NOT_ECT:
            return False
        packet.ecn = ECN_CE
        self.marked += 1
        return True


@mypyc_attr(allow_interpreted_subclasses=True)
class QueueProfile:
    """What a :class:`~ropewalk.sim.link.LinkProfile` says about its queue."""

    def build(self, source: random.Random) -> QueueDiscipline:
        """A new discipline; chances come from ``source``, which belongs to it alone."""
        raise NotImplementedError


@final
@dataclass(frozen=True)
class OwnQueue(QueueProfile):
    """A discipline of your own: ``make`` is its class, or anything that makes one."""

    make: Callable[[], QueueDiscipline]

    def build(self, source: random.Random) -> QueueDiscipline:
        """What ``make`` makes."""
        return self.make()


@final
@dataclass(frozen=True, kw_only=True)
class DropTail(QueueProfile):
    """First in, first out. Who finds it full is dropped.

    ``packets`` and ``size`` (bytes on the wire) bound what waits; the packet on the wire
    counts, except on a link driven by a trace.
    """

    packets: int = 1000
    size: int = 1 << 40

    def __post_init__(self) -> None:
        if self.packets < 1 or self.size < 1:
            raise ConfigurationError("a drop-tail queue holds at least 1 packet and 1 byte")

    def build(self, source: random.Random) -> QueueDiscipline:
        """A line with these bounds."""
        return _BoundedLine(self)


@final
class _BoundedLine(QueueDiscipline):
    def __init__(self, profile: DropTail) -> None:
        super().__init__()
        self._profile = profile

    def enqueue(self, packet: Packet, now: float) -> None:
        waiting = self.waiting
        if len(waiting) >= self._profile.packets or waiting.size + packet.size > self._profile.size:
            self.drop(packet)
        else:
            waiting.push(packet, now)


@final
@dataclass(frozen=True, kw_only=True)
class EcnThreshold(QueueProfile):
    """A drop-tail queue that marks by its length at arrival.

    Nothing is marked up to ``low`` packets, everything from ``high`` on; between them the
    chance rises linearly to ``top`` as in RED on the momentary queue (Floyd and Jacobson
    1993). ``high = low`` is the step of data centres (RFC 8257 3.1). Packets of flows
    without ECN only meet the end of the queue, unless ``drop`` is set.
    """

    low: int
    high: int
    top: float = 1.0
    drop: bool = False
    packets: int = 1000

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= self.packets:
            raise ConfigurationError("an ECN threshold needs 0 <= low <= high <= packets")
        if not 0.0 < self.top <= 1.0:
            raise ConfigurationError("an ECN threshold's top must lie above 0 and up to 1")

    def build(self, source: random.Random) -> QueueDiscipline:
        """A line that marks."""
        return _MarkingLine(self, source)


@final
class _MarkingLine(QueueDiscipline):
    def __init__(self, profile: EcnThreshold, source: random.Random) -> None:
        super().__init__()
        self._profile = profile
        self._source = source

    def enqueue(self, packet: Packet, now: float) -> None:
        profile = self._profile
        length = len(self.waiting)
        draw = self._source.random()
        if length >= profile.packets:
            self.drop(packet)
            return
        if length >= profile.high:
            chosen = True
        elif length > profile.low:
            share = (length - profile.low) / (profile.high - profile.low)
            chosen = draw < profile.top * share
        else:
            chosen = False
        if chosen and not self.mark(packet) and profile.drop:
            self.drop(packet)
            return
        self.waiting.push(packet, now)
