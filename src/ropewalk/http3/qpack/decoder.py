"""The decoding side of QPACK: the peer's encoder stream and field sections in, fields out."""

from __future__ import annotations

from typing import final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.http3.errors import (
    QPACK_DECOMPRESSION_FAILED,
    QPACK_ENCODER_STREAM_ERROR,
    FieldSectionTooLarge,
    QpackError,
)
from ropewalk.http3.qpack.dynamic_table import ENTRY_OVERHEAD, DynamicTable
from ropewalk.http3.qpack.field_lines import read_field_lines
from ropewalk.http3.qpack.instructions import (
    INSERT_COUNT_INCREMENT,
    INSERT_COUNT_INCREMENT_MASK,
    SECTION_ACKNOWLEDGMENT,
    SECTION_ACKNOWLEDGMENT_MASK,
    STREAM_CANCELLATION,
    STREAM_CANCELLATION_MASK,
    apply_encoder_instruction,
)
from ropewalk.http3.qpack.integers import MAX_INTEGER, Malformed, read_integer, write_integer
from ropewalk.http3.qpack.strings import Incomplete
from ropewalk.quic.wire.reader import Reader, Truncated


@final
class Decoder:
    """Decodes field sections with the dynamic table that the peer's encoder fills.

    ``max_table_capacity`` and ``max_blocked_streams`` are what our SETTINGS advertise
    (RFC 9204 5), ``max_field_section_size`` is our SETTINGS_MAX_FIELD_SECTION_SIZE: names and
    values, uncompressed, plus 32 bytes for each field. After a :class:`QpackError` the two
    sides no longer agree, and the connection has to be closed with its code.
    """

    def __init__(
        self,
        max_table_capacity: int = 0,
        max_blocked_streams: int = 0,
        max_field_section_size: int = 65536,
    ) -> None:
        self._max_capacity: i64 = max_table_capacity
        self._max_blocked = max_blocked_streams
        self._max_section_size: i64 = max_field_section_size
        self._table = DynamicTable()
        #: The beginning of an instruction that is not complete yet, and how many more bytes
        #: have to come before it is worth another look.
        self._partial = BytesWriter()
        self._missing: i64 = 0
        #: Required Insert Count by stream: sections that wait for the encoder stream, and
        #: sections that need not wait any longer and are not decoded yet.
        self._blocked: dict[int, int] = {}
        self._ready: dict[int, int] = {}
        self._unblocked: list[int] = []
        self._instructions = BytesWriter()
        #: How many insertions the peer's encoder knows that we have (RFC 9204 2.1.4).
        self._known_received: i64 = 0

    @property
    def table_size(self) -> int:
        """Bytes that the dynamic table holds, with 32 for each entry."""
        return self._table.size

    @property
    def insert_count(self) -> int:
        """How many entries were ever inserted into the dynamic table."""
        return self._table.inserted

    def feed_encoder(self, data: bytes) -> None:
        """Take bytes of the peer's encoder stream, cut anywhere (RFC 9204 4.3).

        An incomplete instruction is kept; it is never longer than about eight times the
        table's capacity. Raises :class:`QpackError` with QPACK_ENCODER_STREAM_ERROR.
        """
        partial = self._partial
        if len(partial):
            partial.write(data)
            self._missing -= i64(len(data))
            if self._missing > 0:
                return
            data = partial.getvalue()
            partial.truncate(0)
        before: i64 = self._table.inserted
        reader = Reader(data)
        start: i64 = 0
        try:
            while reader.position < reader.end:
                start = reader.position
                apply_encoder_instruction(reader, self._table, self._max_capacity)
        except Incomplete as cut:  # names of their own: compiled, one name has one type
            self._missing = cut.missing
            partial.write(data[start:])
        except Truncated:
            self._missing = 1
            partial.write(data[start:])
        except Malformed as error:
            raise QpackError(QPACK_ENCODER_STREAM_ERROR, error.reason) from None
        if self._blocked and self._table.inserted != before:
            self._unblock()

    def _unblock(self) -> None:
        freed: list[int] = []
        for stream_id, required in self._blocked.items():
            if i64(required) <= self._table.inserted:
                freed.append(stream_id)
        for stream_id in freed:
            self._ready[stream_id] = self._blocked.pop(stream_id)
            self._unblocked.append(stream_id)

    def unblocked(self) -> list[int]:
        """Streams whose :meth:`decode` said None and would succeed now; each is told once."""
        streams = self._unblocked
        self._unblocked = []
        return streams

    def decode(self, stream_id: int, block: bytes) -> list[tuple[bytes, bytes]] | None:
        """The fields of the encoded field section ``block`` that came on ``stream_id``.

        None when it refers to insertions that have not arrived: keep the block, decode no
        later section of the stream, and call again with the same block once
        :meth:`unblocked` names the stream. Or :meth:`cancel`.

        Raises :class:`QpackError` with QPACK_DECOMPRESSION_FAILED; and
        :class:`FieldSectionTooLarge`, which concerns only this stream and has cancelled it.
        """
        if stream_id in self._blocked:
            return None
        reader = Reader(block)
        table = self._table
        try:
            encoded: i64 = read_integer(reader, reader.u8(), 0xFF)
            required: i64 = -1
            if stream_id in self._ready:
                # The table has moved on since, and the encoded count is relative to it.
                required = self._ready.pop(stream_id)
            else:
                required = self._required_insert_count(encoded)
            first: i64 = reader.u8()
            delta: i64 = read_integer(reader, first, 0x7F)
            base: i64 = required - delta - 1 if first & 0x80 else required + delta
            # The upper limit keeps the sum with a post-base index below 2**63.
            if base < 0 or base > MAX_INTEGER:
                raise Malformed(f"the Base of a field section is {base}")
            if required > table.inserted:
                self._block(stream_id, required)
                return None
            fields = read_field_lines(reader, table, required, base, self._max_section_size)
        except Truncated:
            raise QpackError(
                QPACK_DECOMPRESSION_FAILED, "a field section ends inside of a field line"
            ) from None
        except Malformed as error:
            raise QpackError(QPACK_DECOMPRESSION_FAILED, error.reason) from None
        except FieldSectionTooLarge:
            self.cancel(stream_id)
            raise
        if required:
            # RFC 9204 4.4.1: only for sections that used the dynamic table.
            write_integer(
                self._instructions, stream_id, SECTION_ACKNOWLEDGMENT_MASK, SECTION_ACKNOWLEDGMENT
            )
            if required > self._known_received:
                self._known_received = required
        return fields

    def _required_insert_count(self, encoded: i64) -> i64:
        """Undo the wrapping of the Required Insert Count (RFC 9204 4.5.1.1)."""
        if encoded == 0:
            return 0
        max_entries: i64 = self._max_capacity // ENTRY_OVERHEAD
        full_range: i64 = 2 * max_entries
        if encoded > full_range:
            raise Malformed(f"an encoded Required Insert Count of {encoded} is out of range")
        max_value: i64 = self._table.inserted + max_entries
        required: i64 = max_value // full_range * full_range + encoded - 1
        if required > max_value:
            required -= full_range
        if required <= 0:
            raise Malformed(f"an encoded Required Insert Count of {encoded} stands for none")
        return required

    def _block(self, stream_id: int, required: i64) -> None:
        if len(self._blocked) >= self._max_blocked:
            raise Malformed(
                f"stream {stream_id} would be blocked beyond the {self._max_blocked} allowed"
            )
        self._blocked[stream_id] = required

    def cancel(self, stream_id: int) -> None:
        """The stream was reset, or is read no further: nothing more of it will be decoded.

        Tells the peer's encoder to let go of what the stream refers to (RFC 9204 2.2.2.2).
        """
        self._blocked.pop(stream_id, None)
        if self._ready.pop(stream_id, None) is not None and stream_id in self._unblocked:
            self._unblocked.remove(stream_id)
        if self._max_capacity:
            write_integer(
                self._instructions, stream_id, STREAM_CANCELLATION_MASK, STREAM_CANCELLATION
            )

    def take_decoder_stream(self) -> bytes:
        """The bytes to send on our decoder stream now; often none (RFC 9204 4.4).

        Insertions that no acknowledged section told about are reported here, all in one
        Insert Count Increment.
        """
        writer = self._instructions
        increment: i64 = self._table.inserted - self._known_received
        if increment > 0:
            write_integer(writer, increment, INSERT_COUNT_INCREMENT_MASK, INSERT_COUNT_INCREMENT)
            self._known_received = self._table.inserted
        if len(writer) == 0:
            return b""
        data = writer.getvalue()
        self._instructions = BytesWriter()
        return data
