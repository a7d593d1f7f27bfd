"""What the project wants to reach, row by row, and whether it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from summary import Figures, Summary

OURS, PURE = "ropewalk", "ropewalk-pure"
#: qh3, aioquic, and those that are compiled through and through.
_NEWEST_NATIVE = ("quinn", "quic-go")


@dataclass(frozen=True)
class Verdict:
    """One line of the table of targets. ``reached`` is None where nothing was measured."""

    what: str
    wanted: str
    found: str
    reached: bool | None


Judge = Callable[[Figures], Verdict]


def _verdict(what: str, wanted: str, value: float | None, limit: float, least: bool) -> Verdict:
    if value is None:
        return Verdict(what, wanted, "not measured", None)
    digits = 1 if value >= 10 else 2
    return Verdict(what, wanted, f"{value:.{digits}f}", value >= limit if least else value <= limit)


def _times(
    what: str, row: str, factor: float, *peers: str, ours: str = OURS, their_row: str = ""
) -> Judge:
    """At least ``factor`` times the best of ``peers``."""

    def judge(figures: Figures) -> Verdict:
        ratios = [figures.ratio(row, ours, peer, their_row) for peer in peers]
        known = [ratio for ratio in ratios if ratio is not None]
        name = " and ".join(peers)
        if len(peers) > 1:
            name = f"the faster of {name}"
        wanted = f"≥ {factor:g} × {name}"  # noqa: RUF001 - it is read by people
        return _verdict(what, wanted, min(known) if known else None, factor, True)

    return judge


def _at_most(
    what: str, row: str, limit: float, unit: str, value: Callable[[Summary], float]
) -> Judge:
    """No more than ``limit``."""

    def judge(figures: Figures) -> Verdict:
        found = figures.get(row, OURS)
        figure = None if found is None else value(found)
        return _verdict(what, f"≤ {limit:g} {unit}", figure, limit, False)

    return judge


def _of_download(what: str, row: str) -> Judge:
    def judge(figures: Figures) -> Verdict:
        ratio = figures.ratio(row, OURS, OURS, "download")
        wanted = "≥ 0.9 × our one-stream download"  # noqa: RUF001 - it is read by people
        return _verdict(what, wanted, ratio, 0.9, True)

    return judge


def _latency(figures: Figures) -> Verdict:
    ratio = figures.ratio("latency", OURS, "quic-go")
    what = "Small request beside a bulk transfer, p99 ÷ quic-go's"
    return _verdict(what, "≤ 1", ratio, 1.0, False)


def _targets() -> list[Judge]:
    found: list[Judge] = []
    for row, title in (("download", "Download"), ("upload", "Upload")):
        h3 = f"h3-{row}"
        found += [
            _times(f"{title} ÷ ngtcp2's over HTTP/3", row, 1.2, "ngtcp2", their_row=h3),
            _times(f"{title}, both over HTTP/3", h3, 1.2, "ngtcp2"),
            _times(title, row, 0.9, *_NEWEST_NATIVE),
            _times(title, row, 10.0, "qh3"),
            _times(title, row, 20.0, "aioquic"),
            _at_most(
                f"{title}, the busier side",
                row,
                2.5,
                "µs of CPU per packet",
                lambda one: max(one.client_packet, one.server_packet),
            ),
            _times(f"{title}, interpreted", row, 2.5, "qh3", ours=PURE),
        ]
    found += [
        _of_download("Download, 100 streams", "streams"),
        _of_download("Download and upload at once", "both"),
    ]
    for row, title in (("handshakes", "Handshakes"), ("handshakes-16", "Handshakes, 16 at a time")):
        found += [
            _times(title, row, 2.0, "qh3"),
            _times(title, row, 5.0, "aioquic"),
            _at_most(title, row, 1200.0, "µs of CPU, both sides", lambda one: one.cpu),
        ]
    for row, title in (
        ("requests", "Requests on fresh streams"),
        ("h3-requests", "HTTP/3 requests"),
        ("h3-requests-100", "HTTP/3 requests, 100 connections"),
    ):
        found += [_times(title, row, 5.0, "aioquic"), _times(title, row, 1.5, "qh3")]
    found += [
        _times("Datagram echo", "datagrams", 10.0, "aioquic"),
        _at_most("Idle connection", "idle", 24.0, "KiB", lambda one: one.figure),
        _at_most("Idle connection, HTTP/3", "h3-idle", 32.0, "KiB", lambda one: one.figure),
        _latency,
    ]
    return found


def judge_all(figures: Figures) -> Sequence[Verdict]:
    """Every target, in the order of the rows."""
    return [judge(figures) for judge in _targets()]
