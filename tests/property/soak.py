"""Many long runs of the property machine, from seeds: ``python -m tests.property.soak``.

A seed gives the settings and the calls. What fails is shrunk and printed with the command that
replays it and the lines for ``test_regressions.py``.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from ropewalk.lab.machine import Call, draw_calls, draw_plan, play, shrink

_BATCH = 50


def failure(seed: int, calls: list[Call]) -> Exception | None:
    """What goes wrong, None when nothing does."""
    try:
        play(draw_plan(seed), calls)
    except Exception as error:
        return error
    return None


def law(error: Exception | None) -> str:
    """What two failures have in common when they are the same one."""
    return f"{type(error).__name__} {getattr(error, 'invariant_id', '')}" if error else ""


def failing_seeds(first: int, last: int, length: int) -> list[int]:
    """The seeds from ``first`` up to but not including ``last`` that fail."""
    return [seed for seed in range(first, last) if failure(seed, draw_calls(seed, length))]


def explain(seed: int, length: int) -> None:
    """Shrink one failing seed and say how to see it again."""
    calls = draw_calls(seed, length)
    first = law(failure(seed, calls))
    shortest = shrink(calls, lambda fewer: law(failure(seed, fewer)) == first)
    print(f"seed {seed}: {failure(seed, shortest)}")
    print(f"  python -m tests.property.soak --first {seed} --count 1 --length {length}")
    print(f"  play({draw_plan(seed)!r}, {shortest!r})", flush=True)


def main() -> int:
    """Play a range of seeds on all processors."""
    parser = argparse.ArgumentParser(prog="python -m tests.property.soak", description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=10_000, help="how many seeds")
    parser.add_argument("--length", type=int, default=70, help="calls of each run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    options = parser.parse_args()
    last = options.first + options.count
    starts = range(options.first, last, _BATCH)
    stops = [min(start + _BATCH, last) for start in starts]
    lengths = [options.length] * len(stops)
    began = time.monotonic()
    done, failed = 0, 0
    with ProcessPoolExecutor(options.jobs) as pool:
        for start, stop, seeds in zip(
            starts, stops, pool.map(failing_seeds, starts, stops, lengths), strict=True
        ):
            done += stop - start
            for seed in seeds:
                failed += 1
                explain(seed, options.length)
            if done % 1000 == 0 or stop == last:
                seconds = time.monotonic() - began
                print(f"{done} runs, {failed} failed, {seconds:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
