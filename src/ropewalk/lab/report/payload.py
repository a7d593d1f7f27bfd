"""The data of a report's page: a JSON outline whose columns lie in one compressed buffer."""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from array import array
from collections.abc import Iterable, Sequence
from typing import Final, final

from ropewalk.lab.report.page import Page
from ropewalk.lab.trace import PacketTable, PathSeries, Series, Trace
from ropewalk.lab.trace.align import align, partners

#: Text about frames beyond this many characters is cut down to the frames' names.
_MOST_TEXT: Final = 8_000_000
_FRAME: Final = re.compile(r"\b(?!FIN\b)[A-Z][A-Z_]{2,}\b")
_LARGEST: Final = 2**32 - 1
#: Array type code → the constructor in JavaScript.
_TYPES: Final = {
    "d": "Float64Array",
    "f": "Float32Array",
    "I": "Uint32Array",
    "i": "Int32Array",
    "B": "Uint8Array",
}


@final
class Columns:
    """Collects columns; each is known in the outline by its type, place and length."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def add(self, code: str, values: Iterable[float]) -> dict[str, object]:
        """Append a column; ``code`` is the array module's."""
        column = array(code, values)
        self._buffer += bytes(-len(self._buffer) % 8)
        place = len(self._buffer)
        self._buffer += column.tobytes()
        return {"column": [_TYPES[code], place, len(column)]}

    def encoded(self) -> str:
        """The buffer compressed with zlib, in base64."""
        return base64.b64encode(zlib.compress(bytes(self._buffer), 6)).decode()


def connections_of(traces: Sequence[Trace]) -> list[list[int]]:
    """Which traces are of one connection: client before server, in the order of the first."""
    groups: dict[object, list[int]] = {}
    for index, trace in enumerate(traces):
        members = groups.setdefault(trace.group, [])
        sides = {traces[member].vantage_point for member in members}
        if trace.vantage_point in sides:  # the same side twice: no pair
            groups[index] = [index]
        else:
            members.append(index)
    order = ("client", "network", "server", "unknown")
    return [
        sorted(members, key=lambda index: order.index(traces[index].vantage_point))
        for members in groups.values()
        if members
    ]


def shifts_of(traces: Sequence[Trace], page: Page) -> tuple[list[float], float]:
    """Seconds to add to each trace's times, and to the page's own, to get those shown."""
    shifts = align(traces)
    origin = page.origin
    if origin is None:
        pairs = zip(traces, shifts, strict=True)
        origin = min((trace.start + shift for trace, shift in pairs), default=0.0)
    return [shift - origin for shift in shifts], -origin


def payload(
    traces: Sequence[Trace], page: Page, shifts: Sequence[float], own_shift: float
) -> tuple[str, str]:
    """The outline as JSON that may stand in a script element, and the columns."""
    columns = Columns()
    connections = connections_of(traces)
    transits = _transits(traces, shifts, connections)
    texts = _Texts()
    told = [
        _trace(trace, shifts[index], transits.get(index), columns, texts)
        for index, trace in enumerate(traces)
    ]
    start, end = _axis(traces, shifts, page, own_shift)
    outline = {
        "start": start,
        "end": end,
        "connections": connections,
        "traces": told,
        "texts": texts.all(),
        "series": [
            {
                "where": line.where,
                "figure": line.figure,
                "unit": line.unit,
                "limit": line.limit,
                "t": columns.add("d", (time + own_shift for time in line.times)),
                "v": columns.add("d", line.values),
            }
            for line in page.series
        ],
        "happenings": [[event.time + own_shift, event.text] for event in page.happenings],
    }
    # In a script element only "<" could end it; U+2028 is no matter to JSON.parse.
    encoded = json.dumps(outline, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return encoded, columns.encoded()


@final
class _Texts:
    """Each text once."""

    def __init__(self) -> None:
        self._indexes: dict[str, int] = {}
        self._size = 0

    def index(self, text: str) -> int:
        if self._size > _MOST_TEXT and text not in self._indexes:
            text = ", ".join(_FRAME.findall(text))
        index = self._indexes.setdefault(text, len(self._indexes))
        if index == len(self._indexes) - 1:
            self._size += len(text)
        return index

    def all(self) -> list[str]:
        return list(self._indexes)


def _transits(
    traces: Sequence[Trace], shifts: Sequence[float], connections: Sequence[Sequence[int]]
) -> dict[int, array[float]]:
    """For each trace whose other end is there: how long each packet was under way, by its row;
    NaN for one that only this end saw."""
    found: dict[int, array[float]] = {}
    for members in connections:
        if len(members) != 2:
            continue
        for index, rows, other in zip(
            members,
            partners(traces[members[0]], traces[members[1]]),
            reversed(members),
            strict=True,
        ):
            mine, theirs = traces[index].packets, traces[other].packets
            apart = shifts[other] - shifts[index]
            found[index] = array("d")
            for row, partner in enumerate(rows):
                away = math.nan if partner < 0 else theirs.time[partner] + apart - mine.time[row]
                found[index].append(away if mine.sent[row] else -away)
    return found


def _axis(
    traces: Sequence[Trace], shifts: Sequence[float], page: Page, own_shift: float
) -> tuple[float, float]:
    starts = [trace.start + shift for trace, shift in zip(traces, shifts, strict=True)]
    ends = [trace.end + shift for trace, shift in zip(traces, shifts, strict=True)]
    for line in page.series:
        if line.times:
            starts.append(line.times[0] + own_shift)
            ends.append(line.times[-1] + own_shift)
    start, end = min(starts, default=0.0), max(ends, default=1.0)
    return start, max(end, start + 1e-6)


def _trace(
    trace: Trace, shift: float, transit: array[float] | None, columns: Columns, texts: _Texts
) -> dict[str, object]:
    return {
        "name": trace.name,
        "side": trace.vantage_point,
        "paths": [_path(path, shift, columns) for path in trace.paths],
        "acknowledgedRtt": _series(trace.acknowledged_rtt, shift, columns),
        "marks": [[mark.time + shift, mark.kind, mark.text] for mark in trace.marks],
        "handshake": None
        if math.isnan(trace.handshake_complete)
        else trace.handshake_complete + shift,
        "close": None if trace.close is None else trace.close.time + shift,
        "packets": _packets(trace.packets, shift, transit, columns, texts),
    }


def _path(path: PathSeries, shift: float, columns: Columns) -> dict[str, object]:
    return {
        "name": path.name,
        "congestionWindow": _series(path.congestion_window, shift, columns),
        "bytesInFlight": _series(path.bytes_in_flight, shift, columns),
        "threshold": _series(path.slow_start_threshold, shift, columns),
        "smoothedRtt": _series(path.smoothed_rtt, shift, columns),
        "latestRtt": _series(path.latest_rtt, shift, columns),
        "minRtt": _series(path.min_rtt, shift, columns),
    }


def _series(series: Series, shift: float, columns: Columns) -> dict[str, object]:
    order = _by_time(series.times)
    return {
        "t": columns.add("d", (series.times[row] + shift for row in order)),
        "v": columns.add("d", (series.values[row] for row in order)),
    }


def _packets(
    table: PacketTable, shift: float, transit: array[float] | None, columns: Columns, texts: _Texts
) -> dict[str, object]:
    order = _by_time(table.time)
    return {
        "t": columns.add("d", (table.time[row] + shift for row in order)),
        "number": columns.add("d", (table.number[row] for row in order)),
        "size": columns.add("I", (table.size[row] for row in order)),
        "sent": columns.add("B", (table.sent[row] for row in order)),
        "kind": columns.add("B", (table.kind[row] for row in order)),
        "path": columns.add("B", (table.path[row] for row in order)),
        "eliciting": columns.add("B", (table.eliciting[row] for row in order)),
        "fresh": columns.add("I", (min(table.fresh[row], _LARGEST) for row in order)),
        "acked": columns.add("f", (table.acked[row] - table.time[row] for row in order)),
        "lost": columns.add("f", (table.lost[row] - table.time[row] for row in order)),
        "ackDelay": columns.add("f", (table.ack_delay[row] for row in order)),
        "text": columns.add("I", (texts.index(table.frames(row)) for row in order)),
        "transit": columns.add("f", () if transit is None else (transit[row] for row in order)),
    }


def _by_time(times: Sequence[float]) -> Sequence[int]:
    """The rows by time; most logs are in that order already."""
    rows = range(len(times))
    if all(times[row] <= times[row + 1] for row in range(len(times) - 1)):
        return rows
    return sorted(rows, key=times.__getitem__)
