"""Malformed frames, one limit after the other, each with the code of RFC 9000."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ropewalk.quic.types.error_codes import FRAME_ENCODING_ERROR, PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.frames import NewConnectionIdFrame, parse_frames
from ropewalk.quic.wire.varint import MAX_VARINT, encode_varint

SEEDS = json.loads(
    (Path(__file__).parents[1] / "data/wire/frame_encodings_ngtcp2_seeds.json").read_text()
)["frames"]


def fields(*values: int) -> bytes:
    return b"".join(encode_varint(value) for value in values)


def refusal(payload: bytes) -> TransportError:
    with pytest.raises(TransportError) as caught:
        parse_frames(payload)
    assert not caught.value.from_peer
    return caught.value


@pytest.mark.parametrize(
    "seed",
    [seed for seed in SEEDS if seed["name"] not in ("stream", "datagram", "ack", "ack_ecn")],
    ids=lambda seed: seed["name"],
)
def test_every_cut_of_a_frame_is_an_encoding_error(seed: dict[str, str]) -> None:
    data = bytes.fromhex(seed["hex"])
    for size in range(1, len(data)):
        error = refusal(data[:size])
        assert error.code == FRAME_ENCODING_ERROR
        assert error.frame_type == data[0]
        assert "cut short" in error.reason


@pytest.mark.parametrize("ecn", ["", "01 02 03"], ids=["ack", "ack_ecn"])
def test_every_cut_of_an_ack_is_an_encoding_error(ecn: str) -> None:
    data = (b"\x03" if ecn else b"\x02") + bytes.fromhex("8000ffff 4019 02 c000000000000100 00 00")
    data += bytes.fromhex("41ff 07") + bytes.fromhex(ecn)
    assert len(parse_frames(data)) == 1
    for size in range(1, len(data)):
        error = refusal(data[:size])
        assert error.code == FRAME_ENCODING_ERROR
        assert error.frame_type == data[0]
        assert "cut short" in error.reason


@pytest.mark.parametrize("name", ["ack", "ack_ecn"])
def test_acks_of_the_seeds_reach_below_packet_number_0(name: str) -> None:
    # ngtcp2's frame decoder leaves this check of 19.3.1 to its caller; ours does not.
    (seed,) = [seed for seed in SEEDS if seed["name"] == name]
    error = refusal(bytes.fromhex(seed["hex"]))
    assert error.code == FRAME_ENCODING_ERROR
    assert "below packet number 0" in error.reason


@pytest.mark.parametrize(
    ("payload", "limit"),
    [
        pytest.param(fields(0x0E, 0, MAX_VARINT, 0), None, id="stream ends at the last offset"),
        pytest.param(fields(0x0E, 0, MAX_VARINT, 1) + b"x", "2**62", id="stream beyond it"),
        pytest.param(fields(0x0C, 0, MAX_VARINT), None, id="open-ended stream at it"),
        pytest.param(fields(0x0C, 0, MAX_VARINT) + b"x", "2**62", id="open-ended stream beyond"),
        pytest.param(fields(0x0E, 0, MAX_VARINT - 1, 1) + b"x", None, id="stream of one byte"),
        pytest.param(fields(0x0A, 0, MAX_VARINT), "cut short", id="stream longer than the packet"),
        pytest.param(fields(0x06, MAX_VARINT, 0), None, id="crypto ends at the last offset"),
        pytest.param(fields(0x06, MAX_VARINT, 1) + b"x", "2**62", id="crypto beyond it"),
        pytest.param(fields(0x07, 1) + b"t", None, id="token of one byte"),
        pytest.param(fields(0x07, 0), "empty", id="token of no byte"),
        pytest.param(fields(0x12, 2**60), None, id="2**60 bidirectional streams"),
        pytest.param(fields(0x12, 2**60 + 1), "2**60", id="more bidirectional streams"),
        pytest.param(fields(0x13, 2**60 + 1), "2**60", id="more unidirectional streams"),
        pytest.param(fields(0x16, 2**60), None, id="blocked at 2**60 streams"),
        pytest.param(fields(0x16, 2**60 + 1), "2**60", id="blocked beyond, bidirectional"),
        pytest.param(fields(0x17, 2**60 + 1), "2**60", id="blocked beyond, unidirectional"),
        pytest.param(fields(0x18, 3, 3, 1) + bytes(17), None, id="an ID of one byte"),
        pytest.param(fields(0x18, 3, 3, 20) + bytes(36), None, id="an ID of 20 bytes"),
        pytest.param(fields(0x18, 3, 3, 0) + bytes(16), "of 0 bytes", id="an ID of no byte"),
        pytest.param(fields(0x18, 3, 3, 21) + bytes(37), "of 21 bytes", id="an ID of 21 bytes"),
        pytest.param(fields(0x18, 3, 4, 8) + bytes(24), "retires", id="an ID retires itself"),
        pytest.param(fields(0x02, 5, 0, 0, 6), "below packet number 0", id="an ACK below 0"),
    ],
)
def test_limits_are_met_exactly(payload: bytes, limit: str | None) -> None:
    if limit is None:
        assert len(parse_frames(payload)) == 1
        return
    error = refusal(payload)
    assert error.code == FRAME_ENCODING_ERROR
    assert error.frame_type == payload[0]
    assert limit in error.reason


def test_a_connection_id_length_is_a_byte_and_no_varint() -> None:
    assert parse_frames(fields(0x18, 0, 0) + b"\x14" + bytes(36)) == [
        NewConnectionIdFrame(0, 0, bytes(20), bytes(16))
    ]
    error = refusal(fields(0x18, 0, 0) + b"\x40\x08" + bytes(80))
    assert "of 64 bytes" in error.reason


@pytest.mark.parametrize("frame_type", [0x20, 0x2E, 0x2F, 0x32, 0x3F, 0x40, 0x4000, MAX_VARINT])
def test_unknown_frame_types_are_an_encoding_error(frame_type: int) -> None:
    error = refusal(fields(frame_type) + bytes(20))
    assert error.code == FRAME_ENCODING_ERROR
    assert error.frame_type == frame_type


def test_a_frame_type_in_more_bytes_than_needed_is_a_protocol_violation() -> None:
    error = refusal(b"\x40\x01")
    assert error.code == PROTOCOL_VIOLATION
    assert error.frame_type == 0x01


def test_a_packet_without_frames_is_a_protocol_violation() -> None:
    assert refusal(b"").code == PROTOCOL_VIOLATION


def test_a_packet_that_ends_within_a_frame_type_is_an_encoding_error() -> None:
    assert refusal(b"\x01\x40").code == FRAME_ENCODING_ERROR
