"""What every program of the benchmark shares: the protocol, the command line, the figures.

**The protocol over QUIC** is that of ``ropewalk perf`` (draft-banks-quic-performance, ALPN
``perf``): the client opens a bidirectional stream and sends eight bytes, big-endian, the size
it wants back, then its upload and the end. Here the server answers once it has read to that
end, so that a client that has seen the answer's end knows that all of its upload has arrived.
Datagrams come back as they are. **Over HTTP/3** ``GET /NUMBER`` is answered with so many bytes,
and a POST to ``/0``, once its body has been read, with none.

**The work** is one of ``WORKS``; ``count`` says how much of it: bytes for the bulk, else
requests, messages, datagrams or connections.

A server prints one JSON line with its port, and one with its figures when it is told to end
(SIGTERM). A client prints one JSON line. Only the standard library is used, for any stack
imports this; ``quic_go`` and ``quinn`` speak the same in their languages.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from typing import NoReturn

ALPN = "perf"
HEADER = 8
HOST = "127.0.0.1"
SERVER_NAME = "localhost"
#: The kernel's receive buffer that Ropewalk asks for; every stack gets the same.
RECEIVE_BUFFER = 4 << 20
#: As far as Ropewalk's windows grow; of a stream and of a connection.
WINDOW = 16 << 20
#: Connections of the memory row do nothing for longer than most defaults allow.
IDLE_SECONDS = 120.0
#: The transfer beside which small requests are measured: one of so many bytes after the other.
BACKGROUND_BYTES = 100_000_000
#: A datagram that has not come back after so long is lost, and another takes its place.
DATAGRAM_PATIENCE = 0.1
#: How long a client with idle connections stays silent for the runner to look at the server.
LOOK_SECONDS = 1.0

QUIC_WORKS = [
    "download", "upload", "both", "requests", "messages", "datagrams", "handshakes", "latency",
    "idle",
]  # fmt: skip
HTTP3_WORKS = ["download", "upload", "requests", "idle"]


def arguments(description: str | None, stacks: list[str] | None = None) -> argparse.Namespace:
    """The command line that all programs have in common."""
    parser = argparse.ArgumentParser(description=description)
    if stacks:
        parser.add_argument("stack", choices=stacks)
    parser.add_argument("role", choices=["server", "client"])
    parser.add_argument("--protocol", choices=["quic", "http3"], default="quic")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mtu", type=int, default=1452, help="largest UDP payload")
    parser.add_argument("--group", default="X25519", help="the only one for the key exchange")
    parser.add_argument("--ca")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--work", choices=QUIC_WORKS, default="download")
    parser.add_argument("--count", type=int, default=1, help="of bytes, requests, ...")
    parser.add_argument("--parallel", type=int, default=1, help="at a time, on a connection")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--ask", type=int, default=100, help="bytes of a request or message")
    parser.add_argument("--answer", type=int, default=1000, help="bytes of an answer")
    parser.add_argument("--seconds", type=float, default=2.0, help="of latency; of idleness")
    return parser.parse_args()


def say(**facts: object) -> None:
    """One JSON line for the runner."""
    print(json.dumps(facts), flush=True)


def leave() -> NoReturn:
    """End this process at once: nobody waits for thousands of connections to close."""
    sys.stdout.flush()
    os._exit(0)


def shares(count: int, parts: int) -> list[int]:
    """``count`` in ``parts`` as equal as can be."""
    small, rest = divmod(count, parts)
    return [small + (number < rest) for number in range(parts)]


def request(answer: int, size: int) -> bytes:
    """A request of ``size`` bytes in all, its head among them, for ``answer`` bytes."""
    return answer.to_bytes(HEADER, "big") + bytes(max(0, size - HEADER))


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds, and of how many."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {
        "count": len(ordered),
        "p50": ordered[round(last * 0.5)] * 1e3,
        "p99": ordered[round(last * 0.99)] * 1e3,
    }


class Clock:
    """Wall time and this process's CPU time, user and system, since it was made."""

    def __init__(self) -> None:
        self._cpu = _cpu_seconds()
        self._wall = time.perf_counter()

    def facts(self) -> dict[str, float]:
        """The figures at this moment."""
        wall = time.perf_counter() - self._wall
        return {"seconds": wall, "cpu": _cpu_seconds() - self._cpu}


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
