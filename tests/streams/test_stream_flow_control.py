"""Windows and stream limits in both directions (RFC 9000 4)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.quic.streams.flow_control import ReceiveWindow, WindowClock
from ropewalk.quic.types.error_codes import FLOW_CONTROL_ERROR, FRAME_ENCODING_ERROR
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.events import StreamsAvailable, StreamWritable
from ropewalk.quic.wire.frames import (
    DataBlockedFrame,
    Frame,
    MaxDataFrame,
    MaxStreamDataFrame,
    MaxStreamsFrame,
    StreamDataBlockedFrame,
    StreamsBlockedFrame,
)
from tests.streams.stream_flow import Packet, Side, configuration, events_of, pair, read_all, settle


def frames(packets: list[Packet], kind: type[Frame]) -> list[Frame]:
    return [frame for packet in packets for frame in packet.frames() if isinstance(frame, kind)]


def sent_bytes(packets: list[Packet]) -> int:
    return sum(len(frame.data) for packet in packets for frame in packet.stream_frames())


# -- what the peer may send


def test_data_beyond_the_streams_window_is_a_flow_control_error() -> None:
    _, server = pair(server=configuration(stream_window=1000))
    server.streams.on_stream(0, 0, bytes(1000), False)
    with pytest.raises(TransportError) as caught:
        server.streams.on_stream(0, 1000, b"x", False)
    assert (caught.value.code, caught.value.frame_type) == (FLOW_CONTROL_ERROR, 0x08)


def test_data_of_all_streams_beyond_the_connections_window_is_a_flow_control_error() -> None:
    _, server = pair(server=configuration(connection_window=2500, stream_window=1000))
    server.streams.on_stream(0, 0, bytes(1000), False)
    server.streams.on_stream(4, 999, b"x", False)
    server.streams.on_stream(8, 0, bytes(500), False)
    server.streams.on_stream(8, 0, bytes(500), False)
    with pytest.raises(TransportError) as caught:
        server.streams.on_stream(8, 500, b"x", False)
    assert caught.value.code == FLOW_CONTROL_ERROR


def test_the_final_size_of_a_reset_counts_against_both_windows() -> None:
    for config in (
        configuration(stream_window=1000),
        configuration(connection_window=1000, stream_window=5000),
    ):
        _, server = pair(server=config)
        with pytest.raises(TransportError) as caught:
            server.streams.on_reset_stream(0, 1, 1001)
        assert (caught.value.code, caught.value.frame_type) == (FLOW_CONTROL_ERROR, 0x04)
        server.streams.on_reset_stream(4, 1, 1000)


def test_the_largest_offsets_are_refused_without_overflow() -> None:
    _, server = pair()
    with pytest.raises(TransportError) as caught:
        server.streams.on_stream(0, (1 << 62) - 2, b"x", False)
    assert caught.value.code == FLOW_CONTROL_ERROR
    with pytest.raises(TransportError):
        server.streams.on_reset_stream(4, 0, (1 << 62) - 1)


def test_credit_moves_when_the_application_reads_and_not_before() -> None:
    client, server = pair(server=configuration(connection_window=10_000, stream_window=4000))
    client.streams.open(True)
    client.streams.write(0, bytes(9000))
    for packet in client.packets():
        server.receive(packet)
    assert server.packets() == []
    server.streams.read(0, 1999)
    assert server.packets() == []
    server.streams.read(0, 1)
    assert frames(server.packets(), MaxStreamDataFrame) == [MaxStreamDataFrame(0, 6000)]
    server.streams.read(0, 2000)
    granted = server.packets()
    assert frames(granted, MaxStreamDataFrame) == [MaxStreamDataFrame(0, 8000)]
    assert frames(granted, MaxDataFrame) == []


def test_a_stream_whose_size_is_known_gets_no_more_credit() -> None:
    client, server = pair(server=configuration(connection_window=10_000, stream_window=4000))
    client.streams.open(True)
    client.streams.write(0, bytes(4000))
    client.streams.finish(0)
    for packet in client.packets():
        server.receive(packet)
    server.streams.read(0, 3000)
    assert frames(server.packets(), MaxStreamDataFrame) == []


def test_credit_that_became_pointless_before_it_was_written_is_not_promised() -> None:
    client, server = pair(server=configuration(connection_window=10_000, stream_window=4000))
    client.streams.open(True)
    client.streams.write(0, bytes(3000))
    for packet in client.packets():
        server.receive(packet)
    server.streams.read(0, 2500)
    assert server.streams.has_frames()
    server.streams.on_stream(0, 3000, b"", True)
    assert not server.streams.has_frames()


def test_lost_credit_is_granted_again_with_its_newest_value_or_not_at_all() -> None:
    client, server = pair(server=configuration(connection_window=4000, stream_window=4000))
    client.streams.open(True)
    client.streams.write(0, bytes(20_000))
    for packet in client.packets():
        server.receive(packet)
    server.streams.read(0, 2000)
    (first,) = server.packets()
    assert first.frames() == [MaxDataFrame(6000), MaxStreamDataFrame(0, 6000)]
    server.lost(first)
    (second,) = server.packets()
    assert second.frames() == first.frames()
    client.receive(second)
    for packet in client.packets():
        server.receive(packet)
    server.streams.read(0, 2000)
    (third,) = server.packets()
    assert third.frames() == [MaxDataFrame(8000), MaxStreamDataFrame(0, 8000)]
    server.lost(second)
    assert server.packets() == []


def test_windows_grow_for_a_fast_reader_up_to_their_limit() -> None:
    clock = WindowClock()
    clock.rtt = 0.125
    window = ReceiveWindow(1000, 16_000, clock)
    sizes = []
    for _ in range(10):
        # The peer uses up the window within one RTT, and all of it is read.
        clock.now += 0.125
        window.consume(window.limit - window.consumed)
        window.take_update()
        sizes.append(window.size)
    assert sizes == [2000, 4000, 8000, 16_000, *[16_000] * 6]


def test_windows_do_not_grow_for_a_reader_who_takes_it_slowly_but_in_gulps() -> None:
    clock = WindowClock()
    clock.rtt = 0.1
    window = ReceiveWindow(1000, 1 << 30, clock)
    for _ in range(50):
        clock.now += 10.0
        for _ in range(10):
            window.consume(100)
            if window.due:
                window.take_update()
    assert window.size == 1000


def test_windows_do_not_grow_without_an_rtt() -> None:
    clock = WindowClock()
    window = ReceiveWindow(1000, 1 << 30, clock)
    for _ in range(50):
        clock.now += 0.001
        window.consume(window.limit - window.consumed)
        window.take_update()
    assert window.size == 1000


@given(st.floats(0.001, 1.0), st.integers(1, 100), st.integers(3, 12))
@settings(max_examples=60, deadline=None)
def test_windows_settle_between_two_and_four_bandwidth_delay_products(
    rtt: float, packets_per_rtt: int, reads_per_rtt: int
) -> None:
    clock = WindowClock()
    clock.rtt = rtt
    window = ReceiveWindow(16, 1 << 40, clock)
    rate = 1200 * packets_per_rtt
    debt = 0.0
    for _ in range(60 * reads_per_rtt):
        clock.now += rtt / reads_per_rtt
        debt = min(debt + rate / reads_per_rtt, float(window.limit - window.consumed))
        window.consume(int(debt))
        debt -= int(debt)
        if window.due:
            window.take_update()
    assert 1.9 * rate <= float(window.size) <= 4.5 * rate


def test_tuned_windows_are_granted_to_the_peer() -> None:
    client, server = pair(server=configuration(connection_window=40_000, stream_window=10_000))
    client.streams.open(True)
    now = 0.0
    grants = []
    for _ in range(8):
        client.streams.write(0, bytes(100_000))
        for packet in client.packets():
            server.receive(packet)
            client.acked(packet)
        now += 0.05
        server.streams.tune_windows(0.05, now)
        read_all(server, 0)
        answers = server.packets()
        grants += [
            frame.maximum
            for answer in answers
            for frame in answer.frames()
            if isinstance(frame, MaxStreamDataFrame)
        ]
        for answer in answers:
            client.receive(answer)
    assert grants[-1] - grants[-2] > 60_000


# -- what we may send


def test_new_data_stops_at_the_streams_window_and_says_so_once() -> None:
    client, _ = pair(server=configuration(stream_window=3000))
    client.streams.open(True)
    client.streams.write(0, bytes(5000))
    packets = client.packets()
    assert sent_bytes(packets) == 3000
    assert frames(packets, StreamDataBlockedFrame) == [StreamDataBlockedFrame(0, 3000)]
    client.streams.write(0, bytes(10))
    assert client.packets() == []
    assert client.streams.sendable_bytes() == 0
    client.streams.on_max_stream_data(0, 2000)
    assert client.packets() == []
    client.streams.on_max_stream_data(0, 4000)
    more = client.packets()
    assert sent_bytes(more) == 1000
    assert frames(more, StreamDataBlockedFrame) == [StreamDataBlockedFrame(0, 4000)]
    for packet in packets + more:
        server_must_accept = packet.stream_frames()
        assert all(frame.offset + len(frame.data) <= 4000 for frame in server_must_accept)


def test_new_data_stops_at_the_connections_window_and_says_so_once() -> None:
    client, _ = pair(server=configuration(connection_window=3000, stream_window=2000))
    for _ in range(2):
        stream_id = client.streams.open(True)
        assert stream_id is not None
        client.streams.write(stream_id, bytes(2000))
    packets = client.packets()
    assert sent_bytes(packets) == 3000
    assert frames(packets, DataBlockedFrame) == [DataBlockedFrame(3000)]
    assert not client.streams.has_frames()
    client.streams.on_max_data(2999)
    assert not client.streams.has_frames()
    client.streams.on_max_data(3500)
    assert client.streams.sendable_bytes() == 500
    assert sent_bytes(client.packets()) == 500


def test_credit_that_comes_in_time_leaves_nothing_to_complain_of() -> None:
    client, _ = pair(server=configuration(connection_window=1000, stream_window=5000))
    client.streams.open(True)
    client.streams.write(0, bytes(3000))
    assert client.packet() is not None
    client.streams.on_max_data(5000)
    assert frames(client.packets(), DataBlockedFrame) == []
    client, _ = pair(server=configuration(stream_window=1000))
    client.streams.open(True)
    client.streams.write(0, bytes(3000))
    assert client.packet() is not None
    client.streams.on_max_stream_data(0, 5000)
    assert frames(client.packets(), StreamDataBlockedFrame) == []


def test_lost_blocked_frames_go_again_only_while_blocked() -> None:
    client, _ = pair(server=configuration(connection_window=1000, stream_window=700))
    client.streams.open(True)
    client.streams.open(True)
    client.streams.write(0, bytes(800))
    client.streams.write(4, bytes(800))
    packets = client.packets()
    told = [DataBlockedFrame(1000), StreamDataBlockedFrame(0, 700)]
    assert sorted(
        map(str, frames(packets, DataBlockedFrame) + frames(packets, StreamDataBlockedFrame))
    ) == sorted(map(str, told))
    for packet in packets:
        client.lost(packet)
    again = client.packets()
    assert sorted(
        map(str, frames(again, DataBlockedFrame) + frames(again, StreamDataBlockedFrame))
    ) == sorted(map(str, told))
    client.streams.on_max_data(5000)
    client.streams.on_max_stream_data(0, 5000)
    for packet in again:
        client.lost(packet)
    last = client.packets()
    assert frames(last, DataBlockedFrame) + frames(last, StreamDataBlockedFrame) == [
        StreamDataBlockedFrame(4, 700)
    ]


def test_retransmissions_need_no_credit() -> None:
    client, _ = pair(server=configuration(connection_window=2000, stream_window=2000))
    client.streams.open(True)
    client.streams.write(0, bytes(3000))
    packets = client.packets()
    for packet in packets:
        client.lost(packet)
    assert client.streams.sendable_bytes() == 2000
    assert sent_bytes(client.packets()) == 2000


def test_a_bare_fin_needs_no_credit() -> None:
    client, server = pair(server=configuration(connection_window=2000, stream_window=2000))
    client.streams.open(True)
    client.streams.open(True)
    client.streams.write(0, bytes(2000))
    for packet in client.packets():
        server.receive(packet)
    client.streams.finish(0)
    client.streams.finish(4)
    (packet,) = client.packets()
    assert [(frame.stream_id, frame.fin) for frame in packet.stream_frames()] == [
        (0, True),
        (4, True),
    ]
    server.receive(packet)


# -- the application's buffer


def test_a_full_buffer_refuses_and_tells_when_there_is_room() -> None:
    client, _ = pair(client=configuration(send_buffer=8000))
    client.streams.open(True)
    assert client.streams.send_capacity(0) == 8000
    assert client.streams.write(0, bytes(5000)) == 5000
    assert client.streams.write(0, bytes(5000)) == 3000
    assert client.streams.write(0, bytes(5000)) == 0
    packets = client.packets(1000)
    client.acked(packets[0])
    assert events_of(client, StreamWritable) == []
    client.acked(packets[2])
    client.acked(packets[1])
    assert events_of(client, StreamWritable) == [StreamWritable(0)]
    for packet in packets[3:]:
        client.acked(packet)
    assert events_of(client, StreamWritable) == [StreamWritable(0)]
    assert client.streams.send_capacity(0) == 8000


def test_a_buffer_of_one_byte_still_works() -> None:
    client, server = pair(client=configuration(send_buffer=1))
    client.streams.open(True)
    for round_number in range(3):
        assert client.streams.write(0, b"ab") == 1
        assert client.streams.write(0, b"b") == 0
        settle(client, server)
        assert len(events_of(client, StreamWritable)) == round_number + 1
    assert read_all(server, 0) == (b"aaa", False)


# -- stream limits


def test_streams_blocked_is_told_once_and_streams_available_answers() -> None:
    client, _ = pair(server=configuration(max_bidirectional_streams=2))
    assert client.streams.open(True) == 0
    assert client.streams.open(True) == 4
    assert client.streams.open(True) is None
    assert client.streams.open(True) is None
    (packet,) = client.packets()
    assert packet.frames() == [StreamsBlockedFrame(2, True)]
    client.lost(packet)
    (again,) = client.packets()
    assert again.frames() == packet.frames()
    client.streams.on_max_streams(1, True)
    assert client.streams.open(True) is None
    client.streams.on_max_streams(3, True)
    client.streams.on_max_streams(4, True)
    assert events_of(client, StreamsAvailable) == [StreamsAvailable(True)]
    client.lost(again)
    assert client.packets() == []
    assert client.streams.open(True) == 8


def test_a_limit_that_rises_in_time_leaves_nothing_to_complain_of() -> None:
    client, _ = pair(server=configuration(max_bidirectional_streams=0))
    assert client.streams.open(True) is None
    client.streams.on_max_streams(1, True)
    assert not client.streams.has_frames()


def test_the_limit_moves_when_half_of_it_is_used() -> None:
    _, server = pair(server=configuration(max_unidirectional_streams=8))
    for number in range(6):
        server.streams.on_stream(number * 4 + 2, 0, b"", True)
        server.streams.read(number * 4 + 2, 1)
        told = [frame for packet in server.packets() for frame in packet.frames()]
        assert told == ([MaxStreamsFrame(12, False)] if number == 3 else [])


def test_the_limit_moves_as_streams_finish() -> None:
    client, server = pair(server=configuration(max_unidirectional_streams=4))
    for number in range(50):
        stream_id = client.streams.open(False)
        assert stream_id == number * 4 + 2
        client.streams.finish(stream_id)
        settle(client, server)
        assert read_all(server, stream_id) == (b"", True)
        settle(client, server)
    assert server.streams.closed() == client.streams.closed() == 50


def test_long_lived_streams_do_not_eat_the_limit() -> None:
    client, server = pair(server=configuration(max_unidirectional_streams=8))
    for _ in range(7):
        stream_id = client.streams.open(False)
        assert stream_id is not None
        client.streams.write(stream_id, b"stays")
    for _ in range(20):
        stream_id = client.streams.open(False)
        assert stream_id is not None
        assert client.streams.open(False) is None
        client.streams.finish(stream_id)
        settle(client, server)
        server.streams.read(stream_id, 10)
        settle(client, server)


def test_a_lost_stream_limit_is_sent_again_if_still_the_newest() -> None:
    client, server = pair(server=configuration(max_unidirectional_streams=1))
    made = []
    for number in range(2):
        stream_id = client.streams.open(False)
        assert stream_id is not None
        client.streams.finish(stream_id)
        for packet in client.packets():
            server.receive(packet)
            client.acked(packet)
        server.streams.read(stream_id, 1)
        (packet,) = server.packets()
        assert packet.frames() == [MaxStreamsFrame(number + 2, False)]
        client.receive(packet)
        made.append(packet)
    server.lost(made[0])
    assert server.packets() == []
    server.lost(made[1])
    (again,) = server.packets()
    assert again.frames() == made[1].frames()


def test_a_blocked_peer_learns_of_streams_that_finished_meanwhile() -> None:
    client, server = pair(server=configuration(max_unidirectional_streams=8))
    stream_id = client.streams.open(False)
    assert stream_id is not None
    client.streams.finish(stream_id)
    settle(client, server)
    server.streams.read(stream_id, 1)
    assert server.packets() == []
    server.streams.on_streams_blocked(8, True)
    assert server.packets() == []
    server.streams.on_streams_blocked(8, False)
    (packet,) = server.packets()
    assert packet.frames() == [MaxStreamsFrame(9, False)]


def test_impossible_stream_limits_are_encoding_errors() -> None:
    client = Side(True)
    for call in (client.streams.on_max_streams, client.streams.on_streams_blocked):
        call(1 << 60, True)
        with pytest.raises(TransportError) as caught:
            call((1 << 60) + 1, False)
        assert caught.value.code == FRAME_ENCODING_ERROR


def test_nothing_can_be_opened_or_sent_before_the_peers_limits_are_known() -> None:
    client = Side(True)
    assert client.streams.open(True) is None
    client.meet(Side(False))
    assert events_of(client, StreamsAvailable) == [StreamsAvailable(True)]
    assert client.streams.open(True) == 0


def test_streams_that_the_peer_opened_early_get_the_limits_when_they_come() -> None:
    server = Side(False)
    server.streams.on_stream(0, 0, b"x", False)
    server.streams.write(0, bytes(100))
    assert server.streams.sendable_bytes() == 0
    server.meet(Side(True))
    assert server.streams.sendable_bytes() == 100
