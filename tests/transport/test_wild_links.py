"""Random lines, windows, sizes and congestion controllers, each drawn from one seed.

A seed that found a bug stays, with the bug's story. To look for more, run this module as a
program with a range of seeds: ``python -m tests.transport.test_wild_links 1000 2000``.
"""

import random
import sys

import pytest

from ropewalk.sim.batching import Coalescing
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.transfer import TransferPlan, run_transfer

#: Seeds that found something.
FOUND = {
    30: "a lost Finished waited for a window full of 1-RTT packets nobody could acknowledge",
    429: "a PING-only Initial was padded after the datagram was full: 1,203 bytes",
}


def wild_line(draw: random.Random) -> LinkProfile:
    """Any line, from a bad modem by satellite to a loopback with a grudge."""
    return LinkProfile(
        rate=draw.choice([1e5, 1e6, 12.5e6, 1e9]),
        delay=draw.choice([0.001, 0.0025, 0.02, 0.1, 0.3]),
        queue_packets=draw.choice([5, 25, 200]),
        loss=draw.choice([0, 0.01, 0.05, 0.2, 0.3]),
        duplication=draw.choice([0, 0.05, 0.3]),
        reordering=draw.choice([0, 0.05, 0.2]),
        reordering_delay=draw.choice([0.001, 0.02, 0.5]),
        corruption=draw.choice([0, 0.02, 0.1]),
        jitter=draw.choice([0, 0.01, 0.2]),
    )


def wild_plan(seed: int) -> TransferPlan:
    """The order of the draws is part of the seeds' meaning: append, do not rearrange."""
    draw = random.Random(seed)
    forward = wild_line(draw)
    backward = wild_line(draw)
    return TransferPlan(
        seed=seed,
        forward=forward,
        backward=backward,
        download=draw.choice([0, 1, 5000, 100_000, 300_000]),
        upload=draw.choice([0, 1, 5000, 100_000, 300_000]),
        streams=draw.choice([1, 1, 3, 40]),
        chunk=draw.choice([500, 1 << 18]),
        coalescing=Coalescing(window=draw.choice([0, 0.001, 0.02]), segments=draw.choice([1, 64])),
        settings={
            "idle_timeout": 600.0,
            "handshake_timeout": 3000.0,
            "congestion": draw.choice(["cubic", "newreno"]),
            "max_udp_payload": draw.choice([1200, 1452, 8000]),
            "max_bidirectional_streams": draw.choice([2, 128]),
            "stream_window": draw.choice([4000, 512 * 1024]),
            "connection_window": draw.choice([8000, 1024 * 1024]),
        },
        time_limit=20_000.0,
    )


@pytest.mark.parametrize("seed", [*range(24), *FOUND])
def test_everything_arrives_over_a_wild_line(seed):
    assert run_transfer(wild_plan(seed)).intact


def main() -> int:
    """Try a range of seeds and tell of those that fail."""
    first, last = int(sys.argv[1]), int(sys.argv[2])
    failed = 0
    for seed in range(first, last):
        try:
            assert run_transfer(wild_plan(seed)).intact, "the bytes differ"
        except Exception as error:
            failed += 1
            print(f"seed {seed}: {type(error).__name__}: {error}", flush=True)
    print(f"{last - first} seeds, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
