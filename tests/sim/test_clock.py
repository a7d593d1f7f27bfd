"""Virtual time passes only when something is planned, and always in the same order."""

import math

import pytest

from ropewalk.sim.clock import Occurrence, VirtualClock


def test_time_jumps_to_the_next_plan_and_stands_still_between():
    clock = VirtualClock()
    seen = []
    clock.at(3600.0, lambda: seen.append(clock.now))
    clock.at(0.5, lambda: seen.append(clock.now))
    while clock.step():
        pass
    assert seen == [0.5, 3600.0]
    assert clock.now == 3600.0
    assert clock.fired == 2


def test_equal_times_happen_in_the_order_of_planning():
    clock = VirtualClock()
    seen = []
    for name in "cabd":
        clock.at(1.0, lambda name=name: seen.append(name))
    clock.run_until(1.0)
    assert seen == list("cabd")


def test_a_plan_for_the_past_happens_now_and_time_never_goes_back():
    clock = VirtualClock(start=10.0)
    seen = []
    clock.at(3.0, lambda: seen.append(clock.now))
    clock.step()
    assert seen == [10.0]


def test_a_cancelled_timer_does_not_fire_and_does_not_move_time():
    clock = VirtualClock()
    timer = clock.at(1.0, lambda: pytest.fail("it was cancelled"))
    timer.cancel()
    timer.cancel()
    assert clock.next_time() == math.inf
    assert not clock.step()
    assert clock.now == 0.0


def test_a_timer_fires_once_and_is_no_longer_pending_while_it_does():
    clock = VirtualClock()
    seen = []
    timer = clock.after(1.0, lambda: seen.append(timer.pending))
    assert timer.pending
    clock.run_until(5.0)
    timer.happen()
    assert seen == [False]


def test_what_an_action_plans_at_the_same_instant_happens_after_it():
    clock = VirtualClock()
    seen = []

    def first():
        clock.after(0.0, lambda: seen.append("third"))
        seen.append("first")

    clock.at(1.0, first)
    clock.at(1.0, lambda: seen.append("second"))
    clock.run_until(1.0)
    assert seen == ["first", "second", "third"]


def test_run_until_stops_early_when_done_and_says_so():
    clock = VirtualClock()
    seen = []
    for second in range(1, 10):
        clock.at(float(second), lambda second=second: seen.append(second))
    assert clock.run_until(100.0, lambda: len(seen) == 3)
    assert clock.now == 3.0
    assert not clock.run_until(5.5)
    assert clock.now == 5.5
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("never", [math.inf, math.nan, -math.inf])
def test_a_time_that_never_comes_is_refused(never):
    with pytest.raises(ValueError, match="nothing can be planned"):
        VirtualClock().at(never, lambda: None)


def test_a_ticker_tells_the_time_at_equal_steps_until_it_is_stopped():
    clock = VirtualClock(start=1.0)
    seen = []
    ticker = clock.every(0.25, seen.append)
    clock.run_until(2.0)
    assert seen == [1.0, 1.25, 1.5, 1.75, 2.0]
    ticker.stop()
    ticker.stop()
    clock.run_until(5.0)
    assert len(seen) == 5
    assert clock.next_time() == math.inf


def test_a_ticker_may_stop_itself():
    clock = VirtualClock()
    seen = []

    def look(now):
        seen.append(now)
        if len(seen) == 3:
            ticker.stop()

    ticker = clock.every(1.0, look)
    clock.run_until(100.0)
    assert seen == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("interval", [0.0, -1.0, math.inf, math.nan])
def test_an_impossible_interval_is_refused(interval):
    with pytest.raises(ValueError, match="every"):
        VirtualClock().every(interval, print)


def test_an_occurrence_of_ones_own_needs_no_callback():
    class Bell(Occurrence):
        rung = 0

        def happen(self):
            Bell.rung += 1
            if Bell.rung < 3:
                clock.schedule(self, self.when + 1.0)

    clock = VirtualClock()
    clock.schedule(Bell(), 1.0)
    clock.run_until(10.0)
    assert (Bell.rung, clock.fired) == (3, 3)
