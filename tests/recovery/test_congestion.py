from __future__ import annotations

import pytest

from ropewalk.quic.recovery.congestion.cubic import BETA, Cubic
from ropewalk.quic.recovery.congestion.hystart import (
    CONSERVATIVE,
    DONE,
    SLOW_START,
    HyStart,
)
from ropewalk.quic.recovery.congestion.loss_based import LossBasedController
from ropewalk.quic.recovery.congestion.new_reno import NewReno
from ropewalk.quic.recovery.congestion.registry import (
    known_controllers,
    make_controller,
    register,
)
from ropewalk.quic.types.congestion import NO_THRESHOLD, CongestionGroup, RateSample
from ropewalk.quic.types.errors import ConfigurationError

SIZE = 1200
RTT = 0.1

both = pytest.mark.parametrize("kind", [NewReno, Cubic])


class Driver:
    """Sends and acknowledges whole windows, one per round trip."""

    def __init__(self, controller: LossBasedController, rtt: float = RTT) -> None:
        self.controller = controller
        self.rtt = rtt
        self.now = 1.0
        self.next = 0
        self.sample = RateSample()

    def send(self, size: int) -> tuple[int, float]:
        """Send ``size`` bytes from an empty pipe; the last packet's number and time."""
        in_flight = 0
        while in_flight < size:
            in_flight += SIZE
            self.controller.on_sent(self.now, SIZE, in_flight, self.next)
            self.next += 1
        return self.next - 1, self.now

    def ack(self, size: int, newest: int, sent: float, in_flight: int = 0, rtt: float = -1) -> None:
        sample = self.sample
        sample.acked, sample.largest_acked, sample.largest_sent_time = size, newest, sent
        sample.rtt = self.rtt if rtt < 0 else rtt
        self.controller.on_acked(self.now, sample, in_flight, self.rtt)

    def round(self, size: int | None = None, *, app_limited: bool = False) -> None:
        """One round trip with ``size`` bytes (default: a full window), two packets an ACK."""
        size = self.controller.congestion_window // SIZE * SIZE if size is None else size
        first = self.next
        last, sent = self.send(size)
        self.now += self.rtt
        self.sample.app_limited = app_limited
        for number in range(first + 1, last + 1, 2):
            self.ack(2 * SIZE, number, sent, size - (number - first) * SIZE)

    def lose(self, size: int = SIZE, *, persistent: bool = False) -> float:
        """Packets sent just now are lost; the time they were sent."""
        _, sent = self.send(size)
        self.now += self.rtt
        self.controller.on_lost(self.now, size, sent, self.next - 1, 0, persistent)
        return sent


# -- what both do


@both
def test_the_initial_window_is_ten_datagrams_within_the_bounds(
    kind: type[LossBasedController],
) -> None:
    assert kind(1200).congestion_window == 12_000
    assert kind(1452).congestion_window == 14_520
    assert kind(4000).congestion_window == 14_720
    assert kind(9000).congestion_window == 18_000


@both
def test_slow_start_doubles_the_window_each_round(kind: type[LossBasedController]) -> None:
    driver = Driver(kind(SIZE))
    for doubled in (24_000, 48_000, 96_000):
        driver.round()
        assert driver.controller.congestion_window == doubled


@both
def test_a_loss_reduces_once_per_round_trip(kind: type[LossBasedController]) -> None:
    controller = kind(SIZE)
    driver = Driver(controller)
    driver.round()
    before = controller.congestion_window
    sent = driver.lose()
    left = 0.5 if kind is NewReno else BETA
    assert controller.congestion_window == int(before * left)
    assert controller.slow_start_threshold == controller.congestion_window
    controller.on_lost(driver.now + 0.01, SIZE, sent, 1, 0, False)
    controller.on_ecn(driver.now + 0.01, sent, 1, 0)
    assert controller.congestion_window == int(before * left)
    driver.now += 0.01
    driver.lose()
    assert controller.congestion_window == int(int(before * left) * left)


@both
def test_the_window_does_not_grow_during_recovery(kind: type[LossBasedController]) -> None:
    driver = Driver(kind(SIZE))
    driver.round()
    last, sent = driver.send(24_000)
    driver.lose()
    window = driver.controller.congestion_window
    driver.ack(12_000, last, sent)
    assert driver.controller.congestion_window == window
    driver.now += 0.001
    for _ in range(20):
        driver.round()
    assert driver.controller.congestion_window > window


@both
def test_the_window_never_falls_below_two_datagrams(kind: type[LossBasedController]) -> None:
    driver = Driver(kind(SIZE))
    for _ in range(40):
        driver.lose()
        driver.now += 0.001
    assert driver.controller.congestion_window == 2 * SIZE
    driver.controller.on_mtu(9000)
    assert driver.controller.congestion_window == 18_000


@both
def test_persistent_congestion_leaves_the_minimum_and_slow_starts_to_the_threshold(
    kind: type[LossBasedController],
) -> None:
    driver = Driver(kind(SIZE))
    for _ in range(3):
        driver.round()
    sent = driver.lose(persistent=True)
    assert driver.controller.congestion_window == 2 * SIZE
    assert driver.controller.slow_start_threshold > 2 * SIZE
    driver.now += 0.001
    driver.ack(SIZE, driver.next - 1, sent, in_flight=SIZE)
    assert driver.controller.congestion_window == 3 * SIZE, "no recovery period is left over"
    driver.controller.congestion_window = 2 * SIZE
    driver.round()
    assert driver.controller.congestion_window == 4 * SIZE
    driver.lose()
    assert driver.controller.slow_start_threshold < 4 * SIZE


@both
def test_an_ecn_mark_counts_like_a_loss(kind: type[LossBasedController]) -> None:
    driver = Driver(kind(SIZE))
    driver.round()
    before = driver.controller.congestion_window
    driver.controller.on_ecn(driver.now, driver.now, 1, 0)
    left = 0.5 if kind is NewReno else BETA
    assert driver.controller.congestion_window == int(before * left)
    driver.controller.on_spurious(driver.now, SIZE, driver.now - 0.01)
    assert driver.controller.congestion_window == int(before * left), "a mark is never spurious"


@both
def test_a_reduction_is_undone_when_all_its_losses_were_spurious(
    kind: type[LossBasedController],
) -> None:
    driver = Driver(kind(SIZE))
    driver.round()
    before = driver.controller.congestion_window
    sent = driver.lose(3 * SIZE)
    driver.controller.on_lost(driver.now + 0.01, SIZE, sent, 1, 0, False)
    reduced = driver.controller.congestion_window
    driver.controller.on_spurious(driver.now, 3 * SIZE, sent)
    assert driver.controller.congestion_window == reduced, "one loss is still believed"
    driver.controller.on_spurious(driver.now, SIZE, sent)
    assert driver.controller.congestion_window == before
    assert driver.controller.slow_start_threshold == NO_THRESHOLD
    driver.controller.on_spurious(driver.now, SIZE, sent)
    driver.now += 0.001
    driver.round()
    assert driver.controller.congestion_window == 2 * before, "slow start goes on"


@both
def test_a_window_that_is_not_used_does_not_grow(kind: type[LossBasedController]) -> None:
    driver = Driver(kind(SIZE))
    for _ in range(30):
        driver.round(2 * SIZE, app_limited=True)
    assert driver.controller.congestion_window == 12_000
    driver.round()
    driver.lose()
    driver.now += 0.001
    driver.round(2 * SIZE, app_limited=True)
    window = driver.controller.congestion_window
    for _ in range(100):
        driver.round(2 * SIZE, app_limited=True)
    assert driver.controller.congestion_window == window
    for _ in range(20):
        driver.round()
    assert driver.controller.congestion_window > window


@both
def test_another_route_starts_from_the_initial_window(kind: type[LossBasedController]) -> None:
    driver = Driver(kind(SIZE))
    for _ in range(3):
        driver.round()
    driver.lose()
    driver.controller.on_mtu(1400)
    driver.controller.on_route_change(driver.now)
    assert driver.controller.congestion_window == 14_000
    assert driver.controller.slow_start_threshold == NO_THRESHOLD


# -- NewReno


def test_new_reno_grows_by_one_datagram_per_window() -> None:
    driver = Driver(NewReno(SIZE))
    driver.round()
    driver.lose()
    driver.now += 0.001
    window = driver.controller.congestion_window
    for turn in range(1, 6):
        driver.round()
        assert driver.controller.congestion_window == pytest.approx(window + turn * SIZE, abs=SIZE)


# -- CUBIC


def after_loss_at(window: int, rtt: float = RTT) -> Driver:
    """A CUBIC controller that has just lost a packet at ``window``."""
    controller = Cubic(SIZE)
    controller.congestion_window = window
    driver = Driver(controller, rtt)
    driver.lose()
    driver.now += 0.001
    return driver


def test_cubic_is_back_at_the_old_window_after_k_and_flat_around_it() -> None:
    segments = 1000.0
    driver = after_loss_at(int(segments) * SIZE)
    start = driver.now
    k = (segments * (1 - BETA) / 0.4) ** (1 / 3)
    windows: list[tuple[float, float]] = []
    while driver.now < start + 2 * k:
        driver.round()
        windows.append((driver.now - start - RTT, driver.controller.congestion_window / SIZE))
    for since, window in windows:
        # The window runs up to one round trip behind its target, W_cubic(t + RTT).
        curve = [segments + 0.4 * (since + ahead - k) ** 3 for ahead in (-2 * RTT, 2 * RTT)]
        assert curve[0] - 5 <= window <= curve[1] + 5, since
    assert any(abs(window - segments) < 2 for since, window in windows if abs(since - k) < 2 * RTT)


def test_cubic_grows_at_least_as_reno_does_on_a_short_path() -> None:
    driver = after_loss_at(20 * SIZE, rtt=0.01)
    window = driver.controller.congestion_window
    for _ in range(10):
        driver.round()
    alpha = 3 * (1 - BETA) / (1 + BETA)
    assert driver.controller.congestion_window >= window + int(9 * alpha * SIZE)
    while driver.controller.congestion_window < 22 * SIZE:
        driver.round()
    window = driver.controller.congestion_window
    for _ in range(10):
        driver.round()
    assert driver.controller.congestion_window >= window + 9 * SIZE, "alpha is 1 past the old one"


def test_cubic_gives_way_when_it_loses_below_the_last_maximum() -> None:
    driver = after_loss_at(1000 * SIZE)
    driver.lose()
    driver.now += 0.001
    # W_max is now 700 × (1 + beta) / 2 = 595 segments; the plateau lies there.
    k = ((595 - 490) / 0.4) ** (1 / 3)
    start = driver.now
    while driver.now < start + k:
        driver.round()
    assert driver.controller.congestion_window / SIZE == pytest.approx(595, abs=3)


@pytest.mark.parametrize("idle", ["silent", "trickling"])
def test_cubic_does_not_count_time_without_use(idle: str) -> None:
    busy = after_loss_at(500 * SIZE)
    paused = after_loss_at(500 * SIZE)
    for driver in (busy, paused):
        for _ in range(20):
            driver.round()
    if idle == "silent":
        paused.now += 60.0
    else:
        for _ in range(600):
            paused.round(2 * SIZE, app_limited=True)
    assert paused.controller.congestion_window == busy.controller.congestion_window
    for driver in (busy, paused):
        for _ in range(10):
            driver.round()
    difference = paused.controller.congestion_window - busy.controller.congestion_window
    assert abs(difference) < 0.02 * busy.controller.congestion_window


def test_cubic_never_grows_by_more_than_half_in_a_round() -> None:
    driver = after_loss_at(10 * SIZE, rtt=3.0)
    for _ in range(12):
        before = driver.controller.congestion_window
        driver.round()
        assert driver.controller.congestion_window <= 1.5 * before + 2 * SIZE


def test_cubic_takes_up_the_old_curve_after_a_spurious_loss() -> None:
    driver = after_loss_at(500 * SIZE)
    twin = after_loss_at(500 * SIZE)
    # Past the plateau: a new curve would have to start flat.
    for one in (driver, twin):
        for _ in range(110):
            one.round()
    assert driver.controller.congestion_window > 510 * SIZE
    sent = driver.lose()
    driver.controller.on_spurious(driver.now, SIZE, sent)
    assert driver.controller.congestion_window == twin.controller.congestion_window
    driver.now += 0.001
    for one in (driver, twin):
        for _ in range(10):
            one.round()
    difference = driver.controller.congestion_window - twin.controller.congestion_window
    assert abs(difference) < 0.02 * twin.controller.congestion_window


def test_cubic_starts_on_a_plateau_after_persistent_congestion() -> None:
    driver = after_loss_at(500 * SIZE)
    driver.lose(persistent=True)
    driver.now += 0.001
    threshold = driver.controller.slow_start_threshold
    while driver.controller.congestion_window < threshold:
        driver.round()
    window = driver.controller.congestion_window
    for _ in range(5):
        driver.round()
    assert window < driver.controller.congestion_window < window + 8 * SIZE


# -- HyStart++


def rounds(hystart: HyStart, rtts: list[float], per_round: int = 10) -> list[int]:
    """Feed rounds of equal RTTs; the growth that the last ACK of each round was given."""
    sample = RateSample()
    sample.acked = 4000
    growth = []
    number = 0
    hystart.on_sent(per_round - 1)
    for rtt in rtts:
        for _ in range(per_round):
            # The packets of the next round leave as this one's are acknowledged.
            hystart.on_sent(number + per_round)
            sample.largest_acked, sample.rtt = number, rtt
            grown = hystart.growth(sample)
            number += 1
        growth.append(int(grown))
    return growth


def test_a_steady_rtt_keeps_slow_start_going() -> None:
    hystart = HyStart()
    assert rounds(hystart, [0.05] * 20) == [4000] * 20
    assert hystart.phase == SLOW_START


def test_a_rising_rtt_slows_growth_and_ends_slow_start_after_five_rounds() -> None:
    hystart = HyStart()
    growth = rounds(hystart, [0.05, 0.05, 0.05, 0.057, 0.058, 0.058])
    assert hystart.phase == CONSERVATIVE
    assert growth[-1] == 1000
    # The first ACK of a sixth round tells that the fifth is over.
    for count, phase in ((5, CONSERVATIVE), (6, DONE)):
        hystart = HyStart()
        rounds(hystart, [0.05] * 3 + [0.058] * count)
        assert hystart.phase == phase


def test_a_rise_within_the_threshold_is_noise() -> None:
    for base, rise in ((0.010, 0.0035), (0.1, 0.012), (0.6, 0.0155)):
        hystart = HyStart()
        rounds(hystart, [base] * 3 + [base + rise] * 3)
        assert hystart.phase == SLOW_START


def test_a_rise_that_vanishes_resumes_slow_start() -> None:
    hystart = HyStart()
    rounds(hystart, [0.05, 0.05, 0.07])
    assert hystart.phase == CONSERVATIVE
    assert rounds(hystart, [0.05, 0.05])[-1] == 4000
    assert hystart.phase == SLOW_START


def test_too_few_samples_in_a_round_decide_nothing() -> None:
    hystart = HyStart()
    rounds(hystart, [0.05, 0.05, 0.2, 0.4, 0.8], per_round=5)
    assert hystart.phase == SLOW_START


# -- the registry


def test_controllers_are_made_by_name_and_join_their_group() -> None:
    group = CongestionGroup()
    cubic = make_controller("cubic", SIZE, group)
    reno = make_controller("newreno", SIZE, group)
    assert (cubic.name, reno.name) == ("cubic", "newreno")
    assert group.controllers == [cubic, reno]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'vegas'; known are: .*cubic.*newreno"):
        make_controller("vegas", SIZE, None)


def test_anyone_can_register_a_controller_but_not_over_another() -> None:
    class Fixed(NewReno):
        """Written outside of the compiled core."""

    register("fixed-for-a-test", Fixed)
    register("fixed-for-a-test", Fixed)
    assert "fixed-for-a-test" in known_controllers()
    assert isinstance(make_controller("fixed-for-a-test", SIZE, None), Fixed)
    with pytest.raises(ConfigurationError, match="exists already"):
        register("cubic", Fixed)
