"""Integers that begin in the low bits of a byte (RFC 9204 4.1.1, RFC 7541 5.1).

The prefix is given as the mask of its bits, ``0x7f`` for a prefix of seven.
"""

from __future__ import annotations

from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

from ropewalk.quic.wire.reader import Reader

#: The largest value either side has to understand, 2**62 - 1: any QUIC stream ID or length.
MAX_INTEGER: Final = 0x3FFFFFFFFFFFFFFF

#: 9 * 7 = 63 bits after the prefix hold every legal value; more bytes are padding or overflow.
_MAX_CONTINUATION_BITS: Final = 63


class Malformed(Exception):
    """The bytes are wrong however many more follow.

    Internal to QPACK: whoever knows which stream they came from turns it, and
    :class:`~ropewalk.quic.wire.reader.Truncated` where nothing can follow, into a
    :class:`~ropewalk.http3.errors.QpackError` with the stream's code.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_integer(reader: Reader, first: i64, mask: i64) -> i64:
    """The integer whose first byte, ``first``, has been read already.

    Raises :class:`Malformed` above 2**62 - 1, and when more bytes than that can need are
    spent on it; ``Truncated`` when the bytes end first.
    """
    value: i64 = first & mask
    if value < mask:
        return value
    shift: i64 = 0
    while shift < _MAX_CONTINUATION_BITS:
        byte: i64 = reader.u8()
        # At most 2**63 - 1 here, so the sum below is looked at before it is made.
        part: i64 = (byte & 0x7F) << shift
        if part > MAX_INTEGER - value:
            raise Malformed("an integer is larger than 2**62 - 1")
        value += part
        if byte < 0x80:
            return value
        shift += 7
    raise Malformed("an integer has more bytes than the largest value needs")


def write_integer(writer: BytesWriter, value: i64, mask: i64, flags: i64) -> None:
    """Append ``value`` (0 to 2**62 - 1) with ``flags`` in the bits above the prefix."""
    if value < mask:
        writer.append(u8(flags | value))
        return
    writer.append(u8(flags | mask))
    rest: i64 = value - mask
    while rest >= 0x80:
        writer.append(u8((rest & 0x7F) | 0x80))
        rest >>= 7
    writer.append(u8(rest))
