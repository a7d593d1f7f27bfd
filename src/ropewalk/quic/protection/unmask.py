"""Taking header protection off whole batches of received packets (RFC 9001 5.4)."""

from __future__ import annotations

from typing import final

from librt.strings import BytesWriter, read_i32_be, read_i64_be, write_i32_be, write_i64_be
from mypy_extensions import i32, i64, u8

from ropewalk.quic.types.protection import PacketProtection


@final
class ShortHeaderBatch:
    """The 1-RTT packets of one receive buffer, unmasked by one call.

    Nothing is stored per packet: what is asked of packet ``index`` is worked out from the
    buffer and the masks, in place. One object serves for all buffers. The answers of
    :meth:`packet_number_length`, :meth:`truncated`, :meth:`header` and :meth:`ciphertext`
    mean something only where :meth:`first_byte` is not -1.
    """

    def __init__(self) -> None:
        self._data = b""
        self._masks = b""
        self._start: i64 = 0
        self._stop: i64 = 0
        self._segment_size: i64 = 0
        self._offset: i64 = 0
        self._masked: i64 = 0
        self._samples = BytesWriter()
        self._header = BytesWriter()
        # The packet that was asked for last.
        self._index: i64 = -1
        self._begin: i64 = 0
        self._first: i64 = 0
        self._length: i64 = 0
        #: The four bytes at the packet number, unmasked, as a signed number.
        self._word: i64 = 0

    def unmask(
        self,
        data: bytes,
        start: i64,
        stop: i64,
        segment_size: i64,
        packet_number_offset: i64,
        protection: PacketProtection,
    ) -> i64:
        """Take up ``data[start:stop]``, one short-header packet per segment; tells how many.

        ``packet_number_offset`` is 1 + the length of the connection ID. All segments are
        ``segment_size`` (1 or more) bytes long but the last, which may be shorter.
        """
        self._data = data
        self._start = start
        self._stop = stop
        self._segment_size = segment_size
        self._offset = packet_number_offset
        self._index = -1
        samples = self._samples
        samples.truncate(0)
        count: i64 = 0
        masked: i64 = 0
        sample: i64 = packet_number_offset + 4
        while start < stop:
            end: i64 = start + segment_size
            if end > stop:
                end = stop
            position: i64 = start + sample
            if position + 16 <= end:
                write_i64_be(samples, read_i64_be(data, position))
                write_i64_be(samples, read_i64_be(data, position + 8))
                masked += 1
            count += 1
            start += segment_size
        self._masks = protection.masks(samples.getvalue()) if masked > 0 else b""
        self._masked = masked
        return count

    def clear(self) -> None:
        """Let go of the buffer."""
        self._data = b""
        self._masks = b""
        self._masked = 0
        self._index = -1

    def first_byte(self, index: i64) -> i64:
        """The unmasked first byte; -1 for a packet too short to have a sample: drop it."""
        # Only the last segment can be shorter than the others, so masks have no gaps.
        if index < 0 or index >= self._masked:
            return -1
        if index != self._index:
            self._turn_to(index)
        return self._first

    def packet_number_length(self, index: i64) -> i64:
        """Bytes of the packet number, 1 to 4."""
        if index != self._index:
            self._turn_to(index)
        return self._length

    def truncated(self, index: i64) -> i64:
        """The packet number as it stands in the packet (RFC 9000 17.1)."""
        if index != self._index:
            self._turn_to(index)
        return (self._word & 0xFFFFFFFF) >> (32 - 8 * self._length)

    def header(self, index: i64) -> bytes:
        """The header in the clear, which the AEAD authenticates."""
        if index != self._index:
            self._turn_to(index)
        data = self._data
        writer = self._header
        begin: i64 = self._begin
        offset: i64 = self._offset
        writer.truncate(0)
        writer.append(u8(self._first))
        if offset == 9:
            # An ID of eight bytes, the usual length, goes over without a slice being made.
            write_i64_be(writer, read_i64_be(data, begin + 1))
        else:
            writer.write(data[begin + 1 : begin + offset])
        write_i32_be(writer, i32(self._word))
        writer.truncate(offset + self._length)
        return writer.getvalue()

    def ciphertext(self, index: i64) -> bytes:
        """The sealed payload with its tag."""
        if index != self._index:
            self._turn_to(index)
        end: i64 = self._begin + self._segment_size
        if end > self._stop:
            end = self._stop
        return self._data[self._begin + self._offset + self._length : end]

    def _turn_to(self, index: i64) -> None:
        data = self._data
        masks = self._masks
        mask: i64 = index * 16
        begin: i64 = self._start + index * self._segment_size
        first: i64 = data[begin] ^ (masks[mask] & 0x1F)
        self._index = index
        self._begin = begin
        self._first = first
        self._length = (first & 3) + 1
        # The sample lies behind these four bytes, so they are always there.
        self._word = i64(read_i32_be(data, begin + self._offset)) ^ i64(
            read_i32_be(masks, mask + 1)
        )


def unmask_long(
    data: bytes,
    packet_start: i64,
    packet_number_offset: i64,
    end: i64,
    protection: PacketProtection,
) -> tuple[bytes, i64, i64] | None:
    """Unprotected header, truncated packet number and its length of one long-header packet.

    ``packet_number_offset`` and ``end`` are absolute in ``data``. The sealed payload begins
    at ``packet_number_offset`` + length. ``None``: too short to have a sample, drop it.
    """
    sample: i64 = packet_number_offset + 4
    if sample + 16 > end or end > len(data):
        return None
    masks = protection.masks(data[sample : sample + 16])
    first: i64 = data[packet_start] ^ (masks[0] & 0x0F)
    length: i64 = (first & 3) + 1
    writer = BytesWriter()
    writer.append(u8(first))
    writer.write(data[packet_start + 1 : packet_number_offset])
    value: i64 = 0
    index: i64 = 0
    while index < length:
        octet: i64 = data[packet_number_offset + index] ^ masks[index + 1]
        writer.append(u8(octet))
        value = (value << 8) | octet
        index += 1
    return writer.getvalue(), value, length
