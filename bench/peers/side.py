"""What every program of the benchmark shares: the protocol, the core it runs on, its figures.

The protocol is that of ``ropewalk perf`` (draft-banks-quic-performance, ALPN ``perf``): the
client opens a stream and sends eight bytes, big-endian, the size it wants back, then its
upload and the end. Here the server answers once it has read to that end, so that a client
that has seen the answer's end knows that all of its upload has arrived.

A server prints one JSON line with its port, and one with its figures when it is told to end.
A client prints one JSON line. Only the standard library is used, for any stack imports this.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time

ALPN = "perf"
HEADER = 8
HOST = "127.0.0.1"
SERVER_NAME = "localhost"
#: The kernel's receive buffer that Ropewalk asks for; every stack gets the same.
RECEIVE_BUFFER = 4 << 20


def arguments(description: str | None, stacks: list[str] | None = None) -> argparse.Namespace:
    """The command line that all programs have in common."""
    parser = argparse.ArgumentParser(description=description)
    if stacks:
        parser.add_argument("stack", choices=stacks)
    parser.add_argument("role", choices=["server", "client"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mtu", type=int, default=1452)
    parser.add_argument("--core", type=int, default=-1, help="CPU to stay on; -1: any")
    parser.add_argument("--ca")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--download", type=int, default=0)
    parser.add_argument("--upload", type=int, default=0)
    parser.add_argument("--handshakes", type=int, default=0)
    given = parser.parse_args()
    if given.core >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {given.core})
    return given


def say(**facts: object) -> None:
    """One JSON line for the runner."""
    print(json.dumps(facts), flush=True)


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
