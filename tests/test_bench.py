"""The benchmark of the core runs on this build; what its clock says is nobody's business here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ropewalk._build import running_build

CORE = Path(__file__).parent.parent / "bench" / "core.py"
BOUND = 120.0
SIZE = 4_000_000


def figures() -> dict[str, float | int | str]:
    ended = subprocess.run(
        [sys.executable, str(CORE), "--bytes", str(SIZE), "--json"],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=True,
    )
    found: dict[str, float | int | str] = json.loads(ended.stdout)
    return found


def test_the_core_benchmark_repeats_from_its_seed_and_reports_every_figure() -> None:
    first, second = figures(), figures()
    for name in ("sender_us_per_packet", "receiver_us_per_packet"):
        assert float(first.pop(name)) > 0
        second.pop(name)
    for found in (first, second):
        assert abs(float(found.pop("live_blocks_per_packet"))) < 100
    assert first == second
    assert first["build"] == running_build().kind
    assert first["bytes"] == SIZE
    assert first["packets_lost"] == 0
    # Full packets of the second half, less what was on its way when it began.
    assert 100 < int(first["packets"]) < SIZE / 2 / 1400
    assert float(first["packets_per_burst"]) >= 1
    assert 0 < float(first["answers_per_packet"]) < 1
