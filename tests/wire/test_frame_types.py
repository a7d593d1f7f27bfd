"""Table 3 of RFC 9000, asked by its rows."""

from __future__ import annotations

import pytest

from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT, ZERO_RTT
from ropewalk.quic.wire.frame_types import (
    allowed_in,
    frame_name,
    is_ack_eliciting,
    is_probing,
    read_frame_type,
)
from ropewalk.quic.wire.reader import Reader, Truncated

KNOWN = [*range(0x20), 0x30, 0x31, 0xAF]


def test_initial_and_handshake_carry_the_handshake_only() -> None:
    expected = [0x00, 0x01, 0x02, 0x03, 0x06, 0x1C]
    assert [t for t in range(0x200) if allowed_in(t, INITIAL)] == expected
    assert [t for t in range(0x200) if allowed_in(t, HANDSHAKE)] == expected


def test_early_data_carries_nothing_that_answers_the_server() -> None:
    refused = [t for t in KNOWN if not allowed_in(t, ZERO_RTT)]
    # ACK, CRYPTO, NEW_TOKEN, PATH_RESPONSE, HANDSHAKE_DONE, and those of ACK frequency
    assert refused == [0x02, 0x03, 0x06, 0x07, 0x1B, 0x1E, 0x1F, 0xAF]


def test_one_rtt_carries_every_known_frame_and_no_other() -> None:
    assert [t for t in range(0x200) if allowed_in(t, ONE_RTT)] == KNOWN


def test_only_padding_acks_and_closes_elicit_no_ack() -> None:
    silent = [t for t in range(0x200) if t in KNOWN and not is_ack_eliciting(t)]
    assert silent == [0x00, 0x02, 0x03, 0x1C, 0x1D]
    assert is_ack_eliciting(0x1234567)


def test_probing_frames_are_the_four_of_section_9_1() -> None:
    assert [t for t in range(0x200) if is_probing(t)] == [0x00, 0x18, 0x1A, 0x1B]


@pytest.mark.parametrize(
    ("frame_type", "name"),
    [
        (0x00, "PADDING"),
        (0x08, "STREAM"),
        (0x0F, "STREAM"),
        (0x13, "MAX_STREAMS"),
        (0x1D, "CONNECTION_CLOSE_APPLICATION"),
        (0x31, "DATAGRAM"),
        (0x1F, "IMMEDIATE_ACK"),
        (0x20, "0x20"),
        (0xAF, "ACK_FREQUENCY"),
        (0x15228C00, "0x15228c00"),
        (-1, "0x-1"),
    ],
)
def test_frames_are_called_by_the_names_of_the_rfc(frame_type: int, name: str) -> None:
    assert frame_name(frame_type) == name


@pytest.mark.parametrize("encoded", ["01", "4040", "80004000", "c000000040000000"])
def test_shortest_encodings_of_a_type_are_taken(encoded: str) -> None:
    reader = Reader(bytes.fromhex(encoded))
    assert read_frame_type(reader) in (1, 0x40, 0x4000, 0x40000000)
    assert reader.remaining() == 0


@pytest.mark.parametrize("encoded", ["4001", "80000001", "c000000000000001", "80000040"])
def test_longer_encodings_of_a_type_are_a_protocol_violation(encoded: str) -> None:
    with pytest.raises(TransportError) as caught:
        read_frame_type(Reader(bytes.fromhex(encoded)))
    assert caught.value.code == PROTOCOL_VIOLATION


def test_a_type_cut_short_is_truncated() -> None:
    for encoded in (b"", b"\x40", b"\x80\x00\x40"):
        with pytest.raises(Truncated):
            read_frame_type(Reader(encoded))
