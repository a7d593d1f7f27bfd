"""A cursor over received bytes that cannot be led outside of them."""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i16_be, read_i32_be, read_i64_be
from mypy_extensions import i64

_ZEROS: Final = bytes(64)


class Truncated(Exception):
    """The bytes end before the value does.

    Internal to the core: whoever holds the :class:`Reader` turns it into the error, or the
    silent drop, that the RFC asks for at that place.
    """


@final
class Reader:
    """Reads values one after the other from ``data[position:end]``.

    ``end`` of -1 means the end of ``data``. A read that would go past ``end`` raises
    :class:`Truncated` and leaves the position where it was. ``data`` itself is never copied,
    so one reader can be pointed at packet after packet with :meth:`reset`.
    """

    def __init__(self, data: bytes, position: i64 = 0, end: i64 = -1) -> None:
        self.data = data
        self.position: i64 = position
        self.end: i64 = end
        self.reset(data, position, end)

    def reset(self, data: bytes, position: i64 = 0, end: i64 = -1) -> None:
        """Start again over other bytes. Bounds outside of ``data`` are drawn in to it."""
        size: i64 = len(data)
        self.data = data
        self.end = size if end < 0 or end > size else end
        self.position = 0 if position < 0 else position

    def remaining(self) -> i64:
        """How many bytes are left; 0 at the end."""
        left: i64 = self.end - self.position
        return left if left > 0 else 0

    def u8(self) -> i64:
        """One byte."""
        position: i64 = self.position
        if position >= self.end:
            raise Truncated
        value: i64 = self.data[position]
        self.position = position + 1
        return value

    def u16(self) -> i64:
        """Two bytes, network order."""
        position: i64 = self.position
        if self.end - position < 2:
            raise Truncated
        value: i64 = i64(read_i16_be(self.data, position)) & 0xFFFF
        self.position = position + 2
        return value

    def u32(self) -> i64:
        """Four bytes, network order."""
        position: i64 = self.position
        if self.end - position < 4:
            raise Truncated
        value: i64 = i64(read_i32_be(self.data, position)) & 0xFFFFFFFF
        self.position = position + 4
        return value

    def varint(self) -> i64:
        """A variable-length integer of 1, 2, 4 or 8 bytes (RFC 9000 16), 0 to 2**62 - 1."""
        data = self.data
        position: i64 = self.position
        left: i64 = self.end - position
        if left <= 0:
            raise Truncated
        value: i64 = data[position]
        if value < 0x40:
            self.position = position + 1
            return value
        if value < 0x80:
            if left < 2:
                raise Truncated
            low: i64 = data[position + 1]
            self.position = position + 2
            return (value & 0x3F) << 8 | low
        if value < 0xC0:
            if left < 4:
                raise Truncated
            self.position = position + 4
            return i64(read_i32_be(data, position)) & 0x3FFFFFFF
        if left < 8:
            raise Truncated
        self.position = position + 8
        return read_i64_be(data, position) & 0x3FFFFFFFFFFFFFFF

    def take(self, size: i64) -> bytes:
        """The next ``size`` bytes, copied out."""
        position: i64 = self.position
        if size < 0 or size > self.end - position:
            raise Truncated
        stop: i64 = position + size
        self.position = stop
        return self.data[position:stop]

    def skip_zeros(self) -> i64:
        """Step over zero bytes, a run of PADDING frames; return how many there were."""
        data = self.data
        start: i64 = self.position
        position: i64 = start
        end: i64 = self.end
        # Block by block first: a padded Initial holds a thousand of them.
        while position + 64 <= end and data[position : position + 64] == _ZEROS:
            position += 64
        while position < end and data[position] == 0:
            position += 1
        self.position = position
        return position - start
