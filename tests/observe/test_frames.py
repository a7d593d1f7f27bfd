"""The watchers' own reading of frames agrees with the frames' writers, and refuses rubbish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from librt.strings import BytesWriter

from ropewalk.observe.frames import FrameReader, UnknownFrame, Unreadable, frames_of
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire import writers
from ropewalk.quic.wire.ack import write_ack
from ropewalk.quic.wire.frames import parse_frames
from ropewalk.quic.wire.varint import encode_varint

TOKEN = bytes(range(16))


def written(write):
    writer = BytesWriter()
    write(writer)
    return writer.getvalue()


def numbers(*values):
    return b"".join(encode_varint(value) for value in values)


FRAMES = [
    (lambda w: w.write(b"\x00" * 7), (0x00,)),
    (lambda w: w.write(b"\x01"), (0x01,)),
    (lambda w: write_ack(w, [90, 50], [70, 7], 3, 100, -1, -1, -1), (0x02, 90, 70, 50, 7)),
    (lambda w: write_ack(w, [5], [0], 3, 100, 1, 2, 3), (0x02, 5, 0)),
    (lambda w: writers.write_max_data(w, 1 << 20), (0x10, 1 << 20)),
    (lambda w: writers.write_max_stream_data(w, 8, 70_000), (0x11, 8, 70_000)),
    (lambda w: writers.write_max_streams(w, 200, True), (0x12, 200)),
    (lambda w: writers.write_max_streams(w, 200, False), (0x13, 200)),
    (lambda w: writers.write_data_blocked(w, 99), (0x14, 99)),
    (lambda w: writers.write_stream_data_blocked(w, 4, 99), (0x15, 4, 99)),
    (lambda w: writers.write_streams_blocked(w, 7, True), (0x16, 7)),
    (lambda w: writers.write_streams_blocked(w, 7, False), (0x17, 7)),
    (lambda w: writers.write_reset_stream(w, 4, 9, 1000), (0x04, 4, 9, 1000)),
    (lambda w: writers.write_stop_sending(w, 4, 9), (0x05, 4, 9)),
    (lambda w: writers.write_crypto(w, 100, b"abc"), (0x06, 100, 3)),
    (lambda w: writers.write_new_token(w, b"token"), (0x07,)),
    (lambda w: writers.write_retire_connection_id(w, 3), (0x19, 3)),
    (lambda w: writers.write_path_challenge(w, b"12345678"), (0x1A, 0x3132333435363738)),
    (lambda w: writers.write_path_response(w, b"\xff" * 8), (0x1B, (1 << 64) - 1)),
    (lambda w: writers.write_connection_close(w, 10, 8, b"why", False), (0x1C, 10, 8)),
    (lambda w: writers.write_connection_close(w, 300, 0, b"why", True), (0x1D, 300)),
    (lambda w: writers.write_handshake_done(w), (0x1E,)),
    (lambda w: writers.write_datagram(w, b"dgram", True), (0x30, 5)),
]

#: Frames that the core does not write yet, by their drafts' layouts.
FOREIGN = [
    (numbers(0x1F), (0x1F,)),
    (numbers(0x24, 4, 9, 1000, 500), (0x24, 4, 9, 1000, 500)),
    (numbers(0xAF, 1, 2, 25_000, 3), (0xAF, 1, 2, 25_000, 3)),
    (numbers(0x3E, 5, 90, 6, 1, 20, 18, 43), (0x3E, 5, 90, 70, 50, 7)),
    (numbers(0x3F, 5, 90, 6, 0, 20, 1, 2, 3), (0x3E, 5, 90, 70)),
    (numbers(0x3E75, 5, 0x3E), (0x3E75, 5, 0x3E)),
    (numbers(0x3E76, 5, 2), (0x3E76, 5, 2)),
    (numbers(0x3E77, 5, 2), (0x3E77, 5, 2)),
    (numbers(0x3E78, 5, 2, 1) + b"\x04abcd" + TOKEN, (0x3E78, 5, 2, 1, 6, 4)),
    (numbers(0x3E79, 5, 2), (0x3E79, 5, 2)),
    (numbers(0x3E7A, 5), (0x3E7A, 5)),
    (numbers(0x3E7B, 5), (0x3E7B, 5)),
    (numbers(0x3E7C, 5, 2), (0x3E7C, 5, 2)),
]


@pytest.mark.parametrize(("write", "seen"), FRAMES)
def test_a_written_frame_is_read_back(write, seen):
    assert frames_of(written(write)) == [seen]


@pytest.mark.parametrize(("payload", "seen"), FOREIGN)
def test_frames_of_extensions_are_read(payload, seen):
    assert frames_of(payload) == [seen]
    # and end where they should
    assert frames_of(payload + b"\x01") == [seen, (0x01,)]


def test_all_frames_in_one_payload_are_found_in_order():
    payload = b"".join(written(write) for write, _ in FRAMES)
    assert frames_of(payload) == [seen for _, seen in FRAMES]
    assert len(parse_frames(payload)) >= len(FRAMES) - 1


def test_a_stream_frame_without_length_goes_to_the_end_of_the_packet():
    writer = BytesWriter()
    writers.write_stream_header(writer, 4, 1000, -1, True)
    writer.write(b"x" * 33)
    assert frames_of(writer.getvalue()) == [(0x08, 4, 1000, 33, 1)]


def test_a_stream_frame_with_length_is_followed_by_others():
    writer = BytesWriter()
    writers.write_stream_header(writer, 0, 0, 5, False)
    writer.write(b"hello")
    writers.write_max_data(writer, 77)
    assert frames_of(writer.getvalue()) == [(0x08, 0, 0, 5, 0), (0x10, 77)]


def test_a_new_connection_id_tells_where_the_id_lies():
    payload = written(lambda w: writers.write_new_connection_id(w, 9, 2, b"new-id", TOKEN))
    [(kind, sequence, retired, start, length)] = frames_of(payload)
    assert (kind, sequence, retired) == (0x18, 9, 2)
    assert payload[start : start + length] == b"new-id"


def test_the_reader_has_what_the_tuples_leave_out():
    reader = FrameReader()
    reader.reset(written(lambda w: write_ack(w, [5], [0], 3, 100, 1, 2, 3)))
    assert reader.read()
    assert (reader.b, reader.ect0, reader.ect1, reader.ce) == (3, 1, 2, 3)
    reader.reset(b"\x01" + written(lambda w: writers.write_connection_close(w, 1, 0, b"no", True)))
    assert reader.read()
    assert (reader.start, reader.position) == (0, 1)
    assert reader.read()
    assert reader.payload[reader.data : reader.data + reader.length] == b"no"
    assert not reader.read()


@pytest.mark.parametrize(
    "payload",
    [
        b"\x10",
        b"\x11\x04",
        b"\x06\x00\x05abc",
        b"\x02\x05\x00\x00\x06",
        b"\x02\x05\x00\x03\x00" + b"\xff" * 8 + b"\x00" + b"\xff" * 8 + b"\x00" + b"\x00\x00",
        b"\x40",
        b"\x1a1234567",
        b"\x18\x00\x00\x04abcd" + TOKEN[1:],
        b"\x18\x00\x00",
    ],
    ids=[
        "no value",
        "one of two",
        "short crypto",
        "negative ack",
        "very negative ack",
        "half a type",
        "short challenge",
        "short reset token",
        "no connection ID",
    ],
)
def test_what_is_cut_short_is_unreadable(payload):
    with pytest.raises(Unreadable):
        frames_of(payload)


def test_an_unknown_frame_is_named():
    with pytest.raises(UnknownFrame, match="0x2c4e0001 at byte 1") as caught:
        frames_of(b"\x01" + encode_varint(0x2C4E0001) + b"note")
    assert (caught.value.frame_type, caught.value.start) == (0x2C4E0001, 1)


@given(payload=st.binary(max_size=200))
def test_both_readings_agree_on_what_is_whole(payload):
    """The core is the stricter one: it also checks values."""
    try:
        parse_frames(payload)
    except TransportError:
        return
    frames_of(payload)


@given(payload=st.binary(max_size=200))
def test_rubbish_is_unreadable_and_nothing_worse(payload):
    try:
        frames_of(payload)
    except Unreadable:
        return


def test_a_reader_that_failed_reads_the_next_payload():
    reader = FrameReader()
    reader.reset(b"\x10")
    with pytest.raises(Unreadable):
        reader.read()
    reader.reset(b"\x01")
    assert reader.read()
    assert not reader.read()
