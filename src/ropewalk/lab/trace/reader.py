"""Reads a qlog of any draft since 0.3, of anybody, into
:class:`~ropewalk.lab.trace.model.Trace` objects."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Final

from ropewalk.lab.trace.builder import TraceBuilder
from ropewalk.lab.trace.model import Trace
from ropewalk.lab.trace.oddities import Oddities
from ropewalk.lab.trace.records import Data, NotQlog, read_records
from ropewalk.lab.trace.values import mapping

_MOST_TRACES: Final = 1000


def read_qlog(data: Data, name: str = "") -> list[Trace]:
    """Read a qlog: contained JSON, JSON-SEQ, or one JSON document a line.

    ``name`` is shown as where it comes from. The names of the present drafts and those of
    the 0.3 era are known. Broken events are passed over and counted in ``oddities``. Raises
    :class:`~ropewalk.lab.trace.records.NotQlog` for a file without a readable event.
    """
    return _read(data, name, late={})


def read_qlog_file(path: Path) -> list[Trace]:
    """Read a file without taking it into memory as a whole. Raises ``OSError`` and
    :class:`~ropewalk.lab.trace.records.NotQlog`."""
    with path.open("rb") as file:
        try:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (ValueError, OSError):  # an empty file, a pipe
            return read_qlog(file.read(), path.name)
        with mapped:
            return read_qlog(mapped, path.name)


def _read(data: Data, name: str, late: dict[int, dict[str, object]]) -> list[Trace]:
    oddities = Oddities()
    serialization, records = read_records(data, oddities)
    builders: list[TraceBuilder] = []
    for is_head, record in records:
        if is_head and "late" in record and builders:
            fields = mapping(record["late"])
            if not builders[-1].read_late_head(fields) and len(builders) - 1 not in late:
                # The format of times stood behind them: once more, knowing it.
                late[len(builders) - 1] = fields
                return _read(data, name, late)
        elif is_head or not builders:
            if len(builders) == _MOST_TRACES:
                oddities.count("traces beyond the first thousand, not read")
                break
            known = late.get(len(builders), {})
            builders.append(TraceBuilder(serialization, oddities if not builders else Oddities()))
            head = record if is_head else {}
            builders[-1].read_head(head, known)
        if not is_head:
            builders[-1].read_event(record)
    traces = [
        builder.build(name if len(builders) == 1 else f"{name} #{index + 1}")
        for index, builder in enumerate(builders)
    ]
    if not any(trace.events for trace in traces):
        raise NotQlog(_why_nothing(oddities))
    return traces


def _why_nothing(oddities: Oddities) -> str:
    found = ", ".join(f"{what}: {count:,}" for what, count in oddities.counts.items())
    return f"the file holds no qlog events{f' ({found})' if found else ''}"
