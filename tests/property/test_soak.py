"""What ``make soak`` says of a failure is enough to see it again."""

from __future__ import annotations

import pytest

from ropewalk.lab.machine import Call, Plan, draw_calls
from ropewalk.sim.invariants import Violation
from tests.property import soak


def fail_at_rebinding(plan: Plan, calls: list[Call]) -> None:
    if any(name == "rebind" for name, *_ in calls):
        raise Violation("inv.quic.nothing_left", "server", 1.5, "planted")


def test_a_failing_seed_is_shrunk_and_told_with_its_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(soak, "play", fail_at_rebinding)
    length = 60
    seeds = soak.failing_seeds(0, 10, length)
    assert seeds == [
        seed for seed in range(10) if "rebind" in {name for name, *_ in draw_calls(seed, length)}
    ]
    soak.explain(seeds[0], length)
    told = capsys.readouterr().out
    assert f"seed {seeds[0]}: inv.quic.nothing_left: server at 1.500000 s: planted" in told
    assert f"--first {seeds[0]} --count 1 --length {length}" in told
    assert "[('rebind', 0, 0)])" in told


def test_a_range_of_good_seeds_ends_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["soak", "--count", "4", "--length", "10", "--jobs", "1"])
    assert soak.main() == 0
    assert "4 runs, 0 failed" in capsys.readouterr().out
