"""Requirements of RFC 9000 2 to 4 that no other test is about."""

from __future__ import annotations

import random

import pytest

from ropewalk.quic.types.error_codes import FLOW_CONTROL_ERROR
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.frames import Frame, ResetStreamFrame, StopSendingFrame, StreamFrame
from tests.streams.stream_flow import Packet, configuration, pair, read_all, settle


def frames(packets: list[Packet]) -> list[Frame]:
    return [frame for packet in packets for frame in packet.frames()]


def test_stream_bytes_sent_again_are_the_same_bytes() -> None:
    client, _ = pair()
    message = random.Random("conformance/again").randbytes(20_000)
    client.streams.open(True)
    client.streams.write(0, message)
    for _ in range(3):
        packets = client.packets()
        for packet in packets:
            for frame in packet.stream_frames():
                assert frame.data == message[frame.offset : frame.offset + len(frame.data)]
        assert sum(len(frame.data) for one in packets for frame in one.stream_frames()) == 20_000
        for packet in packets:
            client.lost(packet)


def test_nothing_but_the_reset_is_said_of_a_stream_that_was_blocked() -> None:
    client, _ = pair(server=configuration(stream_window=3000))
    client.streams.open(True)
    client.streams.write(0, bytes(5000))
    packets = client.packets()
    client.streams.reset(0, 7)
    for packet in packets:
        client.lost(packet)
    assert frames(client.packets()) == [ResetStreamFrame(0, 7, 3000)]
    client.streams.on_max_stream_data(0, 4000)
    assert frames(client.packets()) == []


def test_a_stopped_stream_whose_data_is_lost_is_reset_and_not_repeated() -> None:
    client, _ = pair()
    client.streams.open(True)
    client.streams.write(0, bytes(3000))
    client.streams.finish(0)
    packets = client.packets()
    client.streams.on_stop_sending(0, 5)
    for packet in packets:
        client.lost(packet)
    sent = frames(client.packets())
    assert sent == [ResetStreamFrame(0, 5, 3000)]
    assert not any(isinstance(frame, StreamFrame) for frame in sent)


def test_a_stream_that_the_peer_reset_is_not_stopped() -> None:
    _, server = pair()
    server.streams.on_stream(0, 0, b"abc", False)
    server.streams.on_reset_stream(0, 9, 3)
    server.streams.stop(0, 1)
    assert not any(isinstance(frame, StopSendingFrame) for frame in frames(server.packets()))


def test_a_reset_of_one_direction_leaves_the_flow_control_of_the_other() -> None:
    client, server = pair(client=configuration(stream_window=2000, stream_window_limit=2000))
    client.streams.open(True)
    client.streams.write(0, b"question")
    settle(client, server)
    client.streams.reset(0, 1)
    settle(client, server)
    answer = bytes(range(256)) * 24
    server.streams.write(0, answer)
    settle(client, server)
    got = client.streams.read(0, 100_000)[0]
    assert len(got) == 2000, "the window still binds the direction that is open"
    while len(got) < len(answer):
        settle(client, server)
        more = read_all(client, 0)[0]
        assert more
        got += more
    assert got == answer
    with pytest.raises(TransportError) as caught:
        client.streams.on_stream(0, len(answer) + 2000, b"x", False)
    assert caught.value.code == FLOW_CONTROL_ERROR


def test_streams_that_are_over_count_against_the_connections_window() -> None:
    window = 3000
    client, server = pair(
        server=configuration(connection_window=window, connection_window_limit=window)
    )
    finished, reset, live = (client.streams.open(False) for _ in range(3))
    assert finished is not None
    assert reset is not None
    assert live is not None

    client.streams.write(finished, bytes(900))
    client.streams.finish(finished)
    # The server takes it in without reading, so that no credit comes back.
    for packet in client.packets():
        server.receive(packet)
        client.acked(packet)

    client.streams.write(reset, bytes(5000))
    first = client.packet(600)
    assert first is not None
    (begun,) = first.stream_frames()
    client.streams.reset(reset, 7)
    client.acked(first)
    packets = client.packets()
    assert frames(packets) == [ResetStreamFrame(reset, 7, len(begun.data))]
    for packet in packets:
        client.acked(packet)

    assert client.streams.live() == 1
    client.streams.write(live, bytes(5000))
    sent = [frame for packet in client.packets() for frame in packet.stream_frames()]
    assert {frame.stream_id for frame in sent} == {live}
    assert max(frame.offset + len(frame.data) for frame in sent) == window - 900 - len(begun.data)
    # The bytes that were given up before they were sent count for nothing.
    client.streams.reset(live, 7)
    (last,) = frames(client.packets())
    assert isinstance(last, ResetStreamFrame)
    assert 900 + len(begun.data) + last.final_size == window
