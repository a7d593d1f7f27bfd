"""What the QPACK tests share: the recorded data and a writer of encoder-stream instructions."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from librt.strings import BytesWriter

from ropewalk.http3.qpack.integers import write_integer
from ropewalk.http3.qpack.strings import write_string

DATA = Path(__file__).parents[1] / "data/qpack"

Fields = list[tuple[bytes, bytes]]


def load(name: str) -> Any:
    return json.loads((DATA / name).read_text())


def _unpack(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def parse_qif(text: bytes) -> list[Fields]:
    """Field lists, one field a line, parted by empty lines."""
    sections: list[Fields] = []
    for part in text.split(b"\n\n"):
        fields: Fields = []
        for line in part.split(b"\n"):
            if line and not line.startswith(b"#"):
                name, value = line.split(b"\t")
                fields.append((name, value))
        if fields:
            sections.append(fields)
    return sections


@dataclass(frozen=True)
class Recording:
    """What one encoder made of one list of requests."""

    name: str
    expected: list[Fields]
    max_table_capacity: int
    max_blocked_streams: int
    initial_capacity: int
    inserts: int
    blocked_on_arrival: int
    data: bytes

    def records(self) -> Iterator[tuple[int, bytes]]:
        """(stream ID, bytes); stream 0 is the encoder stream."""
        position = 0
        while position < len(self.data):
            stream_id, size = struct.unpack_from(">QI", self.data, position)
            position += 12
            yield stream_id, self.data[position : position + size]
            position += size


_INTEROP = load("interop.json")
QIFS = {name: parse_qif(_unpack(text)) for name, text in _INTEROP["qifs"].items()}


def recordings() -> list[Recording]:
    blob = _unpack(_INTEROP["encoded"])
    found = []
    for name, qif, capacity, blocked, initial, size, inserts, on_arrival in _INTEROP["files"]:
        found.append(
            Recording(name, QIFS[qif], capacity, blocked, initial, inserts, on_arrival, blob[:size])
        )
        blob = blob[size:]
    assert not blob
    return found


def set_capacity(capacity: int) -> bytes:
    writer = BytesWriter()
    write_integer(writer, capacity, 0x1F, 0x20)
    return writer.getvalue()


def insert(name: bytes, value: bytes) -> bytes:
    """Insert with Literal Name."""
    writer = BytesWriter()
    write_string(writer, name, 0x1F, 0x40)
    write_string(writer, value, 0x7F, 0)
    return writer.getvalue()


def insert_with_static_name(index: int, value: bytes) -> bytes:
    writer = BytesWriter()
    write_integer(writer, index, 0x3F, 0xC0)
    write_string(writer, value, 0x7F, 0)
    return writer.getvalue()


def duplicate(relative: int) -> bytes:
    writer = BytesWriter()
    write_integer(writer, relative, 0x1F, 0x00)
    return writer.getvalue()


def section(required: int, max_capacity: int, lines: bytes, base: int | None = None) -> bytes:
    """A field section with its prefix (RFC 9204 4.5.1); the Base is ``required`` unless told."""
    writer = BytesWriter()
    encoded = required % (2 * (max_capacity // 32)) + 1 if required else 0
    write_integer(writer, encoded, 0xFF, 0x00)
    base = required if base is None else base
    if base >= required:
        write_integer(writer, base - required, 0x7F, 0x00)
    else:
        write_integer(writer, required - base - 1, 0x7F, 0x80)
    return writer.getvalue() + lines
