"""Every scenario on the public API survives a cancellation at every await point.

``ROPEWALK_SOAK=1`` adds seeds, and cancellations some time after each point.
"""

from __future__ import annotations

import os
from random import Random

import pytest

from ropewalk.lab.cancellation import (
    SCENARIOS,
    AllPoints,
    EveryNth,
    FirstN,
    Never,
    Probabilistic,
    RandomSample,
    SpecificPoints,
    Strategy,
    Stroke,
    sweep,
)
from ropewalk.lab.virtual_time import BACKENDS, Backend
from ropewalk.quic.types.errors import ConfigurationError

#: Seconds after an await point: within a flight of 20 ms, and when its answer comes.
LAGS = (0.0005, 0.004, 0.011, 0.0202)

soak = pytest.mark.skipif(not os.environ.get("ROPEWALK_SOAK"), reason="ROPEWALK_SOAK is not set")
each_scenario = pytest.mark.parametrize("name", SCENARIOS)
each_backend = pytest.mark.parametrize("backend", BACKENDS)


@each_backend
@each_scenario
def test_a_cancellation_at_any_await_point_leaves_nothing_behind(
    name: str, backend: Backend
) -> None:
    report = sweep(SCENARIOS[name], AllPoints(), backend, seed=1)
    assert report.passed, str(report)
    assert report.runs == len(report.points) >= 5


@each_scenario
def test_asyncios_own_cancellations_leave_nothing_behind_and_lose_nothing(name: str) -> None:
    """``asyncio.timeout`` breaks through shields: bytes were once lost that were just read."""
    report = sweep(SCENARIOS[name], AllPoints(), "asyncio", seed=1, stroke=Stroke(native=True))
    assert report.passed, str(report)


@each_backend
@each_scenario
def test_a_cancellation_while_packets_are_on_their_way_leaves_nothing_behind(
    name: str, backend: Backend
) -> None:
    for lag in LAGS:
        report = sweep(SCENARIOS[name], RandomSample(4), backend, seed=2, stroke=Stroke(lag))
        assert report.passed, str(report)


@soak
@each_backend
@each_scenario
def test_soak(name: str, backend: Backend) -> None:
    for seed in range(3, 13):
        for lag in (0.0, *LAGS):
            for native in (False, True) if backend == "asyncio" else (False,):
                report = sweep(SCENARIOS[name], AllPoints(), backend, seed, Stroke(lag, native))
                assert report.passed, str(report)


# -- points and strategies


def test_await_points_are_found_where_the_api_waits() -> None:
    report = sweep(SCENARIOS["connect"], Never(), seed=1)
    assert report.runs == 0
    assert [point.number for point in report.points] == list(range(len(report.points)))
    places = [point.where for point in report.points]
    assert any("runtime/client.py" in place for place in places)
    assert any("runtime/connection.py" in place for place in places)
    assert all("lab/cancellation/scenarios.py" in point.by for point in report.points)


def test_both_backends_wait_at_the_same_places() -> None:
    one, other = (sweep(SCENARIOS["connect"], Never(), backend) for backend in BACKENDS)
    assert [point.where for point in one.points] == [point.where for point in other.points]


@pytest.mark.parametrize(
    ("strategy", "chosen"),
    [
        (AllPoints(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (Never(), []),
        (FirstN(3), [0, 1, 2]),
        (FirstN(30), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (EveryNth(4), [0, 4, 8]),
        (SpecificPoints((7, 2)), [2, 7]),
        (Probabilistic(0.0), []),
        (Probabilistic(1.0), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_a_strategy_chooses(strategy: Strategy, chosen: list[int]) -> None:
    assert list(strategy.choose(10, Random(1))) == chosen


@pytest.mark.parametrize("strategy", [RandomSample(4), Probabilistic(0.4)])
def test_a_draw_follows_from_the_seed(strategy: Strategy) -> None:
    draws = [list(strategy.choose(1000, Random(seed))) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert draws[0] == sorted(draws[0])


def test_a_sample_of_few_points_is_all_of_them() -> None:
    assert list(RandomSample(20).choose(3, Random(1))) == [0, 1, 2]


def test_what_cannot_be_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="no await point 99"):
        sweep(SCENARIOS["connect"], SpecificPoints((99,)))
    with pytest.raises(ConfigurationError, match="asyncio only"):
        sweep(SCENARIOS["connect"], Never(), "trio", stroke=Stroke(native=True))
    with pytest.raises(ConfigurationError, match="lag"):
        Stroke(lag=-1.0)
    with pytest.raises(ConfigurationError, match="nth"):
        EveryNth(0)
    with pytest.raises(ConfigurationError, match="probability"):
        Probabilistic(1.5)
