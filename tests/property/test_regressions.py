"""What the property machine has found, shrunk, with the story of each.

One of its findings has a test of its own in ``tests/connection/test_robustness.py``: an
acknowledgment that got lost was never repeated.
"""

from __future__ import annotations

import pytest

from ropewalk.lab.machine import Call, Plan, play
from ropewalk.quic.types.errors import ApplicationError, ConnectionLost, HandshakeTimeout

#: (story, settings, calls, how the server's connection has to end)
FOUND: list[tuple[str, Plan, list[Call], type[ConnectionLost]]] = [
    (
        "a NAT rebound before the handshake was confirmed: the client probed with Handshake "
        "packets alone, for which the server had no keys any more, and nobody ever learned better",
        Plan(
            seed=15977,
            connection_window=60_000,
            stream_window=40_000,
            idle_timeout=0.0,
        ),
        [
            ("datagrams", 0, 0, 0, 3),
            ("socket", 1, 0, 0),
            ("read", 0, 0, 0, 5),
            ("write", 0, 0, 6, 3),
            ("rebind", 0, 0),
        ],
        ApplicationError,
    ),
    (
        "a handshake that took too long was called an idle timeout, by a rounding error",
        Plan(
            seed=15489,
            stream_window=600,
            send_buffer=64_000,
            idle_timeout=0.0,
            retry=True,
            coalescing=0.02,
        ),
        [
            ("truncate", 0, 2, 0, 5),
            ("update_keys", 0, 0, 5),
            ("duplicate", 0, 0, 0, 5),
            ("duplicate", 0, 0, 0, 5),
            ("datagrams", 0, 0, 0, 4),
            ("read", 0, 0, 0, 5),
            ("write", 0, 0, 0, 5),
            ("socket", 0, 1, 5),
            ("rebind", 0, 0),
        ],
        HandshakeTimeout,
    ),
    (
        "after a rebinding, a late datagram of the old route had an ACK-only packet of the new one "
        "acknowledged, and that counted as an RTT sample",
        Plan(
            seed=9998,
            connection_window=60_000,
            send_buffer=700,
            max_streams=20,
            datagram_queue=2,
            retry=True,
            eager=(True, False),
            coalescing=0.02,
        ),
        [
            ("ping", 0, 5),
            ("rebind", 1, 0),
            ("delay", 0, 1, 4, 0),
            ("corrupt", 0, 3, 454, 0),
            ("write", 0, 0, 3, 0),
            ("corrupt", 1, 2, 0, 0),
            ("truncate", 1, 2, 0, 0),
            ("finish", 0, 0, 5),
            ("datagrams", 1, 0, 0, 0),
            ("duplicate", 0, 0, 0, 4),
            ("open", 0, 0, 4),
            ("datagrams", 0, 0, 0, 0),
            ("open", 0, 0, 4),
            ("replay", 1, 250, 0, 0),
            ("open", 0, 0, 4),
        ],
        ApplicationError,
    ),
    (
        "a client followed the first of two Retries, and the oracle knew the last one's token only",
        Plan(
            seed=503,
            connection_window=60_000,
            stream_window=600,
            send_buffer=64_000,
            max_streams=2,
            idle_timeout=0.0,
            keep_alive=2.0,
            datagram_queue=2,
            retry=True,
            eager=(True, False),
        ),
        [
            ("socket", 0, 0, 5),
            ("drop", 1, 2, 0),
            ("replay", 0, 296, 0, 5),
            ("socket", 0, 1, 4),
            ("rebind", 1, 5),
        ],
        ApplicationError,
    ),
]


@pytest.mark.parametrize(
    ("plan", "calls", "ending"), [found[1:] for found in FOUND], ids=range(len(FOUND))
)
def test_what_was_found_stays_mended(
    plan: Plan, calls: list[Call], ending: type[ConnectionLost]
) -> None:
    machine = play(plan, calls)
    assert isinstance(machine.server.use().close_error, ending)
