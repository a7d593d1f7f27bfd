"""One direction of a simulated wire, with everything that networks do to packets."""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass
from typing import final

from ropewalk.quic.types.errors import ConfigurationError

#: Bytes of an IPv4 and a UDP header: they take time on the wire but are not UDP payload.
HEADER_BYTES = 28


@dataclass(frozen=True, kw_only=True)
class LinkProfile:
    """What a link is like. Times in seconds, sizes in bytes, chances from 0 to 1.

    A packet waits in a drop-tail queue of ``queue_packets`` (the one on the wire counts),
    leaves at ``rate`` bytes per second, and arrives ``delay`` later. ``jitter`` adds up to
    that much again without reordering; ``reordering`` is the chance of being held back for
    ``reordering_delay`` so that later packets overtake. ``mtu`` is the largest UDP payload;
    larger ones vanish, as they do where ICMP is filtered.
    """

    rate: float = math.inf
    delay: float = 0.0
    queue_packets: int = 1000
    loss: float = 0.0
    reordering: float = 0.0
    reordering_delay: float = 0.002
    duplication: float = 0.0
    corruption: float = 0.0
    jitter: float = 0.0
    mtu: int = 65507

    def __post_init__(self) -> None:
        for name in ("loss", "reordering", "duplication", "corruption"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigurationError(f"link {name} must lie between 0 and 1")
        for name in ("delay", "reordering_delay", "jitter"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigurationError(f"link {name} must be a time in seconds, 0 or more")
        if not self.rate > 0.0:
            raise ConfigurationError("link rate must be positive (bytes per second)")
        if self.queue_packets < 1 or self.mtu < 1:
            raise ConfigurationError("link queue_packets and mtu must be at least 1")


@final
class Arrival:
    """A datagram as the far end will get it."""

    __slots__ = ("data", "ecn", "time")

    def __init__(self, time: float, data: bytes, ecn: int) -> None:
        self.time = time
        self.data = data
        self.ecn = ecn


@final
class LinkCounters:
    """What became of the datagrams: offered = delivered - duplicated + all the dropped ones."""

    def __init__(self) -> None:
        self.offered = 0
        self.offered_bytes = 0
        self.delivered = 0
        self.delivered_bytes = 0
        self.dropped_queue = 0
        self.dropped_loss = 0
        self.dropped_mtu = 0
        self.dropped_down = 0
        self.reordered = 0
        self.duplicated = 0
        self.corrupted = 0
        self.largest_queue = 0


@final
class Link:
    """A unidirectional link. It holds no clock: what arrives when is known at once.

    Every decision comes from ``random.Random(seed)``, and each datagram draws the same
    number of times whatever happens to it, so that changing one chance leaves the other
    decisions alone.
    """

    def __init__(self, profile: LinkProfile, seed: int | str) -> None:
        self.profile = profile
        self.up = True
        self.counters = LinkCounters()
        self._random = random.Random(seed)  # noqa: S311 - it has to repeat
        self._free_at = 0.0
        self._latest = 0.0
        self._departures: deque[float] = deque()

    def queue_length(self, now: float) -> int:
        """Packets that wait or are being sent."""
        departures = self._departures
        while departures and departures[0] <= now:
            departures.popleft()
        return len(departures)

    def set_profile(self, profile: LinkProfile) -> None:
        """Become another kind of link; what is already on its way is not touched."""
        self.profile = profile

    def send(self, data: bytes, ecn: int, now: float) -> list[Arrival]:
        """Put one datagram on the link. Returns what will arrive: nothing, it, or it twice."""
        profile = self.profile
        counters = self.counters
        counters.offered += 1
        counters.offered_bytes += len(data)
        draw = self._random.random
        lost = draw() < profile.loss
        held_back = draw() < profile.reordering
        twice = draw() < profile.duplication
        damaged = draw() < profile.corruption
        jitter = draw() * profile.jitter
        where, how = draw(), draw()
        if not self.up:
            counters.dropped_down += 1
            return []
        if len(data) > profile.mtu:
            counters.dropped_mtu += 1
            return []
        waiting = self.queue_length(now)
        if waiting >= profile.queue_packets:
            counters.dropped_queue += 1
            return []
        counters.largest_queue = max(counters.largest_queue, waiting + 1)
        departure = max(now, self._free_at) + (len(data) + HEADER_BYTES) / profile.rate
        self._free_at = departure
        if departure > now:
            self._departures.append(departure)
        # A lost packet took its place in the queue and its time on the wire first.
        if lost:
            counters.dropped_loss += 1
            return []
        if damaged:
            counters.corrupted += 1
            data = _damage(data, where, how)
        # Jitter delays what follows too: only `reordering` lets packets overtake.
        time = max(departure + profile.delay + jitter, self._latest)
        if held_back:
            counters.reordered += 1
            time += profile.reordering_delay
        else:
            self._latest = time
        arrivals = [Arrival(time, data, ecn)]
        if twice:
            counters.duplicated += 1
            arrivals.append(Arrival(time, data, ecn))
        counters.delivered += len(arrivals)
        counters.delivered_bytes += len(arrivals) * len(data)
        return arrivals


def _damage(data: bytes, where: float, how: float) -> bytes:
    """Flip one to eight bits of one byte, or cut the datagram short (one time in eight)."""
    if not data:
        return data
    position = int(where * len(data))
    if how < 0.125:
        return data[:position]
    flip = 1 + int((how - 0.125) / 0.875 * 255)
    return data[:position] + bytes([data[position] ^ flip]) + data[position + 1 :]
