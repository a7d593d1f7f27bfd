"""The report as a file: complete in itself, well-formed, unharmed by what the logs hold."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from array import array
from html.parser import HTMLParser
from typing import Any

import pytest

from ropewalk.lab.report import Expectation, Happening, Measured, Page, render
from ropewalk.lab.report import units as unit
from ropewalk.lab.trace import Trace, figures_of
from tests.lab.qlogs import event, packet, sample, stream, trace_of

PAGE = Page(
    title="bulk over a lossy line",
    about="One download.",
    facts=[("Scenario", "bulk-lossy"), ("Seed", "30")],
    command="ropewalk lab run bulk-lossy --seed 30",
    expectations=[
        Expectation(text="goodput of 85 %", holds=True, found="88 %"),
        Expectation(text="no spurious loss", holds=False, found="3"),
    ],
    series=[
        Measured(
            where="access, down",
            figure="queue",
            unit="bytes",
            times=[0, 0.1, 0.2],
            values=[0, 3000, 1200],
            limit=36_000,
        )
    ],
    happenings=[Happening(time=0.15, text="the link goes down")],
)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>&\"'<!--"
VOID = {"meta", "br", "img", "input", "link", "hr"}


def both() -> list[Trace]:
    return [sample("quic_go_server.sqlog"), sample("quic_go_client.sqlog")]


class Document(HTMLParser):
    """Checks that elements are closed as they were opened, and remembers what is there."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def outline(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="outline">(.*?)</script>', page, re.S)
    assert found is not None
    document: dict[str, Any] = json.loads(found[1])
    return document


def column(page: str, place: dict[str, Any]) -> list[float]:
    found = re.search(r'<script type="text/plain" id="columns">(.*?)</script>', page, re.S)
    assert found is not None
    buffer = zlib.decompress(base64.b64decode(found[1]))
    name, start, length = place["column"]
    code = {"Float64Array": "d", "Float32Array": "f", "Uint32Array": "I", "Uint8Array": "B"}[name]
    values = array(code)
    values.frombytes(buffer[start : start + length * values.itemsize])
    return values.tolist()


def test_the_page_refers_to_nothing_outside_itself() -> None:
    page = render(both(), PAGE)
    document = Document(page)
    assert not document.named("link") + document.named("img") + document.named("iframe")
    for _, attributes in document.elements:
        assert not {"src", "href", "srcset", "action", "data", "poster"} & attributes.keys()
    # Names of XML namespaces are no addresses that anybody fetches.
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(|\bfetch\(|XMLHttpRequest|\bimport\b\s*\(", page)


def test_its_own_policy_lets_only_its_own_script_run() -> None:
    page = render(both(), PAGE)
    script = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    for _, attributes in Document(page).elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)


def test_elements_are_closed_as_they_were_opened_and_ids_are_unique() -> None:
    document = Document(render(both(), PAGE))
    assert document.named("html")[0]["lang"] == "en"
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [a["aria-labelledby"] for _, a in document.elements if "aria-labelledby" in a]
    assert set(named) <= set(ids)
    assert document.named("title") == [{}]


def test_hostile_texts_stay_texts() -> None:
    close = event(9, "connection_closed", {"error_code": 1, "reason": HOSTILE})
    hostile = [
        trace_of([packet(0, "sent", 0, {"frame_type": HOSTILE}), close]),
        trace_of([event(0, "packet_sent", {"header": {"packet_type": HOSTILE}})], "server"),
    ]
    measured = Measured(where=HOSTILE, figure=HOSTILE, unit=HOSTILE, times=[0], values=[1])
    page = render(
        hostile,
        Page(
            title=HOSTILE,
            about=HOSTILE,
            facts=[(HOSTILE, HOSTILE)],
            command=HOSTILE,
            figures=[(HOSTILE, HOSTILE)],
            series=[measured],
            expectations=[Expectation(text=HOSTILE, holds=False, found=HOSTILE)],
            happenings=[Happening(time=0, text=HOSTILE)],
        ),
    )
    document = Document(page)
    assert len(document.named("script")) == 3
    assert not document.named("img")
    assert page.count("<!--") == 0
    assert HOSTILE in document.texts
    assert outline(page)["happenings"][0][1] == HOSTILE


def test_the_figures_are_those_of_the_model() -> None:
    texts = Document(render(both(), PAGE)).texts
    for trace in both():
        figures = figures_of(trace)
        for shown in (
            unit.count(figures.packets_sent),
            unit.size(figures.bytes_received),
            unit.seconds(figures.rtt_p95),
            unit.share(figures.loss_rate),
            unit.size(figures.bytes_resent),
        ):
            assert shown in texts


def test_the_packets_are_those_of_the_model() -> None:
    server, client = both()
    page = render([server, client], PAGE)
    data = outline(page)
    assert [told["side"] for told in data["traces"]] == ["client", "server"]
    told = data["traces"][1]["packets"]
    table = server.packets
    assert column(page, told["number"]) == list(table.number)
    assert column(page, told["size"]) == list(table.size)
    assert column(page, told["sent"]) == list(table.sent)
    frames = [data["texts"][int(index)] for index in column(page, told["text"])]
    assert frames == [table.frames(row) for row in range(len(table))]
    lost = [value == value for value in column(page, told["lost"])]  # NaN: not lost
    assert sum(lost) == figures_of(server).packets_lost
    under_way = [value for value in column(page, told["transit"]) if value == value]
    assert min(under_way) > 0.015
    assert len(under_way) < len(table)


def test_expectations_say_in_words_whether_they_hold() -> None:
    texts = Document(render([], PAGE)).texts
    assert "1 of 2 expectations not met" in texts
    assert texts.index("✓ met") < texts.index("goodput of 85 %")
    assert texts.index("✗ not met") < texts.index("no spurious loss")


def test_a_series_has_a_chart_and_its_values() -> None:
    page = render(both(), PAGE)
    assert any(a.get("data-chart") == "series-0" for a in Document(page).named("figure"))
    (told,) = outline(page)["series"]
    assert column(page, told["v"]) == [0, 3000, 1200]
    assert told["limit"] == 36_000


@pytest.mark.parametrize("origin", [None, 100.0])
def test_times_count_from_the_origin(origin: float | None) -> None:
    traces = [trace_of([packet(100_500, "sent", 0), packet(101_000, "sent", 1)])]
    series = [Measured(where="a", figure="queue", unit="bytes", times=[100.0], values=[1.0])]
    happening = Happening(time=100.75, text="now")
    page = render(traces, Page(title="", origin=origin, series=series, happenings=[happening]))
    first = 0.0 if origin is None else 0.5
    data = outline(page)
    assert column(page, data["traces"][0]["packets"]["t"]) == pytest.approx([first, first + 0.5])
    assert column(page, data["series"][0]["t"]) == pytest.approx([first - 0.5])
    assert data["happenings"] == [[pytest.approx(first + 0.25), "now"]]


def test_the_same_arguments_give_the_same_page() -> None:
    assert render(both(), PAGE) == render(both(), PAGE)


def test_a_page_without_traces_holds_its_head() -> None:
    document = Document(render([], Page(title="nothing yet")))
    assert "nothing yet" in document.texts
    assert not document.named("figure")


def test_packets_in_a_disorderly_log_are_drawn_in_order() -> None:
    trace = trace_of([packet(time, "sent", n) for n, time in enumerate((50, 10, 30))])
    page = render([trace], Page(title=""))
    assert column(page, outline(page)["traces"][0]["packets"]["number"]) == [1, 2, 0]


def test_long_logs_tell_the_kind_of_frames_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ropewalk.lab.report.payload._MOST_TEXT", 100)
    trace = trace_of([packet(n, "sent", n, stream(n * 1000, 1000)) for n in range(50)])
    texts = outline(render([trace], Page(title="")))["texts"]
    assert texts[0] == "STREAM 0: 0 + 1,000"
    assert texts[-1] == "STREAM"
    assert len(texts) < 10


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.2345, "1.23 s"),
        (0.0456, "45.6 ms"),
        (0.0009996, "1 ms"),
        (7.89e-5, "78.9 µs"),
        (0, "0 µs"),
    ],
)
def test_times_are_told_in_their_unit(value: float, shown: str) -> None:
    assert unit.seconds(value).replace("\N{NO-BREAK SPACE}", " ") == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(999, "999 B"), (1000, "1 kB"), (1_234_567, "1.23 MB"), (12e9, "12 GB")]
)
def test_sizes_are_told_in_their_unit(value: float, shown: str) -> None:
    assert unit.size(value).replace("\N{NO-BREAK SPACE}", " ") == shown
