"""Lives of streams: the states of RFC 9000 3, and calls that come too early or too late."""

from __future__ import annotations

import pytest

from ropewalk.quic.streams import receive_stream, send_stream
from ropewalk.quic.types.error_codes import (
    FINAL_SIZE_ERROR,
    STREAM_LIMIT_ERROR,
    STREAM_STATE_ERROR,
)
from ropewalk.quic.types.errors import (
    ConfigurationError,
    StopSending,
    StreamReset,
    StreamStateError,
    TransportError,
)
from ropewalk.quic.types.events import (
    StreamOpened,
    StreamReadable,
    StreamResetByPeer,
    StreamStoppedByPeer,
)
from ropewalk.quic.wire.frames import MaxDataFrame, ResetStreamFrame, StopSendingFrame
from tests.streams.stream_flow import Side, configuration, events_of, pair, read_all, settle


def test_a_request_and_its_answer_leave_nothing_behind() -> None:
    client, server = pair()
    stream_id = client.streams.open(True)
    assert stream_id == 0
    assert client.streams.write(stream_id, b"question") == 8
    client.streams.finish(stream_id)
    settle(client, server)
    assert server.events == [StreamOpened(0), StreamReadable(0)]
    assert read_all(server, 0) == (b"question", True)
    server.streams.write(0, b"answer")
    server.streams.finish(0)
    settle(client, server)
    assert read_all(client, 0) == (b"answer", True)
    for side in (client, server):
        assert side.streams.live() == 0
        assert side.streams.closed() == 1
        assert not side.streams.undelivered()
        with pytest.raises(StreamStateError):
            side.streams.read(0, 10)


def test_stream_ids_tell_who_opened_and_how() -> None:
    client, server = pair()
    assert [client.streams.open(True), client.streams.open(True)] == [0, 4]
    assert [server.streams.open(True), server.streams.open(False)] == [1, 3]
    assert [client.streams.open(False), client.streams.open(False)] == [2, 6]


def test_an_empty_stream_is_one_frame_with_fin() -> None:
    client, server = pair()
    stream_id = client.streams.open(False)
    assert stream_id is not None
    client.streams.finish(stream_id)
    (packet,) = client.packets()
    (frame,) = packet.stream_frames()
    assert (frame.offset, frame.data, frame.fin) == (0, b"", True)
    server.receive(packet)
    assert events_of(server, StreamReadable) == [StreamReadable(stream_id)]
    assert server.streams.read(stream_id, 10) == (b"", True)


def test_fin_after_all_data_left_needs_a_frame_of_its_own() -> None:
    client, server = pair()
    client.streams.open(True)
    client.streams.write(0, b"abc")
    (first,) = client.packets()
    client.streams.finish(0)
    (second,) = client.packets()
    (frame,) = second.stream_frames()
    assert (frame.offset, frame.data, frame.fin) == (3, b"", True)
    server.receive(second)
    server.receive(first)
    assert read_all(server, 0) == (b"abc", True)


def test_readable_is_told_once_until_everything_was_read() -> None:
    client, server = pair()
    client.streams.open(True)
    for _ in range(3):
        client.streams.write(0, b"abc")
        settle(client, server)
    assert len(events_of(server, StreamReadable)) == 1
    assert server.streams.read(0, 5) == (b"abcab", False)
    client.streams.write(0, b"d")
    settle(client, server)
    assert len(events_of(server, StreamReadable)) == 1
    assert read_all(server, 0) == (b"cabcd", False)
    client.streams.finish(0)
    settle(client, server)
    assert len(events_of(server, StreamReadable)) == 2
    assert server.streams.read(0, 5) == (b"", True)


def test_data_beyond_a_gap_is_not_readable() -> None:
    _, server = pair()
    server.streams.on_stream(0, 3, b"def", True)
    assert events_of(server, StreamReadable) == []
    assert server.streams.read(0, 10) == (b"", False)
    server.streams.on_stream(0, 0, b"abc", False)
    assert events_of(server, StreamReadable) == [StreamReadable(0)]
    assert server.streams.read(0, 10) == (b"abcdef", True)


def test_the_peers_stream_opens_those_before_it() -> None:
    _, server = pair()
    server.streams.on_stream(8, 0, b"x", False)
    assert events_of(server, StreamOpened) == [StreamOpened(0), StreamOpened(4), StreamOpened(8)]
    server.streams.on_stream(4, 0, b"x", False)
    assert len(events_of(server, StreamOpened)) == 3


def test_calls_that_come_too_late_or_to_the_wrong_part_raise() -> None:
    client, server = pair()
    client.streams.open(True)
    client.streams.finish(0)
    client.streams.finish(0)
    with pytest.raises(StreamStateError, match="finished"):
        client.streams.write(0, b"more")
    unidirectional = client.streams.open(False)
    assert unidirectional is not None
    with pytest.raises(StreamStateError):
        client.streams.read(unidirectional, 1)
    with pytest.raises(StreamStateError, match="only sends"):
        client.streams.stop(unidirectional, 0)
    client.streams.reset(unidirectional, 0)
    with pytest.raises(StreamStateError, match="reset"):
        client.streams.write(unidirectional, b"more")
    with pytest.raises(StreamStateError, match="reset"):
        client.streams.finish(unidirectional)
    settle(client, server)
    with pytest.raises(StreamStateError, match="only receives"):
        server.streams.reset(unidirectional, 0)
    for stream_id in (1, 400, -4):
        with pytest.raises(StreamStateError, match="never"):
            client.streams.write(stream_id, b"x")
        with pytest.raises(StreamStateError, match="never"):
            client.streams.reset(stream_id, 0)
    with pytest.raises(ConfigurationError):
        client.streams.reset(0, 1 << 62)
    with pytest.raises(ConfigurationError):
        client.streams.priority(0, 8, True)


# -- resets


def test_reset_drops_data_in_flight_and_tells_how_much_was_sent() -> None:
    client, server = pair()
    client.streams.open(True)
    client.streams.write(0, bytes(10_000))
    sent = client.packets(at_most=2)
    on_the_way = sum(len(frame.data) for packet in sent for frame in packet.stream_frames())
    client.streams.reset(0, 77)
    part = client.streams._streams[0].send
    assert part is not None
    assert part.buffer.held() == 0
    (packet,) = client.packets()
    assert packet.frames() == [ResetStreamFrame(0, 77, on_the_way)]
    for late in sent:
        client.lost(late)
    assert client.packets() == []
    assert client.streams.sendable_bytes() == 0
    server.receive(sent[0])
    server.receive(packet)
    server.receive(packet)
    server.receive(sent[1])
    assert events_of(server, StreamResetByPeer) == [StreamResetByPeer(0, 77)]
    for _ in range(2):
        with pytest.raises(StreamReset) as caught:
            server.streams.read(0, 100)
        assert caught.value.code == 77


def test_a_lost_reset_is_sent_again_until_acknowledged() -> None:
    client, _ = pair()
    stream_id = client.streams.open(False)
    assert stream_id is not None
    client.streams.reset(stream_id, 5)
    (first,) = client.packets()
    client.lost(first)
    assert client.streams.undelivered()
    (second,) = client.packets()
    assert second.frames() == first.frames()
    client.acked(second)
    assert not client.streams.undelivered()
    assert client.streams.live() == 0
    assert client.streams.reset_count() == 1
    client.lost(first)
    assert client.packets() == []


def test_a_reset_that_arrived_is_not_sent_again_for_a_lost_copy() -> None:
    client, _ = pair()
    client.streams.open(True)
    client.streams.reset(0, 5)
    (first,) = client.packets()
    client.lost(first)
    (second,) = client.packets()
    client.acked(first)
    client.lost(second)
    assert client.streams.live() == 1
    assert client.packets() == []


def test_a_reset_after_everything_arrived_changes_nothing() -> None:
    client, server = pair()
    client.streams.open(True)
    client.streams.write(0, b"all")
    client.streams.finish(0)
    settle(client, server)
    client.streams.reset(0, 9)
    assert client.packets() == []
    server.streams.on_reset_stream(0, 9, 3)
    assert events_of(server, StreamResetByPeer) == []
    assert read_all(server, 0) == (b"all", True)


def test_a_reset_before_any_frame_still_reaches_the_peer() -> None:
    client, server = pair()
    client.streams.open(True)
    client.streams.reset(0, 3)
    settle(client, server)
    assert server.events == [StreamOpened(0), StreamResetByPeer(0, 3)]


def test_unread_bytes_of_a_reset_stream_give_their_credit_back() -> None:
    config = configuration(connection_window=10_000, stream_window=10_000)
    client, server = pair(server=config)
    for code in range(20):
        stream_id = client.streams.open(False)
        assert stream_id is not None
        client.streams.write(stream_id, bytes(6000))
        settle(client, server)
        client.streams.reset(stream_id, code)
        settle(client, server)
        with pytest.raises(StreamReset):
            server.streams.read(stream_id, 1)
    assert client.streams.reset_count() == 20
    assert server.streams.live() == 0


# -- stops


def test_stop_sending_is_answered_with_a_reset() -> None:
    client, server = pair()
    client.streams.open(True)
    client.streams.write(0, bytes(3000))
    settle(client, server)
    server.streams.stop(0, 42)
    (packet,) = server.packets()
    assert packet.frames() == [StopSendingFrame(0, 42)]
    client.receive(packet)
    client.receive(packet)
    assert events_of(client, StreamStoppedByPeer) == [StreamStoppedByPeer(0, 42)]
    with pytest.raises(StopSending) as caught:
        client.streams.write(0, b"more")
    assert caught.value.code == 42
    with pytest.raises(StopSending):
        client.streams.finish(0)
    (answer,) = client.packets()
    assert answer.frames() == [ResetStreamFrame(0, 42, 3000)]
    server.receive(answer)
    assert events_of(server, StreamResetByPeer) == []
    with pytest.raises(StreamStateError):
        server.streams.read(0, 1)


def test_a_lost_stop_is_sent_again_only_while_the_end_is_open() -> None:
    client, server = pair()
    client.streams.open(True)
    client.streams.write(0, b"abc")
    settle(client, server)
    server.streams.stop(0, 1)
    (packet,) = server.packets()
    server.lost(packet)
    (again,) = server.packets()
    assert again.frames() == packet.frames()
    client.streams.finish(0)
    settle(client, server)
    server.lost(again)
    assert server.packets() == []


def test_a_stopped_stream_that_ends_is_forgotten_unread() -> None:
    client, server = pair()
    stream_id = client.streams.open(False)
    assert stream_id is not None
    client.streams.write(stream_id, b"abc")
    settle(client, server)
    server.streams.stop(stream_id, 1)
    server.streams.on_stream(stream_id, 3, b"def", True)
    assert server.streams.live() == 0
    assert server.streams.closed() == 1


def test_bytes_that_arrive_after_a_stop_give_their_credit_back() -> None:
    _, server = pair(server=configuration(connection_window=8000, stream_window=8000))
    server.streams.on_stream(2, 0, b"", False)
    server.streams.stop(2, 1)
    server.streams.on_stream(2, 0, bytes(5000), False)
    server.streams.on_stream(2, 4000, bytes(2000), True)
    (packet,) = server.packets()
    assert packet.frames() == [MaxDataFrame(14_000)]


def test_a_stop_after_the_end_is_known_asks_for_nothing() -> None:
    _, server = pair()
    server.streams.on_stream(2, 3, b"def", True)
    server.streams.stop(2, 1)
    assert server.packets() == []
    assert server.streams.live() == 0
    server.streams.on_stream(2, 0, b"abc", False)


def test_discarded_bytes_of_a_stopped_stream_do_not_hold_the_connection_up() -> None:
    config = configuration(connection_window=8000, stream_window=8000)
    client, server = pair(server=config)
    client.streams.open(True)
    client.streams.write(0, bytes(5000))
    settle(client, server)
    server.streams.stop(0, 1)
    other = client.streams.open(True)
    assert other is not None
    client.streams.write(other, bytes(8000))
    settle(client, server)
    assert len(read_all(server, other)[0]) == 8000


# -- what the peer must not do


def error_of(side: Side, call: str, *arguments: object) -> TransportError:
    with pytest.raises(TransportError) as caught:
        getattr(side.streams, call)(*arguments)
    assert not caught.value.from_peer
    return caught.value


@pytest.mark.parametrize(
    ("call", "arguments", "frame_type"),
    [
        # the client's own unidirectional stream 2 only sends
        ("on_stream", (2, 0, b"", False), 0x08),
        ("on_reset_stream", (2, 0, 0), 0x04),
        ("on_stream_data_blocked", (2, 0), 0x15),
        # the server's unidirectional stream 3 only receives
        ("on_stop_sending", (3, 0), 0x05),
        ("on_max_stream_data", (3, 0), 0x11),
        # stream 8 is the client's to open
        ("on_stream", (8, 0, b"", False), 0x08),
        ("on_reset_stream", (8, 0, 0), 0x04),
        ("on_stop_sending", (8, 0), 0x05),
        ("on_max_stream_data", (8, 0), 0x11),
        ("on_stream_data_blocked", (8, 0), 0x15),
    ],
)
def test_frames_for_parts_or_streams_that_are_not_are_state_errors(
    call: str, arguments: tuple[object, ...], frame_type: int
) -> None:
    client, _ = pair()
    client.streams.open(True)
    client.streams.open(False)
    error = error_of(client, call, *arguments)
    assert (error.code, error.frame_type) == (STREAM_STATE_ERROR, frame_type)


def test_streams_beyond_the_limit_are_limit_errors() -> None:
    client, _ = pair(
        client=configuration(max_bidirectional_streams=3, max_unidirectional_streams=0)
    )
    client.streams.on_stream(9, 0, b"", False)
    assert error_of(client, "on_stream", 13, 0, b"", False).code == STREAM_LIMIT_ERROR
    assert error_of(client, "on_stop_sending", 13, 0).code == STREAM_LIMIT_ERROR
    assert error_of(client, "on_reset_stream", 3, 0, 0).code == STREAM_LIMIT_ERROR


@pytest.mark.parametrize(
    "frames",
    [
        [("on_stream", 0, b"abc", True), ("on_stream", 0, b"abcd", False)],
        [("on_stream", 0, b"abc", True), ("on_stream", 0, b"ab", True)],
        [("on_stream", 0, b"abc", False), ("on_stream", 0, b"ab", True)],
        [("on_stream", 0, b"abc", False), ("on_reset_stream", 7, 2)],
        [("on_stream", 0, b"abc", True), ("on_reset_stream", 7, 4)],
        [("on_reset_stream", 7, 4), ("on_reset_stream", 7, 5)],
        [("on_reset_stream", 7, 4), ("on_stream", 4, b"x", False)],
        [("on_reset_stream", 7, 4), ("on_stream", 3, b"", True)],
    ],
)
def test_a_final_size_that_changes_is_a_final_size_error(frames: list[tuple[object, ...]]) -> None:
    _, server = pair()
    for call, *arguments in frames[:-1]:
        getattr(server.streams, str(call))(0, *arguments)
    call, *arguments = frames[-1]
    error = error_of(server, str(call), 0, *arguments)
    assert error.code == FINAL_SIZE_ERROR
    assert error.frame_type == (0x08 if call == "on_stream" else 0x04)


def test_late_frames_for_a_forgotten_stream_are_ignored() -> None:
    client, server = pair()
    client.streams.open(True)
    client.streams.write(0, b"abc")
    client.streams.finish(0)
    (packet,) = client.packets()
    server.receive(packet)
    client.acked(packet)
    read_all(server, 0)
    server.streams.finish(0)
    settle(client, server)
    read_all(client, 0)
    assert server.streams.live() == client.streams.live() == 0
    before = len(server.events)
    server.receive(packet)
    server.streams.on_reset_stream(0, 1, 3)
    server.streams.on_stop_sending(0, 1)
    server.streams.on_max_stream_data(0, 1 << 30)
    server.streams.on_stream_data_blocked(0, 3)
    client.acked(packet)
    client.lost(packet)
    server.streams.reset(0, 1)
    server.streams.stop(0, 1)
    server.streams.priority(0, 1, False)
    assert server.packets() == []
    assert client.packets() == []
    assert len(server.events) == before


# -- the tables


def test_the_tables_have_every_state_and_event_and_no_way_back() -> None:
    for module, terminal in ((send_stream, {3, 5}), (receive_stream, {4, 5})):
        table = module._TRANSITIONS
        assert len(table) == len(module._STATE_NAMES)
        for state, row in enumerate(table):
            assert len(row) == 5
            for following in row:
                assert following == -1 or following >= state
                if state in terminal:
                    assert following in (-1, state)


def test_an_impossible_transition_says_so() -> None:
    part = send_stream.SendStream(0, 0, 0)
    with pytest.raises(AssertionError, match="cannot happen in state Ready"):
        part.move(send_stream.ALL_ACKED)
