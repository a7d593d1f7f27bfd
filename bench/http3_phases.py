"""The loads of ``http3_load.py``, and what one of them shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HOST = "127.0.0.1"
#: Bytes that a GET brings and that a POST takes.
DOWN, UP = 20_000, 100_000
#: Requests of each of many connections: GET, POST, GET.
EACH = 3
#: How often the server adds up what waits to be sent.
SAMPLE_SECONDS = 0.01
#: How long the requests of a phase may take, and its connections to leave the server after.
PHASE_SECONDS, LEAVE_SECONDS = 60.0, 5.0


@dataclass(frozen=True)
class Phase:
    """One load. ``limit`` is the server's max_bidirectional_streams; 0 leaves the default."""

    key: str
    title: str
    work: str
    connections: int
    requests: int
    rounds: int = 1
    limit: int = 0


def phases(requests: int, connections: int, rounds: int) -> list[Phase]:
    """All of them, in the order of the page."""
    every = connections * EACH
    half = max(2, rounds // 2)  # opening and closing take their time, and are not in "seconds"
    return [
        Phase("gets", f"{requests:,} GETs, one connection", "get", 1, requests),
        Phase("gets-open", f"{requests:,} GETs, one connection", "get", 1, requests, 1, requests),
        Phase("posts", f"{requests:,} POSTs, one connection", "post", 1, requests, 1, requests),
        Phase("connections", f"{connections:,} connections, {every:,} requests", "mixed",
              connections, EACH),
        Phase("get-rounds", f"{rounds} times {requests:,} GETs, the same connection", "get", 1,
              requests, rounds, requests),
        Phase("connection-rounds", f"{half} times {connections:,} new connections", "mixed",
              connections, EACH, half),
    ]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a phase showed on one build. Sizes in bytes, times in seconds."""

    phase: Phase
    build: str
    asked: int
    right: int
    #: what went wrong; empty when all is well
    trouble: str
    #: streams that the server lets a client have open, as it announced it
    limit: int = 0
    #: of each round: from the first request to the last answer, and of the handshakes before
    seconds: Sequence[float] = ()
    connect_seconds: Sequence[float] = ()
    #: request tasks of the client at once; connections, streams of one connection and
    #: handlers at the server; bytes its streams held, sampled
    peak_tasks: int = 0
    peak_connections: int = 0
    peak_streams: int = 0
    peak_handlers: int = 0
    peak_queued: int = 0
    server_before: int = 0
    server_after: int = 0
    server_peak: int = 0
    server_cpu: float = 0.0
    client_before: int = 0
    client_after: int = 0
    client_peak: int = 0
    client_cpu: float = 0.0
    #: the server after each round, and the interpreter's memory blocks in use there
    rounds_rss: Sequence[int] = ()
    rounds_blocks: Sequence[int] = ()

    @property
    def rate(self) -> float:
        """Answered requests per second, handshakes apart."""
        return self.right / sum(self.seconds) if self.seconds else 0.0
