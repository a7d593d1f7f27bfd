from __future__ import annotations

import math

import pytest

from ropewalk.quic.recovery.pacer import MAX_BURST
from ropewalk.quic.recovery.route_recovery import PACING_GAIN, RouteRecovery
from tests.recovery.kit import SIZE, Recorder, ack, make_space, send


def route_with(window: int, rtt: float) -> RouteRecovery:
    """A route with one RTT sample, nothing in flight and a bucket that has been emptied."""
    route = RouteRecovery(Recorder(window), SIZE, 0.333)
    route.rtt.update(rtt, 0.0, 0.0)
    route.can_send(0.0)
    route.pacer.credit = 0.0
    return route


def test_before_the_first_rtt_sample_the_initial_window_leaves_at_once() -> None:
    controller = Recorder(12_000)
    route = RouteRecovery(controller, SIZE, 0.333)
    assert route.can_send(0.0) == 12_000
    assert route.burst_limit() == 12_000
    assert route.next_send_time(0.0) == 0.0
    controller.congestion_window = 1_000_000
    assert route.can_send(0.0) == 12_000, "a window from elsewhere makes no larger burst"


@pytest.mark.parametrize(
    ("window", "rtt", "burst"),
    [
        (120_000, 0.1, 2 * SIZE),  # 12 Mbit/s: two packets
        (1_000_000, 0.1, 12_500),  # 100 Mbit/s: a millisecond's worth
        (10_000_000, 0.01, MAX_BURST),  # 10 Gbit/s: one segmentation-offload send
        (2 * SIZE, 3.0, 2 * SIZE),
    ],
)
def test_a_burst_is_a_millisecond_within_its_bounds(window: int, rtt: float, burst: int) -> None:
    assert route_with(window, rtt).burst_limit() == burst


def test_the_window_leaves_at_one_and_a_quarter_times_its_rate() -> None:
    route = route_with(1_000_000, 0.1)
    space = make_space()
    now, sent = 0.0, 0
    while now < 0.04:
        allowed = route.can_send(now)
        if allowed > 0:
            send(space, route, now, allowed // SIZE)
            sent += allowed
        now = max(route.next_send_time(now), now + 1e-5)
    assert sent == pytest.approx(PACING_GAIN * 1_000_000 / 0.1 * 0.04, rel=0.05)


def test_the_time_that_next_send_time_names_is_late_enough_even_on_an_old_clock() -> None:
    for start in (0.0, 1e6, 1.7e9):
        route = route_with(50_000, 0.05)
        route.pacer.configure(start, route.pacing_rate(), SIZE)
        route.pacer.credit = -3000.0
        when = route.next_send_time(start)
        assert when > start
        assert route.can_send(when) > 0


def test_an_overslept_timer_finds_two_quanta_and_no_more() -> None:
    route = route_with(1_000_000, 0.1)
    assert route.can_send(0.0) == 0
    allowed = route.can_send(10.0)
    quantum = route.burst_limit()
    assert 2 * quantum - SIZE < allowed <= 2 * quantum


def test_a_small_window_is_not_stalled_by_the_pacer() -> None:
    route = route_with(2 * SIZE, 0.6)
    route.pacer.credit = 0.0
    when = route.next_send_time(0.0)
    assert when <= 0.6 / PACING_GAIN + 1e-9
    assert route.can_send(when) == 2 * SIZE


def test_debt_from_probes_does_not_silence_the_route_for_long() -> None:
    route = route_with(120_000, 0.1)
    route.pacer.credit = -1e9
    assert route.next_send_time(0.0) < 0.01


def test_a_full_window_allows_nothing_and_names_no_time() -> None:
    route = route_with(10 * SIZE, 0.1)
    space = make_space()
    send(space, route, 0.0, 9)
    send(space, route, 0.0, size=SIZE // 2)
    assert route.can_send(50.0) == 0, "half a datagram's room is no room"
    assert route.next_send_time(50.0) == math.inf
    ack(space, 50.0, (0, 0))
    assert route.can_send(50.1) == SIZE


def test_a_controller_may_set_the_pacing_rate_itself() -> None:
    route = route_with(1_000_000, 0.1)
    route.controller.pacing_rate = 2_400_000.0
    assert route.burst_limit() == 2 * SIZE
    assert route.pacing_rate() == 2_400_000.0


def test_back_off_doubles_up_to_a_minute() -> None:
    route = route_with(12_000, 0.1)
    base = route.probe_timeout(0.025)
    assert base == pytest.approx(0.1 + 4 * 0.05 + 0.025)
    assert route.backed_off_probe_timeout(0.025) == base
    route.pto_count = 3
    assert route.backed_off_probe_timeout(0.025) == 8 * base
    route.pto_count = 1_000_000
    assert route.backed_off_probe_timeout(0.025) == 60.0
