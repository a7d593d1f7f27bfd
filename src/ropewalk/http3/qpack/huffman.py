"""The Huffman code for strings (RFC 7541 B, used unchanged by RFC 9204 4.1.2).

The code is canonical: shorter codes come first, codes of one length follow each other in the
order of their symbols. The symbols listed by length therefore say everything.
"""

from __future__ import annotations

from typing import Final

from librt.strings import BytesWriter, read_i32_be, write_i32_be
from mypy_extensions import i32, i64, u8

from ropewalk.http3.qpack.integers import Malformed

#: Code length in bits, and the symbols with codes of that length.
_SYMBOLS_BY_LENGTH: Final[list[tuple[int, bytes]]] = [
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
    (10, b'!"()?'),
    (11, b"'+|"),
    (12, b"#>"),
    (13, b"\x00$@[]~"),
    (14, b"^}"),
    (15, b"<`{"),
    (19, b"\x5c\xc3\xd0"),
    (20, b"\x80\x82\x83\xa2\xb8\xc2\xe0\xe2"),
    (21, b"\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6"),
    (
        22,
        b"\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa"
        b"\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8\xe9",
    ),
    (
        23,
        b"\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d"
        b"\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf\xc5\xe7\xef",
    ),
    (24, b"\x09\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed"),
    (25, b"\xc7\xcf\xea\xeb"),
    (26, b"\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff"),
    (27, b"\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe"),
    (
        28,
        b"\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13"
        b"\x14\x15\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f\xdc\xf9",
    ),
    (30, b"\x0a\x0d\x16"),  # and EOS, the all-ones code that must not appear
]

#: By count: that many low bits set.
_ONES: Final = b"\x00\x01\x03\x07\x0f\x1f\x3f\x7f"
#: All symbols in the order of their codes.
_SYMBOLS: Final = b"".join([symbols for _, symbols in _SYMBOLS_BY_LENGTH])


class _Tables:
    """What import works out from the list above."""

    def __init__(self) -> None:
        code_lengths = [0] * 256
        codes = [0] * 256
        prefix_lengths = [0] * 256
        prefix_symbols = [0] * 256
        #: For each length above 8: that length; its first code, and the first code after its
        #: last, both moved up to 30 bits; the place of its first symbol in _SYMBOLS.
        self.group_lengths: list[int] = []
        self.group_starts: list[int] = []
        self.group_stops: list[int] = []
        self.group_symbols: list[int] = []
        code = 0
        previous = 0
        place = 0
        for length, symbols in _SYMBOLS_BY_LENGTH:
            code *= 2 ** (length - previous)
            previous = length
            aligned = 2 ** (30 - length)
            if length > 8:
                self.group_lengths.append(length)
                self.group_starts.append(code * aligned)
                self.group_symbols.append(place)
            for symbol in symbols:
                code_lengths[symbol] = length
                codes[symbol] = code
                if length <= 8:
                    first = code * 2 ** (8 - length)
                    for prefix in range(first, first + 2 ** (8 - length)):
                        prefix_lengths[prefix] = length
                        prefix_symbols[prefix] = symbol
                code += 1
            if length > 8:
                self.group_stops.append(code * aligned)
            place += len(symbols)
        self.group_stops[-1] = 0x40000000  # EOS closes the last group
        self.code_lengths = bytes(code_lengths)
        self.codes = b"".join([code.to_bytes(4, "big") for code in codes])
        self.prefix_lengths = bytes(prefix_lengths)
        self.prefix_symbols = bytes(prefix_symbols)


_TABLES: Final = _Tables()
#: By symbol: length of the code, and the code in four bytes.
_CODE_LENGTHS: Final = _TABLES.code_lengths
_CODES: Final = _TABLES.codes
#: By the next eight bits: the length of the code they begin with (0: more than eight), its symbol.
_PREFIX_LENGTHS: Final = _TABLES.prefix_lengths
_PREFIX_SYMBOLS: Final = _TABLES.prefix_symbols
_GROUP_LENGTHS: Final = _TABLES.group_lengths
_GROUP_STARTS: Final = _TABLES.group_starts
_GROUP_STOPS: Final = _TABLES.group_stops
_GROUP_SYMBOLS: Final = _TABLES.group_symbols


def encoded_size(data: bytes) -> i64:
    """How many bytes :func:`write_huffman` makes of ``data``."""
    bits: i64 = 0
    lengths = _CODE_LENGTHS
    for i in range(i64(len(data))):
        bits += i64(lengths[i64(data[i])])
    return (bits + 7) >> 3


def write_huffman(writer: BytesWriter, data: bytes) -> None:
    """Append the code of ``data``, padded with ones to a whole byte."""
    lengths = _CODE_LENGTHS
    codes = _CODES
    # The low ``count`` bits of ``window`` wait to be written: at most 31, and a code adds 30.
    window: i64 = 0
    count: i64 = 0
    for i in range(i64(len(data))):
        symbol: i64 = data[i]
        length: i64 = lengths[symbol]
        window = (window << length) | i64(read_i32_be(codes, symbol * 4))
        count += length
        if count >= 32:
            count -= 32
            word: i64 = (window >> count) & 0xFFFFFFFF
            if word >= 0x80000000:  # the writer takes signed integers
                word -= 0x100000000
            write_i32_be(writer, i32(word))
            window &= 0x7FFFFFFF
    while count >= 8:
        count -= 8
        writer.append(u8((window >> count) & 0xFF))
    if count:
        spare: i64 = 8 - count
        window <<= spare
        writer.append(u8((window & 0xFF) | i64(_ONES[spare])))


def read_huffman(data: bytes, start: i64, stop: i64) -> bytes:
    """Decode ``data[start:stop]``, which the caller knows to lie inside ``data``.

    Raises :class:`Malformed` for EOS, and for padding that is not ones or is a byte or more
    (RFC 7541 5.2).
    """
    writer = BytesWriter()
    lengths = _PREFIX_LENGTHS
    symbols = _PREFIX_SYMBOLS
    position: i64 = start
    # The low ``count`` bits of ``window`` are read and not yet decoded; above them lie old ones.
    window: i64 = 0
    count: i64 = 0
    filler: i64 = 0  # how many of them are ours, appended so that the last codes fill a window
    while True:
        if count < 30:
            if stop - position >= 4:
                word: i64 = i64(read_i32_be(data, position)) & 0xFFFFFFFF
                window = ((window & 0x3FFFFFFF) << 32) | word
                count += 32
                position += 4
            elif position < stop:
                window = ((window & 0x3FFFFFFF) << 8) | i64(data[position])
                count += 8
                position += 1
                continue
            elif filler == 0:
                window = ((window & 0x3FFFFFFF) << 32) | 0xFFFFFFFF
                count += 32
                filler = 32
        top: i64 = (window >> (count - 8)) & 0xFF
        length: i64 = lengths[top]
        symbol: i64 = symbols[top]
        if length == 0:
            # Once filler is there and nothing else, all ones lead here and to the EOS group.
            if filler and count - filler < 8:
                break
            length, symbol = _long_code((window >> (count - 30)) & 0x3FFFFFFF)
        if filler and length > count - filler:
            break
        if symbol > 0xFF:
            raise Malformed("a Huffman-coded string contains EOS")
        count -= length
        writer.append(u8(symbol))
    _check_padding(window, count - filler)
    return writer.getvalue()


def _long_code(window: i64) -> tuple[i64, i64]:
    """Length and symbol (256: EOS) of the code of more than 8 bits at the top of 30 bits."""
    group: i64 = 0
    while window >= i64(_GROUP_STOPS[group]):
        group += 1
    length: i64 = _GROUP_LENGTHS[group]
    spare: i64 = 30 - length
    offset: i64 = window - i64(_GROUP_STARTS[group])
    place: i64 = i64(_GROUP_SYMBOLS[group]) + (offset >> spare)
    if place >= 256:
        return length, 256
    return length, i64(_SYMBOLS[place])


def _check_padding(window: i64, left: i64) -> None:
    """The ``left`` bits above 32 of filler in ``window`` must be fewer than 8, and all ones."""
    if left >= 8:
        raise Malformed("a Huffman-coded string ends inside of a code or has a byte of padding")
    ones: i64 = _ONES[left]
    if (window >> 32) & ones != ones:
        raise Malformed("the padding of a Huffman-coded string is not all ones")
