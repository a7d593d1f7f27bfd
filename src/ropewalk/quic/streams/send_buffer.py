"""What one stream still has to send, or must be able to send again."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from ropewalk.quic.streams.chunks import ChunkQueue
from ropewalk.quic.streams.ranges import RangeSet


@final
class SendBuffer:
    """Bytes from the first unacknowledged one to the last one written.

    Every byte is in one of four conditions: not sent yet (from ``sent`` on), in flight,
    lost (and waiting to be sent again), acknowledged. Acknowledged bytes leave from the
    front; those acknowledged out of order wait in a range set until the front reaches them.
    """

    def __init__(self) -> None:
        self.chunks = ChunkQueue()
        #: the offset of the first byte that was never sent
        self.sent: i64 = 0
        self.lost = RangeSet()
        self._acked = RangeSet()

    def write(self, data: bytes) -> None:
        """Add bytes at the end; they are kept by reference."""
        self.chunks.append(data)

    def held(self) -> i64:
        """Bytes that are unsent or not known to have arrived, released from the front only."""
        return self.chunks.end - self.chunks.start

    def unsent(self) -> i64:
        """Bytes never sent."""
        return self.chunks.end - self.sent

    def all_acked(self) -> bool:
        """Whether everything that was written has arrived."""
        return self.chunks.start == self.chunks.end

    def data(self, offset: i64, length: i64) -> bytes:
        """Bytes to put into a frame."""
        return self.chunks.slice(offset, length)

    def on_acked(self, offset: i64, length: i64) -> None:
        """A frame with these bytes arrived. Saying so twice does no harm."""
        end: i64 = offset + length
        chunks = self.chunks
        start: i64 = chunks.start
        if end <= start:
            return
        if self.lost.total > 0:
            # Late news of bytes thought lost: they need not be sent again.
            self.lost.remove(offset, end)
        acked = self._acked
        if offset <= start:
            if acked.total > 0:
                acked.remove(0, end)
                if acked.total > 0 and acked.start(0) == end:
                    end = acked.end(0)
                    acked.remove(0, end)
            chunks.release(end)
        else:
            acked.add(offset, end)

    def on_lost(self, offset: i64, length: i64) -> None:
        """A frame with these bytes was lost. What another copy delivered is not sent again."""
        start: i64 = max(offset, self.chunks.start)
        end: i64 = offset + length
        if start >= end:
            return
        lost = self.lost
        lost.add(start, end)
        acked = self._acked
        if acked.total > 0:
            index: i64 = acked.find(start)
            while index < acked.count() and acked.start(index) < end:
                lost.remove(acked.start(index), acked.end(index))
                index += 1

    def clear(self) -> None:
        """Drop all bytes: the stream was reset, nothing is sent again."""
        self.chunks.clear()
        self.lost.clear()
        self._acked.clear()
