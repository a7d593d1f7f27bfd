"""The instructions of the encoder and decoder streams (RFC 9204 4.3 and 4.4)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from ropewalk.http3.qpack.dynamic_table import ENTRY_OVERHEAD, DynamicTable
from ropewalk.http3.qpack.integers import Malformed, read_integer
from ropewalk.http3.qpack.static_table import STATIC_FIELDS, STATIC_SIZE
from ropewalk.http3.qpack.strings import read_string
from ropewalk.quic.wire.reader import Reader

# Decoder stream: the flag of each instruction, and the mask of the integer after it.
SECTION_ACKNOWLEDGMENT: Final = 0x80
SECTION_ACKNOWLEDGMENT_MASK: Final = 0x7F
STREAM_CANCELLATION: Final = 0x40
STREAM_CANCELLATION_MASK: Final = 0x3F
INSERT_COUNT_INCREMENT: Final = 0x00
INSERT_COUNT_INCREMENT_MASK: Final = 0x3F


def apply_encoder_instruction(reader: Reader, table: DynamicTable, max_capacity: i64) -> None:
    """Read one instruction of the encoder stream and do what it says.

    Raises ``Truncated`` before anything is changed when it is not complete yet, and
    :class:`Malformed` when it breaks a rule.
    """
    first: i64 = reader.u8()
    if first >= 0x80:
        name = _referenced_name(reader, first, table)
        _insert(reader, table, name)
    elif first >= 0x40:
        _insert(reader, table, read_string(reader, first, 0x1F, _room(table)))
    elif first >= 0x20:
        capacity: i64 = read_integer(reader, first, 0x1F)
        if capacity > max_capacity:
            raise Malformed(f"table capacity {capacity} is above the allowed {max_capacity}")
        table.set_capacity(capacity)
    else:
        name, value = _entry(table, read_integer(reader, first, 0x1F))
        if not table.insert(name, value):
            # Unreachable: what was in the table fits into it. Kept, because silence would
            # let the two tables drift apart.
            raise Malformed("a duplicated entry does not fit into the table")


def _referenced_name(reader: Reader, first: i64, table: DynamicTable) -> bytes:
    index: i64 = read_integer(reader, first, 0x3F)
    if first & 0x40:
        if index >= STATIC_SIZE:
            raise Malformed(f"the static table has no entry {index}")
        return STATIC_FIELDS[index][0]
    return _entry(table, index)[0]


def _entry(table: DynamicTable, relative: i64) -> tuple[bytes, bytes]:
    """The entry by its index counted back from the newest one, which is 0."""
    absolute: i64 = table.inserted - 1 - relative
    if not table.holds(absolute):
        raise Malformed(f"the dynamic table holds no entry {relative} before its newest")
    return table.field(absolute)


def _room(table: DynamicTable) -> i64:
    """How long the name and value of a new entry can be together."""
    room: i64 = table.capacity - ENTRY_OVERHEAD
    if room < 0:
        raise Malformed(f"no entry fits into a table of capacity {table.capacity}")
    return room


def _insert(reader: Reader, table: DynamicTable, name: bytes) -> None:
    room: i64 = _room(table)
    value = read_string(reader, reader.u8(), 0x7F, room)
    if not table.insert(name, value):
        size = len(name) + len(value)
        raise Malformed(f"an entry of {size} bytes does not fit into the {room} of the table")
