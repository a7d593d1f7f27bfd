"""The tables of a report: all its figures, for readers, printers and screen readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Final

from ropewalk.lab.report import units
from ropewalk.lab.report.page import Page
from ropewalk.lab.trace import Figures, Trace

_MOST_STREAMS: Final = 50
_MOST_EVENTS: Final = 200
#: Sides by side in a table; more connections are more tables than anybody reads.
_MOST_SIDES: Final = 24

_ROWS: Final[Sequence[tuple[str, Callable[[Figures], str]]]] = (
    ("Duration", lambda figures: units.seconds(figures.duration)),
    ("Handshake", lambda figures: units.seconds(figures.handshake)),
    ("Packets sent", lambda figures: units.count(figures.packets_sent)),
    ("Packets received", lambda figures: units.count(figures.packets_received)),
    ("Bytes sent", lambda figures: units.size(figures.bytes_sent)),
    ("Bytes received", lambda figures: units.size(figures.bytes_received)),
    ("New data sent", lambda figures: units.size(figures.data_sent)),
    ("New data received", lambda figures: units.size(figures.data_received)),
    ("Goodput sent", lambda figures: units.rate(figures.goodput_sent)),
    ("Goodput received", lambda figures: units.rate(figures.goodput_received)),
    ("Declared lost", lambda figures: units.count(figures.packets_lost)),
    ("Loss rate", lambda figures: units.share(figures.loss_rate)),
    ("Spurious losses", lambda figures: units.count(figures.spurious_losses)),
    ("Sent again", lambda figures: units.size(figures.bytes_resent)),
    ("Probe timeouts", lambda figures: units.count(figures.probe_timeouts)),
    ("Packets not usable", lambda figures: units.count(figures.packets_dropped)),
    ("RTT, minimum", lambda figures: units.seconds(figures.rtt_min)),
    ("RTT, median", lambda figures: units.seconds(figures.rtt_median)),
    ("RTT, 95th percentile", lambda figures: units.seconds(figures.rtt_p95)),
    ("RTT, maximum", lambda figures: units.seconds(figures.rtt_max)),
    ("Largest congestion window", lambda figures: units.size(figures.congestion_window_max)),
    ("Most bytes in flight", lambda figures: units.size(figures.bytes_in_flight_max)),
)


def key_figures(traces: Sequence[Trace], figures: Sequence[Figures], page: Page) -> str:
    """What one wants to know first: the caller's figures, or those of the main sender."""
    pairs = list(page.figures)
    if not pairs and traces:
        main = max(range(len(traces)), key=lambda index: figures[index].data_sent)
        sender = figures[main]
        # Who only listens knows the rate of what it received.
        goodput = sender.goodput_sent
        if sender.data_received > sender.data_sent:
            goodput = sender.goodput_received
        pairs = [
            ("Duration", units.seconds(sender.duration)),
            ("Handshake", units.seconds(sender.handshake)),
            ("Goodput", units.rate(goodput)),
            ("Median RTT", units.seconds(sender.rtt_median)),
            ("Loss", units.share(sender.loss_rate)),
            ("Sent again", units.size(sender.bytes_resent)),
        ]
    if not pairs:
        return ""
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs
    )
    return f'<section><h2 class="aside">In short</h2><dl class="figures">{cells}</dl></section>\n'


def sides(traces: Sequence[Trace], figures: Sequence[Figures]) -> str:
    """All figures, a column for each trace."""
    if not traces:
        return ""
    shown = list(zip(traces, figures, strict=True))[:_MOST_SIDES]
    head = "".join(f'<th scope="col">{escape(_heading(trace, traces))}</th>' for trace, _ in shown)
    about = (
        ("Written by", lambda trace: trace.implementation),
        ("Version", lambda trace: trace.version),
        ("ALPN", lambda trace: trace.alpn),
        ("How it ended", ending),
    )
    rows = [
        _row(name, [tell(trace) or units.UNKNOWN for trace, _ in shown]) for name, tell in about
    ]
    rows += [_row(name, [tell(each) for _, each in shown]) for name, tell in _ROWS]
    more = _note(len(traces) - len(shown), "traces")
    return _section(
        "Figures",
        f'<table class="figures-table"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{more}",
    )


def paths(traces: Sequence[Trace], figures: Sequence[Figures]) -> str:
    """Path by path, where there are several."""
    rows = []
    for trace, each in zip(traces, figures, strict=True):
        if len(each.paths) < 2:
            continue
        for path in each.paths:
            rows.append(
                _row(
                    f"{_heading(trace, traces)}, {path.name or 'first route'}",
                    [
                        units.count(path.packets_sent),
                        units.count(path.packets_received),
                        units.size(path.bytes_sent),
                        units.size(path.bytes_received),
                        units.count(path.packets_lost),
                        units.seconds(path.rtt_min),
                        units.seconds(path.rtt_median),
                        units.size(path.congestion_window_max),
                    ],
                )
            )
    head = (
        "Packets sent",
        "received",
        "Bytes sent",
        "received",
        "Lost",
        "RTT min",
        "median",
        "Largest window",
    )
    return _table("Paths", head, rows) if rows else ""


def streams(traces: Sequence[Trace]) -> str:
    """The largest streams of each trace."""
    found = [(trace, stream) for trace in traces for stream in trace.streams]
    found.sort(key=lambda pair: -(pair[1].sent + pair[1].received))
    rows = [
        _row(
            f"{_heading(trace, traces)} {stream.stream_id}",
            [
                stream.label,
                units.size(stream.sent),
                units.size(stream.received),
                units.size(stream.resent),
                units.seconds(stream.last - stream.first),
                "reset" if stream.reset else "finished" if stream.finished else "open",
            ],
        )
        for trace, stream in found[:_MOST_STREAMS]
    ]
    head = ("Request", "Sent", "Received", "Sent again", "Took", "State")
    if not rows:
        return ""
    return _table("Streams", head, rows, _note(len(found) - len(rows), "smaller streams"))


def events(traces: Sequence[Trace], shifts: Sequence[float], page: Page, own_shift: float) -> str:
    """What happened once, in its order."""
    found = [
        (mark.time + shift, _heading(trace, traces), mark.text)
        for trace, shift in zip(traces, shifts, strict=True)
        for mark in trace.marks
    ]
    found += [(event.time + own_shift, "scenario", event.text) for event in page.happenings]
    found.sort(key=lambda event: event[0])
    if not found:
        return ""
    rows = [_row(f"{time:.6f} s", [who, what]) for time, who, what in found[:_MOST_EVENTS]]
    more = _note(len(found) - len(rows), "later events")
    return _table("Events", ("Seen by", "What"), rows, more, words=True)


def parameters(traces: Sequence[Trace]) -> str:
    """The transport parameters, as one trace of each connection tells them."""
    blocks = []
    for trace in traces[:_MOST_SIDES]:
        names = dict.fromkeys(name for told in trace.parameters.values() for name in told)
        rows = [
            _row(name, [trace.parameters.get(side, {}).get(name, "") for side in _SIDES])
            for name in names
        ]
        if rows:
            title = f"Transport parameters, by {_heading(trace, traces)}"
            blocks.append(_table(title, ("Its own", "The peer's"), rows, words=True))
    return "".join(blocks)


def sources(traces: Sequence[Trace]) -> str:
    """Where each trace comes from, and what was odd in it."""
    rows = []
    for trace in traces:
        odd = [f"{what}: {count:,}" for what, count in trace.oddities.items()]
        rows.append(
            _row(
                trace.name or units.UNKNOWN,
                [
                    trace.format,
                    trace.group or units.UNKNOWN,
                    units.count(sum(trace.events.values())),
                    "; ".join(odd) or "nothing",
                ],
            )
        )
    head = ("Format", "Connection", "Events", "Odd")
    return _table("Sources", head, rows, words=True) if rows else ""


def ending(trace: Trace) -> str:
    """How a connection ended, in words."""
    close = trace.close
    if close is None:
        return "the log does not tell"
    who = {"local": "closed here", "remote": "closed by the peer"}.get(close.initiator, "closed")
    reason = f", “{close.reason}”" if close.reason else ""
    return f"{who}: {close.error}{reason}"


_SIDES: Final = ("local", "remote")


def _heading(trace: Trace, traces: Sequence[Trace]) -> str:
    """The side is enough where it is the only one of its kind."""
    side = trace.vantage_point
    alike = sum(other.vantage_point == side for other in traces)
    return side if alike == 1 and side != "unknown" else f"{side} {trace.name}".strip()


def _section(title: str, content: str) -> str:
    return (
        f'<section class="table"><details open><summary><h2>{escape(title)}</h2></summary>'
        f'<div class="scroll">{content}</div></details></section>\n'
    )


def _table(
    title: str, head: Iterable[str], rows: Sequence[str], more: str = "", *, words: bool = False
) -> str:
    """A section with a table; ``words`` stand to the left, numbers to the right."""
    kind = ' class="words"' if words else ""
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    return _section(
        title,
        f"<table{kind}><thead><tr><td></td>{cells}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{more}",
    )


def _row(name: str, values: Iterable[str]) -> str:
    cells = "".join(f"<td>{escape(value)}</td>" for value in values)
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _note(left: int, what: str) -> str:
    return f'<p class="note">And {left:,} {what}.</p>' if left > 0 else ""
