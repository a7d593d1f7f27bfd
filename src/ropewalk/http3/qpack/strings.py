"""String literals: a Huffman flag, a length, bytes (RFC 9204 4.1.2).

The flag is the bit above the length's prefix, so its mask is the prefix's plus one.
"""

from __future__ import annotations

from typing import final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.http3.qpack.huffman import encoded_size, read_huffman, write_huffman
from ropewalk.http3.qpack.integers import MAX_INTEGER, Malformed, read_integer, write_integer
from ropewalk.quic.wire.reader import Reader, Truncated


@final
class Incomplete(Truncated):
    """The bytes end inside of a string, and so many are ``missing`` from it."""

    def __init__(self, missing: int) -> None:
        super().__init__(missing)
        self.missing = missing


def read_string(reader: Reader, first: i64, mask: i64, longest: i64 = MAX_INTEGER) -> bytes:
    """The string whose first byte, ``first``, has been read already.

    ``longest`` is the size that the caller could use at most. A string that must exceed it is
    refused with :class:`Malformed` as soon as its length is known, so nobody has to wait for,
    and keep, the bytes; a Huffman-coded one may still turn out longer. Raises
    :class:`Incomplete` when the bytes end first.
    """
    length: i64 = read_integer(reader, first, mask)
    huffman = first & (mask + 1) != 0
    # A symbol takes 30 bits at most, so four coded bytes are never less than one symbol.
    if (length >> 2) - 1 > longest if huffman else length > longest:
        raise Malformed(f"a string of {length} bytes is longer than the table is")
    start: i64 = reader.position
    left: i64 = reader.end - start
    if length > left:
        raise Incomplete(length - left)
    stop: i64 = start + length
    reader.position = stop
    if huffman:
        return read_huffman(reader.data, start, stop)
    return reader.data[start:stop]


def write_string(writer: BytesWriter, data: bytes, mask: i64, flags: i64) -> None:
    """Append ``data`` in the shorter of its two forms, ``flags`` above the Huffman flag."""
    plain: i64 = len(data)
    coded: i64 = encoded_size(data)
    if coded < plain:
        write_integer(writer, coded, mask, flags | (mask + 1))
        write_huffman(writer, data)
    else:
        write_integer(writer, plain, mask, flags)
        writer.write(data)
