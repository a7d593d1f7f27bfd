"""Unreliable datagrams: bounds, turns, deadlines, counters (RFC 9221)."""

from __future__ import annotations

import math

import pytest
from librt.strings import BytesWriter

from ropewalk.quic.recovery.sent_packet import TOKEN_DATAGRAM, SentPacket
from ropewalk.quic.streams.datagrams import DatagramQueues, DatagramTooLarge
from ropewalk.quic.types.events import DatagramsReadable, Event
from ropewalk.quic.wire.frames import DatagramFrame, parse_frames


def make(limit: int = 100) -> tuple[DatagramQueues, list[Event]]:
    events: list[Event] = []
    return DatagramQueues(limit, events), events


def send(
    queues: DatagramQueues, *datagrams: bytes, flow: int = 0, deadline: float = math.inf
) -> int:
    return queues.send(list(datagrams), flow, deadline, 1200)


def packet(
    queues: DatagramQueues, room: int = 1200, now: float = 0.0, pings: int = 0
) -> tuple[list[bytes], SentPacket]:
    """What is written into a packet that begins with some PING frames."""
    writer = BytesWriter()
    writer.write(b"\x01" * pings)
    slot = SentPacket()
    queues.write_frames(writer, room, slot, now)
    assert len(writer) <= room
    if len(writer) == 0:
        return [], slot
    frames = parse_frames(writer.getvalue())
    return [frame.data for frame in frames if isinstance(frame, DatagramFrame)], slot


def test_datagrams_share_a_packet_and_one_token() -> None:
    queues, _ = make()
    assert send(queues, b"a" * 500, b"b" * 500, b"c" * 500) == 3
    assert queues.has_pending()
    data, slot = packet(queues)
    assert data == [b"a" * 500, b"b" * 500]
    assert slot.tokens is not None
    assert [(token.kind, token.a) for token in slot.tokens] == [(TOKEN_DATAGRAM, 2)]
    assert packet(queues)[0] == [b"c" * 500]
    assert not queues.has_pending()
    assert queues.queued_bytes == 0
    queues.on_acked(2)
    queues.on_lost(1)
    assert (queues.sent, queues.acked, queues.lost) == (3, 2, 1)


@pytest.mark.parametrize("size", range(1190, 1200))
def test_a_datagram_of_any_size_that_fits_fills_the_packet(size: int) -> None:
    queues, _ = make()
    send(queues, bytes(size))
    assert packet(queues)[0] == [bytes(size)]


def test_a_datagram_that_does_not_fit_now_waits_for_the_next_packet() -> None:
    queues, _ = make()
    send(queues, bytes(1000))
    data, slot = packet(queues, pings=300)
    assert data == []
    assert slot.tokens is None
    assert packet(queues)[0] == [bytes(1000)]


def test_too_large_a_datagram_is_refused_with_all_of_its_batch() -> None:
    queues, _ = make()
    with pytest.raises(DatagramTooLarge, match="1201 bytes exceeds the 1200"):
        send(queues, b"fits", bytes(1201))
    assert not queues.has_pending()
    with pytest.raises(DatagramTooLarge, match="does not accept"):
        queues.send([b""], 0, math.inf, 0)


def test_a_full_queue_takes_the_first_and_counts_the_rest() -> None:
    queues, _ = make(limit=3)
    assert send(queues, b"1", b"2") == 2
    assert send(queues, b"3", b"4", b"5", flow=1) == 1
    assert send(queues, b"6") == 0
    assert queues.dropped_full == 3
    assert sorted(packet(queues)[0]) == [b"1", b"2", b"3"]
    assert send(queues, b"7") == 1


def test_what_is_past_its_deadline_is_dropped_and_counted() -> None:
    queues, _ = make()
    send(queues, b"old", deadline=1.0)
    send(queues, b"new", deadline=3.0)
    assert packet(queues, now=2.0)[0] == [b"new"]
    assert queues.dropped_expired == 1
    send(queues, b"old", deadline=1.0)
    data, slot = packet(queues, now=2.0)
    assert data == []
    assert slot.tokens is None
    assert not queues.has_pending()


def test_flows_take_turns_and_keep_their_order() -> None:
    queues, _ = make(limit=1000)
    for number in range(300):
        send(queues, bytes([1, number & 0xFF]) * 250, flow=1)
    for number in range(3):
        send(queues, bytes([2, number]) * 250, flow=2)
    order = []
    while queues.has_pending():
        order += [(data[0], data[1]) for data in packet(queues)[0]]
    assert order[:6] == [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2), (2, 2)]
    assert [number for flow, number in order if flow == 1] == [n & 0xFF for n in range(300)]


def test_many_flows_that_come_and_go_leave_nothing() -> None:
    queues, _ = make(limit=10)
    for flow in range(1000):
        send(queues, b"x", flow=flow)
        if flow % 3 == 0:
            packet(queues)
    packet(queues)
    assert queues._flows == {}
    assert queues._turns == []


def test_what_no_packet_can_carry_any_more_is_dropped_and_holds_nothing_up() -> None:
    queues, _ = make()
    send(queues, bytes(1100), bytes(100), bytes(1200), flow=1)
    send(queues, bytes(1150), flow=2)
    assert packet(queues, room=1000)[0] == [bytes(100)]
    assert packet(queues, room=1000)[0] == []
    assert queues.dropped_too_large == 3
    assert queues.queued == queues.queued_bytes == 0


def test_readable_is_told_when_the_queue_stops_being_empty() -> None:
    queues, events = make(limit=3)
    for data in (b"1", b"2", b"3", b"4"):
        queues.on_received(data)
    assert events == [DatagramsReadable()]
    assert queues.dropped_unread == 1
    assert queues.receive(2) == [b"1", b"2"]
    queues.on_received(b"5")
    assert events == [DatagramsReadable()]
    assert queues.receive(10) == [b"3", b"5"]
    assert queues.receive(10) == []
    queues.on_received(b"6")
    assert events == [DatagramsReadable()] * 2
    assert queues.received == 5
