"""The rows of the table: what is done, how much of it at first, and in what it is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a row's figure is."""

    #: Gbit/s of stream data
    BULK = "Gbit/s"
    #: requests, messages, ... a second
    RATE = "per second"
    #: 99th percentile, with the median beside it
    LATENCY = "ms"
    #: of the server, for a connection
    MEMORY = "KiB"


@dataclass(frozen=True)
class Row:
    """One line of work; ``work`` and ``options`` are the programs' words for it."""

    key: str
    title: str
    kind: Kind
    protocol: str
    work: str
    options: Sequence[str] = ()
    #: how much the first calibration does, and the most that a run may do
    first: int = 1
    largest: int = 5_000_000
    #: who receives the bulk: "client", "server" or "both"; "" when there is none
    receiver: str = ""

    @property
    def less_is_better(self) -> bool:
        """Whether a small figure is the good one."""
        return self.kind in (Kind.LATENCY, Kind.MEMORY)


@dataclass(frozen=True)
class Group:
    """Rows that share a table."""

    title: str
    about: str
    rows: Sequence[Row]


_MEGA, _GIGA = 1_000_000, 1_000_000_000


def _bulk(key: str, title: str, protocol: str, work: str, receiver: str, *options: str) -> Row:
    return Row(key, title, Kind.BULK, protocol, work, options, 8 * _MEGA, 4 * _GIGA, receiver)


def _rate(key: str, title: str, protocol: str, work: str, first: int, *options: str) -> Row:
    return Row(key, title, Kind.RATE, protocol, work, options, first)


GROUPS = (
    Group(
        "Bulk",
        "Stream data over one connection; of both directions together where both are in use.",
        (
            _bulk("download", "Download, one stream", "quic", "download", "client"),
            _bulk("upload", "Upload, one stream", "quic", "upload", "server"),
            _bulk("both", "Download and upload at once", "quic", "both", "both"),
            _bulk("streams", "Download, 100 streams", "quic", "download", "client",
                  "--parallel", "100"),
            _bulk("h3-download", "HTTP/3 GET, one large response", "http3", "download", "client"),
            _bulk("h3-upload", "HTTP/3 POST, one large request", "http3", "upload", "server"),
        ),
    ),
    Group(
        "Small things",
        "A request is 100 bytes on a fresh stream and its answer 1,000, ten at a time; a message "
        "is 64 bytes, given to one stream by a write of its own; a datagram is 1,000 bytes and "
        "comes back, 32 of them on their way.",
        (
            _rate("requests", "Requests on fresh streams", "quic", "requests", 200,
                  "--parallel", "10", "--ask", "100", "--answer", "1000"),
            _rate("messages", "Small messages on one stream", "quic", "messages", 2000,
                  "--ask", "64"),
            _rate("datagrams", "Datagram echo", "quic", "datagrams", 500,
                  "--parallel", "32", "--ask", "1000"),
        ),
    ),
    Group(
        "Handshakes",
        "Full ones with a P-256 certificate that the client verifies, until the client's is "
        "complete; each connection closes while the next begins.",
        (
            _rate("handshakes", "X25519, one at a time", "quic", "handshakes", 20),
            _rate("handshakes-16", "X25519, 16 at a time", "quic", "handshakes", 32,
                  "--parallel", "16"),
            _rate("handshakes-pq", "X25519MLKEM768, one at a time", "quic", "handshakes", 20,
                  "--group", "X25519MLKEM768"),
        ),
    ),
    Group(
        "HTTP/3 requests",
        "A GET brings 1,000 bytes: 32 at a time on one connection, or one at a time on each of "
        "100, whose handshakes are not in the time.",
        (
            _rate("h3-requests", "One connection", "http3", "requests", 200,
                  "--parallel", "32", "--answer", "1000"),
            _rate("h3-requests-100", "100 connections", "http3", "requests", 200,
                  "--parallel", "1", "--connections", "100", "--answer", "1000"),
        ),
    ),
    Group(
        "A small request beside a bulk transfer",
        "100 bytes there and 1,000 back on a fresh stream, one after the other, while the same "
        "connection downloads as fast as it can. Milliseconds, so less is better.",
        (
            Row("latency", "99th percentile (median)", Kind.LATENCY, "quic", "latency",
                ("--ask", "100", "--answer", "1000")),
        ),
    ),
    Group(
        "Memory of an idle connection, at the server",
        "The resident memory at 2,200 connections less that at 200, over 2,000; each 10 s after "
        "the last handshake. KiB, so less is better.",
        (
            Row("idle", "QUIC", Kind.MEMORY, "quic", "idle"),
            Row("h3-idle", "HTTP/3", Kind.MEMORY, "http3", "idle"),
        ),
    ),
)  # fmt: skip

ROWS = tuple(row for group in GROUPS for row in group.rows)
BY_KEY = {row.key: row for row in ROWS}
