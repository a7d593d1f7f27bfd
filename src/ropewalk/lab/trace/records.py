"""The three ways in which qlog events stand in a file, read one event at a time.

Contained JSON (one document), JSON-SEQ (RFC 7464: each record behind a 0x1E), and one JSON
document a line. What cannot be read is counted and passed over.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from typing import Final

from ropewalk.lab.trace.contained import Contained
from ropewalk.lab.trace.oddities import Oddities
from ropewalk.lab.trace.values import mapping
from ropewalk.quic.types.errors import Error

Data = bytes | bytearray | mmap.mmap

_RECORD_SEPARATOR: Final = b"\x1e"
_SPACE: Final = b" \t\r\n"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
#: No event is larger; a longer record is broken, or no qlog.
_MAX_RECORD: Final = 1 << 24
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


class NotQlog(Error):
    """The file is no qlog that can be read; the text says what it is instead."""


#: A head begins a trace (its fields); an event belongs to the trace before it.
Record = tuple[bool, dict[str, object]]


def read_records(data: Data, oddities: Oddities) -> tuple[str, Iterator[Record]]:
    """The name of the serialization, and what the file holds, in its order.

    In a contained file the fields behind the events come as a second head. Raises
    :class:`NotQlog`.
    """
    start = 3 if bytes(data[:3]) == _BYTE_ORDER_MARK else 0
    while start < len(data) and data[start : start + 1] in (b" ", b"\t", b"\r", b"\n"):
        start += 1
    first = bytes(data[start : start + 4])
    if not first:
        raise NotQlog("the file is empty")
    if first[:2] == _GZIP or first == _ZSTD:
        raise NotQlog("the file is compressed: decompress it first (gzip -d, zstd -d)")
    if first[:1] == _RECORD_SEPARATOR:
        return "JSON-SEQ", _read_sequence(data, start + 1, _RECORD_SEPARATOR, oddities)
    if first[:1] != b"{":
        raise NotQlog("the file is no qlog: that is JSON, or JSON records behind 0x1E signs")
    if _is_a_record_a_line(data, start):
        return "NDJSON", _read_sequence(data, start, b"\n", oddities)
    return "JSON", Contained(data, start, oddities).records()


def _is_a_record_a_line(data: Data, start: int) -> bool:
    end = data.find(b"\n", start, start + _MAX_RECORD)
    if end < 0:
        return False
    try:
        document = json.loads(bytes(data[start:end]))
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and "traces" not in document


def _read_sequence(
    data: Data, start: int, separator: bytes, oddities: Oddities
) -> Iterator[Record]:
    while start < len(data):
        end = data.find(separator, start)
        if end < 0:
            end = len(data)
        if end - start > _MAX_RECORD:
            oddities.count("records too long to be events")
        else:
            record = _parse(bytes(data[start:end]).strip(_SPACE), end == len(data), oddities)
            if record is not None:
                yield _is_head(record), record
        start = end + 1


def _parse(record: bytes, is_last: bool, oddities: Oddities) -> dict[str, object] | None:
    if not record:
        return None
    try:
        document: object = json.loads(record)
    except (ValueError, RecursionError):
        oddities.count("the last record is cut short" if is_last else "broken records")
        return None
    if not isinstance(document, dict):
        oddities.count("records that are no objects")
        return None
    return document


def _is_head(record: dict[str, object]) -> bool:
    return "name" not in record and (
        bool(mapping(record.get("trace")))
        or any(key in record for key in ("file_schema", "qlog_version", "qlog_format"))
    )
