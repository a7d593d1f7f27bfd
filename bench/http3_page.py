"""``docs/http3-load.md``, and the same for the terminal."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from http3_phases import DOWN, SAMPLE_SECONDS, UP, Outcome
from machine import describe_machine

_HEADER = [
    "load", "limit", "answered right", "seconds", "requests/s", "open at once",
    "queued, MB", "server RSS, MB", "peak", "client RSS, MB", "peak", "CPU, server / client",
]  # fmt: skip


def _line(one: Outcome) -> list[str]:
    mega = 1e6
    open_at_once = f"{one.peak_streams:,} streams"
    if one.phase.connections > 1:
        open_at_once = f"{one.peak_connections:,} connections"
    return [
        one.phase.title,
        f"{one.limit:,}",
        f"{one.right:,} of {one.asked:,}",
        f"{sum(one.seconds):.2f}",
        f"{one.rate:,.0f}",
        open_at_once,
        f"{one.peak_queued / mega:.1f}",
        f"{one.server_before / mega:.0f} → {one.server_after / mega:.0f}",
        f"{one.server_peak / mega:.0f}",
        f"{one.client_before / mega:.0f} → {one.client_after / mega:.0f}",
        f"{one.client_peak / mega:.0f}",
        f"{one.server_cpu:.2f} / {one.client_cpu:.2f} s",
    ]


def _table(outcomes: Sequence[Outcome]) -> list[str]:
    rows = [_HEADER, ["---"] + ["---:"] * (len(_HEADER) - 1)]
    rows += [_line(one) for one in outcomes]
    return ["| " + " | ".join(row) + " |" for row in rows]


def _series(one: Outcome) -> str:
    sizes = ", ".join(f"{size / 1e6:.1f}" for size in one.rounds_rss)
    blocks = ", ".join(f"{count / 1e3:.1f}" for count in one.rounds_blocks)
    return (
        f"* **{one.build}, {one.phase.title}.** MB after each round: {sizes}; thousands of memory "
        f"blocks: {blocks}. {one.server_after / 1e6:.1f} MB at the end, its connections gone."
    )


def print_plain(outcomes: Sequence[Outcome]) -> None:
    rows = [["build", *_HEADER]]
    rows += [[one.build, *_line(one)] for one in outcomes]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
    for one in outcomes:
        if one.phase.rounds > 1:
            print(_series(one))
        if one.trouble:
            print(f"failed: {one.build}, {one.phase.title}: {one.trouble}")


def markdown(outcomes: Sequence[Outcome], began: float) -> str:
    """``docs/http3-load.md``."""
    builds = list(dict.fromkeys(one.build for one in outcomes))
    date = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    good = [one for one in outcomes if not one.trouble]
    lines = [
        "# HTTP/3 under load",
        "",
        "Written by `make bench`; edit `bench/http3_load.py`, not this page.",
        "",
        f"Measured on {date}: {len(good)} of {len(outcomes)} loads completed, with every body's "
        "SHA-256 right and every bound kept. `serve_http` and `http3_client` are two processes "
        "over loopback, each on a core of its own where there are two, both new for each line, "
        f"with the settings that a user gets without setting any, but for the limit on streams. "
        f"A GET brings {DOWN // 1000} kB, a POST takes {UP // 1000} kB and answers with the "
        "digest of what arrived; no two bodies of a round that a GET brings are alike.",
        "",
    ]
    for build in builds:
        lines += [f"## The {build} build", ""]
        lines += _table([one for one in outcomes if one.build == build])
        lines.append("")
    lines += ["## Memory, round after round", "", *_ROUNDS_NOTE, ""]
    lines += [_series(one) for one in outcomes if one.phase.rounds > 1]
    lines += ["", "## How to read it", "", *_notes(outcomes), ""]
    for one in outcomes:
        if one.trouble:
            lines += [f"**Failed**: {one.build}, {one.phase.title}: {one.trouble[:500]}", ""]
    lines += ["## How to repeat it", "", *_REPEAT, ""]
    lines += ["## Machine", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in describe_machine().items()]
    lines.append(f"| Load when it began | {began:.2f} |")
    return "\n".join(lines) + "\n"


_ROUNDS_NOTE = [
    "The server's resident memory after each round, and the interpreter's blocks in use, which "
    "show a leak long before the kernel does. What the first rounds add and later ones do not is "
    "memory that the allocator keeps for the next round.",
]

_REPEAT = [
    "```console",
    "$ make bench                                # this page, after the one on performance",
    "$ make build .venv-pure/.built              # or the two builds,",
    "$ .venv/bin/python bench/http3_load.py      # and this page alone",
    "```",
    "",
    "`--json` prints everything, the figures of each round too; `--requests`, `--connections` "
    "and `--rounds` change the load, `--build compiled` leaves the other build out.",
]


def _notes(outcomes: Sequence[Outcome]) -> list[str]:
    requests = max(one.phase.requests for one in outcomes)
    default_limit = next((one.limit for one in outcomes if not one.phase.limit), 0)
    return [
        f"* **The limit** is the server's `max_bidirectional_streams`. All {requests:,} requests "
        "of a round on one connection are tasks that start at once. With the default of "
        f"{default_limit} the server has at most {default_limit} of them open at a time, and the "
        f"others wait in the client for their turn; with {requests:,} all may be open together.",
        "* **Open at once** is the most that the server had: streams of one connection, counted "
        "from their first byte until the client has acknowledged the last, or connections. With "
        "many connections, all are open before the first request and until the last answer.",
        "* **Seconds** run from the first request to the last answer, over all rounds; handshakes "
        "(and closing) are apart: "
        + "; ".join(
            f"{one.build}, {one.phase.connections:,} at once in {one.connect_seconds[0]:.2f} s"
            for one in outcomes
            if one.phase.connections > 1 and one.phase.rounds == 1 and one.connect_seconds
        )
        + ". Client and server hash all bodies, and the server makes those of GETs, in that time.",
        "* **Queued** is the most that all streams of the server together held to be sent or "
        f"acknowledged, looked at every {SAMPLE_SECONDS * 1000:.0f} ms. A handler here hands its "
        f"body over at once, so the bound is {DOWN // 1000} kB for each open stream; one that "
        "answers with an iterable is read as the client takes it.",
        "* **RSS** is before the load and after its connections are gone, with **peak** the most "
        "of the process's life. The client's holds the bodies that it sends and the digests that "
        "it expects.",
    ]
