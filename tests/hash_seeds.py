"""Programs in processes of their own, to see what depends on the order of a set or a dict."""

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]


def prints_under_hash_seeds(program: str) -> set[str]:
    """What a program prints under two hash seeds; one text when they change nothing.

    It may import from ``tests``, and finds its seed in ``PYTHONHASHSEED``.
    """
    printed = set()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=_ROOT,
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": ":".join([".", *sys.path[1:]]),
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed.add(done.stdout.strip())
    return printed
