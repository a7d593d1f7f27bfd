"""Acknowledging as the peer asks (draft-ietf-quic-ack-frequency-14 6)."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from librt.strings import BytesWriter

from ropewalk.quic.recovery.received import ReceivedPackets
from ropewalk.quic.types.datagrams import ECN_CE, ECN_ECT0

_VECTORS = Path(__file__).parents[1] / "data" / "recovery" / "ack_frequency_reordering.json"


def asked(threshold: int, delay: float = 1.0, reordering: int = 1) -> ReceivedPackets:
    received = ReceivedPackets(0.025)
    received.follow(threshold, delay, reordering)
    return received


@pytest.mark.parametrize("threshold", [3, 5])
def test_the_published_sequences_of_reordering(threshold: int) -> None:
    rows = json.loads(_VECTORS.read_text())[f"threshold_{threshold}"]
    received = asked(1000, reordering=threshold)
    for row in rows:
        received.record(row["received"], 0.0, True, 0)
        assert received.should_ack(0.0) == row["send_ack"], row
        if row["send_ack"]:
            assert received.write_ack(BytesWriter(), 1200, 0.0, 3)


def test_a_packet_from_before_what_was_reported_is_acknowledged_at_once() -> None:
    received = asked(1000, reordering=3)
    for number in (0, 1, 3, 4, 5):
        received.record(number, 0.0, True, 0)
    received.write_ack(BytesWriter(), 1200, 0.0, 3)
    received.record(2, 0.0, True, 0)
    assert received.should_ack(0.0)


def test_reordering_is_of_no_interest_with_threshold_zero() -> None:
    received = asked(1000, reordering=0)
    for number in (0, 5, 3, 20, 1):
        received.record(number, 0.0, True, 0)
    assert not received.should_ack(0.5)
    assert received.should_ack(1.0)


@pytest.mark.parametrize("threshold", [0, 1, 9])
def test_more_packets_than_the_threshold_are_acknowledged_at_the_end_of_their_batch(
    threshold: int,
) -> None:
    received = asked(threshold)
    for number in range(threshold + 1):
        assert not received.should_ack(0.0)
        received.record(number, 0.0, True, 0)
        received.end_of_batch(0.0)
    assert received.should_ack(0.0)


def test_the_requested_delay_replaces_the_own_one() -> None:
    received = asked(9, delay=0.004)
    received.record(0, 2.0, True, 0)
    assert received.ack_deadline == pytest.approx(2.004)


def test_only_the_first_mark_of_a_row_calls_for_an_ack_beyond_every_second_packet() -> None:
    received = asked(50)
    received.record(0, 0.0, True, ECN_ECT0)
    received.record(1, 0.0, True, ECN_CE)
    assert received.should_ack(0.0)
    received.write_ack(BytesWriter(), 1200, 0.0, 3)
    received.record(2, 0.0, True, ECN_CE)
    assert not received.should_ack(0.0)
    received.record(3, 0.0, True, ECN_ECT0)
    received.record(4, 0.0, True, ECN_CE)
    assert received.should_ack(0.0)


def test_without_a_request_nothing_is_different() -> None:
    received = ReceivedPackets(0.025)
    received.record(0, 0.0, True, 0)
    assert received.ack_deadline == 0.025
    received.record(2, 0.0, True, 0)
    assert received.should_ack(0.0)
    assert received.write_ack(BytesWriter(), 1200, 0.0, 3)
    assert received.ack_deadline == math.inf
