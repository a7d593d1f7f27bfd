"""The five representations of a field line in an encoded field section (RFC 9204 4.5)."""

from __future__ import annotations

from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.http3.errors import FieldSectionTooLarge
from ropewalk.http3.qpack.dynamic_table import DynamicTable
from ropewalk.http3.qpack.integers import Malformed, read_integer, write_integer
from ropewalk.http3.qpack.static_table import STATIC_FIELDS, STATIC_SIZE
from ropewalk.http3.qpack.strings import read_string, write_string
from ropewalk.quic.wire.reader import Reader

#: What a field counts beyond its name and value in the size of a section (RFC 9114 4.2.2).
FIELD_OVERHEAD: Final = 32


def read_field_lines(
    reader: Reader, table: DynamicTable, required: i64, base: i64, limit: i64
) -> list[tuple[bytes, bytes]]:
    """All field lines up to the end of ``reader``.

    ``required`` is the section's Required Insert Count, which ``table`` has reached. Raises
    :class:`Malformed`, ``Truncated``, or :class:`FieldSectionTooLarge` above ``limit`` bytes.
    """
    fields: list[tuple[bytes, bytes]] = []
    size: i64 = 0
    while reader.position < reader.end:
        first: i64 = reader.u8()
        if first >= 0xC0:  # 1 T=1: indexed, static
            name, value = _static(read_integer(reader, first, 0x3F))
        elif first >= 0x80:  # 1 T=0: indexed, dynamic
            absolute: i64 = base - 1 - read_integer(reader, first, 0x3F)
            name, value = _dynamic(table, absolute, required)
        elif first >= 0x40:  # 01 N T: literal with name reference
            index: i64 = read_integer(reader, first, 0x0F)
            if first & 0x10:
                name, _ = _static(index)
            else:
                name, _ = _dynamic(table, base - 1 - index, required)
            value = read_string(reader, reader.u8(), 0x7F)
        elif first >= 0x20:  # 001 N H: literal with literal name
            name = read_string(reader, first, 0x07)
            value = read_string(reader, reader.u8(), 0x7F)
        elif first >= 0x10:  # 0001: indexed with post-base index
            absolute = base + read_integer(reader, first, 0x0F)
            name, value = _dynamic(table, absolute, required)
        else:  # 0000 N: literal with post-base name reference
            absolute = base + read_integer(reader, first, 0x07)
            name, _ = _dynamic(table, absolute, required)
            value = read_string(reader, reader.u8(), 0x7F)
        size += i64(len(name)) + i64(len(value)) + FIELD_OVERHEAD
        if size > limit:
            raise FieldSectionTooLarge(size, limit)
        fields.append((name, value))
    return fields


def _static(index: i64) -> tuple[bytes, bytes]:
    if index >= STATIC_SIZE:
        raise Malformed(f"the static table has no entry {index}")
    return STATIC_FIELDS[index]


def _dynamic(table: DynamicTable, absolute: i64, required: i64) -> tuple[bytes, bytes]:
    # RFC 9204 2.2.3: evicted, or not covered by the Required Insert Count.
    if absolute >= required or not table.holds(absolute):
        raise Malformed(
            f"a field line refers to entry {absolute} of a table that holds "
            f"{table.evicted} up to {table.inserted}, with {required} required"
        )
    return table.field(absolute)


def write_indexed_static(writer: BytesWriter, index: i64) -> None:
    """Append a whole field of the static table."""
    write_integer(writer, index, 0x3F, 0xC0)


def write_literal_with_static_name(
    writer: BytesWriter, index: i64, value: bytes, never_indexed: bool
) -> None:
    """Append a field whose name the static table has.

    ``never_indexed`` forbids everybody on the way to put it into a table (RFC 9204 7.1.3).
    """
    flags: i64 = 0x50
    if never_indexed:
        flags = 0x70
    write_integer(writer, index, 0x0F, flags)
    write_string(writer, value, 0x7F, 0)


def write_literal(writer: BytesWriter, name: bytes, value: bytes, never_indexed: bool) -> None:
    """Append a field that refers to nothing."""
    flags: i64 = 0x20
    if never_indexed:
        flags = 0x30
    write_string(writer, name, 0x07, flags)
    write_string(writer, value, 0x7F, 0)
