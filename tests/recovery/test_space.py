from __future__ import annotations

import math

import pytest

from ropewalk.quic.recovery.sent_packet import ACKED, LOST
from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL
from tests.recovery.kit import SIZE, ack, ack_frame, make_route, make_space, numbers, send


def test_acknowledged_packets_leave_flight_in_ascending_order_with_one_call() -> None:
    space = make_space()
    route, recorder = make_route()
    send(space, route, 1.0, 10)
    assert route.bytes_in_flight == 10 * SIZE
    assert space.ack_eliciting_in_flight == 10
    ack(space, 1.1, (8, 9), (0, 6))
    assert numbers(space.acked) == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    assert all(slot.state == ACKED for slot in space.acked)
    assert recorder.acked == [9 * SIZE]
    assert route.bytes_in_flight == SIZE
    assert space.ack_eliciting_in_flight == 1
    assert space.largest_acked == 9


def test_a_repeated_ack_changes_nothing() -> None:
    space = make_space()
    route, recorder = make_route()
    send(space, route, 1.0, 4)
    ack(space, 1.1, (0, 2))
    before = route.rtt.smoothed
    ack(space, 9.0, (0, 2))
    ack(space, 9.1, (0, 0))
    assert space.acked == []
    assert space.lost == []
    assert route.rtt.smoothed == before
    assert recorder.acked == [3 * SIZE]


def test_acks_that_arrive_out_of_order_settle_each_packet_once() -> None:
    space = make_space()
    route, recorder = make_route()
    send(space, route, 1.0, 6)
    ack(space, 1.1, (4, 5), (2, 2))
    ack(space, 1.1, (2, 2))
    ack(space, 1.1, (2, 5))
    ack(space, 1.1, (4, 5), (0, 2))
    assert recorder.acked == [3 * SIZE, SIZE]
    assert route.bytes_acked + route.bytes_lost == 6 * SIZE
    assert route.bytes_in_flight == 0
    assert space.largest_acked == 5


def test_ack_of_unsent_packet_is_a_protocol_violation() -> None:
    space = make_space()
    route, _ = make_route()
    send(space, route, 1.0, 3)
    with pytest.raises(TransportError, match="packet 3 was acknowledged but never sent") as caught:
        ack(space, 1.1, (0, 3))
    assert caught.value.code == PROTOCOL_VIOLATION
    assert caught.value.frame_type == 2
    assert route.bytes_in_flight == 3 * SIZE


def test_ack_of_a_number_left_out_on_purpose_is_a_protocol_violation() -> None:
    space = make_space()
    route, _ = make_route()
    send(space, route, 1.0, 3)
    space.ledger.skip()
    send(space, route, 1.0, 3)
    ack(space, 1.1, (4, 6), (0, 2))
    assert len(space.acked) == 6
    send(space, route, 1.2, 3)
    with pytest.raises(TransportError, match="packet 3 was acknowledged but left out") as caught:
        ack(space, 1.3, (0, 9))
    assert caught.value.code == PROTOCOL_VIOLATION


def test_a_skipped_number_is_neither_lost_nor_in_the_way() -> None:
    space = make_space()
    route, recorder = make_route()
    space.ledger.skip()
    send(space, route, 1.0, 10)
    ack(space, 1.1, (1, 10))
    assert space.lost == []
    assert recorder.lost == []
    assert space.ledger.occupied() == 0


# -- RTT samples


def test_rtt_comes_from_the_largest_packet_only_when_it_is_new_and_something_elicited() -> None:
    space = make_space()
    route, _ = make_route()
    send(space, route, 1.0)
    send(space, route, 1.5, ack_eliciting=False, in_flight=False)
    ack(space, 1.6, (1, 1))
    assert not route.rtt.has_sample, "an ACK-only packet says nothing about the delay"
    send(space, route, 2.0)
    ack(space, 2.1, (1, 2))
    assert route.rtt.latest == pytest.approx(0.1)


def test_a_gap_filled_below_the_largest_gives_no_rtt_sample() -> None:
    space = make_space()
    route, _ = make_route()
    send(space, route, 1.0, 3)
    ack(space, 1.1, (2, 2))
    ack(space, 1.11, (0, 2))
    assert numbers(space.acked) == [0, 1]
    assert route.rtt.latest == pytest.approx(0.1)


def test_ack_delay_is_limited_only_after_confirmation_and_ignored_for_initial() -> None:
    for level, confirmed, expected in (
        (None, True, 0.3 - 0.025),
        (None, False, 0.3 - 0.1),
        (HANDSHAKE, False, 0.3 - 0.1),
        (INITIAL, False, 0.3),
    ):
        space = make_space() if level is None else make_space(level)
        route, _ = make_route()
        send(space, route, 1.0)
        ack(space, 1.1, (0, 0))
        send(space, route, 2.0)
        ack(space, 2.3, (0, 1), delay=0.1, confirmed=confirmed)
        assert route.rtt.smoothed == pytest.approx(0.875 * 0.1 + 0.125 * expected)


def test_a_late_ack_feeds_only_the_route_of_its_packet() -> None:
    space = make_space()
    old, old_recorder = make_route()
    new, new_recorder = make_route()
    old.pto_count = new.pto_count = 2
    send(space, old, 1.0, 2)
    send(space, new, 1.1, 2)
    ack(space, 1.4, (0, 1))
    assert old.rtt.latest == pytest.approx(0.4)
    assert not new.rtt.has_sample
    assert (old.bytes_in_flight, new.bytes_in_flight) == (0, 2 * SIZE)
    assert (old.pto_count, new.pto_count) == (0, 2)
    assert new_recorder.acked == []
    assert old_recorder.acked == [2 * SIZE]


def test_one_ack_over_several_routes_calls_each_controller_once() -> None:
    space = make_space()
    first, first_recorder = make_route()
    second, second_recorder = make_route()
    for turn in range(4):
        send(space, first if turn % 2 == 0 else second, 1.0)
    send(space, first, 1.0, 4)
    ack(space, 1.1, (1, 7))
    assert first_recorder.acked == [5 * SIZE]
    assert second_recorder.acked == [2 * SIZE]
    assert first_recorder.lost == [(SIZE, 0, False)]
    assert second_recorder.lost == []


# -- loss


def test_three_packets_behind_is_lost_two_is_not() -> None:
    space = make_space()
    route, recorder = make_route()
    send(space, route, 1.0, 5)
    ack(space, 1.1, (4, 4))
    assert numbers(space.lost) == [0, 1]
    assert recorder.lost == [(2 * SIZE, 1, False)]
    assert route.bytes_in_flight == 2 * SIZE
    assert space.loss_time == pytest.approx(1.0 + 0.1 * 9 / 8)


def test_the_loss_time_declares_the_rest_lost_exactly_then() -> None:
    space = make_space()
    route, _ = make_route()
    send(space, route, 1.0, 3)
    ack(space, 1.1, (2, 2))
    when = space.loss_time
    space.detect_lost(when - 1e-6)
    assert space.lost == []
    assert space.loss_time == when
    space.detect_lost(when)
    assert numbers(space.lost) == [0, 1]
    assert space.loss_time == math.inf
    assert route.bytes_in_flight == 0


def test_the_time_threshold_never_falls_below_the_timer_granularity() -> None:
    space = make_space()
    route, _ = make_route()
    send(space, route, 1.0, 2)
    ack(space, 1.0001, (1, 1))
    assert space.loss_time == pytest.approx(1.001)


def test_ack_only_packets_are_never_lost_and_do_not_stay() -> None:
    space = make_space()
    route, recorder = make_route()
    send(space, route, 1.0, 50, ack_eliciting=False, in_flight=False)
    send(space, route, 1.0)
    ack(space, 1.1, (50, 50))
    assert space.lost == []
    assert recorder.lost == []
    assert space.ledger.occupied() == 0


def test_a_packet_lost_and_then_acknowledged_is_spurious_and_counted_once() -> None:
    space = make_space()
    route, recorder = make_route()
    send(space, route, 1.0, 5)
    ack(space, 1.1, (4, 4))
    ack(space, 1.15, (4, 4), (1, 1))
    assert numbers(space.acked) == [1]
    assert space.acked[0].spurious
    assert recorder.spurious == [SIZE]
    assert (route.packets_spurious, route.bytes_spurious) == (1, SIZE)
    settled = route.bytes_acked + route.bytes_lost + route.bytes_in_flight
    assert route.bytes_sent == settled
    ack(space, 1.16, (4, 4), (1, 1))
    assert recorder.spurious == [SIZE]


def test_a_reordering_path_gets_wider_thresholds_until_losses_are_true_again() -> None:
    space = make_space()
    route, _ = make_route()
    send(space, route, 1.0, 11)
    ack(space, 1.1, (10, 10))
    ack(space, 1.12, (0, 10))
    assert len(space.acked) == 10
    assert space.reordering.packets == 11
    assert space.reordering.fraction > 0.125
    last = 10
    for turn in range(100):
        send(space, route, 2.0 + turn, 40)
        last += 40
        ack(space, 2.1 + turn, (last, last))
        space.detect_lost(2.5 + turn)
    assert space.reordering.packets == 3
    assert space.reordering.fraction == 0.125


# -- persistent congestion


def outage(lost_at: list[float], **how: bool) -> list[tuple[int, int, bool]]:
    """Losses at these times after one RTT sample of 100 ms at 1.1; three probe timeouts are
    (after a second sample) 3 × (0.1 + 4 × 0.0375 + 0.025) = 0.825 s."""
    space = make_space()
    route, recorder = make_route()
    send(space, route, 1.0)
    ack(space, 1.1, (0, 0))
    for when in lost_at:
        send(space, route, when, **how)
    send(space, route, lost_at[-1] + 1.0, 4)
    last = len(lost_at) + 4
    ack(space, lost_at[-1] + 1.1, (last - 3, last))
    return recorder.lost


def test_losses_over_more_than_three_probe_timeouts_are_persistent_congestion() -> None:
    assert outage([2.0, 2.4, 2.83]) == [(3 * SIZE, 3, True)]
    assert outage([2.0, 2.4, 2.82]) == [(3 * SIZE, 3, False)]


def test_packets_that_elicit_no_ack_do_not_prove_persistent_congestion() -> None:
    assert outage([2.0, 5.0], ack_eliciting=False) == [(2 * SIZE, 2, False)]


def test_packets_from_before_the_first_rtt_sample_do_not_either() -> None:
    space = make_space()
    route, recorder = make_route()
    send(space, route, 0.5)
    send(space, route, 3.0, 4)
    ack(space, 3.1, (1, 4))
    assert recorder.lost == [(SIZE, 0, False)]
    space = make_space()
    route, recorder = make_route()
    for when in (0.1, 1.0, 4.0, 4.1):
        send(space, route, when)
    ack(space, 4.2, (3, 3))
    space.detect_lost(5.0)
    assert all(not persistent for _, _, persistent in recorder.lost)


def test_an_acknowledgement_in_between_refutes_persistent_congestion() -> None:
    space = make_space()
    route, recorder = make_route()
    send(space, route, 1.0)
    ack(space, 1.1, (0, 0))
    for when in (2.0, 2.5, 3.2):
        send(space, route, when)
    send(space, route, 4.0, 4)
    ack(space, 4.1, (4, 7), (2, 2))
    assert recorder.lost == [(2 * SIZE, 3, False)]


def test_persistent_congestion_lets_the_minimum_rtt_start_again() -> None:
    space = make_space()
    route, recorder = make_route()
    send(space, route, 1.0)
    ack(space, 1.1, (0, 0))
    for when in (2.0, 4.5, 5.0, 5.0, 5.0, 5.0):
        send(space, route, when)
    ack(space, 5.4, (3, 6))
    assert recorder.lost[-1][2]
    assert route.rtt.minimum == pytest.approx(0.1)
    send(space, route, 6.0)
    ack(space, 6.3, (7, 7))
    assert route.rtt.minimum == pytest.approx(0.3)


# -- ECN


def test_more_congestion_marks_reach_the_controller_of_a_route_that_sends_ect() -> None:
    space = make_space()
    route, recorder = make_route()
    for marked in (False, True):
        route.sends_ect = marked
        slot = send(space, route, 1.0)
        frame = ack_frame((slot.packet_number, slot.packet_number))
        frame.has_ecn, frame.ce = True, 2 + int(marked)
        space.on_ack(frame, 0.0, 1.1, True, 0.025)
    assert recorder.ecn == [1]
    assert space.peer_ce == 3


# -- the ends of a space


def test_discarding_takes_everything_out_of_flight_without_calling_it_lost() -> None:
    space = make_space(INITIAL)
    route, recorder = make_route()
    send(space, route, 1.0, 5)
    ack(space, 1.1, (2, 2))
    route.pto_count = 3
    space.discard()
    assert route.bytes_in_flight == 0
    assert route.bytes_discarded == 4 * SIZE
    assert route.bytes_sent == route.bytes_acked + route.bytes_discarded
    assert (space.ack_eliciting_in_flight, space.loss_time) == (0, math.inf)
    assert route.pto_count == 0
    assert recorder.lost == []
    space.discard()
    assert route.bytes_discarded == 4 * SIZE


def test_after_a_retry_everything_is_sent_again_and_no_controller_told() -> None:
    space = make_space(INITIAL)
    route, recorder = make_route()
    send(space, route, 1.0, 3)
    space.mark_all_lost(1.2)
    assert numbers(space.lost) == [0, 1, 2]
    assert all(slot.state == LOST for slot in space.lost)
    assert recorder.lost == []
    assert route.bytes_in_flight == 0
    assert send(space, route, 1.2).packet_number == 3
    ack(space, 1.3, (0, 3))
    assert recorder.acked == [SIZE]
    assert recorder.spurious == []
    assert route.bytes_in_flight == 0


def test_probes_find_the_oldest_packets_in_flight() -> None:
    space = make_space()
    route, _ = make_route()
    send(space, route, 1.0, 2)
    send(space, route, 1.0, ack_eliciting=False, in_flight=False)
    send(space, route, 1.0, 3)
    ack(space, 1.1, (1, 1))
    assert numbers(space.outstanding(3)) == [0, 3, 4]
    assert numbers(space.outstanding(9)) == [0, 3, 4, 5]


def test_a_packet_in_flight_needs_a_route() -> None:
    space = make_space()
    slot = space.reserve()
    slot.in_flight = True
    with pytest.raises(ValueError, match="packet 0 is in flight but has no route"):
        space.commit(slot, 1.0)


def test_an_ack_that_another_routes_packet_elicited_gives_no_rtt_sample() -> None:
    # Found by the property machine: after a NAT rebinding, an ACK-only packet on the new route
    # was acknowledged because a late datagram of the old one arrived at last.
    space = make_space()
    (old, _), (new, _) = make_route(), make_route()
    send(space, old, 1.0)
    send(space, new, 2.0, ack_eliciting=False, in_flight=False)
    ack(space, 5.0, (0, 1))
    assert not new.rtt.has_sample
    assert not old.rtt.has_sample
