"""The report in a browser: it draws, zooms, tells of packets, on desks, phones and paper."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewalk.lab.report import Happening, Measured, Page, render
from tests.lab.browser import CHROMIUM, Browser
from tests.lab.qlogs import sample

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

PRESS = (
    "document.querySelector('{0}').dispatchEvent("
    "new KeyboardEvent('keydown', {{key: '{1}', bubbles: true, cancelable: true}}))"
)
# With plain spaces and hyphens.
RANGE = (
    "document.getElementById('range').textContent.replace(/\\u00a0/g, ' ').replace(/\\u2013/g, '-')"
)
PACKET = "document.getElementById('packet').textContent.replace(/\\u00a0/g, ' ')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    traces = [sample("quic_go_client.sqlog"), sample("quic_go_server.sqlog")]
    head = Page(
        title="a download",
        command="ropewalk lab run bulk --seed 1",
        series=[
            Measured(where="down", figure="queue", unit="bytes", times=[0, 0.1], values=[0, 9e3])
        ],
        happenings=[Happening(time=0.1, text="outage")],
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(traces, head), "utf-8")
    return path


def test_all_charts_are_drawn_without_an_error(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, 900)
    assert browser.errors == []
    drawn = browser.run(
        "[...document.querySelectorAll('figure.chart')].filter(f => f.querySelector("
        "'.plot path, .plot rect, .plot canvas')).map(f => f.dataset.chart)"
    )
    assert drawn == ["throughput", "window", "rtt", "losses", "series-0", "packets"]
    names = browser.run("[...document.querySelectorAll('text.name')].map(t => t.textContent)")
    assert {"sent", "received", "window", "in flight", "smoothed", "down"} <= set(names)
    coloured = browser.run(
        "(() => { const c = document.querySelector('canvas');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return d.some((value, index) => index % 4 === 3 && value); })()"
    )
    assert coloured


def test_the_address_sets_and_keeps_what_is_shown(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, 900, "#t=0.05-0.15&by=client")
    assert browser.run(RANGE) == "0.0500 - 0.1500 s"
    assert (
        browser.run("document.querySelector('.sides [aria-pressed=true]').textContent") == "client"
    )
    browser.run(PRESS.format("#chart-rtt", "+"))
    browser.until(f"{RANGE} === '0.0667 - 0.1333 s'")
    browser.until("location.hash === '#t=0.06667-0.13333&by=client'")
    browser.run(PRESS.format("#chart-rtt", "0"))
    browser.until(f"{RANGE}.startsWith('whole run')")
    browser.until("location.hash === '#by=client'")


def test_a_packet_is_told_about_by_keys_and_by_pointer(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, 2400)
    browser.run(PRESS.format("#chart-packets", "."))
    told = browser.run(PACKET)
    assert "Initial 0, 1,280 bytes" in told
    assert "Fate" in told
    assert "CRYPTO" in told
    place = browser.run(
        "(() => { const r = document.querySelector('#chart-packets .plot')"
        ".getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()"
    )
    left, top, width, height = place
    browser.call(
        "Input.dispatchMouseEvent", type="mouseMoved", x=left + width / 3, y=top + height - 12
    )
    browser.until(f"{PACKET}.includes('by the server')")


def test_dragging_looks_closer(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, 1200)
    left, top = browser.run(
        "(() => { const r = document.querySelector('#chart-throughput .plot')"
        ".getBoundingClientRect(); return [r.left, r.top]; })()"
    )
    for kind, x, buttons in (("Pressed", 300, 1), ("Moved", 500, 1), ("Released", 500, 0)):
        browser.call(
            "Input.dispatchMouseEvent",
            type=f"mouse{kind}",
            x=left + x,
            y=top + 40,
            button="left" if kind != "Moved" else "none",
            buttons=buttons,
            clickCount=1,
        )
    browser.until("location.hash.startsWith('#t=')")
    assert "whole run" not in browser.run(RANGE)


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_reaches_beyond_the_screen(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width, 800)
    assert browser.run("document.documentElement.scrollWidth") <= width


def test_it_can_be_printed(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, 900)
    paper = base64.b64decode(browser.call("Page.printToPDF", printBackground=True)["data"])
    assert paper.startswith(b"%PDF-")
    assert browser.errors == []
