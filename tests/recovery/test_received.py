from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st
from librt.strings import BytesWriter

from ropewalk.quic.recovery.received import MAX_RANGES, ReceivedPackets
from ropewalk.quic.types.datagrams import ECN_CE, ECN_ECT0, ECN_ECT1
from ropewalk.quic.wire.ack import AckFrame, parse_ack
from ropewalk.quic.wire.reader import Reader

DELAY = 0.025


def written(received: ReceivedPackets, now: float = 0.0, room: int = 1200) -> AckFrame:
    writer = BytesWriter()
    assert received.write_ack(writer, room, now, 3)
    data = writer.getvalue()
    assert len(data) <= room
    frame = AckFrame()
    parse_ack(Reader(data, 1, len(data)), data[0], frame)
    return frame


def record(received: ReceivedPackets, *packet_numbers: int, now: float = 0.0) -> None:
    for number in packet_numbers:
        assert not received.is_duplicate(number)
        received.record(number, now, True, 0)


@given(st.lists(st.integers(0, 90), max_size=120), st.integers(0, 40))
def test_every_first_arrival_is_new_every_second_a_duplicate_and_the_ack_names_all(
    arrivals: list[int], offset: int
) -> None:
    received = ReceivedPackets(DELAY)
    seen: set[int] = set()
    for number in (offset + arrival for arrival in arrivals):
        assert received.is_duplicate(number) == (number in seen)
        if number not in seen:
            received.record(number, 0.0, True, 0)
            seen.add(number)
            ranges = written(received).ranges
            told: list[int] = []
            for high, low in zip(ranges[::2], ranges[1::2], strict=True):
                told += range(high, low - 1, -1)
            assert told == sorted(seen, reverse=True)


def test_ranges_are_capped_and_what_falls_out_counts_as_duplicate() -> None:
    received = ReceivedPackets(DELAY)
    record(received, *range(0, 400, 2))
    frame = written(received)
    assert len(frame.ranges) == 2 * (MAX_RANGES + 1)
    oldest = frame.ranges[-1]
    assert oldest == 398 - 2 * MAX_RANGES
    assert received.is_duplicate(oldest - 1)
    assert not received.is_duplicate(oldest + 1)


def test_ranges_stay_bounded_under_any_order_of_arrival() -> None:
    order = list(range(0, 2000, 2))
    random.Random(3).shuffle(order)
    received = ReceivedPackets(DELAY)
    for number in order:
        if not received.is_duplicate(number):
            received.record(number, 0.0, True, 0)
    assert received.reported_ranges() <= MAX_RANGES + 1


def test_one_packet_waits_for_max_ack_delay_two_for_the_end_of_the_batch() -> None:
    received = ReceivedPackets(DELAY)
    received.record(0, 1.0, True, 0)
    received.end_of_batch(1.0)
    assert received.ack_deadline == 1.0 + DELAY
    assert not received.should_ack(1.0)
    received.record(1, 1.01, True, 0)
    assert not received.should_ack(1.01), "more of the batch may follow"
    received.end_of_batch(1.01)
    assert received.should_ack(1.01)
    written(received, 1.01)
    assert received.ack_deadline == math.inf
    assert received.unacknowledged == 0


def test_packets_that_elicit_no_ack_make_none_due() -> None:
    received = ReceivedPackets(DELAY)
    for number in (0, 1, 5, 3):
        received.record(number, 1.0, False, 0)
        received.end_of_batch(1.0)
    assert received.ack_deadline == math.inf
    assert written(received, 1.0).ranges == [5, 5, 3, 3, 1, 0]


def test_gap_reordering_and_congestion_mark_are_acknowledged_at_once() -> None:
    received = ReceivedPackets(DELAY)
    record(received, 0, now=1.0)
    written(received)
    record(received, 2, now=1.0)
    assert received.should_ack(1.0), "1 is missing"
    written(received)
    record(received, 1, now=1.0)
    assert received.should_ack(1.0), "1 comes after 2"
    written(received)
    received.record(3, 1.0, True, ECN_CE)
    assert received.should_ack(1.0), "the mark must not wait"


def test_handshake_packets_are_acknowledged_at_once() -> None:
    received = ReceivedPackets(0.0)
    received.record(0, 4.0, True, 0)
    assert received.should_ack(4.0)


def test_the_delay_is_counted_from_the_largest_packet() -> None:
    received = ReceivedPackets(DELAY)
    record(received, 7, now=1.0)
    record(received, 5, now=1.5)
    assert written(received, now=1.016).delay == 2000
    assert written(received, now=0.5).delay == 0, "a clock that steps back writes no nonsense"


def test_ecn_counts_are_reported_once_there_are_any() -> None:
    received = ReceivedPackets(DELAY)
    received.record(0, 0.0, True, 0)
    assert not written(received).has_ecn
    for number, mark in enumerate((ECN_ECT0, ECN_ECT0, ECN_ECT1, ECN_CE, ECN_CE, ECN_CE), 1):
        received.record(number, 0.0, True, mark)
    frame = written(received)
    assert (frame.ect0, frame.ect1, frame.ce) == (2, 1, 3)


def test_no_ack_is_written_without_packets_or_room() -> None:
    received = ReceivedPackets(DELAY)
    writer = BytesWriter()
    assert not received.write_ack(writer, 1200, 0.0, 3)
    record(received, 0, 1)
    received.end_of_batch(0.0)
    assert not received.write_ack(writer, 3, 0.0, 3)
    assert len(writer.getvalue()) == 0
    assert received.should_ack(0.0), "it stays pending"


def test_what_the_peer_knows_is_not_reported_again_but_still_recognised() -> None:
    received = ReceivedPackets(DELAY)
    record(received, 0, 1, 3, 4, 6, 8)
    assert written(received).ranges == [8, 8, 6, 6, 4, 3, 1, 0]
    received.on_ack_of_ack(6)
    assert written(received).ranges == [8, 8]
    assert all(received.is_duplicate(n) for n in (0, 1, 3, 4, 6, 8))
    assert not any(received.is_duplicate(n) for n in (2, 5, 7))
    record(received, 5)
    assert written(received).ranges == [8, 8, 6, 3], "a latecomer is reported"


def test_an_ack_that_was_cut_short_confirms_nothing() -> None:
    received = ReceivedPackets(DELAY)
    record(received, *range(0, 60, 2))
    assert len(written(received, room=20).ranges) < 30
    received.on_ack_of_ack(58)
    assert len(written(received).ranges) == 60
    record(received, 60)
    written(received)
    received.on_ack_of_ack(60)
    assert len(written(received).ranges) == 2


def test_an_ack_of_an_ack_that_was_never_sent_is_ignored() -> None:
    received = ReceivedPackets(DELAY)
    record(received, 0, 2)
    received.on_ack_of_ack(1 << 40)
    assert written(received).ranges == [2, 2, 0, 0]


def test_many_unconfirmed_ranges_ask_for_a_ping() -> None:
    received = ReceivedPackets(DELAY)
    record(received, *range(0, 30, 2))
    assert not received.wants_ack_of_ack()
    record(received, *range(30, 40, 2))
    assert received.wants_ack_of_ack()
    written(received)
    received.on_ack_of_ack(38)
    assert not received.wants_ack_of_ack()


def test_an_ack_is_worth_repeating_until_the_peer_is_known_to_have_it() -> None:
    received = ReceivedPackets(DELAY)
    assert not received.worth_repeating(1.0, 0.1), "nothing to say"
    record(received, 0, 1, now=1.0)
    written(received, now=1.0)
    assert not received.worth_repeating(1.05, 0.1), "too soon"
    assert received.worth_repeating(1.1, 0.1)
    written(received, now=1.1)
    received.on_ack_of_ack(1)
    assert not received.worth_repeating(9.0, 0.1), "confirmed"


def test_what_elicits_no_ack_is_not_worth_one() -> None:
    received = ReceivedPackets(DELAY)
    received.record(0, 1.0, False, 0)
    assert not received.worth_repeating(9.0, 0.1)
