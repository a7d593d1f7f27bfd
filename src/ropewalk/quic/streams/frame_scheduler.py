"""Decides which stream sends next, and writes the STREAM frames."""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

from ropewalk.quic.recovery.sent_packet import TOKEN_STREAM, TOKEN_STREAM_FIN, SentPacket
from ropewalk.quic.streams.control_frames import ControlFrames
from ropewalk.quic.streams.flow_control import SendCredit
from ropewalk.quic.streams.queues import StreamQueue, UrgencyQueues
from ropewalk.quic.streams.send_stream import (
    DATA_SENT,
    READY,
    SENT_FIN,
    SENT_FRAME,
    Link,
    SendStream,
)
from ropewalk.quic.wire.varint import varint_size
from ropewalk.quic.wire.writers import write_stream_header

#: Bytes that a stream may send before others of its urgency have their turn. One packet's
#: worth: a loss then hurts one stream, and who got only a packet's rest keeps the turn.
_TURN: Final = 1000

#: A packet with less room than this after a frame counts as full: another header and a crumb
#: of data are not worth the work on either side.
_WORTHWHILE: Final = 32


@final
class FrameScheduler:
    """All streams that have something to send, in the order in which they send it.

    What needs no connection credit comes first: lost data and a FIN without data. New data
    follows by urgency, round-robin among the incremental streams of one urgency (RFC 9218);
    a stream that is not incremental keeps its place until it has nothing ready.
    """

    def __init__(self, credit: SendCredit, control: ControlFrames) -> None:
        self._credit = credit
        self._control = control
        self._again = StreamQueue()
        self._new = UrgencyQueues()
        #: bytes that stream credit allows to send, and bytes to be sent again
        self.ready: i64 = 0
        self.lost: i64 = 0

    def pending(self) -> bool:
        """Whether :meth:`write` would write anything."""
        if self._again.head is not None:
            return True
        return self.ready > 0 and self._credit.left() > 0

    def sendable(self) -> i64:
        """Bytes of stream data that could be sent now, windows of the path aside."""
        return self.lost + max(0, min(self.ready, self._credit.left()))

    def update(self, stream: SendStream) -> None:
        """A stream's buffer, credit or state changed: queue it where it belongs now."""
        buffer = stream.buffer
        ready: i64 = 0
        lost: i64 = 0
        again = False
        if stream.state <= DATA_SENT:
            unsent: i64 = buffer.unsent()
            if unsent > 0:
                ready = min(unsent, stream.max_data - buffer.sent)
                if ready <= 0:
                    ready = 0
                    self._note_stream_blocked(stream)
            lost = buffer.lost.total
            again = lost > 0 or (stream.fin_due and unsent == 0)
        self.ready += ready - stream.ready
        stream.ready = ready
        self.lost += lost - stream.lost
        stream.lost = lost
        link = stream.new_link
        if ready > 0:
            if not link.queued:
                stream.turn = 0
                self._new.append(link, stream.urgency)
            if self._credit.left() <= 0:
                self._credit.note_blocked()
        elif link.queued:
            self._new.remove(link, stream.urgency)
        link = stream.again_link
        if again:
            if not link.queued:
                self._again.append(link)
        elif link.queued:
            self._again.remove(link)

    def prioritise(self, stream: SendStream, urgency: i64, incremental: bool) -> None:
        """Move a stream to another urgency."""
        stream.incremental = incremental
        if stream.urgency == urgency:
            return
        queued = stream.new_link.queued
        if queued:
            self._new.remove(stream.new_link, stream.urgency)
        stream.urgency = urgency
        if queued:
            self._new.append(stream.new_link, urgency)

    def forget(self, stream: SendStream) -> None:
        """A stream is done. Its links let go of it, so that no reference cycle is left."""
        self.update(stream)
        stream.new_link.stream = None
        stream.again_link.stream = None

    def write(self, writer: BytesWriter, room: i64, slot: SentPacket) -> None:
        """Fill the packet with STREAM frames and enter them into the slot.

        ``room`` is the length that the writer may reach, and the end of the packet: a frame
        that gets there has no length.
        """
        while True:
            link = self._again.head
            if link is not None:
                if not self._write_again(link, writer, room, slot):
                    return
            else:
                credit: i64 = self._credit.left()
                if self.ready == 0 or credit <= 0:
                    return
                link = self._new.head()
                if link is None or not self._write_new(link, writer, room, slot, credit):
                    return
            if room - len(writer) < _WORTHWHILE:
                return

    def _write_new(
        self, link: Link, writer: BytesWriter, room: i64, slot: SentPacket, credit: i64
    ) -> bool:
        """One frame of data never sent before. False when it does not fit."""
        stream = link.stream
        if stream is None:
            return False
        buffer = stream.buffer
        offset: i64 = buffer.sent
        size: i64 = _write_frame(stream, writer, room, slot, offset, min(stream.ready, credit))
        if size < 0:
            return False
        buffer.sent = offset + size
        stream.ready -= size
        self.ready -= size
        self._credit.used += size
        stream.turn += size
        if stream.fin_due and offset + size == stream.final_size:
            stream.fin_due = False
            stream.move(SENT_FIN)
        elif stream.state == READY:
            stream.move(SENT_FRAME)
        if stream.ready == 0:
            self._new.remove(link, stream.urgency)
            if buffer.unsent() > 0:
                self._note_stream_blocked(stream)
        elif stream.turn >= _TURN and stream.incremental:
            stream.turn = 0
            self._new.rotate(link, stream.urgency)
        if credit == size and self.ready > 0:
            self._credit.note_blocked()
        return True

    def _write_again(self, link: Link, writer: BytesWriter, room: i64, slot: SentPacket) -> bool:
        """One frame of lost data, or a bare FIN. False when it does not fit."""
        stream = link.stream
        if stream is None:
            return False
        lost = stream.buffer.lost
        offset: i64 = stream.final_size
        size: i64 = 0
        if lost.total > 0:
            offset = lost.start(0)
            size = lost.end(0) - offset
        size = _write_frame(stream, writer, room, slot, offset, size)
        if size < 0:
            return False
        lost.remove(offset, offset + size)
        if stream.fin_due and offset + size == stream.final_size:
            stream.fin_due = False
            stream.move(SENT_FIN)
        self.update(stream)
        if link.queued:
            self._again.rotate(link)
        return True

    def _note_stream_blocked(self, stream: SendStream) -> None:
        """RFC 9000 4.1: tell the peer once for each limit that holds data back."""
        if stream.blocked_at != stream.max_data:
            stream.blocked_at = stream.max_data
            stream.blocked_due = True
            self._control.queue_sending(stream)


def _write_frame(
    stream: SendStream,
    writer: BytesWriter,
    room: i64,
    slot: SentPacket,
    offset: i64,
    wanted: i64,
) -> i64:
    """Write one STREAM frame of at most ``wanted`` bytes; returns how many, -1 for no frame.

    It carries FIN whenever it reaches the final size, whether or not FIN was sent before.
    """
    stream_id: i64 = stream.stream_id
    left: i64 = room - len(writer) - 1 - varint_size(stream_id)
    if offset > 0:
        left -= varint_size(offset)
    size: i64 = wanted
    length: i64 = -1
    if size > left:
        size = left
        if size <= 0:
            return -1
    else:
        left -= size
        if left >= varint_size(size):
            length = size
        else:
            # The length field no longer fits. PADDING before the frame takes up the byte
            # or so that is left over, and the frame reaches to the end of the packet.
            while left > 0:
                writer.append(u8(0))
                left -= 1
    fin = offset + size == stream.final_size
    write_stream_header(writer, stream_id, offset, length, fin)
    if size > 0:
        writer.write(stream.buffer.data(offset, size))
    if slot.stream_id < 0:
        slot.stream_id = stream_id
        slot.stream_offset = offset
        slot.stream_length = size
        slot.stream_fin = fin
    else:
        slot.add_token(TOKEN_STREAM_FIN if fin else TOKEN_STREAM, stream_id, offset, size)
    return size
