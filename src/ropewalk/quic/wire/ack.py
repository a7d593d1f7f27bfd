"""ACK frames (RFC 9000 19.3), read and written without an object per range."""

from __future__ import annotations

from typing import final

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

from ropewalk.quic.types.error_codes import FRAME_ENCODING_ERROR
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.frame import Frame, truncated_frame
from ropewalk.quic.wire.frame_types import ACK, ACK_ECN
from ropewalk.quic.wire.reader import Reader, Truncated
from ropewalk.quic.wire.varint import varint_size, write_varint


@final
class AckFrame(Frame):
    """The packets that a peer acknowledges. Made to be filled again for every ACK.

    ``delay`` is the raw field: multiply by 2**ack_delay_exponent to get microseconds.
    ``ranges`` is flat and descending, ``[high, low, high, low, ...]``, both ends included;
    ``ranges[0]`` is ``largest``. The ECN counts (19.3.2) count only if ``has_ecn``.
    """

    def __init__(self) -> None:
        self.largest: i64 = -1
        self.delay: i64 = 0
        self.ranges: list[int] = []
        self.has_ecn = False
        self.ect0: i64 = 0
        self.ect1: i64 = 0
        self.ce: i64 = 0

    def write(self, writer: BytesWriter) -> None:
        """Append the frame with all of its ranges."""
        highs = self.ranges[0::2]
        lows = self.ranges[1::2]
        # The type, and at most seven varints beside the two of each range.
        room: i64 = 1 + 56 + 16 * len(highs)
        if self.has_ecn:
            write_ack(writer, highs, lows, self.delay, room, self.ect0, self.ect1, self.ce)
        else:
            write_ack(writer, highs, lows, self.delay, room, -1, -1, -1)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AckFrame):
            return NotImplemented
        return (
            self.delay == other.delay
            and self.ranges == other.ranges
            and self.has_ecn == other.has_ecn
            and self.ect0 == other.ect0
            and self.ect1 == other.ect1
            and self.ce == other.ce
        )

    def __hash__(self) -> int:
        raise TypeError("an AckFrame is refilled, so it cannot be a key")

    def __repr__(self) -> str:
        ecn = f", ecn=({self.ect0}, {self.ect1}, {self.ce})" if self.has_ecn else ""
        return f"AckFrame(delay={self.delay}, ranges={self.ranges}{ecn})"


def parse_ack(reader: Reader, frame_type: i64, into: AckFrame) -> None:
    """Read the fields after the type of an ACK (0x02) or ACK_ECN (0x03) frame.

    Raises ``TransportError`` FRAME_ENCODING_ERROR for a frame that is cut short or that
    acknowledges a negative packet number (19.3.1). ``into`` is then in no useful state.
    """
    ranges = into.ranges
    ranges.clear()
    try:
        high: i64 = reader.varint()
        into.largest = high
        into.delay = reader.varint()
        more: i64 = reader.varint()
        length: i64 = reader.varint()
        if length > high:
            raise _below_zero(frame_type)
        low: i64 = high - length
        ranges.append(high)
        ranges.append(low)
        while more > 0:
            more -= 1
            # A gap of 0 stands for one missing packet, hence the 2. Varints are below
            # 2**62, so none of these differences can wrap; a high end below 0 is below
            # any length too.
            high = low - reader.varint() - 2
            length = reader.varint()
            if length > high:
                raise _below_zero(frame_type)
            low = high - length
            ranges.append(high)
            ranges.append(low)
        if frame_type == ACK_ECN:
            into.ect0 = reader.varint()
            into.ect1 = reader.varint()
            into.ce = reader.varint()
            into.has_ecn = True
        else:
            into.ect0 = 0
            into.ect1 = 0
            into.ce = 0
            into.has_ecn = False
    except Truncated:
        raise truncated_frame(frame_type) from None


def write_ack(
    writer: BytesWriter,
    highs: list[int],
    lows: list[int],
    delay_raw: i64,
    room: i64,
    ect0: i64,
    ect1: i64,
    ce: i64,
) -> i64:
    """Append an ACK of the newest ranges that fit into ``room`` bytes.

    ``highs`` and ``lows`` are the ends of the ranges, both included, in descending order
    with at least one packet number missing between neighbours. ECN counts of -1 make a
    plain ACK. Returns how many ranges were written; 0 when not even the first one fits,
    and then nothing was.
    """
    available: i64 = len(highs)
    if available == 0:
        return 0
    largest: i64 = highs[0]
    low: i64 = lows[0]
    used: i64 = 1 + varint_size(largest) + varint_size(delay_raw) + varint_size(largest - low)
    if ect0 >= 0:
        used += varint_size(ect0) + varint_size(ect1) + varint_size(ce)
    if used + 1 > room:
        return 0
    count: i64 = 1
    high: i64 = 0
    while count < available:
        high = highs[count]
        used += varint_size(low - high - 2)
        low = lows[count]
        used += varint_size(high - low)
        if used + varint_size(count) > room:
            break
        count += 1

    writer.append(u8(ACK_ECN if ect0 >= 0 else ACK))
    write_varint(writer, largest)
    write_varint(writer, delay_raw)
    write_varint(writer, count - 1)
    low = lows[0]
    write_varint(writer, largest - low)
    index: i64 = 1
    while index < count:
        high = highs[index]
        write_varint(writer, low - high - 2)
        low = lows[index]
        write_varint(writer, high - low)
        index += 1
    if ect0 >= 0:
        write_varint(writer, ect0)
        write_varint(writer, ect1)
        write_varint(writer, ce)
    return count


def _below_zero(frame_type: i64) -> TransportError:
    return TransportError(
        FRAME_ENCODING_ERROR, "the ACK reaches below packet number 0", int(frame_type)
    )
