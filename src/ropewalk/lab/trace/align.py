"""Puts the traces of both ends on one time axis, and finds each packet at both."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

from ropewalk.lab.trace.model import SPACE_OF, PacketTable, Trace

#: Where a packet stands: space, path ID, number.
_Key = tuple[int, str, int]


def align(traces: Sequence[Trace]) -> list[float]:
    """Seconds to add to each trace's times so that they share an axis.

    They are set by the wall clock if both tell it, and otherwise taken to run on one clock.
    Where a packet would then arrive before it was sent, the fastest packet of each direction
    is taken to need the same time instead (as NTP does).
    """
    shifts = [0.0] * len(traces)
    for index, trace in enumerate(traces):
        for earlier in range(index):
            other = traces[earlier]
            if other.group == trace.group and {other.vantage_point, trace.vantage_point} == {
                "client",
                "server",
            }:
                shifts[index] = shifts[earlier] + _clock_difference(other, trace)
                break
        else:
            if index:
                shifts[index] = shifts[0] + _by_wall_clock(traces[0], trace)
    return shifts


def partners(one: Trace, other: Trace) -> tuple[array[int], array[int]]:
    """For each packet of each trace its row in the other's table; -1 if it is not there."""
    return (
        _rows_of(one, _sent_rows(other), _received_rows(other)),
        _rows_of(other, _sent_rows(one), _received_rows(one)),
    )


def _clock_difference(one: Trace, other: Trace) -> float:
    told = _by_wall_clock(one, other)
    there = _fastest(one, _received_rows(other), other.packets) + told
    back = _fastest(other, _received_rows(one), one.packets) - told
    if math.isinf(there) or math.isinf(back) or (there >= 0 and back >= 0):
        return told
    return told + (back - there) / 2


def _by_wall_clock(one: Trace, other: Trace) -> float:
    if one.wall_clock is None or other.wall_clock is None:
        return 0.0
    return other.wall_clock - one.wall_clock


def _fastest(sender: Trace, received: dict[_Key, int], table: PacketTable) -> float:
    """The least time from a sent packet to its arrival, each by its own clock."""
    least = math.inf
    for key, row in _sent_rows(sender).items():
        arrival = received.get(key)
        if arrival is not None:
            least = min(least, table.time[arrival] - sender.packets.time[row])
    return least


def _sent_rows(trace: Trace) -> dict[_Key, int]:
    return _rows(trace, 1)


def _received_rows(trace: Trace) -> dict[_Key, int]:
    return _rows(trace, 0)


def _rows(trace: Trace, sent: int) -> dict[_Key, int]:
    table = trace.packets
    return {
        _key(trace, row): row
        for row in range(len(table))
        if table.sent[row] == sent and table.number[row] >= 0
    }


def _key(trace: Trace, row: int) -> _Key:
    table = trace.packets
    space = SPACE_OF[table.kind[row]]
    return space, trace.paths[table.path[row]].path_id, table.number[row]


def _rows_of(trace: Trace, sent: dict[_Key, int], received: dict[_Key, int]) -> array[int]:
    table = trace.packets
    return array(
        "q",
        (
            (received if table.sent[row] else sent).get(_key(trace, row), -1)
            for row in range(len(table))
        ),
    )
