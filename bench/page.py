"""``docs/performance.md``."""

from __future__ import annotations

from rows import BY_KEY, GROUPS, Kind
from sitting import Sitting
from tables import Table, command_table, core_table, group_tables, target_table

#: Fastest over slowest run of one stack, from where on a sitting counts as disturbed.
_STEADY = 1.5


def markdown(sitting: Sitting, picture: str, data: str) -> str:
    """The whole page."""
    lines = ["# Performance", "", "Written by `make bench`; edit `bench/`, not this page.", ""]
    lines += [_how(sitting, data), "", *_disturbance(sitting)]
    targets = target_table(sitting)
    if targets.lines:
        reached = sum(1 for one in sitting.verdicts if one.reached)
        lines += [f"## {targets.title}", ""]
        lines += [f"{reached} of {len(targets.lines)} targets are reached.", ""]
        lines += [*_table(targets), ""]
    lines += [f"![Bars of every row]({picture})", ""]
    for group in GROUPS:
        tables = group_tables(sitting, group)
        if tables:
            lines += [f"## {group.title}", "", group.about, ""]
        for table in tables:
            lines += [*_table(table), ""]
    if sitting.commands:
        lines += ["## `ropewalk perf`, as printed", "", _COMMAND_NOTE, ""]
        lines += [*_table(command_table(sitting)), ""]
    if sitting.core:
        lines += ["## The core alone", "", _CORE_NOTE, "", *_table(core_table(sitting)), ""]
    lines += ["## How to read it", "", *_notes(sitting), "", *_REPEAT, "", *_machine(sitting)]
    return "\n".join(lines) + "\n"


def _how(sitting: Sitting, data: str) -> str:
    rounds = max((one.runs for one in sitting.summaries), default=0)
    pinned = (
        f"the server on core {sitting.cores[0]} and the client on core {sitting.cores[1]}"
        if sitting.cores[0] >= 0
        else "both on any core, for there are not two to choose"
    )
    return (
        f"All stacks were measured in one sitting on {sitting.date}, in turn, over {rounds} "
        f"round{'s' * (rounds != 1)}; the figures are medians. "
        "Server and client are two processes of the same stack "
        f"over loopback, {pinned}; TLS_AES_128_GCM_SHA256, X25519 where a row does not say "
        "otherwise, an ECDSA P-256 certificate that the client verifies, and no UDP payload above "
        f"{sitting.mtu:,} bytes. Figures of other machines and days do not compare; the ratios "
        "are what to look at: in brackets behind a figure is Ropewalk's, compiled, over it. "
        f"[All samples]({data}) are there as JSON."
    )


def _disturbance(sitting: Sitting) -> list[str]:
    """A warning when the runs of one stack differ by more than the stack can explain."""
    timed = [
        one
        for one in sitting.summaries
        if BY_KEY[one.row].kind in (Kind.BULK, Kind.RATE) and one.least
    ]
    widest = max((one.most / one.least for one in timed), default=1.0)
    if widest < _STEADY:
        return []
    return [
        f"**Other work disturbed this sitting**: runs of one stack differ by up to {widest:.1f} "
        "times. Trust the CPU figures and the fastest runs more than the medians of the rates, "
        "or repeat it on a quiet machine.",
        "",
    ]


def _table(table: Table) -> list[str]:
    rule = ["---"] + ["---:"] * (len(table.header) - 1)
    return ["| " + " | ".join(cells) + " |" for cells in (table.header, rule, *table.lines)]


_COMMAND_NOTE = (
    "`ropewalk perf serve` and `ropewalk perf run` on loopback, the processes not pinned; medians "
    "of the same sitting. CPU is each process's own, over all packets that it sent and received."
)

_CORE_NOTE = (
    "`bench/core.py`: both endpoints in one process, without sockets or an event loop, in "
    "virtual time (10 ms round trip, endless rate); AEAD and all of the protocol are in it, "
    "the kernel is not. Everything but the CPU time repeats from its seed; the second half "
    "of the transfer counts. *Blocks kept* are live memory blocks that a packet leaves "
    "behind: anything but 0 would grow with the transfer."
)

_NOTES = [
    "* **CPU** is a process's time, user and system (`getrusage`), over the bytes, requests, "
    "messages or handshakes of the run, or over the datagrams that brought the bulk to its "
    "receiver; acknowledging is in it. The server's time begins when it listens, so its "
    "handshakes are included.",
    "* **A run** is a new server and a new client. First, unmeasured runs find how much work "
    "keeps each stack busy for the same time; the clock runs from the first request to the last "
    "byte, of an upload to the server's answer that it has read all of it.",
    "* **Both ends are of one stack**, and all speak one small protocol, that of `ropewalk perf`; "
    "`bench/peers/side.py` describes it. Every stack gets windows of 16 MiB, a receive buffer "
    "of 4 MiB at the kernel where it lets us choose, and full handshakes only.",
    "* **Connections**: quic-go and quinn open all of a client's over one socket, as their "
    "documentation advises; Ropewalk, qh3 and aioquic open a socket for each, by their own "
    "`connect`.",
    "* **Ropewalk** is used over its public API, on asyncio.",
    "* **quic-go and quinn** are used by the minimal programs in `bench/peers/`, release builds; "
    "packets of 1,452 bytes from the start, without path-MTU discovery. quinn runs on one thread "
    "of tokio, with CUBIC; HTTP/3 is the crate h3. Go is told of one core.",
    "* **ngtcp2** takes part by Debian's example programs, which speak HTTP/3 only, with one "
    "connection a process, and do not count packets: compare its large GET and POST with "
    "Ropewalk's over HTTP/3, and, as the table of targets does too, with Ropewalk's raw streams. "
    "Its client's time is that of the process less that of one that fetches nothing.",
    "* **aioquic and qh3** get all there is to send in one write, and a protocol class that only "
    "adds up what arrives; they are quicker so than by default. Neither makes a writer wait: "
    "their small messages go in 64 between two turns of the event loop. aioquic has neither GSO "
    "nor GRO. qh3 has both in its client; its `serve` has not, and is put on the client's "
    "batching transport here: it sends more quickly so, while its server class takes datagrams "
    "in one by one all the same. The key-exchange group is set from outside, for neither has a "
    "setting: aioquic would take P-256, qh3 X25519MLKEM768. qh3's path-MTU search, which would "
    "pass the cap, is off.",
]


_REPEAT = [
    "## How to repeat it",
    "",
    "```console",
    "$ make bench                                           # everything, a quarter of an hour",
    "$ .venv/bin/python bench/run.py --row download --stack ropewalk --stack quinn",
    "$ .venv/bin/python bench/where.py --row requests --flames build/flames",
    "```",
    "",
    "The last one says where Ropewalk's time goes, by kind of code and as flame graphs. "
    "quic-go needs a Go compiler and quinn a Rust one, once; ngtcp2 the Debian packages "
    "ngtcp2-server and ngtcp2-client.",
]


def _notes(sitting: Sitting) -> list[str]:
    notes = list(_NOTES)
    labels = {one.key: one.label for one in sitting.contenders}
    for one in sitting.contenders:
        if one.missing:
            notes.append(f"* **{one.label}** was not run: {one.missing}.")
    for row, contender, reason in sitting.failures:
        title = BY_KEY[row].title
        notes.append(
            f"* **{labels.get(contender, contender)}** failed in *{title}*: {reason[:300]}"
        )
    return notes


def _machine(sitting: Sitting) -> list[str]:
    lines = ["## Machine and versions", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in sitting.machine.items()]
    lines += [f"| Load when it began | {sitting.load:.2f} |", ""]
    lines += ["| stack | version | year | TLS |", "|---|---|---|---|"]
    for one in sitting.contenders:
        if one.missing:
            lines.append(f"| {one.label} | not run | | |")
        else:
            lines.append(f"| {one.label} | {one.version} | {one.year} | {one.tls} |")
    return lines
