"""Puts the pieces of a stream into order as they arrive."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from ropewalk.quic.streams.chunks import MERGED_PIECE, SMALL_PIECE, ChunkQueue


@final
class ReceiveBuffer:
    """Bytes that have arrived and were not read, in order and out of order.

    The in-order part is ``start`` to ``end`` of ``ready``. Pieces beyond a gap are kept
    sorted, disjoint, and merged while small, so that their number is bounded by gaps plus a
    fraction of the bytes; whoever owns the buffer limits it by looking at
    :meth:`piece_count` (RFC 9000 21.6).
    """

    def __init__(self) -> None:
        self.ready = ChunkQueue()
        self._starts: list[int] = []
        self._pieces: list[bytes] = []

    def available(self) -> i64:
        """Bytes that can be read now."""
        return self.ready.end - self.ready.start

    def received(self) -> i64:
        """Everything below this offset has arrived."""
        return self.ready.end

    def piece_count(self) -> i64:
        """Pieces that wait for a gap to close."""
        return len(self._pieces)

    def insert(self, offset: i64, data: bytes) -> None:
        """Take bytes from anywhere; what is already there is ignored."""
        ready = self.ready
        skip: i64 = ready.end - offset
        if skip > 0:
            if skip >= len(data):
                return
            data = data[skip:]
            offset = ready.end
        if skip >= 0:
            if self._pieces:
                self._close_gap(data)
            else:
                ready.append(data)
        elif data:
            self._insert_beyond_gap(offset, data)

    def read(self, limit: i64) -> bytes:
        """Remove and return at most ``limit`` bytes that are in order."""
        return self.ready.take(limit)

    def clear(self) -> None:
        """Drop everything that was not read."""
        self.ready.clear()
        self._starts.clear()
        self._pieces.clear()

    def _close_gap(self, data: bytes) -> None:
        """Append in-order bytes and whatever waited for them."""
        ready = self.ready
        starts = self._starts
        pieces = self._pieces
        ready.append(data)
        index: i64 = 0
        count: i64 = len(pieces)
        while index < count and starts[index] <= ready.end:
            piece = pieces[index]
            skip: i64 = ready.end - starts[index]
            if skip < len(piece):
                ready.append(piece[skip:] if skip > 0 else piece)
            index += 1
        if index > 0:
            del starts[:index]
            del pieces[:index]

    def _insert_beyond_gap(self, offset: i64, data: bytes) -> None:
        starts = self._starts
        pieces = self._pieces
        end: i64 = offset + len(data)
        first: i64 = self._find(offset)
        # Of the left neighbour we keep all and trim ourselves, likewise on the right; pieces
        # that lie entirely within the new bytes give way to them.
        if first > 0:
            left_end: i64 = starts[first - 1] + len(pieces[first - 1])
            if left_end > offset:
                data = data[left_end - offset :]
                offset = left_end
        after: i64 = first
        count: i64 = len(pieces)
        while after < count and starts[after] < end:
            if starts[after] + len(pieces[after]) > end:
                data = data[: starts[after] - offset]
                break
            after += 1
        if not data:
            return
        if after > first:
            del starts[first:after]
            del pieces[first:after]
        self._place(first, offset, data)

    def _place(self, index: i64, offset: i64, data: bytes) -> None:
        """Put a piece at ``index``, joining small neighbours that touch it."""
        starts = self._starts
        pieces = self._pieces
        size: i64 = len(data)
        if size < SMALL_PIECE and index > 0:
            left = pieces[index - 1]
            left_size: i64 = len(left)
            if starts[index - 1] + left_size == offset and left_size + size <= MERGED_PIECE:
                pieces[index - 1] = left + data
                return
        if index < len(pieces) and starts[index] == offset + size:
            right = pieces[index]
            right_size: i64 = len(right)
            if (size < SMALL_PIECE or right_size < SMALL_PIECE) and (
                right_size + size <= MERGED_PIECE
            ):
                pieces[index] = data + right
                starts[index] = int(offset)
                return
        starts.insert(index, int(offset))
        pieces.insert(index, data)

    def _find(self, offset: i64) -> i64:
        """Index of the first piece that starts at or after ``offset``."""
        starts = self._starts
        low: i64 = 0
        high: i64 = len(starts)
        if high > 0 and starts[high - 1] < offset:
            return high
        while low < high:
            middle: i64 = (low + high) >> 1
            if starts[middle] < offset:
                low = middle + 1
            else:
                high = middle
        return low
