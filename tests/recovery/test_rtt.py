from __future__ import annotations

import pytest

from ropewalk.quic.recovery.rtt import RttEstimator


def test_before_the_first_sample_the_initial_rtt_counts() -> None:
    rtt = RttEstimator(0.333)
    assert not rtt.has_sample
    assert rtt.probe_timeout() == pytest.approx(0.999)


def test_the_first_sample_replaces_the_initial_rtt() -> None:
    rtt = RttEstimator(0.333)
    rtt.update(0.1, 0.02, 7.0)
    assert (rtt.latest, rtt.minimum, rtt.smoothed, rtt.variation) == (0.1, 0.1, 0.1, 0.05)
    assert rtt.first_sample_time == 7.0


def test_later_samples_are_smoothed_and_the_ack_delay_taken_off() -> None:
    rtt = RttEstimator(0.333)
    rtt.update(0.1, 0.0, 1.0)
    rtt.update(0.15, 0.01, 2.0)
    assert rtt.variation == pytest.approx(0.75 * 0.05 + 0.25 * 0.04)
    assert rtt.smoothed == pytest.approx(0.875 * 0.1 + 0.125 * 0.14)
    assert rtt.minimum == 0.1


def test_a_delay_that_would_undercut_the_minimum_is_not_believed() -> None:
    rtt = RttEstimator(0.333)
    rtt.update(0.1, 0.0, 1.0)
    rtt.update(0.11, 0.02, 2.0)
    assert rtt.smoothed == pytest.approx(0.875 * 0.1 + 0.125 * 0.11)


def test_the_minimum_ignores_the_ack_delay_and_restarts_on_request() -> None:
    rtt = RttEstimator(0.333)
    rtt.update(0.1, 0.0, 1.0)
    rtt.update(0.08, 0.05, 2.0)
    assert rtt.minimum == 0.08
    rtt.restart_minimum()
    rtt.update(0.3, 0.0, 3.0)
    assert rtt.minimum == 0.3


def test_the_probe_timeout_leaves_the_timer_its_granularity() -> None:
    rtt = RttEstimator(0.333)
    for _ in range(200):
        rtt.update(0.0001, 0.0, 1.0)
    assert rtt.probe_timeout() == pytest.approx(0.0011)
