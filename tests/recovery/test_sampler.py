from __future__ import annotations

import pytest

from tests.recovery.kit import SIZE, ack, make_route, make_space, send


def test_the_rate_is_what_arrived_over_a_round_trip() -> None:
    route, recorder = make_route()
    space = make_space()
    # Ten packets a second apart by 10 ms, acknowledged one by one 100 ms later.
    for number in range(30):
        now = 1.0 + 0.01 * number
        if number >= 10:
            ack(space, now, (0, number - 10))
        send(space, route, now)
    rates = [rate for _, rate, _ in recorder.samples if rate > 0]
    assert rates[-1] == pytest.approx(SIZE / 0.01)
    assert max(rates) <= SIZE / 0.01 * 1.12


def test_compressed_acks_do_not_inflate_the_rate() -> None:
    route, recorder = make_route()
    space = make_space()
    for number in range(20):
        send(space, route, 1.0 + 0.01 * number)
    ack(space, 1.3, (0, 9))
    ack(space, 1.3001, (0, 19))
    assert max(rate for _, rate, _ in recorder.samples) <= SIZE / 0.01


def test_an_ack_that_overtakes_the_last_one_does_not_inflate_the_rate() -> None:
    route, recorder = make_route()
    space = make_space()
    for number in range(11):
        send(space, route, 1.0 + 0.05 * number)
    ack(space, 1.5, (0, 0))
    send(space, route, 1.5)
    # All that left within half a second is acknowledged a tenth of a second after the first.
    ack(space, 1.6, (0, 11))
    assert recorder.samples[-1][1] == pytest.approx(11 * SIZE / 0.5)


def test_samples_are_marked_until_what_was_in_flight_is_delivered() -> None:
    route, recorder = make_route()
    space = make_space()
    send(space, route, 1.0, 2)
    route.on_app_limited(1.0)
    send(space, route, 1.05)
    ack(space, 1.1, (0, 1))
    send(space, route, 1.1)
    ack(space, 1.15, (0, 2))
    send(space, route, 1.16)
    ack(space, 1.3, (0, 4))
    assert [limited for _, _, limited in recorder.samples] == [False, True, False]


def test_a_full_window_is_never_application_limited() -> None:
    route, recorder = make_route()
    recorder.congestion_window = 2 * SIZE
    space = make_space()
    send(space, route, 1.0, 2)
    route.on_app_limited(1.0)
    assert route.sampler.app_limited_until == 0


def test_idle_time_does_not_dilute_the_rate() -> None:
    route, recorder = make_route()
    space = make_space()
    send(space, route, 1.0, 10)
    ack(space, 1.1, (0, 9))
    send(space, route, 60.0, 10)
    ack(space, 60.1, (0, 19))
    assert recorder.samples[-1][1] == pytest.approx(10 * SIZE / 0.1)
