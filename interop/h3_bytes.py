"""Just enough HTTP/3 bytes, by hand, to talk to peers that speak nothing else (RFC 9114).

No dynamic table, no Huffman: requests and answers use QPACK's static table (RFC 9204 A).
"""

from __future__ import annotations

from dataclasses import dataclass

CONTROL_STREAM = 0x00
_DATA, _HEADERS, _SETTINGS = 0x00, 0x01, 0x04
# Static table indices.
_AUTHORITY, _PATH, _GET, _POST, _HTTPS, _STATUS_200 = 0, 1, 17, 20, 23, 25


class H3Error(Exception):
    """The bytes are not the HTTP/3 that was expected."""


def _varint(value: int) -> bytes:
    for size, mark in ((1, 0), (2, 1), (4, 2), (8, 3)):
        if value < 1 << (8 * size - 2):
            return (mark << (8 * size - 2) | value).to_bytes(size, "big")
    raise ValueError(value)


def _read_varint(data: bytes, at: int) -> tuple[int, int] | None:
    if at >= len(data):
        return None
    size = 1 << (data[at] >> 6)
    if at + size > len(data):
        return None
    return int.from_bytes(data[at : at + size], "big") & ((1 << (8 * size - 2)) - 1), at + size


def _frame(kind: int, payload: bytes) -> bytes:
    return _varint(kind) + _varint(len(payload)) + payload


def _literal(index: int, value: str) -> bytes:
    # RFC 9204 4.5.4: literal value, static name reference of less than 16.
    encoded = value.encode()
    if len(encoded) >= 127:
        raise ValueError("values of 127 bytes and more are not needed here")
    return bytes([0x50 | index, len(encoded)]) + encoded


def request(method: str, path: str) -> bytes:
    """A HEADERS frame for https://localhost/path."""
    indexed = bytes([0xC0 | (_GET if method == "GET" else _POST), 0xC0 | _HTTPS])
    fields = indexed + _literal(_AUTHORITY, "localhost") + _literal(_PATH, path)
    return _frame(_HEADERS, b"\x00\x00" + fields)


def response(status: int, body: bytes) -> bytes:
    """HEADERS with status 200, and the body in one DATA frame."""
    if status != 200:
        raise ValueError("only 200 is needed here")
    return _frame(_HEADERS, bytes([0x00, 0x00, 0xC0 | _STATUS_200])) + _frame(_DATA, body)


def frames(data: bytes) -> tuple[list[int], bytes]:
    """Frame types of a whole message stream in order, and the bodies of its DATA frames.

    Raises ``H3Error`` unless the stream is whole frames, HEADERS first.
    """
    kinds: list[int] = []
    bodies: list[bytes] = []
    at = 0
    while at < len(data):
        kind = _read_varint(data, at)
        length = None if kind is None else _read_varint(data, kind[1])
        if kind is None or length is None or length[1] + length[0] > len(data):
            raise H3Error(f"the stream of {len(data)} bytes is cut short at byte {at}")
        payload = data[length[1] : length[1] + length[0]]
        if kind[0] == _DATA:
            bodies.append(payload)
        # GnuTLS and nghttp3 may send reserved types; DATA frames count once in a row.
        if kinds[-1:] != [kind[0]]:
            kinds.append(kind[0])
        at = length[1] + length[0]
    if kinds[:1] != [_HEADERS]:
        raise H3Error(f"the first frame is not HEADERS; there are {kinds}")
    return kinds, b"".join(bodies)


@dataclass(frozen=True)
class Settings:
    """The first frame of a control stream."""

    values: list[tuple[int, int]]

    def encode(self) -> bytes:
        """The whole frame."""
        return _frame(_SETTINGS, b"".join(_varint(k) + _varint(v) for k, v in self.values))

    @staticmethod
    def parse(data: bytes) -> Settings | None:
        """The settings at the start of ``data``; None while more bytes are needed.

        Raises ``H3Error`` when another frame comes first or the pairs do not add up.
        """
        kind = _read_varint(data, 0)
        length = None if kind is None else _read_varint(data, kind[1])
        if kind is None or length is None or length[1] + length[0] > len(data):
            return None
        if kind[0] != _SETTINGS:
            raise H3Error(f"a control stream begins with frame type {kind[0]}")
        payload = data[length[1] : length[1] + length[0]]
        values: list[tuple[int, int]] = []
        at = 0
        while at < len(payload):
            name = _read_varint(payload, at)
            value = None if name is None else _read_varint(payload, name[1])
            if name is None or value is None:
                raise H3Error("SETTINGS ends within a pair")
            values.append((name[0], value[0]))
            at = value[1]
        return Settings(values)
