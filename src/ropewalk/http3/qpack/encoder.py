"""The encoding side of QPACK: fields in, field sections out; static table and literals."""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.http3.errors import QPACK_DECODER_STREAM_ERROR, QpackError
from ropewalk.http3.qpack.field_lines import (
    write_indexed_static,
    write_literal,
    write_literal_with_static_name,
)
from ropewalk.http3.qpack.instructions import (
    INSERT_COUNT_INCREMENT_MASK,
    SECTION_ACKNOWLEDGMENT,
    SECTION_ACKNOWLEDGMENT_MASK,
    STREAM_CANCELLATION,
    STREAM_CANCELLATION_MASK,
)
from ropewalk.http3.qpack.integers import Malformed, read_integer
from ropewalk.http3.qpack.static_table import STATIC_NAMES
from ropewalk.quic.wire.reader import Reader, Truncated

#: Fields whose value is worth guessing: nobody on the way may keep it in a table, where its
#: size would answer the guesses (RFC 9204 7.1.3).
NEVER_INDEXED: Final = frozenset(
    {b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"}
)

#: Required Insert Count 0 and Base 0: the section refers to no dynamic table.
_NO_DYNAMIC_TABLE: Final = b"\x00\x00"


@final
class Encoder:
    """Encodes field sections without a dynamic table, so nothing ever waits for anything.

    Our encoder stream stays empty whatever capacity the peer allows.
    ``never_indexed`` are the names whose values no table on the way may keep.
    """

    def __init__(self, never_indexed: frozenset[bytes] = NEVER_INDEXED) -> None:
        self._never_indexed = never_indexed
        self._partial = b""

    def encode(self, fields: list[tuple[bytes, bytes]]) -> bytes:
        """The encoded field section. Names go out as they are: lower case is HTTP's duty."""
        writer = BytesWriter()
        writer.write(_NO_DYNAMIC_TABLE)
        for name, value in fields:
            never_indexed = name in self._never_indexed
            known = STATIC_NAMES.get(name)
            if known is None:
                write_literal(writer, name, value, never_indexed)
                continue
            if not never_indexed:
                index = known.values.get(value)
                if index is not None:
                    write_indexed_static(writer, index)
                    continue
            write_literal_with_static_name(writer, known.index, value, never_indexed)
        return writer.getvalue()

    def feed_decoder(self, data: bytes) -> None:
        """Take bytes of the peer's decoder stream, cut anywhere (RFC 9204 4.4).

        We insert nothing and refer to nothing, so the peer has nothing to acknowledge; a
        Stream Cancellation is always in order. Raises :class:`QpackError` with
        QPACK_DECODER_STREAM_ERROR.
        """
        reader = Reader(self._partial + data if self._partial else data)
        start: i64 = 0
        try:
            while reader.position < reader.end:
                start = reader.position
                _check_decoder_instruction(reader)
            self._partial = b""
        except Truncated:
            self._partial = reader.data[start:]  # an integer at most: ten bytes
        except Malformed as error:
            raise QpackError(QPACK_DECODER_STREAM_ERROR, error.reason) from None


def _check_decoder_instruction(reader: Reader) -> None:
    first: i64 = reader.u8()
    if first & SECTION_ACKNOWLEDGMENT:
        stream_id: i64 = read_integer(reader, first, SECTION_ACKNOWLEDGMENT_MASK)
        raise Malformed(f"no section of stream {stream_id} waits for an acknowledgment")
    if first & STREAM_CANCELLATION:
        read_integer(reader, first, STREAM_CANCELLATION_MASK)
        return
    increment: i64 = read_integer(reader, first, INSERT_COUNT_INCREMENT_MASK)
    raise Malformed(f"an Insert Count Increment of {increment} after no insertion")
