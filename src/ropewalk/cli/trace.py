"""``ropewalk trace``: what a qlog tells, in short or as a page with charts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from ropewalk.cli.errors import BadCall, one_line_errors
from ropewalk.lab.report import Page, render
from ropewalk.lab.report import units as unit
from ropewalk.lab.report.tables import ending
from ropewalk.lab.trace import Figures, NotQlog, Trace, figures_of, read_qlog_file
from ropewalk.lab.trace.model import PACKET_TYPES

_STREAMS_TOLD: Final = 5


@click.command()
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page with charts to FILE; it needs nothing beside itself.",
)
@click.option("--packets", is_flag=True, help="List every packet, one a line, with its fate.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each trace.")
def trace(files: tuple[Path, ...], page: Path | None, packets: bool, as_json: bool) -> None:
    """Summarise qlogs, ours or another stack's.

    Reads .qlog (contained JSON), .sqlog (JSON-SEQ) and one JSON document a line, of the present
    drafts and of the 0.3 era. Give both ends' logs of a connection to see them on one time
    axis in the page. Broken events are passed over and counted.

    Exit code: 0, or 2 when a file is no qlog or cannot be read.
    """
    if as_json and packets:
        raise click.UsageError("--json and --packets exclude one another; give one of them")
    with one_line_errors():
        traces = [trace for file in files for trace in _read(file)]
        if page is not None:
            page.write_text(render(traces, _head(traces)), "utf-8")
    for index, each in enumerate(traces):
        if as_json:
            click.echo(json.dumps(summary(each)))
            continue
        if index:
            click.echo()
        for line in lines(each, figures_of(each)):
            click.echo(line)
        if packets:
            click.echo()
            for line in packet_lines(each):
                click.echo(line)
    if page is not None:
        click.echo(f"the page is in {page}", err=True)


def _read(file: Path) -> list[Trace]:
    try:
        return read_qlog_file(file)
    except NotQlog as error:
        raise BadCall(f"{file}: {error}") from error


def _head(traces: list[Trace]) -> Page:
    titles = dict.fromkeys(each.title for each in traces if each.title)
    facts = [
        (name, ", ".join(found))
        for name, found in (
            ("Written by", dict.fromkeys(each.implementation for each in traces)),
            ("Version", dict.fromkeys(each.version for each in traces)),
            ("ALPN", dict.fromkeys(each.alpn for each in traces)),
        )
        if any(found)
    ]
    names = ", ".join(each.name for each in traces[:4])
    return Page(title=next(iter(titles), "") or names, about=names if titles else "", facts=facts)


def lines(trace: Trace, figures: Figures) -> Iterator[str]:
    """A trace for people."""
    yield f"{trace.name}: {trace.vantage_point}{_of(trace.implementation)}, {trace.format}"
    yield _line("connection", trace.group or "not told")
    protocol = ", ".join(part for part in (trace.version, trace.alpn) if part)
    yield _line("protocol", protocol or "not told")
    yield _line(
        "duration", f"{unit.seconds(figures.duration)}, handshake {unit.seconds(figures.handshake)}"
    )
    yield _line(
        "sent",
        f"{unit.count(figures.packets_sent)} packets, {unit.size(figures.bytes_sent)}; "
        f"new data {unit.size(figures.data_sent)}, {unit.rate(figures.goodput_sent)}",
    )
    yield _line(
        "received",
        f"{unit.count(figures.packets_received)} packets, {unit.size(figures.bytes_received)}; "
        f"new data {unit.size(figures.data_received)}, {unit.rate(figures.goodput_received)}",
    )
    yield _line(
        "lost",
        f"{unit.count(figures.packets_lost)} packets, {unit.share(figures.loss_rate)}; "
        f"{unit.count(figures.spurious_losses)} spurious; "
        f"{unit.size(figures.bytes_resent)} sent again; "
        f"{unit.count(figures.probe_timeouts)} probe timeouts",
    )
    yield _line(
        "RTT",
        f"minimum {unit.seconds(figures.rtt_min)}, median {unit.seconds(figures.rtt_median)}, "
        f"95 % within {unit.seconds(figures.rtt_p95)}, maximum {unit.seconds(figures.rtt_max)}",
    )
    if figures.congestion_window_max:
        yield _line(
            "window",
            f"at most {unit.size(figures.congestion_window_max)}; "
            f"in flight at most {unit.size(figures.bytes_in_flight_max)}",
        )
    yield from _path_lines(figures)
    yield from _stream_lines(trace)
    yield _line("end", ending(trace))
    if trace.dropped:
        told = ", ".join(f"{why.replace('_', ' ')} {n:,}" for why, n in trace.dropped.items())
        yield _line("not usable", told)
    for what, times in trace.oddities.items():
        yield _line("odd", f"{what}: {times:,}")


def _path_lines(figures: Figures) -> Iterator[str]:
    if len(figures.paths) < 2:
        return
    for path in figures.paths:
        yield _line(
            path.name or "first route",
            f"{unit.count(path.packets_sent)} packets sent, "
            f"{unit.count(path.packets_received)} received, "
            f"{unit.count(path.packets_lost)} lost; RTT median {unit.seconds(path.rtt_median)}",
        )


def _stream_lines(trace: Trace) -> Iterator[str]:
    largest = sorted(trace.streams, key=lambda stream: -(stream.sent + stream.received))
    for stream in largest[:_STREAMS_TOLD]:
        state = "reset" if stream.reset else "finished" if stream.finished else "open"
        label = f" ({stream.label})" if stream.label else ""
        yield _line(
            f"stream {stream.stream_id}",
            f"{unit.size(stream.sent)} sent, {unit.size(stream.received)} received, {state}{label}",
        )
    if len(largest) > _STREAMS_TOLD:
        yield _line("", f"and {len(largest) - _STREAMS_TOLD:,} smaller streams")


def packet_lines(trace: Trace) -> Iterator[str]:
    """A packet a line: time, direction, type and number, size, fate, frames."""
    table = trace.packets
    for row in range(len(table)):
        arrow = ">" if table.sent[row] else "<"
        number = table.number[row] if table.number[row] >= 0 else ""
        yield (
            f"{table.time[row] - trace.start:12.6f} {arrow} {PACKET_TYPES[table.kind[row]]:<9} "
            f"{number!s:>7} {table.size[row]:>6} {_fate(trace, row):<24} {table.frames(row)}"
        )


def _fate(trace: Trace, row: int) -> str:
    table = trace.packets
    fate = table.fate(row)
    when = table.acked[row] if fate == "acked" else table.lost[row]
    if math.isnan(when):
        return "" if fate == "received" else "no word of it"
    return f"{fate} after {unit.seconds(when - table.time[row])}"


def summary(trace: Trace) -> dict[str, object]:
    """A trace for programs. Seconds, bytes, bits per second; null is what is not known."""
    close = trace.close
    return {
        "name": trace.name,
        "title": trace.title,
        "vantage_point": trace.vantage_point,
        "implementation": trace.implementation,
        "connection": trace.group,
        "format": trace.format,
        "version": trace.version,
        "alpn": trace.alpn,
        **figures_of(trace).as_json(),
        "streams": [
            {
                "stream_id": stream.stream_id,
                "sent": stream.sent,
                "received": stream.received,
                "resent": stream.resent,
                "finished": stream.finished,
                "reset": stream.reset,
                "label": stream.label,
            }
            for stream in trace.streams
        ],
        "close": None
        if close is None
        else {"initiator": close.initiator, "error": close.error, "reason": close.reason},
        "dropped": dict(trace.dropped),
        "events": dict(trace.events),
        "oddities": dict(trace.oddities),
    }


def _of(implementation: str) -> str:
    return f" ({implementation})" if implementation else ""


def _line(name: str, value: str) -> str:
    return f"  {name:<12}{value}"
