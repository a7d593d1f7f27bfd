"""Peers that try to make us hold more than they pay for (RFC 9000 21.6, 21.7)."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from ropewalk.quic.types.error_codes import INTERNAL_ERROR
from ropewalk.quic.types.errors import StreamReset, TransportError
from tests.streams.stream_flow import Side, configuration, pair, read_all, settle


def grown(action: Callable[[], None]) -> int:
    """Bytes that stay allocated after an action."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    action()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before


def perforate(side: Side, stream_id: int, size: int) -> None:
    """Deliver every second byte."""
    for offset in range(1, size, 2):
        side.streams.on_stream(stream_id, offset, b"a", False)


def test_fragments_of_a_byte_in_order_cost_about_a_byte() -> None:
    _, server = pair()
    server.streams.on_stream(0, 0, b"ab", False)

    def attack() -> None:
        for offset in range(2, 200_000, 2):
            server.streams.on_stream(0, offset, b"ab", False)

    assert grown(attack) < 2 * 200_000
    assert len(read_all(server, 0)[0]) == 200_000


def test_fragments_of_a_byte_from_the_far_end_cost_about_a_byte() -> None:
    _, server = pair()
    server.streams.on_stream(0, 0, b"a", False)

    def attack() -> None:
        for offset in range(100_000, 2, -2):
            server.streams.on_stream(0, offset, b"ab", False)

    assert grown(attack) < 2 * 100_000


def test_gaps_beyond_measure_close_the_connection() -> None:
    _, server = pair(server=configuration(connection_window=1 << 20, stream_window=1 << 20))

    def attack() -> None:
        with pytest.raises(TransportError) as caught:
            perforate(server, 0, 1 << 20)
        assert caught.value.code == INTERNAL_ERROR

    assert grown(attack) < 1 << 20


def test_the_allowance_for_gaps_is_one_for_all_streams() -> None:
    _, server = pair(server=configuration(connection_window=1 << 20, stream_window=1 << 13))
    for stream_id in range(0, 40, 4):
        perforate(server, stream_id, 1000)
    with pytest.raises(TransportError) as caught:
        perforate(server, 40, 1000)
    assert caught.value.code == INTERNAL_ERROR


def test_gaps_that_close_or_are_discarded_give_their_allowance_back() -> None:
    _, server = pair(server=configuration(max_unidirectional_streams=100))
    for number in range(100):
        stream_id = number * 4 + 2
        perforate(server, stream_id, 1000)
        match number % 3:
            case 0:
                server.streams.on_stream(stream_id, 0, bytes(1000), True)
                read_all(server, stream_id)
            case 1:
                server.streams.on_reset_stream(stream_id, 0, 1000)
                with pytest.raises(StreamReset):
                    server.streams.read(stream_id, 1)
            case _:
                server.streams.stop(stream_id, 0)
                server.streams.on_stream(stream_id, 1000, b"", True)
    assert server.streams.live() == 0


def test_a_window_of_lost_packets_stays_within_the_allowance() -> None:
    window = 16 << 20
    _, server = pair(server=configuration(connection_window=window, stream_window=window))
    data = bytes(1200)
    for offset in range(1200, window - 1200, 2400):
        server.streams.on_stream(0, offset, data, False)


def test_streams_opened_and_reset_in_great_number_leave_nothing() -> None:
    client, server = pair(server=configuration(max_unidirectional_streams=16))

    def churn(rounds: int) -> None:
        for _ in range(rounds):
            stream_id = client.streams.open(False)
            assert stream_id is not None
            client.streams.write(stream_id, b"x" * 500)
            (packet,) = client.packets()
            client.streams.reset(stream_id, 1)
            server.receive(packet)
            client.lost(packet)
            settle(client, server)
            with pytest.raises(StreamReset):
                server.streams.read(stream_id, 1)
            settle(client, server)
            client.events.clear()
            server.events.clear()

    churn(50)
    # One stream kept for each round would be a megabyte.
    assert grown(lambda: churn(500)) < 100_000
    assert client.streams.live() == server.streams.live() == 0
    assert client.streams.reset_count() == server.streams.reset_count() == 550


def test_forgotten_streams_need_no_garbage_collector() -> None:
    client, server = pair()
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            stream_id = client.streams.open(False)
            assert stream_id is not None
            client.streams.write(stream_id, bytes(3000))
            client.streams.finish(stream_id)
            settle(client, server)
            assert read_all(server, stream_id)[1]
        assert client.streams.live() == server.streams.live() == 0
        assert gc.collect() < 100
    finally:
        gc.enable()


def test_streams_reset_while_nothing_can_be_sent_leave_the_queues() -> None:
    client, server = pair(server=configuration(connection_window=1000, stream_window=1000))
    blocker = client.streams.open(True)
    assert blocker is not None
    client.streams.write(blocker, bytes(2000))
    settle(client, server)
    for _ in range(300):
        stream_id = client.streams.open(False)
        assert stream_id is not None
        client.streams.write(stream_id, b"never sent")
        client.streams.reset(stream_id, 1)
        settle(client, server)
        with pytest.raises(StreamReset):
            server.streams.read(stream_id, 1)
        settle(client, server)
    assert client.streams.live() == 1
    assert client.streams.sendable_bytes() == 0


def test_raising_stream_limits_over_and_over_tells_the_application_once() -> None:
    client, _ = pair(server=configuration(max_bidirectional_streams=0))
    assert client.streams.open(True) is None
    for limit in range(1, 10_000):
        client.streams.on_max_streams(limit, True)
    assert len(client.events) == 1


def test_control_frames_wait_for_the_next_packet_when_one_is_full() -> None:
    client = Side(True)
    client.streams.set_peer_limits(1 << 20, 0, 0, 0, 500, 0)
    for code in range(500):
        stream_id = client.streams.open(True)
        assert stream_id is not None
        client.streams.reset(stream_id, code)
        client.streams.stop(stream_id, code)
    packets = client.packets(300)
    frames = [str(frame) for packet in packets for frame in packet.frames()]
    assert len(frames) == len(set(frames)) == 1000
    assert all(len(packet.payload) <= 300 for packet in packets)
