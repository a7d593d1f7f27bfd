from __future__ import annotations

import itertools
import math

import pytest

from ropewalk.quic.recovery.loss_timer import LossTimer, TimerAction
from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.quic.recovery.space import PacketSpace
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL
from tests.recovery.kit import MAX_ACK_DELAY, ack, make_route, make_space, numbers, send


class Side:
    """One endpoint's spaces and what its timer must know about the handshake."""

    def __init__(self, *, is_client: bool = True, confirmed: bool = False) -> None:
        self.timer = LossTimer()
        self.initial: PacketSpace | None = None if confirmed else make_space(INITIAL)
        self.handshake: PacketSpace | None = None if confirmed else make_space(HANDSHAKE)
        self.application: PacketSpace | None = make_space()
        self.route, self.recorder = make_route()
        self.is_client = is_client
        self.confirmed = confirmed
        self.handshake_keys = confirmed
        self.validated = confirmed or not is_client
        self.blocked = False

    def arguments(self, now: float) -> tuple[
        float, PacketSpace | None, PacketSpace | None, PacketSpace | None, RouteRecovery,
        bool, bool, bool, bool, bool, float,
    ]:  # fmt: skip
        return (
            now, self.initial, self.handshake, self.application, self.route, self.is_client,
            self.confirmed, self.handshake_keys, self.validated, self.blocked, MAX_ACK_DELAY,
        )  # fmt: skip

    def deadline(self, now: float) -> float:
        return self.timer.deadline(*self.arguments(now))

    def fire(self, now: float) -> TimerAction:
        return self.timer.on_timeout(*self.arguments(now))


def probes(action: TimerAction) -> tuple[int, int, int]:
    return action.initial_probes, action.handshake_probes, action.application_probes


def test_nothing_in_flight_arms_nothing() -> None:
    side = Side(confirmed=True)
    assert side.deadline(5.0) == math.inf
    assert side.fire(5.0).probes() == 0


def test_a_probe_timeout_of_1_rtt_packets_counts_max_ack_delay_and_backs_off() -> None:
    side = Side(confirmed=True)
    assert side.application is not None
    send(side.application, side.route, 1.0)
    first = 0.999 + MAX_ACK_DELAY
    assert side.deadline(1.0) == pytest.approx(1.0 + first)
    assert side.fire(1.5).probes() == 0, "too early"
    assert probes(side.fire(side.deadline(1.5))) == (0, 0, 2)
    assert side.application.lost == []
    assert side.deadline(2.1) == pytest.approx(1.0 + 2 * first)
    send(side.application, side.route, 2.1)
    assert side.deadline(2.1) == pytest.approx(2.1 + 2 * first)
    ack(side.application, 2.2, (0, 0))
    assert side.route.pto_count == 0


def test_a_client_unsure_of_validation_keeps_its_back_off() -> None:
    side = Side()
    assert side.initial is not None
    side.route.pto_count = 2
    send(side.initial, side.route, 1.0)
    ack(side.initial, 1.1, (0, 0), confirmed=False, reset_backoff=False)
    assert side.route.pto_count == 2


def test_the_loss_time_comes_before_any_probe_and_backs_nothing_off() -> None:
    side = Side(confirmed=True)
    assert side.application is not None
    send(side.application, side.route, 1.0, 3)
    ack(side.application, 1.1, (2, 2))
    when = side.deadline(1.1)
    assert when == side.application.loss_time
    action = side.fire(when)
    assert action.lost_in is side.application
    assert numbers(side.application.lost) == [0, 1]
    assert action.probes() == 0
    assert side.route.pto_count == 0
    assert side.deadline(when) == math.inf


def test_application_data_is_not_probed_before_the_handshake_is_confirmed() -> None:
    side = Side()
    side.validated = True
    assert side.application is not None
    send(side.application, side.route, 1.0)
    assert side.deadline(1.0) == math.inf
    side.confirmed = True
    assert side.deadline(1.0) < math.inf


def test_the_earlier_handshake_space_fires_and_the_other_joins_in() -> None:
    side = Side(is_client=False)
    assert side.initial is not None
    assert side.handshake is not None
    send(side.initial, side.route, 1.0)
    send(side.handshake, side.route, 1.2, 3)
    when = side.deadline(1.2)
    assert when == pytest.approx(1.0 + 0.999)
    assert probes(side.fire(when)) == (2, 1, 0)
    send(side.initial, side.route, 2.5)
    assert probes(side.fire(side.deadline(2.5))) == (1, 2, 0)


def test_a_client_with_nothing_in_flight_probes_to_unblock_the_server() -> None:
    side = Side()
    when = side.deadline(1.0)
    assert when == pytest.approx(1.999)
    assert side.deadline(1.5) == when, "asking again does not push it off"
    assert probes(side.fire(when)) == (1, 0, 0)
    assert side.deadline(when) == pytest.approx(when + 2 * 0.999)
    side.handshake_keys = True
    assert probes(side.fire(side.deadline(when))) == (0, 1, 0)
    side.validated = True
    assert side.deadline(9.0) == math.inf


def test_the_anti_deadlock_period_starts_anew_after_something_was_in_flight() -> None:
    side = Side()
    assert side.initial is not None
    assert side.deadline(1.0) == pytest.approx(1.999)
    send(side.initial, side.route, 1.5)
    assert side.deadline(1.5) == pytest.approx(2.499)
    ack(side.initial, 1.6, (0, 0), confirmed=False, reset_backoff=False)
    period = side.route.probe_timeout(0.0)
    assert side.deadline(1.6) == pytest.approx(1.6 + period)


def test_a_server_at_its_amplification_limit_waits() -> None:
    side = Side(is_client=False)
    assert side.initial is not None
    send(side.initial, side.route, 1.0)
    side.blocked = True
    assert side.deadline(1.0) == math.inf
    assert side.fire(100.0).probes() == 0
    side.blocked = False
    assert side.deadline(100.0) < 100.0, "overdue once it may send again"
    assert probes(side.fire(100.0)) == (2, 0, 0)


def test_backing_off_ends_at_a_minute() -> None:
    side = Side(confirmed=True)
    assert side.application is not None
    now = 1.0
    periods = []
    for _ in range(20):
        send(side.application, side.route, now)
        due = side.deadline(now)
        periods.append(due - now)
        now = due
        assert side.fire(now).application_probes == 2
    assert periods[-1] == pytest.approx(60.0)
    assert all(b == pytest.approx(min(2 * a, 60.0)) for a, b in itertools.pairwise(periods))


@pytest.mark.parametrize(("is_client", "expected"), [(True, (0, 2, 1)), (False, (0, 2, 0))])
def test_application_data_of_a_client_goes_along_with_handshake_probes(
    is_client: bool, expected: tuple[int, int, int]
) -> None:
    # RFC 9002 6.2.4. The server may have discarded its Handshake keys: after a NAT rebinding it
    # then knew nobody at the new address (found by the property machine, seed 15977).
    side = Side(is_client=is_client)
    assert side.handshake is not None
    assert side.application is not None
    side.handshake_keys = True
    send(side.handshake, side.route, 1.0)
    send(side.application, side.route, 1.0)
    assert probes(side.fire(side.deadline(1.0))) == expected
