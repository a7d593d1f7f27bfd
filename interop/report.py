"""``docs/interop.md``: the matrix of all results, and what is peculiar about the peers."""

from __future__ import annotations

import datetime
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from cases import FAILED, NOT_RUN, PASSED, PEER, Result
from discovery import HERE, WORK

import ropewalk
from ropewalk._build import running_build

REPORT = HERE.parent / "docs" / "interop.md"
#: Chromium's picture of a page that ``ropewalk serve`` gave it.
KEPT_SCREENSHOT = WORK / "chromium-ropewalk.png"
PECULIARITIES = HERE / "peculiarities.md"

_MARKS = {PASSED: "yes", FAILED: "**FAILED**", NOT_RUN: "-", PEER: "peer's"}
#: Who builds upon what, for the table of peers.
_WHAT = {
    "aioquic": "Python, from PyPI",
    "qh3": "Python and Rust, from PyPI",
    "ngtcp2": "C with GnuTLS, Debian's example programs",
    "quic-go": "Go module",
    "caddy": "Debian package, an older quic-go",
    "quinn": "Rust crates, with rustls",
    "curl_cffi": "libcurl with ngtcp2 and BoringSSL, from PyPI",
    "chromium": "Debian package, headless",
}


def summary(results: Sequence[Result]) -> str:
    """Counts by outcome."""
    counts = {
        outcome: sum(result.outcome == outcome for result in results)
        for outcome in (PASSED, FAILED, PEER, NOT_RUN)
    }
    words = {PEER: "failed by the peer"}
    return ", ".join(f"{count} {words.get(what, what)}" for what, count in counts.items())


def write_report(
    results: Sequence[Result], peers: Sequence[str], order: Sequence[str], path: Path
) -> None:
    """Write the page from everything that is known, cases in ``order`` and others behind."""
    ours = [result for result in results if result.against == "ropewalk"]
    among = [result for result in results if result.against != "ropewalk"]
    lines = [
        "# Interoperability",
        "",
        "Written by `make interop`; edit `interop/`, not this page.",
        "",
        f"Ropewalk {ropewalk.__version__} on CPython {platform.python_version()}, "
        f"{running_build().kind}, {platform.system()}, over loopback, with stacks that nobody "
        f"here wrote: {summary(ours)}. The page was written on "
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}.",
        "",
        *_peers(ours, peers),
        "## The matrix",
        "",
        "Each cell has two marks: Ropewalk as **client** of the peer's server, then Ropewalk as",
        "**server** of the peer's client. *yes* is a pass, *-* is not run (the reasons stand",
        "below), *peer's* is a known fault of the peer, which it shows with others too, and an",
        "empty place means that the peer has no such role or the case makes no sense for it.",
        "Chromium plays a case by loading a page with 100 resources; every one of them, and the",
        "page itself, must have come over h3 by the browser's own account. The last rows, and with",
        "aioquic, qh3 and ngtcp2 some of the others, are over raw streams or HTTP/3 by hand.",
        "",
        *_matrix(ours, peers, order),
        *_agreed(ours, peers),
        *_failures(ours),
        *_reasons(ours),
    ]
    if KEPT_SCREENSHOT.exists():
        path.parent.mkdir(exist_ok=True)
        picture = path.with_name("interop-chromium.png")
        shutil.copy(KEPT_SCREENSHOT, picture)
        lines += [
            "## A page in Chromium",
            "",
            "Served by `ropewalk serve`, loaded by headless Chromium over QUIC: the sentence above",
            "the tiles is the page's own count of `PerformanceResourceTiming.nextHopProtocol`.",
            "",
            f"![The page: one hundred tiles, all over h3]({picture.name})",
            "",
        ]
    if among:
        lines += [
            "## The harness without Ropewalk",
            "",
            "The same HTTP/3 cases between the peers (`interop/run.py --among-peers`), so that a",
            "failure above can be told from one of the harness or of the peer. The first mark has",
            "the peer as server, the second as client; the other side is quic-go, or quinn where",
            f"the peer is quic-go itself: {summary(among)}.",
            "",
            *_matrix(among, peers, order),
            *_failures(among),
        ]
    if PECULIARITIES.exists():
        lines += [PECULIARITIES.read_text().strip(), ""]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines).rstrip() + "\n")


def _peers(results: Sequence[Result], peers: Sequence[str]) -> list[str]:
    lines = ["| peer | what it is | version | last run |", "|---|---|---|---|"]
    for peer in peers:
        mine = [result for result in results if result.peer == peer]
        if mine:
            version = mine[-1].version or f"not here: {mine[-1].detail}"
            date = max(result.date for result in mine)
            lines.append(f"| {peer} | {_WHAT[peer]} | {version} | {date} |")
    return [*lines, ""]


def _matrix(results: Sequence[Result], peers: Sequence[str], order: Sequence[str]) -> list[str]:
    there = [peer for peer in peers if any(result.peer == peer for result in results)]
    cells: dict[str, dict[str, dict[str, Result]]] = {}
    for result in results:
        cells.setdefault(result.case, {}).setdefault(result.peer, {})[result.our_role] = result
    lines = [f"| case | {' | '.join(there)} |", "|---" * (len(there) + 1) + "|"]
    for case in [*(name for name in order if name in cells), *(n for n in cells if n not in order)]:
        row = [_cell(cells[case].get(peer)) for peer in there]
        lines.append(f"| {case} | {' | '.join(row)} |")
    return [*lines, ""]


def _cell(roles: dict[str, Result] | None) -> str:
    if roles is None:
        return ""
    marks = [_MARKS[roles[role].outcome] if role in roles else "" for role in ("client", "server")]
    return " / ".join(marks)


def _agreed(results: Sequence[Result], peers: Sequence[str]) -> list[str]:
    """Key exchange groups and ciphers that were seen, by peer."""
    lines = ["What the handshakes agreed upon, over all cases:", ""]
    for peer in peers:
        seen = {
            result.detail: None
            for result in results
            if result.peer == peer
            and result.outcome == PASSED
            and result.detail.startswith(("X25519", "P-"))
        }
        if seen:
            lines.append(f"* {peer}: {'; '.join(sorted(seen))}")
    return [*lines, ""]


def _failures(results: Sequence[Result]) -> list[str]:
    known = [
        f"* {one.peer}, {one.case}, as the {_other(one.our_role)}: {one.detail}"
        for one in results
        if one.outcome == PEER
    ]
    known = ["### The peers' faults", "", *known, ""] if known else []
    lines = [
        f"* {one.peer}, {one.case}, {one.against} as {one.our_role}: `{_plain(one.detail)}`"
        for one in results
        if one.outcome == FAILED
    ]
    return [*known, "### Failed", "", *lines, ""] if lines else known


def _other(role: str) -> str:
    return "server" if role == "client" else "client"


def _plain(detail: str) -> str:
    return detail[:300].replace("`", "'").replace("|", "/")


def _reasons(results: Sequence[Result]) -> list[str]:
    reasons: dict[str, dict[str, None]] = {}
    for result in results:
        if result.outcome == NOT_RUN:
            reasons.setdefault(result.detail, {})[f"{result.peer}: {result.case}"] = None
    if not reasons:
        return []
    lines = [f"* {reason} ({'; '.join(where)})" for reason, where in reasons.items()]
    return ["### Not run, and why", "", *lines, ""]
