"""One direction of a simulated wire, with everything that networks do to packets."""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass
from typing import final

from mypy_extensions import i64

from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.clock import Occurrence
from ropewalk.sim.element import HEADER_BYTES, Element, Packet
from ropewalk.sim.fate import Fate, Fates
from ropewalk.sim.loss import LossModel, LossProcess
from ropewalk.sim.queues import DropTail, QueueDiscipline, QueueProfile
from ropewalk.sim.rate_trace import TUN_BYTES, Opportunities, RateTrace

__all__ = ["HEADER_BYTES", "Arrival", "Handovers", "Link", "LinkCounters", "LinkProfile"]


@final
@dataclass(frozen=True, kw_only=True)
class Handovers:
    """A link that is handed from one station to the next every ``period`` seconds.

    For ``gap`` seconds after each handover nothing is sent; what arrives waits in the queue.
    Up to the next one the delay is longer by a constant drawn from 0 to ``delay_spread``.
    """

    period: float
    gap: float = 0.0
    delay_spread: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.gap < self.period < math.inf:
            raise ConfigurationError("link handovers need 0 <= gap < period (seconds)")
        if not 0.0 <= self.delay_spread < math.inf:
            raise ConfigurationError("link handovers need a delay_spread of 0 seconds or more")


@dataclass(frozen=True, kw_only=True)
class LinkProfile:
    """What a link is like. Times in seconds, sizes in bytes, chances from 0 to 1.

    A packet waits in a queue, leaves at ``rate`` bytes per second, and arrives ``delay``
    later. The queue is drop-tail of ``queue_packets`` (the one on the wire counts) unless
    ``queue`` says otherwise; ``trace`` replaces the rate by recorded opportunities.
    ``aggregation`` collects what leaves within each such slot and sends it at the slot's end.

    ``loss`` is the chance of each packet to vanish on the wire, independent of all others;
    ``loss_model`` comes on top. ``jitter`` adds up to that much delay without reordering;
    ``reordering`` is the chance of being held back for ``reordering_delay`` so that later
    packets overtake. ``mtu`` is the largest UDP payload; larger ones vanish, as they do where
    ICMP is filtered. ``outages`` are spans of virtual time, in order, in which the link is
    down. ``handovers`` change the delay in steps.
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
    queue: QueueProfile | None = None
    loss_model: LossModel | None = None
    trace: RateTrace | None = None
    aggregation: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()
    handovers: Handovers | None = None

    def __post_init__(self) -> None:
        for name in ("loss", "reordering", "duplication", "corruption"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigurationError(f"link {name} must lie between 0 and 1")
        for name in ("delay", "reordering_delay", "jitter", "aggregation"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigurationError(f"link {name} must be a time in seconds, 0 or more")
        if not self.rate > 0.0:
            raise ConfigurationError("link rate must be positive (bytes per second)")
        if self.queue_packets < 1 or self.mtu < 1:
            raise ConfigurationError("link queue_packets and mtu must be at least 1")
        if self.trace is not None and self.rate != math.inf:
            raise ConfigurationError("link trace takes the place of the rate: give one of them")
        if self.trace is not None and self.handovers is not None:
            raise ConfigurationError("a link trace has its own gaps: give no handovers with it")
        before = -math.inf
        for start, end in self.outages:
            if not before <= start < end:
                raise ConfigurationError("link outages are spans (start, end) in order")
            before = end


@final
class Arrival:
    """A datagram as the far end will get it."""

    def __init__(self, time: float, data: bytes, ecn: int) -> None:
        self.time = time
        self.data = data
        self.ecn = ecn


@final
class LinkCounters:
    """What became of the packets. At any time offered + duplicated = delivered + the dropped
    ones + in transit. Bytes are those of the UDP payloads."""

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
        #: set to Congestion Experienced by the queue
        self.marked = 0
        #: in the queue or on the wire
        self.in_transit = 0
        #: packets, the one on the wire included
        self.largest_queue = 0

    @property
    def dropped(self) -> int:
        """All the dropped ones."""
        return self.dropped_queue + self.dropped_loss + self.dropped_mtu + self.dropped_down


@final
class _Server(Occurrence):
    """The moment at which a link with a queue discipline can send again."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def happen(self) -> None:
        self._link.serve(self.when)


@final
class Link(Element):
    """A unidirectional link.

    Every decision comes from generators made of ``seed``, one for each purpose, and changing
    one chance leaves the other decisions alone.

    On a drop-tail queue it is known at once what arrives when: a packet costs one
    occurrence. With any other discipline, and with a trace, packets wait and are asked for
    one by one. A link that has once waited so goes on like this.
    """

    def __init__(self, profile: LinkProfile, seed: int | str) -> None:
        super().__init__()
        #: administratively: a link that is down drops what is offered, not what is under way
        self.up = True
        self.counters = LinkCounters()
        self._seed = seed
        self._fates = Fates(random.Random(seed))  # noqa: S311 - it has to repeat
        self._free_at = 0.0
        self._latest = 0.0
        #: when the packets that were given a time leave, and their bytes on the wire
        self._departures: deque[float] = deque()
        self._sizes: deque[int] = deque()
        self._size = 0
        self._server = _Server(self)
        self._queue: QueueDiscipline | None = None
        self._queue_dropped: i64 = 0
        self._queue_marked: i64 = 0
        self._opportunities: Opportunities | None = None
        self._cut: Packet | None = None
        self._cut_bytes_left: i64 = 0
        self._loss: LossProcess | None = None
        self._outage: i64 = 0
        self._station: i64 = 0
        self._station_delay = 0.0
        self.profile = profile
        self._adopt(None)

    # -- what it is like

    def set_profile(self, profile: LinkProfile) -> None:
        """Become another kind of link; what is already on its way is not touched, what waits
        in a queue discipline moves to the new one."""
        before = self.profile
        self.profile = profile
        self._adopt(before)

    def _adopt(self, before: LinkProfile | None) -> None:
        profile = self.profile
        self._outage = 0
        if before is None or before.loss_model != profile.loss_model:
            model = profile.loss_model
            self._loss = None if model is None else model.start(self._source("loss"))
        if before is None or before.trace != profile.trace:
            trace = profile.trace
            self._opportunities = None
            if trace is not None:
                self._opportunities = Opportunities(trace)
                self._opportunities.next_after(self.clock.now)  # those before are gone
        if before is None or before.handovers != profile.handovers:
            self._station = -1
            self._station_delay = 0.0
        if self._needs_queue(before):
            self._take_queue(profile.queue or DropTail(packets=profile.queue_packets))

    def _needs_queue(self, before: LinkProfile | None) -> bool:
        """Whether packets have to wait in a discipline that is yet to be made."""
        profile = self.profile
        if self._queue is None:
            plain = profile.queue is None or isinstance(profile.queue, DropTail)
            return not plain or profile.trace is not None
        return (
            before is None
            or before.queue != profile.queue
            or before.queue_packets != profile.queue_packets
        )

    def _take_queue(self, profile: QueueProfile) -> None:
        moving = [] if self._queue is None else self._drain(self._queue)
        self._queue = profile.build(self._source("queue"))
        self._queue_dropped = 0
        self._queue_marked = 0
        for packet in moving:
            self._queue.enqueue(packet, self.clock.now)
        self._count_queue(self._queue)

    def _drain(self, queue: QueueDiscipline) -> list[Packet]:
        packets: list[Packet] = []
        packet = queue.dequeue(self.clock.now)
        while packet is not None:
            packets.append(packet)
            packet = queue.dequeue(self.clock.now)
        self._count_queue(queue)
        return packets

    def _source(self, purpose: str) -> random.Random:
        return random.Random(f"{purpose}/{self._seed}")  # noqa: S311 - it has to repeat

    # -- what is in it

    def queue_length(self, now: float) -> int:
        """Packets that wait or are being sent."""
        self._forget_sent(now)
        length = len(self._departures)
        if self._queue is not None:
            length += self._queue.length()
        if self._cut is not None:
            length += 1
        return length

    def queue_bytes(self, now: float) -> int:
        """Bytes on the wire of the packets that wait or are being sent."""
        self._forget_sent(now)
        size = self._size
        if self._queue is not None:
            size += self._queue.size()
        if self._cut is not None:
            size += self._cut.size
        return size

    def _forget_sent(self, now: float) -> None:
        departures = self._departures
        while departures and departures[0] <= now:
            departures.popleft()
            self._size -= self._sizes.popleft()

    # -- the way through

    def accept(self, packet: Packet, now: float) -> None:
        """Take a packet to the far end, or lose it."""
        fate = self._offer(packet.data, now)
        if fate is None:
            return
        if self._queue is not None:
            packet.fate = fate
            self._wait(packet, now)
            return
        departure = self._line_up(packet.size, now)
        if departure >= 0.0:
            self._launch(packet, fate, departure)

    def release(self, packet: Packet, now: float) -> None:
        """A packet has reached the far end."""
        counters = self.counters
        counters.in_transit -= 1
        counters.delivered += 1
        counters.delivered_bytes += len(packet.data)
        packet.move_on(now)

    def send(self, data: bytes, ecn: int, now: float) -> list[Arrival]:
        """Put one datagram on a link that is on no route, and learn what will arrive:
        nothing, it, or it twice. It counts as delivered at once.

        Raises ``ConfigurationError`` for a link whose queue decides later.
        """
        if self._queue is not None:
            raise ConfigurationError("what such a queue lets through is not known beforehand")
        fate = self._offer(data, now)
        departure = -1.0 if fate is None else self._line_up(len(data) + HEADER_BYTES, now)
        if fate is None or departure < 0.0 or self._is_lost(fate):
            return []
        if fate.damaged:
            self.counters.corrupted += 1
            data = fate.damage(data)
        counters = self.counters
        arrivals = [Arrival(self._arrival_time(departure, fate), data, ecn)]
        if fate.twice:
            counters.duplicated += 1
            counters.in_transit += 1
            arrivals.append(Arrival(arrivals[0].time, data, ecn))
        counters.in_transit -= len(arrivals)
        counters.delivered += len(arrivals)
        counters.delivered_bytes += len(arrivals) * len(data)
        return arrivals

    def _offer(self, data: bytes, now: float) -> Fate | None:
        """Count a packet and draw its fate. None: the link does not take it."""
        profile = self.profile
        counters = self.counters
        counters.offered += 1
        counters.offered_bytes += len(data)
        fate = self._fates.draw(
            profile.loss,
            profile.reordering,
            profile.duplication,
            profile.corruption,
            profile.jitter,
        )
        if self._loss is not None and self._loss.lost(now, len(data) + HEADER_BYTES):
            fate.lost = True
        if not self.up or (profile.outages and self._is_out(now)):
            counters.dropped_down += 1
            return None
        if len(data) > profile.mtu:
            counters.dropped_mtu += 1
            return None
        counters.in_transit += 1
        return fate

    def _is_out(self, now: float) -> bool:
        outages = self.profile.outages
        while self._outage < len(outages) and outages[self._outage][1] <= now:
            self._outage += 1
        return self._outage < len(outages) and outages[self._outage][0] <= now

    def _line_up(self, size: int, now: float) -> float:
        """When a packet of the drop-tail queue will have left; -1: the queue is full."""
        profile = self.profile
        self._forget_sent(now)
        waiting = len(self._departures)
        queue = profile.queue
        if queue is None:
            full = waiting >= profile.queue_packets
        else:
            assert isinstance(queue, DropTail)
            full = waiting >= queue.packets or self._size + size > queue.size
        if full:
            self.counters.dropped_queue += 1
            self.counters.in_transit -= 1
            return -1.0
        if waiting >= self.counters.largest_queue:
            self.counters.largest_queue = waiting + 1
        return self._occupy(size, self._start(now), now)

    def _start(self, now: float) -> float:
        """When the next packet can begin to leave."""
        start = self._free_at if self._free_at > now else now
        handovers = self.profile.handovers
        if handovers is None:
            return start
        station = math.floor(start / handovers.period)
        if station != self._station:
            self._station = station
            # A generator for each station, so that silence does not change the next ones.
            spread = self._source(f"handover/{station}").random() * handovers.delay_spread
            self._station_delay = spread
        return max(start, station * handovers.period + handovers.gap)

    def _occupy(self, size: int, start: float, now: float) -> float:
        """Take the wire from ``start`` on for a packet. Returns when it has left."""
        departure = start + size / self.profile.rate
        self._free_at = departure
        if departure > now:
            self._departures.append(departure)
            self._sizes.append(size)
            self._size += size
        return departure

    def _launch(self, packet: Packet, fate: Fate, departure: float) -> None:
        """A packet has left, or will leave, the queue at the time ``departure``."""
        if self._is_lost(fate):
            return
        if fate.damaged:
            self.counters.corrupted += 1
            packet.data = fate.damage(packet.data)
        time = self._arrival_time(departure, fate)
        self.hold(packet, time)
        if fate.twice:
            self.counters.duplicated += 1
            self.counters.in_transit += 1
            self.hold(packet.twin(), time)

    def _is_lost(self, fate: Fate) -> bool:
        # A lost packet took its place in the queue and its time on the wire first.
        if fate.lost:
            self.counters.dropped_loss += 1
            self.counters.in_transit -= 1
        return fate.lost

    def _arrival_time(self, departure: float, fate: Fate) -> float:
        profile = self.profile
        if profile.aggregation > 0.0:
            departure = math.ceil(departure / profile.aggregation) * profile.aggregation
        # Jitter delays what follows too: only `reordering` lets packets overtake.
        time = departure + profile.delay + self._station_delay + fate.jitter
        if time < self._latest:
            time = self._latest
        if fate.held_back:
            self.counters.reordered += 1
            return time + profile.reordering_delay
        self._latest = time
        return time

    # -- with a queue discipline

    def _wait(self, packet: Packet, now: float) -> None:
        queue = self._queue
        assert queue is not None
        queue.enqueue(packet, now)
        self._count_queue(queue)
        length = self.queue_length(now)
        if length > self.counters.largest_queue:
            self.counters.largest_queue = length
        if not self._server.pending:
            if self._opportunities is not None:
                self.clock.schedule(self._server, self._opportunities.next_after(now))
            else:
                self.serve(now)

    def serve(self, now: float) -> None:
        """Send what may leave now, and plan the next time."""
        queue = self._queue
        assert queue is not None
        if self._opportunities is not None:
            self._serve_trace(queue, self._opportunities, now)
            return
        if self._cut is not None:  # the profile had a trace before
            self._launch_queued(self._cut, now)
            self._cut = None
        while queue.length():
            start = self._start(now)
            if start > now:
                self.clock.schedule(self._server, start)
                return
            packet = queue.dequeue(now)
            self._count_queue(queue)
            if packet is not None:
                self._launch_queued(packet, self._occupy(packet.size, start, now))

    def _serve_trace(
        self, queue: QueueDiscipline, opportunities: Opportunities, now: float
    ) -> None:
        budget: i64 = opportunities.take(now)
        while budget > 0:
            if self._cut is None:
                packet = queue.dequeue(now)
                self._count_queue(queue)
                if packet is None:
                    break
                self._cut = packet
                self._cut_bytes_left = packet.size + TUN_BYTES
            if budget < self._cut_bytes_left:
                self._cut_bytes_left -= budget
                break
            budget -= self._cut_bytes_left
            packet = self._cut
            self._cut = None
            self._launch_queued(packet, now)
        if self._cut is not None or queue.length():
            self.clock.schedule(self._server, opportunities.next_after(now))

    def _launch_queued(self, packet: Packet, departure: float) -> None:
        fate = packet.fate
        assert fate is not None
        self._launch(packet, fate, departure)

    def _count_queue(self, queue: QueueDiscipline) -> None:
        """Enter in the books what the discipline dropped and marked since the last time."""
        counters = self.counters
        dropped = queue.dropped - self._queue_dropped
        if dropped:
            self._queue_dropped += dropped
            counters.dropped_queue += dropped
            counters.in_transit -= dropped
        marked = queue.marked - self._queue_marked
        if marked:
            self._queue_marked += marked
            counters.marked += marked
