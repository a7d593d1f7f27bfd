"""Packet filling, fairness, urgencies, and what happens to lost frames."""

from __future__ import annotations

import random

import pytest
from librt.strings import BytesWriter

from ropewalk.quic.recovery.sent_packet import TOKEN_STREAM_FIN, SentPacket
from tests.streams.stream_flow import Side, configuration, pair, read_all, settle


def opened(side: Side, count: int) -> list[int]:
    ids = []
    for _ in range(count):
        stream_id = side.streams.open(True)
        assert stream_id is not None
        ids.append(stream_id)
    return ids


def wide() -> Side:
    """A client whose peer's windows never matter."""
    client = Side(True, configuration(send_buffer=1 << 30))
    client.streams.set_peer_limits(1 << 40, 1 << 40, 1 << 40, 1 << 40, 1000, 1000)
    return client


# -- filling packets


def test_a_frame_that_fills_the_packet_has_no_length() -> None:
    client = wide()
    opened(client, 1)
    client.streams.write(0, bytes(5000))
    packet = client.packet(1200)
    assert packet is not None
    assert len(packet.payload) == 1200
    (frame,) = packet.stream_frames()
    assert not frame.has_length
    assert len(frame.data) == 1198
    slot = packet.slot
    assert (slot.stream_id, slot.stream_offset, slot.stream_length) == (0, 0, 1198)
    assert not slot.stream_fin
    assert slot.tokens is None


@pytest.mark.parametrize("size", range(1180, 1202))
def test_every_size_near_the_packets_end_is_written_whole(size: int) -> None:
    client = wide()
    opened(client, 1)
    client.streams.write(0, bytes(size))
    client.streams.finish(0)
    packet = client.packet(1200)
    assert packet is not None
    assert len(packet.payload) <= 1200
    (frame,) = packet.stream_frames()
    assert len(frame.data) == min(size, 1198)
    assert frame.fin == (size <= 1198)
    assert packet.slot.stream_fin == frame.fin
    # Without a length the frame must reach the end, whatever the assembler adds to others.
    assert frame.has_length or len(packet.payload) == 1200


def test_frames_go_behind_what_the_writer_already_holds() -> None:
    client = wide()
    opened(client, 1)
    client.streams.write(0, bytes(5000))
    writer = BytesWriter()
    writer.write(b"\x01" * 200)
    client.streams.write_stream_frames(writer, 1200, SentPacket())
    assert len(writer) == 1200


def test_small_streams_share_a_packet() -> None:
    client = wide()
    for stream_id in opened(client, 5):
        client.streams.write(stream_id, b"x" * 100)
        client.streams.finish(stream_id)
    (packet,) = client.packets()
    assert [frame.stream_id for frame in packet.stream_frames()] == [0, 4, 8, 12, 16]
    tokens = packet.slot.tokens
    assert tokens is not None
    assert [(token.kind, token.a, token.b, token.c) for token in tokens] == [
        (TOKEN_STREAM_FIN, stream_id, 0, 100) for stream_id in (4, 8, 12, 16)
    ]


def test_a_crumb_of_room_is_left_empty_rather_than_filled_with_a_header() -> None:
    client = wide()
    opened(client, 2)
    client.streams.write(0, bytes(1180))
    client.streams.write(4, bytes(1180))
    packet = client.packet(1200)
    assert packet is not None
    assert [frame.stream_id for frame in packet.stream_frames()] == [0]


def test_writes_of_any_size_are_sent_as_full_frames() -> None:
    client = wide()
    opened(client, 1)
    for _ in range(1000):
        client.streams.write(0, b"ten bytes.")
    packets = client.packets(1200)
    assert len(packets) == 9
    assert b"".join(frame.data for packet in packets for frame in packet.stream_frames()) == (
        b"ten bytes." * 1000
    )


# -- fairness


def test_a_hundred_streams_advance_evenly() -> None:
    client = wide()
    ids = opened(client, 100)
    for stream_id in ids:
        client.streams.write(stream_id, bytes(200_000))
    sent = dict.fromkeys(ids, 0)
    for _ in range(3000):
        packet = client.packet(1200)
        assert packet is not None
        for frame in packet.stream_frames():
            sent[frame.stream_id] += len(frame.data)
    assert max(sent.values()) - min(sent.values()) <= 2 * 1200


def test_who_gets_only_the_rest_of_a_packet_keeps_the_turn() -> None:
    client = wide()
    ids = opened(client, 3)
    client.streams.write(ids[0], bytes(900))
    client.packet()
    for stream_id in ids[1:]:
        client.streams.write(stream_id, bytes(1_000_000))
    sent = dict.fromkeys(ids, 0)
    for number in range(600):
        # Every other packet begins with a retransmission and has room for a little more.
        if number % 2 == 0:
            client.streams.on_stream_lost(ids[0], 0, 900, False)
        packet = client.packet(1200)
        assert packet is not None
        for frame in packet.stream_frames():
            sent[frame.stream_id] += len(frame.data)
    assert abs(sent[ids[1]] - sent[ids[2]]) <= 2 * 1200


def test_lower_urgency_numbers_go_first() -> None:
    client = wide()
    ids = opened(client, 3)
    for stream_id, urgency in zip(ids, (7, 0, 3), strict=True):
        client.streams.write(stream_id, bytes(3000))
        client.streams.priority(stream_id, urgency, True)
    order = [frame.stream_id for packet in client.packets() for frame in packet.stream_frames()]
    assert [
        stream_id for i, stream_id in enumerate(order) if i == 0 or order[i - 1] != stream_id
    ] == [
        ids[1],
        ids[2],
        ids[0],
    ]


def test_a_stream_that_is_not_incremental_is_sent_whole() -> None:
    client = wide()
    ids = opened(client, 3)
    for stream_id in ids:
        client.streams.priority(stream_id, 3, False)
        client.streams.write(stream_id, bytes(10_000))
    order = [frame.stream_id for packet in client.packets() for frame in packet.stream_frames()]
    assert order == sorted(order)


def test_streams_leave_and_enter_the_round_without_harm() -> None:
    client, server = pair(client=configuration(send_buffer=1 << 20))
    dice = random.Random(7)
    ids = opened(client, 20)
    written = dict.fromkeys(ids, b"")
    for _ in range(400):
        stream_id = dice.choice(ids)
        data = dice.randbytes(dice.randrange(1, 4000))
        written[stream_id] += data[: client.streams.write(stream_id, data)]
        client.streams.priority(dice.choice(ids), dice.randrange(8), dice.random() < 0.5)
        packet = client.packet(1200)
        if packet is not None:
            server.receive(packet)
            client.acked(packet)
    settle(client, server)
    for stream_id in ids:
        assert read_all(server, stream_id)[0] == written[stream_id]
    assert client.streams.sendable_bytes() == 0


# -- loss


def test_lost_data_goes_before_new_data() -> None:
    client = wide()
    opened(client, 2)
    client.streams.write(0, bytes(3000))
    client.streams.write(4, bytes(100_000))
    first = client.packet()
    assert first is not None
    client.packet()
    client.lost(first)
    again = client.packet()
    assert again is not None
    assert again.payload[:2] == first.payload[:2]
    assert again.stream_frames()[0].data == first.stream_frames()[0].data


def test_only_what_is_missing_of_a_lost_range_goes_again() -> None:
    client = wide()
    opened(client, 1)
    client.streams.write(0, bytes(range(250)) * 20)
    big = client.packets(1200)
    for packet in big:
        client.lost(packet)
    small = client.packets(500)
    for packet in small[::2]:
        client.acked(packet)
    for packet in big + small:
        client.lost(packet)
    missing = [
        offset
        for packet in small[1::2]
        for frame in packet.stream_frames()
        for offset in range(frame.offset, frame.offset + len(frame.data))
    ]
    resent = [
        offset
        for packet in client.packets(1200)
        for frame in packet.stream_frames()
        for offset in range(frame.offset, frame.offset + len(frame.data))
    ]
    assert resent == missing
    assert client.streams.sendable_bytes() == 0


def test_a_lost_fin_goes_again_with_the_data_that_is_lost_or_alone() -> None:
    client, _ = pair()
    opened(client, 1)
    client.streams.write(0, b"abc")
    client.streams.finish(0)
    (whole,) = client.packets()
    client.lost(whole)
    (again,) = client.packets()
    (frame,) = again.stream_frames()
    assert (frame.offset, frame.data, frame.fin) == (0, b"abc", True)
    client.streams.on_stream_acked(0, 0, 3, False)
    client.lost(again)
    (alone,) = client.packets()
    (frame,) = alone.stream_frames()
    assert (frame.offset, frame.data, frame.fin) == (3, b"", True)
    client.acked(alone)
    assert not client.streams.undelivered()
    client.lost(alone)
    assert client.packets() == []


def test_a_late_acknowledgment_stops_the_retransmission() -> None:
    client = wide()
    opened(client, 1)
    client.streams.write(0, bytes(1000))
    client.streams.finish(0)
    (packet,) = client.packets()
    client.lost(packet)
    assert client.streams.has_frames()
    client.acked(packet)
    assert not client.streams.has_frames()
    assert not client.streams.undelivered()


def test_a_late_acknowledgment_of_fin_stops_its_retransmission() -> None:
    client = wide()
    opened(client, 1)
    client.streams.write(0, bytes(1000))
    client.packet()
    client.streams.finish(0)
    (fin,) = client.packets()
    client.lost(fin)
    assert client.streams.has_frames()
    client.acked(fin)
    assert not client.streams.has_frames()
    assert client.streams.undelivered()


def test_unacknowledged_tells_whether_something_is_on_its_way() -> None:
    client = wide()
    opened(client, 1)
    assert not client.streams.undelivered()
    client.streams.write(0, b"abc")
    assert client.streams.undelivered()
    (packet,) = client.packets()
    client.acked(packet)
    assert not client.streams.undelivered()
    client.streams.finish(0)
    assert client.streams.undelivered()
    (packet,) = client.packets()
    client.acked(packet)
    assert not client.streams.undelivered()
