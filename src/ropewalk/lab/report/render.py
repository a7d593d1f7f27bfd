"""The report: one HTML page that needs nothing beside itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Final

from ropewalk import _build
from ropewalk.lab.report import tables
from ropewalk.lab.report.page import Expectation, Page
from ropewalk.lab.report.payload import connections_of, payload, shifts_of
from ropewalk.lab.trace import Trace, figures_of

_SCRIPTS: Final = ("data.js", "view.js", "charts.js", "packets.js", "main.js")


def render(traces: Sequence[Trace], page: Page) -> str:
    """The page as HTML, for one run or any set of traces.

    It loads nothing: styles, scripts and data are inside, and its own content security policy
    forbids anything else. Traces of the two ends of a connection (same ``group``) are set on
    one axis. The same arguments always give the same page.
    """
    # A client stands before its server.
    traces = [traces[index] for members in connections_of(traces) for index in members]
    shifts, own_shift = shifts_of(traces, page)
    outline, columns = payload(traces, page, shifts, own_shift)
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    figures = [figures_of(trace) for trace in traces]
    connections = connections_of(traces)
    body = "".join(
        (
            _header(page),
            _expectations(page.expectations),
            tables.key_figures(traces, figures, page),
            _charts(traces, page, connections),
            tables.sides(traces, figures),
            tables.paths(traces, figures),
            tables.streams(traces),
            tables.events(traces, shifts, page, own_shift),
            tables.parameters(traces),
            tables.sources(traces),
        )
    )
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'\">\n"
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(page.title)}</title>\n<style>\n{_asset('report.css')}</style>\n"
        f"</head>\n<body>\n<main>\n{body}</main>\n"
        f"<footer>{escape(_build.describe())}. This page is complete in itself: "
        "it loads nothing and may be kept or mailed.</footer>\n"
        f'<script type="application/json" id="outline">{outline}</script>\n'
        f'<script type="text/plain" id="columns">{columns}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _script() -> str:
    parts = "".join(_asset(name) for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _header(page: Page) -> str:
    facts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in page.facts
    )
    about = f'<p class="about">{escape(page.about)}</p>' if page.about else ""
    command = (
        '<div class="command"><span class="hint">To see this again</span>'
        f'<code id="command">{escape(page.command)}</code>'
        '<button type="button" id="copy">Copy</button></div>'
        if page.command
        else ""
    )
    listed = f'<dl class="facts">{facts}</dl>' if facts else ""
    return f"<header><h1>{escape(page.title)}</h1>{about}{listed}{command}</header>\n"


def _expectations(expectations: Sequence[Expectation]) -> str:
    if not expectations:
        return ""
    failed = sum(not each.holds for each in expectations)
    verdict = (
        f"{failed} of {len(expectations)} expectations not met"
        if failed
        else f"All {len(expectations)} expectations met"
        if len(expectations) > 1
        else "The expectation is met"
    )
    rows = "".join(
        f'<li class="{"holds" if each.holds else "fails"}">'
        f'<span class="mark">{"✓ met" if each.holds else "✗ not met"}</span>'
        f"<span>{escape(each.text)}</span>"
        f'<span class="found">{escape(each.found)}</span></li>'
        for each in expectations
    )
    return (
        f'<section class="expectations {"bad" if failed else "good"}"><h2>{verdict}</h2>'
        f"<ul>{rows}</ul></section>\n"
    )


#: The charts of a trace, with their titles.
_TRACE_CHARTS: Final = (
    ("throughput", "Throughput"),
    ("window", "Congestion window"),
    ("rtt", "Round-trip time"),
    ("losses", "Losses"),
)


def _charts(traces: Sequence[Trace], page: Page, connections: Sequence[Sequence[int]]) -> str:
    charts = [_figure(*chart) for chart in _TRACE_CHARTS] if traces else []
    if len(connections) > 1:
        charts.insert(0, _figure("flows", "New data of each connection"))
    kinds = list(dict.fromkeys(line.figure for line in page.series))
    for number, kind in enumerate(kinds):
        charts.append(_figure(f"series-{number}", kind[:1].upper() + kind[1:]))
    if not charts:
        return ""
    timeline = _TIMELINE if traces else ""
    return (
        '<section class="charts" id="charts"><h2 class="aside">Over time</h2>'
        f"{_toolbar(traces, connections)}"
        '<noscript><p class="note">The charts are drawn by a script, which is switched off here. '
        "The tables below hold the figures.</p></noscript>"
        '<div id="overview" class="overview" role="img" aria-label="The whole run; what the '
        'charts show is framed"></div>'
        '<div id="moments" class="moments" role="img" aria-label="Events on the time axis; '
        'they are listed in a table below"></div>'
        f'{"".join(charts)}{timeline}<div id="axis" class="axis" aria-hidden="true"></div>'
        "</section>\n"
    )


def _toolbar(traces: Sequence[Trace], connections: Sequence[Sequence[int]]) -> str:
    chooser = ""
    if len(connections) > 1:
        options = "".join(
            f'<option value="{index}">{escape(traces[members[0]].name or f"#{index + 1}")}</option>'
            for index, members in enumerate(connections)
        )
        chooser = f'<label>Connection <select id="connection">{options}</select></label>'
    return (
        f'<div class="toolbar" id="toolbar">{chooser}'
        '<div id="sides" class="sides" role="group" aria-label="Seen by"></div>'
        '<output id="range" aria-live="polite"></output>'
        '<div class="buttons">'
        '<button type="button" id="out" aria-label="Zoom out">&minus;</button>'
        '<button type="button" id="in" aria-label="Zoom in">+</button>'
        '<button type="button" id="all">Whole run</button></div></div>'
        '<p class="hint keys">Drag over a chart to look closer; Shift and drag, or two fingers, to '
        "move; Ctrl and wheel to zoom. Keys on a chart: arrows move, + and &minus; zoom, 0 shows "
        "all. The address keeps the view.</p>"
    )


def _figure(key: str, title: str) -> str:
    return (
        f'<figure class="chart" id="chart-{key}" data-chart="{key}" tabindex="0" '
        f'aria-labelledby="title-{key}"><figcaption><span class="title" id="title-{key}">'
        f'{escape(title)}</span> <span class="unit"></span><span class="legend"></span>'
        f'<span class="readout" aria-hidden="true"></span></figcaption>'
        f'<div class="plot"></div></figure>'
    )


_TIMELINE: Final = (
    '<figure class="chart timeline" id="chart-packets" data-chart="packets" tabindex="0" '
    'aria-labelledby="title-packets"><figcaption><span class="title" id="title-packets">'
    'Packets</span> <span class="unit">as tall as they are large; hover or tap one, or step '
    "with , and .</span>"
    '<span class="legend"><span class="key data">data</span>'
    '<span class="key ack">only ACK</span><span class="key early">handshake</span>'
    '<span class="key lost">&times; lost</span><span class="key spurious">○ lost, then acked</span>'
    '</span></figcaption><div class="plot"></div>'
    '<div class="packet" id="packet" aria-live="polite"><p class="hint">Of the packet that is '
    "pointed at, this tells number, size, frames and fate.</p></div></figure>"
)
