"""A run of stream bytes, held as the pieces in which they came."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

#: A piece below this size joins its neighbour while both together stay within the second
#: figure. So a peer or an application that hands in single bytes costs a copy now and then,
#: and never an object per byte.
SMALL_PIECE: Final = 512
MERGED_PIECE: Final = 2048

_COMPACT_AT: Final = 64


@final
class ChunkQueue:
    """The bytes of a stream from offset ``start`` up to ``end``.

    Pieces are kept by reference: appending copies nothing, and a slice that happens to be a
    whole piece is that piece. Send buffers slice anywhere and release what is acknowledged;
    receive buffers take from the front.
    """

    def __init__(self) -> None:
        self.start: i64 = 0
        self.end: i64 = 0
        self._pieces: list[bytes] = []
        self._offsets: list[int] = []
        #: pieces before this index are released and wait for the lists to be compacted
        self._head: i64 = 0
        #: a guess, checked at each use: where the last slice ended, the next mostly begins
        self._cursor: i64 = 0

    def append(self, data: bytes) -> None:
        """Add bytes at ``end``."""
        size: i64 = len(data)
        pieces = self._pieces
        if size < SMALL_PIECE:
            if size == 0:
                return
            if len(pieces) > self._head:
                last = pieces[-1]
                if len(last) + size <= MERGED_PIECE:
                    pieces[-1] = last + data
                    self.end += size
                    return
        pieces.append(data)
        self._offsets.append(int(self.end))
        self.end += size

    def slice(self, offset: i64, length: i64) -> bytes:
        """``length`` bytes from ``offset`` on, all of which must be held."""
        if length <= 0:
            return b""
        index: i64 = self._cursor
        pieces = self._pieces
        count: i64 = len(pieces)
        if index < count:
            piece = pieces[index]
            at: i64 = offset - self._offsets[index]
            size: i64 = len(piece)
            if at == size and index + 1 < count:
                index += 1
                piece = pieces[index]
                at = 0
                size = len(piece)
                self._cursor = index
            if at >= 0 and at + length <= size:
                if length == size:
                    return piece
                return piece[at : at + length]
        return self._gather(offset, length)

    def _gather(self, offset: i64, length: i64) -> bytes:
        """The slow way of :meth:`slice`: search, and join what spans pieces."""
        index: i64 = self._find(offset)
        pieces = self._pieces
        piece = pieces[index]
        at: i64 = offset - self._offsets[index]
        if at + length <= len(piece):
            self._cursor = index
            return piece[at : at + length]
        first = piece[at:]
        parts = [first]
        missing: i64 = length - len(first)
        while missing > 0:
            index += 1
            piece = pieces[index]
            size: i64 = len(piece)
            if size > missing:
                piece = piece[:missing]
                size = missing
            parts.append(piece)
            missing -= size
        self._cursor = index
        return b"".join(parts)

    def _find(self, offset: i64) -> i64:
        """Index of the piece that holds ``offset``."""
        if offset < self.start or offset >= self.end:
            raise AssertionError(f"offset {offset} is not held ({self.start} to {self.end})")
        low: i64 = self._head
        high: i64 = len(self._pieces)
        offsets = self._offsets
        while high - low > 1:
            middle: i64 = (low + high) >> 1
            if offsets[middle] <= offset:
                low = middle
            else:
                high = middle
        return low

    def take(self, limit: i64) -> bytes:
        """Remove and return at most ``limit`` bytes from the front."""
        size: i64 = min(limit, self.end - self.start)
        if size <= 0:
            return b""
        self._cursor = self._head
        data = self.slice(self.start, size)
        self.release(self.start + size)
        return data

    def release(self, offset: i64) -> None:
        """Forget what lies below ``offset``."""
        if offset <= self.start:
            return
        self.start = offset
        pieces = self._pieces
        offsets = self._offsets
        count: i64 = len(pieces)
        head: i64 = self._head
        while head < count and offsets[head] + len(pieces[head]) <= offset:
            pieces[head] = b""
            head += 1
        self._head = head
        if head == count:
            pieces.clear()
            offsets.clear()
            self._head = 0
            self._cursor = 0
        elif head >= _COMPACT_AT and head * 2 >= count:
            del pieces[:head]
            del offsets[:head]
            self._head = 0

    def clear(self) -> None:
        """Forget everything; the offsets close up at ``end``."""
        self.release(self.end)

    def piece_count(self) -> i64:
        """How many pieces are held, for tests of the memory bound."""
        return len(self._pieces) - self._head
