"""ACK_FREQUENCY and IMMEDIATE_ACK between two endpoints (draft-ietf-quic-ack-frequency-14)."""

from __future__ import annotations

import pytest
from librt.strings import BytesWriter

from ropewalk.quic.types.error_codes import FRAME_ENCODING_ERROR, PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.frames import AckFrequencyFrame, ImmediateAckFrame
from tests.connection.pair import Pair


def agreed() -> Pair:
    both = {"ack_frequency": True}
    return Pair(client=both, server=both).connect()


def bytes_of(frame: AckFrequencyFrame | ImmediateAckFrame) -> bytes:
    writer = BytesWriter()
    frame.write(writer)
    return writer.getvalue()


def request(sequence: int, threshold: int, delay_us: int = 5000, reordering: int = 3) -> bytes:
    return bytes_of(AckFrequencyFrame(sequence, threshold, delay_us, reordering))


def test_both_sides_say_that_they_can() -> None:
    pair = agreed()
    for side in (pair.client, pair.server):
        assert side.state.peer_parameters.min_ack_delay_us == 1000


def test_a_request_is_followed() -> None:
    pair = agreed()
    pair.inject(to_server=True, payload=request(0, 9))
    received = pair.server.state.path.space.received
    assert received.ack_threshold == 10
    assert received.max_ack_delay == pytest.approx(0.005)
    assert received.reordering_threshold == 3


def test_an_older_request_that_arrives_late_is_ignored() -> None:
    pair = agreed()
    pair.inject(to_server=True, payload=request(5, 9))
    pair.inject(to_server=True, payload=request(4, 30))
    pair.inject(to_server=True, payload=request(5, 40))
    assert pair.server.state.path.space.received.ack_threshold == 10


@pytest.mark.parametrize("delay_us", [0, 999, (1 << 14) * 1000])
def test_a_delay_that_cannot_be_kept_closes_with_protocol_violation(delay_us: int) -> None:
    pair = agreed()
    pair.inject(to_server=True, payload=request(0, 1, delay_us))
    error = pair.server.close_error
    assert isinstance(error, TransportError)
    assert (error.code, error.frame_type) == (PROTOCOL_VIOLATION, 0xAF)


def test_immediate_ack_is_answered_without_delay() -> None:
    pair = agreed()
    pair.drive(1.0)
    before = len(pair.sent_to_client)
    pair.inject(to_server=True, payload=bytes_of(ImmediateAckFrame()))
    pair.flush()
    assert len(pair.sent_to_client) == before + 1


def test_a_bulk_sender_asks_for_fewer_acknowledgements_as_its_window_grows() -> None:
    pair = agreed()
    stream = pair.client.open_stream()
    assert stream is not None
    for _ in range(60):
        pair.client.write(stream, bytes(200_000))
        pair.drive(0.01)
        pair.server.read(stream, 1 << 20)
    assert pair.server.state.path.space.received.ack_threshold > 2


def test_a_lost_request_is_repeated() -> None:
    pair = agreed()
    stream = pair.client.open_stream()
    assert stream is not None
    lost = 0

    def lose(data: bytes) -> list[bytes]:
        nonlocal lost
        if pair.client.state.path.active.recovery.rtt.has_sample and lost < 40:
            lost += 1
            return []
        return [data]

    pair.client.write(stream, bytes(200_000))
    pair.drive(0.03)
    pair.to_server = lose
    for _ in range(200):
        pair.client.write(stream, bytes(200_000))
        pair.drive(0.01)
        pair.server.read(stream, 1 << 20)
    assert lost == 40
    assert pair.server.state.path.space.received.ack_threshold > 2


@pytest.mark.parametrize("payload", [request(0, 9), bytes_of(ImmediateAckFrame())])
def test_frames_that_were_not_agreed_on_are_unknown_ones(payload: bytes) -> None:
    pair = Pair().connect()
    assert pair.client.state.peer_parameters.min_ack_delay_us is None
    pair.inject(to_server=True, payload=payload)
    error = pair.server.close_error
    assert isinstance(error, TransportError)
    assert error.code == FRAME_ENCODING_ERROR


@pytest.mark.parametrize("max_ack_delay", [0.0, 0.0004])
def test_a_side_that_promises_immediate_acks_offers_and_keeps_them(max_ack_delay: float) -> None:
    quick = {"ack_frequency": True, "max_ack_delay": max_ack_delay}
    pair = Pair(client=quick, server=quick).connect()
    assert pair.client.state.peer_parameters.min_ack_delay_us == 0
    pair.inject(to_server=True, payload=request(0, 9, 400))
    assert pair.server.close_error is None
    assert pair.server.state.path.space.received.max_ack_delay == pytest.approx(0.0004)
