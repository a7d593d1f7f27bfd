"""The benchmarks run on this build; what their clocks say is nobody's business here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ropewalk._build import running_build

BENCH = Path(__file__).parent.parent / "bench"
CORE = BENCH / "core.py"
HTTP3_LOAD = BENCH / "http3_load.py"
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


def test_every_load_of_the_http3_benchmark_completes_within_its_bounds(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    size = ["--requests", "12", "--connections", "3", "--rounds", "2"]
    ended = subprocess.run(
        [sys.executable, str(HTTP3_LOAD), "--build", "here", *size, "--json", "--page", str(page)],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    loads = {each["phase"]["key"]: each for each in json.loads(ended.stdout)}
    asked = {"gets": 12, "gets-open": 12, "posts": 12, "connections": 9}
    assert {key: each["asked"] for key, each in loads.items()} == {
        **asked,
        "get-rounds": 24,
        "connection-rounds": 18,
    }
    for each in loads.values():
        assert each["right"] == each["asked"]
        assert each["trouble"] == ""
        assert each["build"] == running_build().kind
        assert 1 <= each["peak_streams"] <= each["limit"]
    assert loads["posts"]["limit"] == 12
    assert loads["connections"]["peak_connections"] == 3
    assert len(loads["get-rounds"]["rounds_rss"]) == 2
    assert page.read_text().startswith("# HTTP/3 under load\n")
