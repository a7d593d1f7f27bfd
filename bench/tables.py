"""The tables, as headers and lines, for the page and the terminal alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contenders import Contender
from rows import Group, Kind, Row
from sitting import Core, Sitting
from summary import Summary
from targets import OURS

#: The least part of an echo's datagrams that is told to be lost.
_WORTH_TELLING = 0.001


@dataclass(frozen=True)
class Table:
    """A title, a header and lines."""

    title: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]


def group_tables(sitting: Sitting, group: Group) -> list[Table]:
    """Figures with their ratios, and CPU, of one group; rows that nobody was measured in left out.

    The number in brackets is Ropewalk's figure, compiled, over the one before it.
    """
    measured = {one.row for one in sitting.summaries}
    rows = [row for row in group.rows if row.key in measured]
    if not rows:
        return []
    kind = rows[0].kind
    tables = [_table(sitting, group.title, f"{kind.value} (÷)", rows, _figure)]
    if kind is Kind.BULK:
        tables += [
            _table(sitting, "CPU time", "CPU s/GB, client + server", rows, _cpu_of_bulk),
            _table(sitting, "CPU time", "CPU µs/packet, client + server", rows, _cpu_of_packet),
        ]
    elif kind is Kind.RATE:
        tables.append(_table(sitting, "CPU time", "CPU µs, client + server", rows, _cpu_of_one))
    return tables


Show = Callable[[Sitting, Row, Summary], str]


def _table(sitting: Sitting, title: str, unit: str, rows: Sequence[Row], show: Show) -> Table:
    stacks = sitting.taking_part()
    lines = [[row.title, *(_cell(sitting, row, one, show) for one in stacks)] for row in rows]
    return Table(title, [unit, *(one.label for one in stacks)], lines)


def _cell(sitting: Sitting, row: Row, stack: Contender, show: Show) -> str:
    found = sitting.figures.get(row.key, stack.key)
    if found is not None:
        return show(sitting, row, found)
    if row.key in stack.lacks:
        return stack.lacks[row.key]
    failed = any(one[:2] == (row.key, stack.key) for one in sitting.failures)
    return "failed" if failed else "not run"


def _figure(sitting: Sitting, row: Row, found: Summary) -> str:
    text = digits(found.figure)
    if row.kind is Kind.LATENCY:
        text += f", median {digits(found.middle)}"
    if found.lost >= _WORTH_TELLING:
        text += f", {found.lost:.1%} lost"
    ratio = sitting.figures.ratio(row.key, OURS, found.contender)
    return text if ratio is None or found.contender == OURS else f"{text} ({ratio:.2f})"


def _cpu_of_bulk(sitting: Sitting, row: Row, found: Summary) -> str:
    return f"{found.client_cpu:.2f} + {found.server_cpu:.2f}"


def _cpu_of_packet(sitting: Sitting, row: Row, found: Summary) -> str:
    if not found.client_packet:
        return "packets not told"
    return f"{found.client_packet:.2f} + {found.server_packet:.2f}"


def _cpu_of_one(sitting: Sitting, row: Row, found: Summary) -> str:
    return f"{digits(found.client_cpu)} + {digits(found.server_cpu)}"


def digits(value: float) -> str:
    """Three digits that count, with commas between thousands."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def target_table(sitting: Sitting) -> Table:
    """What was to be reached, and what was."""
    marks = {True: "reached", False: "**missed**", None: ""}
    lines = [
        [one.what, one.wanted, one.found, marks[one.reached]]
        for one in sitting.verdicts
        if one.reached is not None
    ]
    return Table("What was to be reached", ["what", "wanted", "found", ""], lines)


def core_table(sitting: Sitting) -> Table:
    """``bench/core.py`` on each build."""
    header = ["build", "sender µs/packet", "receiver µs/packet", "packets/burst", "answers/packet"]
    header.append("blocks kept/packet")
    names = ["sender_us_per_packet", "receiver_us_per_packet", "packets_per_burst"]
    names += ["answers_per_packet", "live_blocks_per_packet"]
    lines = []
    for core in sitting.core:
        numbers = [
            f"{float(core[name]):.{3 if index > 2 else 2}f}" for index, name in enumerate(names)
        ]
        lines.append([str(core["build"]), *numbers])
    return Table("The core alone, in virtual time", header, lines)


def command_table(sitting: Sitting) -> Table:
    """``ropewalk perf``, as printed."""
    header = ["build", "direction", "Gbit/s", "client µs/packet", "server µs/packet"]
    header.append("retransmissions")
    names = ["gbit_per_second", "cpu_us_per_packet", "server_us_per_packet"]
    return Table("ropewalk perf", header, [_command(one, names) for one in sitting.commands])


def _command(one: Core, names: Sequence[str]) -> list[str]:
    figures = [f"{float(one[name]):.2f}" for name in names]
    again = f"{float(one['retransmissions']):.0f}"
    return [str(one["build"]), str(one["direction"]), *figures, again]
