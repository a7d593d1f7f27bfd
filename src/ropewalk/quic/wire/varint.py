"""Variable-length integers: 1, 2, 4 or 8 bytes, told by the two highest bits (RFC 9000 16)."""

from __future__ import annotations

from typing import Final

from librt.strings import BytesWriter, write_i16_be, write_i32_be, write_i64_be
from mypy_extensions import i16, i32, i64, u8

#: The largest value a variable-length integer can hold, 2**62 - 1.
MAX_VARINT: Final = 0x3FFFFFFFFFFFFFFF


def varint_size(value: i64) -> i64:
    """How many bytes the shortest encoding of ``value`` takes: 1, 2, 4 or 8."""
    if value < 0x40:
        return 1
    if value < 0x4000:
        return 2
    if value < 0x40000000:
        return 4
    return 8


def write_varint(writer: BytesWriter, value: i64) -> None:
    """Append the shortest encoding of ``value``. Raises ``ValueError`` outside 0 to 2**62 - 1."""
    # The length mark is applied as a subtraction where it is the sign bit, because the
    # writers of librt take signed integers: 0x80000000 | value == value - 0x80000000 there.
    if value < 0x40:
        if value < 0:
            raise out_of_range(value)
        writer.append(u8(value))
    elif value < 0x4000:
        write_i16_be(writer, i16(value | 0x4000))
    elif value < 0x40000000:
        write_i32_be(writer, i32(value - 0x80000000))
    elif value <= MAX_VARINT:
        write_i64_be(writer, value - 0x4000000000000000)
    else:
        raise out_of_range(value)


def write_varint_4(writer: BytesWriter, value: i64) -> None:
    """Append ``value`` in exactly 4 bytes. Raises ``ValueError`` outside 0 to 2**30 - 1."""
    if value < 0 or value >= 0x40000000:
        raise out_of_range(value)
    write_i32_be(writer, i32(value - 0x80000000))


def write_varint_2(writer: BytesWriter, value: i64) -> None:
    """Append ``value`` in exactly 2 bytes. Raises ``ValueError`` outside 0 to 2**14 - 1."""
    if value < 0 or value >= 0x4000:
        raise out_of_range(value)
    write_i16_be(writer, i16(value | 0x4000))


def encode_varint(value: int) -> bytes:
    """The shortest encoding of ``value``. Raises ``ValueError`` outside 0 to 2**62 - 1."""
    if value < 0 or value > MAX_VARINT:
        raise out_of_range(value)
    writer = BytesWriter()
    write_varint(writer, value)
    return writer.getvalue()


def out_of_range(value: int) -> ValueError:
    """What to raise for a value that no variable-length integer of the wanted size holds."""
    return ValueError(f"{value} does not fit into the variable-length integer")
