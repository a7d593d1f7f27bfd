"""Queues for unreliable datagrams (RFC 9221)."""

from __future__ import annotations

from math import inf
from typing import final

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

from ropewalk.quic.recovery.sent_packet import TOKEN_DATAGRAM, SentPacket
from ropewalk.quic.types.errors import Error
from ropewalk.quic.types.events import DatagramsReadable, Event
from ropewalk.quic.wire.writers import datagram_size, write_datagram


class DatagramTooLarge(Error):
    """A datagram does not fit into one packet on this connection now.

    ``size`` is the datagram's, ``maximum`` what would fit (0: the peer takes none).
    """

    def __init__(self, size: int, maximum: int) -> None:
        super().__init__(size, maximum)
        self.size = size
        self.maximum = maximum

    def __str__(self) -> str:
        if self.maximum <= 0:
            return "the peer does not accept datagrams; use a stream"
        return f"a datagram of {self.size} bytes exceeds the {self.maximum} that fit; split it"


@final
class _Flow:
    """The datagrams of one flow, oldest first, each with its deadline."""

    def __init__(self, flow: int) -> None:
        self.flow = flow
        self.waiting: list[bytes] = []
        self.deadlines: list[float] = []
        self.head: i64 = 0

    def pop(self) -> None:
        """Drop the oldest."""
        head: i64 = self.head
        self.waiting[head] = b""
        head += 1
        if head >= 64 and head * 2 >= len(self.waiting):
            del self.waiting[:head]
            del self.deadlines[:head]
            head = 0
        self.head = head


@final
class DatagramQueues:
    """Datagrams to send and datagrams to read, at most ``limit`` of each.

    Flows are numbers of the application's choice; they take turns, so that a busy one does
    not hold up the others. Within a flow order is kept. What is dropped is counted by its
    reason and never sent again.
    """

    def __init__(self, limit: int, events: list[Event]) -> None:
        self._limit: i64 = limit
        self._events = events
        self._flows: dict[int, _Flow] = {}
        #: flows with something to send, whose turn it is first; rotated in place
        self._turns: list[_Flow] = []
        self._turn: i64 = 0
        self._received: list[bytes] = []
        self.queued: i64 = 0
        self.queued_bytes: i64 = 0
        #: sent = acked + lost + still in flight
        self.sent: i64 = 0
        self.acked: i64 = 0
        self.lost: i64 = 0
        self.received: i64 = 0
        self.dropped_full: i64 = 0
        self.dropped_expired: i64 = 0
        self.dropped_too_large: i64 = 0
        self.dropped_unread: i64 = 0

    # -- sending

    def send(self, datagrams: list[bytes], flow: int, deadline: float, max_size: i64) -> int:
        """Queue datagrams; returns how many, from the first on, found room.

        Those that did not count as ``dropped_full``. ``deadline`` is the time in seconds
        after which they are worthless. Raises ``DatagramTooLarge``, with nothing queued,
        when one exceeds ``max_size``.
        """
        for data in datagrams:
            if len(data) > max_size or max_size <= 0:
                raise DatagramTooLarge(len(data), int(max_size))
        accepted: i64 = min(len(datagrams), self._limit - self.queued)
        self.dropped_full += len(datagrams) - accepted
        if accepted <= 0:
            return 0
        queue = self._flows.get(flow)
        if queue is None:
            queue = _Flow(flow)
            self._flows[flow] = queue
            self._turns.append(queue)
        index: i64 = 0
        while index < accepted:
            data = datagrams[index]
            queue.waiting.append(data)
            queue.deadlines.append(deadline)
            self.queued_bytes += len(data)
            index += 1
        self.queued += accepted
        return int(accepted)

    def has_pending(self) -> bool:
        """Whether anything waits to be sent."""
        return self.queued > 0

    def nearest_deadline(self) -> float:
        """The earliest deadline among the flows' next datagrams; inf when nothing waits."""
        earliest = inf
        if self.queued > 0:
            for flow in self._turns:
                earliest = min(earliest, flow.deadlines[flow.head])
        return earliest

    def write_frames(self, writer: BytesWriter, room: i64, slot: SentPacket, now: float) -> None:
        """Write as many DATAGRAM frames as fit until the writer's length reaches ``room``, the
        end of the packet.

        One that fills the packet has no length field, so nothing may follow after a call
        that left no room. They share one token. Dropped instead of sent is what is past its
        deadline, and what does not even fit into a packet of its own because the path
        carries less than before; so nothing at all may be written.
        """
        count: i64 = 0
        while self.queued > 0:
            flow = self._next_flow()
            data = flow.waiting[flow.head]
            if flow.deadlines[flow.head] < now:
                self.dropped_expired += 1
            elif _write_frame(writer, room - len(writer), data):
                count += 1
            elif len(writer) == 0:
                self.dropped_too_large += 1
            else:
                break
            self.queued -= 1
            self.queued_bytes -= len(data)
            flow.pop()
            if flow.head == len(flow.waiting):
                self._end_flow(flow)
            else:
                self._turn += 1
        if count > 0:
            self.sent += count
            slot.add_token(TOKEN_DATAGRAM, count)

    def on_acked(self, count: i64) -> None:
        """A packet with ``count`` datagrams arrived."""
        self.acked += count

    def on_lost(self, count: i64) -> None:
        """A packet with ``count`` datagrams was lost; they are not sent again."""
        self.lost += count

    # -- receiving

    def on_received(self, data: bytes) -> None:
        """A DATAGRAM frame. The newest is dropped when nobody reads."""
        waiting: i64 = len(self._received)
        if waiting >= self._limit:
            self.dropped_unread += 1
            return
        self.received += 1
        self._received.append(data)
        if waiting == 0:
            self._events.append(DatagramsReadable())

    def receive(self, limit: int) -> list[bytes]:
        """Remove and return at most ``limit`` datagrams, oldest first."""
        taken = self._received[:limit]
        del self._received[:limit]
        return taken

    # -- within

    def _next_flow(self) -> _Flow:
        if self._turn >= len(self._turns):
            self._turn = 0
        return self._turns[self._turn]

    def _end_flow(self, flow: _Flow) -> None:
        """The flow whose turn it is has nothing left: it leaves the round."""
        del self._turns[self._turn]
        del self._flows[flow.flow]


def _write_frame(writer: BytesWriter, room: i64, data: bytes) -> bool:
    """Write one frame if it fits, with a length unless it fills the room exactly."""
    size: i64 = len(data)
    spare: i64 = room - datagram_size(size, False)
    if spare < 0:
        return False
    if room >= datagram_size(size, True):
        write_datagram(writer, data, True)
        return True
    # No room for the length field: PADDING before the frame takes up what is left over.
    while spare > 0:
        writer.append(u8(0))
        spare -= 1
    write_datagram(writer, data, False)
    return True
