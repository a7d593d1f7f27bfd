"""The witness's own reading of frames agrees with the frames' writers, and refuses rubbish."""

import pytest
from librt.strings import BytesWriter

from ropewalk.quic.wire import writers
from ropewalk.quic.wire.ack import write_ack
from ropewalk.quic.wire.frames import parse_frames
from ropewalk.sim.plaintext import Unreadable, frames_of


def written(write):
    writer = BytesWriter()
    write(writer)
    return writer.getvalue()


FRAMES = [
    (lambda w: w.write(b"\x00" * 7), (0x00,)),
    (lambda w: w.write(b"\x01"), (0x01,)),
    (lambda w: write_ack(w, [90, 50], [70, 7], 3, 100, -1, -1, -1), (0x02, 90, 70, 50, 7)),
    (lambda w: write_ack(w, [5], [0], 3, 100, 1, 2, 3), (0x02, 5, 0)),
    (lambda w: writers.write_max_data(w, 1 << 20), (0x10, 1 << 20)),
    (lambda w: writers.write_max_stream_data(w, 8, 70_000), (0x11, 8, 70_000)),
    (lambda w: writers.write_reset_stream(w, 4, 9, 1000), (0x04, 4, 9, 1000)),
    (lambda w: writers.write_crypto(w, 100, b"abc"), (0x06, 100, 3)),
    (lambda w: writers.write_new_token(w, b"token"), (0x07,)),
    (lambda w: writers.write_handshake_done(w), (0x1E,)),
    (lambda w: writers.write_datagram(w, b"dgram", True), (0x30, 5)),
]


@pytest.mark.parametrize(("write", "seen"), FRAMES)
def test_a_written_frame_is_read_back(write, seen):
    assert frames_of(written(write)) == [seen]


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


@pytest.mark.parametrize(
    "payload",
    [b"\x10", b"\x11\x04", b"\x06\x00\x05abc", b"\x02\x05\x00\x00\x06", b"\x40", b"\x1a1234567"],
    ids=["no value", "one of two", "short crypto", "negative ack", "unknown", "short challenge"],
)
def test_what_is_cut_short_or_unknown_is_unreadable(payload):
    with pytest.raises(Unreadable):
        frames_of(payload)
