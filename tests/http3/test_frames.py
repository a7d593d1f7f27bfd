"""Frames and SETTINGS as bytes (RFC 9114 7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.http3.errors import (
    H3_EXCESSIVE_LOAD,
    H3_FRAME_ERROR,
    H3_SETTINGS_ERROR,
    Http3Error,
)
from ropewalk.http3.frames import (
    DATA,
    GOAWAY,
    HEADERS,
    NO_FRAME,
    FrameReader,
    decode_id,
    encode_frame,
    encode_frame_header,
    encode_id_frame,
    frame_name,
    reserved_number,
)
from ropewalk.http3.settings import Settings, decode_settings, encode_settings

FRAMES = st.lists(
    st.tuples(st.sampled_from([DATA, HEADERS, 0x21, 1 << 40]), st.binary(max_size=300)), max_size=6
)


def read_all(pieces: list[bytes], whole: bool) -> list[tuple[int, bytes]]:
    """The frames of a stream that arrives in these pieces."""
    reader = FrameReader()
    frames: list[tuple[int, bytes]] = []
    kind, payload = NO_FRAME, b""
    for piece in pieces:
        reader.feed(piece)
        while True:
            if reader.frame_type == NO_FRAME:
                if reader.available() == 0 or not reader.read_header():
                    break
                kind, payload = int(reader.frame_type), b""
            if whole:
                collected = reader.collect(1000)
                if collected is None:
                    break
                payload = collected
            else:
                payload += reader.take(7)
            if reader.frame_type == NO_FRAME:
                frames.append((kind, payload))
            elif reader.available() == 0:
                break
    assert reader.is_between()
    return frames


@given(FRAMES, st.lists(st.integers(1, 20), min_size=1), st.booleans())
def test_frames_survive_any_split(
    frames: list[tuple[int, bytes]], sizes: list[int], whole: bool
) -> None:
    stream = b"".join(encode_frame(kind, payload) for kind, payload in frames)
    pieces = []
    position = turn = 0
    while position < len(stream):
        size = sizes[turn % len(sizes)]
        pieces.append(stream[position : position + size])
        position += size
        turn += 1
    assert read_all(pieces, whole) == frames


def test_a_header_that_is_not_whole_does_not_count_as_between() -> None:
    reader = FrameReader()
    reader.feed(b"\x40")
    assert not reader.read_header()
    assert not reader.is_between()
    reader.feed(b"\x01\x02")
    assert reader.read_header()
    assert (reader.frame_type, reader.remaining) == (HEADERS, 2)


def test_long_encodings_of_small_numbers_are_frames_too() -> None:
    reader = FrameReader()
    reader.feed(b"\xc0" + bytes(7) + b"\xc0" + bytes(6) + b"\x01Z")
    assert reader.read_header()
    assert (reader.frame_type, reader.take(9)) == (DATA, b"Z")


def test_skipping_and_collecting_go_piece_by_piece() -> None:
    reader = FrameReader()
    reader.feed(b"\x21\x05abc")
    assert reader.read_header()
    reader.skip()
    assert (reader.frame_type, reader.remaining, reader.available()) == (0x21, 2, 0)
    reader.feed(b"de\x07\x03x")
    reader.skip()
    assert reader.read_header()
    assert reader.collect(10) is None
    reader.feed(b"yz")
    assert reader.collect(10) == b"xyz"


def test_a_payload_above_the_limit_is_not_collected() -> None:
    reader = FrameReader()
    reader.feed(encode_frame_header(GOAWAY, 11))
    assert reader.read_header()
    with pytest.raises(Http3Error) as caught:
        reader.collect(10)
    assert caught.value.code == H3_EXCESSIVE_LOAD


def test_id_frames_hold_one_number_exactly() -> None:
    assert encode_id_frame(GOAWAY, 300) == b"\x07\x02\x41\x2c"
    assert decode_id(GOAWAY, b"\x41\x2c") == 300
    for payload in (b"", b"\x41", b"\x00\x00"):
        with pytest.raises(Http3Error) as caught:
            decode_id(GOAWAY, payload)
        assert caught.value.code == H3_FRAME_ERROR


def test_reserved_numbers_have_the_form_of_the_rfc() -> None:
    assert reserved_number(0) == 0x21
    assert reserved_number(2) == 0x21 + 2 * 0x1F
    assert frame_name(HEADERS) == "HEADERS"
    assert frame_name(0x21) == "0x21"


def test_settings_come_back_as_they_were() -> None:
    settings = Settings(
        max_field_section_size=1234,
        qpack_max_table_capacity=4096,
        qpack_blocked_streams=16,
        enable_connect_protocol=True,
        h3_datagram=True,
        others=((0x21, 0), (1 << 60, (1 << 62) - 1)),
    )
    assert decode_settings(encode_settings(settings)) == settings


def test_absent_settings_have_their_initial_values() -> None:
    assert decode_settings(b"") == Settings(max_field_section_size=None)
    assert encode_settings(Settings(max_field_section_size=None)) == b""


@pytest.mark.parametrize("identifier", [0, 2, 3, 4, 5])
def test_http2_settings_are_refused(identifier: int) -> None:
    with pytest.raises(Http3Error) as caught:
        decode_settings(bytes([identifier, 0]))
    assert caught.value.code == H3_SETTINGS_ERROR


@given(st.binary(max_size=60))
def test_any_settings_give_a_value_or_a_typed_error(payload: bytes) -> None:
    code = 0
    try:
        decode_settings(payload)
    except Http3Error as error:
        code = error.code
    assert code in (0, H3_SETTINGS_ERROR, H3_FRAME_ERROR)


def test_endless_settings_are_refused() -> None:
    payload = b"".join(bytes([0x40 | n >> 8, n & 255, 0]) for n in range(64, 64 + 300))
    with pytest.raises(Http3Error) as caught:
        decode_settings(payload)
    assert caught.value.code == H3_SETTINGS_ERROR
