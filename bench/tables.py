"""The page, the chart and the terminal's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape

from contenders import Contender
from rich.console import Console
from rich.table import Table
from rounds import ROWS, Row, Sample, Summary

#: Fastest over slowest run of one stack, from where on a sitting counts as disturbed.
_STEADY = 1.5

Core = Mapping[str, float | int | str]


@dataclass(frozen=True)
class Sitting:
    """Everything that one call of the script found."""

    date: str
    machine: Mapping[str, str]
    load: float
    mtu: int
    cores: tuple[int, int]
    reference: str
    contenders: Sequence[Contender]
    summaries: Sequence[Summary]
    samples: Sequence[Sample]
    #: (row, contender, what went wrong)
    failures: Sequence[tuple[str, str, str]]
    #: one object for each build of Ropewalk
    core: Sequence[Core]
    #: what ``ropewalk perf`` printed: one object for each build and direction
    commands: Sequence[Core]

    def label(self, key: str) -> str:
        """The stack's name for people."""
        return next((one.label for one in self.contenders if one.key == key), key)

    def of(self, row: Row) -> list[Summary]:
        """The stacks of one row, in their fixed order."""
        return [one for one in self.summaries if one.row == row.key]

    def as_json(self) -> dict[str, object]:
        """All of it, samples too."""
        return {
            **asdict(self),
            "contenders": [
                {
                    "key": one.key,
                    "label": one.label,
                    "version": one.version,
                    "tls": one.tls,
                    "missing": one.missing,
                }
                for one in self.contenders
            ],
        }


def print_tables(sitting: Sitting) -> None:
    """For the terminal."""
    console = Console()
    if not console.is_terminal:
        console.width = 140
    for row in ROWS:
        if sitting.of(row):
            console.print(_rich(row.title, *_table(sitting, row)))
    if sitting.core:
        console.print(_rich("The core alone, in virtual time", *_core_table(sitting)))
    for row_key, contender, reason in sitting.failures:
        console.print(f"failed: {row_key}, {contender}: {reason}", markup=False)


def _rich(title: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left", no_wrap=not number)
    for line in lines:
        table.add_row(*line)
    return table


def _table(sitting: Sitting, row: Row) -> tuple[list[str], list[list[str]]]:
    reference = sitting.label(sitting.reference).split()[0]
    bulk = bool(row.receiver)
    header = ["stack", row.unit, "slowest to fastest", f"rate ÷ {reference}"]
    if bulk:
        header += ["sender µs/packet", "receiver µs/packet", "CPU s/GB, both"]
    else:
        header += ["client CPU ms", "server CPU ms", "CPU ms, both"]
    header.append(f"CPU ÷ {reference}")
    if bulk:
        header += ["stream bytes /packet", "answers /packet", "MB a run"]
    lines = []
    for one in sitting.of(row):
        digits = 2 if bulk else 0
        line = [
            sitting.label(one.contender),
            f"{one.rate:,.{digits}f}",
            f"{one.slowest:,.{digits}f} to {one.fastest:,.{digits}f}",
            _ratio(one.rate_ratio),
        ]
        if bulk:
            line += [f"{one.sender_us:.2f}", f"{one.receiver_us:.2f}", f"{one.cpu:.2f}"]
        else:
            line += [
                f"{one.sender_us / 1e3:.2f}",
                f"{one.receiver_us / 1e3:.2f}",
                f"{one.cpu:.2f}",
            ]
        line.append(_ratio(one.cpu_ratio))
        if bulk:
            line += [f"{one.payload:,.0f}", f"{one.answers:.3f}", f"{one.work / 1e6:,.0f}"]
        lines.append(line)
    return header, lines


def _core_table(sitting: Sitting) -> tuple[list[str], list[list[str]]]:
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
    return header, lines


def _command_table(sitting: Sitting) -> tuple[list[str], list[list[str]]]:
    header = ["build", "direction", "Gbit/s", "client µs/packet", "server µs/packet"]
    header.append("retransmissions")
    names = ["gbit_per_second", "cpu_us_per_packet", "server_us_per_packet"]
    lines = []
    for one in sitting.commands:
        figures = [f"{float(one[name]):.2f}" for name in names]
        again = f"{float(one['retransmissions']):.0f}"
        lines.append([str(one["build"]), str(one["direction"]), *figures, again])
    return header, lines


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def markdown(sitting: Sitting, chart: str) -> str:
    """``docs/performance.md``."""
    rounds = max((one.runs for one in sitting.summaries), default=0)
    pinned = (
        f"the server on core {sitting.cores[0]} and the client on core {sitting.cores[1]}"
        if sitting.cores[0] >= 0
        else "both on any core, for there are not two to choose"
    )
    lines = [
        "# Performance",
        "",
        "Written by `make bench`; edit `bench/`, not this page.",
        "",
        f"All stacks were measured in one sitting on {sitting.date}, in turn, over {rounds} "
        "rounds; the figures are medians. Server and client are two processes over loopback, "
        f"{pinned}; TLS_AES_128_GCM_SHA256, X25519, an ECDSA P-256 certificate that the client "
        f"verifies, and no UDP payload above {sitting.mtu:,} bytes. Figures of other machines "
        "and days do not compare; the ratios are what to look at.",
        "",
        *_disturbance(sitting),
        f"![Bars of every row]({chart})",
        "",
    ]
    for row in ROWS:
        if sitting.of(row):
            lines += [f"## {row.title}", "", *_markdown_table(*_table(sitting, row)), ""]
    if sitting.commands:
        lines += ["## `ropewalk perf`, as printed", "", *_COMMAND_NOTE, ""]
        lines += [*_markdown_table(*_command_table(sitting)), ""]
    if sitting.core:
        lines += ["## The core alone", "", *_CORE_NOTE, ""]
        lines += [*_markdown_table(*_core_table(sitting)), ""]
    lines += ["## How to read it", "", *_notes(sitting), ""]
    lines += ["## Machine and versions", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in sitting.machine.items()]
    lines.append(f"| Load when it began | {sitting.load:.2f} |")
    for one in sitting.contenders:
        what = one.missing and f"not run: {one.missing}"
        lines.append(f"| {one.label} | {what or f'{one.version}; {one.tls}'} |")
    return "\n".join(lines) + "\n"


def _disturbance(sitting: Sitting) -> list[str]:
    """A warning when the runs of one stack differ by more than the stack can explain."""
    widest = max((one.fastest / one.slowest for one in sitting.summaries), default=1.0)
    if widest < _STEADY:
        return []
    return [
        f"**Other work disturbed this sitting**: runs of one stack differ by up to {widest:.1f} "
        "times. Trust the CPU figures and the fastest runs more than the medians of the rates, "
        "or repeat it on a quiet machine.",
        "",
    ]


_COMMAND_NOTE = [
    "`ropewalk perf serve` and `ropewalk perf run` on loopback, the processes not pinned; medians "
    "of the same sitting. CPU is each process's own, over all packets that it sent and received.",
]

_CORE_NOTE = [
    "`bench/core.py`: both endpoints in one process, without sockets or an event loop, in "
    "virtual time (10 ms round trip, endless rate); AEAD and all of the protocol are in it, "
    "the kernel is not. Everything but the CPU time repeats from its seed; the second half "
    "of the transfer counts. *Blocks kept* are live memory blocks that a packet leaves "
    "behind: anything but 0 would grow with the transfer.",
]

_NOTES = [
    "* **µs/packet** is a process's CPU time, user and system (`getrusage`), over the datagrams "
    "that brought the bulk to its receiver; acknowledging is in it. The server's time begins "
    "when it listens, so its one handshake is included.",
    "* **A run** is a new server and a new client. A first, unmeasured run finds how much work "
    "keeps each stack busy for the same time; the clock runs from the request to the last byte, "
    "of an upload to the server's answer that it has read all of it.",
    "* **Handshakes** are new connections by each library's own `connect`, one after the other, "
    "until the client's handshake is complete; each closes while the next begins.",
    "* **Ropewalk** speaks the protocol of `ropewalk perf` over its public API, on asyncio.",
    "* **aioquic and qh3** get all there is to send in one write, a protocol class that only adds "
    "up what arrives, windows of 16 MiB, and the receive buffer that Ropewalk asks for; they are "
    "quicker so than by default. aioquic has neither GSO nor GRO. qh3 has both in its client; its "
    "`serve` has not, and is put on the client's batching transport here: it sends more quickly "
    "so, while its server class takes datagrams in one by one all the same. X25519 is set from "
    "outside, for neither has a setting: aioquic would take P-256, qh3 X25519MLKEM768. qh3's "
    "path-MTU search, which would pass the cap, is off.",
    "* **ngtcp2** is not in these rows: Debian's example programs speak HTTP/3 only, and would be "
    "measured with other work than the rest.",
]


def _notes(sitting: Sitting) -> list[str]:
    notes = list(_NOTES)
    for one in sitting.contenders:
        if one.missing:
            notes.append(f"* **{one.label}** was not run: {one.missing}.")
    for row, contender, reason in sitting.failures:
        notes.append(f"* **{sitting.label(contender)}** failed in *{row}*: {reason[:300]}")
    return notes


def _markdown_table(header: list[str], lines: list[list[str]]) -> list[str]:
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return ["| " + " | ".join(cells) + " |" for cells in (header, rule, *lines)]


# ---------------------------------------------------------------- the chart

_WIDTH = 760
_LEFT = 190
_RIGHT = 90
_BAR = 20
_GAP = 6
_COLOURS = {"ropewalk": "#0b6e4f", "ropewalk-pure": "#6bbf59", "qh3": "#d1495b"}
_OTHER = "#8d99ae"


def chart(sitting: Sitting) -> str:
    """One group of bars for each row, each to its own scale, as an SVG document."""
    parts: list[str] = []
    y = 10
    for row in ROWS:
        summaries = sitting.of(row)
        if not summaries:
            continue
        y += 18
        title = escape(f"{row.title} ({row.unit})")
        parts.append(f'<text x="8" y="{y}" font-weight="bold">{title}</text>')
        y += 10
        longest = max(one.rate for one in summaries)
        for one in summaries:
            width = max(1.0, one.rate / longest * (_WIDTH - _LEFT - _RIGHT))
            middle = y + _BAR - 5
            colour = _COLOURS.get(one.contender, _OTHER)
            value = f"{one.rate:,.2f}" if row.receiver else f"{one.rate:,.0f}"
            label = escape(sitting.label(one.contender))
            parts += [
                f'<text x="{_LEFT - 8}" y="{middle}" text-anchor="end">{label}</text>',
                f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>',
                f'<text x="{_LEFT + width + 6:.1f}" y="{middle}">{value}</text>',
            ]
            y += _BAR + _GAP
        y += 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y + 6}" '
        f'viewBox="0 0 {_WIDTH} {y + 6}" font-family="sans-serif" font-size="13">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
