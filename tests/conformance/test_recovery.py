"""Requirements of RFC 9002 that no other test is about."""

from __future__ import annotations

import math

import pytest

from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL
from ropewalk.quic.wire.ack import AckFrame
from ropewalk.quic.wire.frames import PingFrame, StreamFrame
from tests.conformance.wire import Watched, seal
from tests.connection.pair import Pair
from tests.recovery.kit import SIZE, ack, make_route, make_space, numbers, send
from tests.recovery.test_loss_timer import Side


def test_an_unknown_rtt_is_a_third_of_a_second() -> None:
    pair = Pair()
    assert pair.client.state.path.active.recovery.rtt.smoothed == pytest.approx(0.333)
    pair.to_server = lambda data: []
    pair.flush()
    assert pair.client_endpoint.deadline() - pair.now == pytest.approx(0.999)


def test_dropped_keys_leave_no_timer_behind() -> None:
    for level in (INITIAL, HANDSHAKE):
        side = Side()
        side.validated = True
        space = side.initial if level == INITIAL else side.handshake
        assert space is not None
        send(space, side.route, 1.0, 5)
        ack(space, 1.1, (2, 2), confirmed=False)
        assert side.deadline(1.1) < math.inf
        space.discard()
        assert side.deadline(1.1) == math.inf
        assert side.route.pto_count == 0


def test_a_probe_timeout_sends_packets_that_ask_for_an_answer() -> None:
    pair = Watched().connect()
    pair.drive(1.0)
    stream = pair.client.open_stream()
    assert stream is not None
    pair.to_server = lambda data: []
    pair.client.write(stream, b"lost")
    pair.flush()
    pair.client_watch.sent.clear()
    pair.drive(1.0)
    assert pair.client.counters.probe_timeouts >= 1
    probes = pair.client_watch.sent
    assert probes
    assert all(one.has(StreamFrame) or one.has(PingFrame) for one in probes)
    assert probes[0].has(StreamFrame)
    # with nothing to repeat but a PING
    pair.to_server = lambda data: [data]
    pair.drive(5.0)
    pair.to_server = lambda data: []
    pair.client.ping(pair.now)
    pair.flush()
    pair.client_watch.sent.clear()
    pair.drive(1.0)
    assert pair.client_watch.sent
    assert all(one.has(PingFrame) for one in pair.client_watch.sent)


@pytest.mark.parametrize("level", [INITIAL, HANDSHAKE])
def test_losses_of_handshake_packets_count_like_others(level: int) -> None:
    space = make_space(level)
    route, recorder = make_route()
    send(space, route, 1.0, 5)
    ack(space, 1.1, (4, 4), confirmed=False)
    assert numbers(space.lost) == [0, 1]
    assert recorder.lost == [(2 * SIZE, 1, False)]


def test_a_probe_leaves_although_the_window_is_full() -> None:
    pair = Watched().connect()
    stream = pair.client.open_stream()
    assert stream is not None
    pair.to_server = lambda data: []
    pair.client.write(stream, bytes(500_000))
    pair.drive(0.02)
    recovery = pair.client.state.path.active.recovery
    assert recovery.can_send(pair.now + 10.0) == 0
    before = recovery.bytes_in_flight
    pair.client_watch.sent.clear()
    pair.drive(0.5)
    assert pair.client.counters.probe_timeouts >= 1
    assert pair.client_watch.sent
    assert recovery.bytes_in_flight == before + sum(one.size for one in pair.client_watch.sent)
    assert recovery.bytes_in_flight > recovery.controller.congestion_window


def test_an_acknowledgment_is_not_paced() -> None:
    pair = Watched().connect()
    pair.drive(1.0)
    recovery = pair.server.state.path.active.recovery
    stream = pair.server.open_stream()
    assert stream is not None
    pair.server.write(stream, bytes(1_000_000))
    pair.flush()
    while recovery.next_send_time(pair.now) <= pair.now:
        pair.server_bursts()
    pair.server_watch.sent.clear()
    for _ in range(2):
        pair.deliver_to_server(seal(pair.client, b"\x01\x00\x00\x00"))
    pair.server_bursts()
    (sent,) = pair.server_watch.sent
    assert sent.has(AckFrame)
    assert not sent.has(StreamFrame)


def test_bytes_in_flight_stay_within_the_window() -> None:
    pair = Watched().connect()
    recovery = pair.server.state.path.active.recovery
    fullest = 0.0

    def look(datagram: bytes) -> list[bytes]:
        nonlocal fullest
        assert recovery.bytes_in_flight <= recovery.controller.congestion_window
        share = float(recovery.bytes_in_flight) / float(recovery.controller.congestion_window)
        fullest = max(fullest, share)
        return [datagram]

    pair.to_client = look
    stream = pair.server.open_stream()
    assert stream is not None
    pair.server.write(stream, bytes(2_000_000))
    pair.drive(1.0)
    assert fullest > 0.9


def test_no_datagram_exceeds_the_size_of_its_route() -> None:
    pair = Watched().connect()
    stream = pair.server.open_stream()
    assert stream is not None
    pair.server.write(stream, bytes(200_000))
    pair.drive(2.0)
    size = pair.server.state.path.active.datagram_size
    assert max(map(len, pair.sent_to_client)) == size == 1200
    assert max(map(len, pair.sent_to_server)) <= size
