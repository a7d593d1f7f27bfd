"""What a server answers to clients that break the rules: the codes of RFC 9114 and RFC 9204."""

from __future__ import annotations

import pytest

from ropewalk.http3.errors import (
    H3_CLOSED_CRITICAL_STREAM,
    H3_EXCESSIVE_LOAD,
    H3_FRAME_ERROR,
    H3_FRAME_UNEXPECTED,
    H3_ID_ERROR,
    H3_MESSAGE_ERROR,
    H3_MISSING_SETTINGS,
    H3_NO_ERROR,
    H3_REQUEST_INCOMPLETE,
    H3_SETTINGS_ERROR,
    H3_STREAM_CREATION_ERROR,
    QPACK_DECODER_STREAM_ERROR,
    QPACK_DECOMPRESSION_FAILED,
    QPACK_ENCODER_STREAM_ERROR,
)
from ropewalk.http3.events import MessageFailed, StopReceived, StreamResetReceived
from ropewalk.http3.fields import Fields
from ropewalk.http3.qpack.decoder import Decoder
from ropewalk.quic.types.errors import StreamReset
from ropewalk.quic.types.events import StreamStoppedByPeer, StreamWritable
from tests.http3.talk import (
    GET,
    SETTINGS_STREAM,
    Talk,
    h3_frame,
    request,
    requests,
    section,
)

DATA, HEADERS, CANCEL_PUSH, SETTINGS, PUSH_PROMISE, GOAWAY, MAX_PUSH_ID = 0, 1, 3, 4, 5, 7, 13

HEAD = h3_frame(HEADERS, section(*GET))


def hostile() -> Talk:
    """A server of ours, and a client that only speaks QUIC."""
    return Talk(raw_client=True)


# -- the control stream


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (b"\x00" + h3_frame(MAX_PUSH_ID, b"\x05"), H3_MISSING_SETTINGS),
        (b"\x00" + h3_frame(0x21, b"grease"), H3_MISSING_SETTINGS),
        (b"\x00" + h3_frame(DATA, b"x"), H3_MISSING_SETTINGS),
        (SETTINGS_STREAM + h3_frame(DATA, b"x"), H3_FRAME_UNEXPECTED),
        (SETTINGS_STREAM + HEAD, H3_FRAME_UNEXPECTED),
        (SETTINGS_STREAM + h3_frame(SETTINGS), H3_FRAME_UNEXPECTED),
        (SETTINGS_STREAM + h3_frame(PUSH_PROMISE, b"\x00\x00\x00"), H3_FRAME_UNEXPECTED),
        (SETTINGS_STREAM + h3_frame(0x02, b"\x00"), H3_FRAME_UNEXPECTED),
        (SETTINGS_STREAM + h3_frame(0x06), H3_FRAME_UNEXPECTED),
        (SETTINGS_STREAM + h3_frame(0x08), H3_FRAME_UNEXPECTED),
        (SETTINGS_STREAM + h3_frame(0x09), H3_FRAME_UNEXPECTED),
        (SETTINGS_STREAM + h3_frame(CANCEL_PUSH, b"\x00"), H3_ID_ERROR),
        (SETTINGS_STREAM + h3_frame(MAX_PUSH_ID, b"\x05") * 2, None),
        (
            SETTINGS_STREAM + h3_frame(MAX_PUSH_ID, b"\x05") + h3_frame(MAX_PUSH_ID, b"\x04"),
            H3_ID_ERROR,
        ),
        (SETTINGS_STREAM + h3_frame(GOAWAY, b"\x01") + h3_frame(GOAWAY, b"\x02"), H3_ID_ERROR),
        (SETTINGS_STREAM + h3_frame(GOAWAY, b"\x02") + h3_frame(GOAWAY, b"\x01"), None),
        (SETTINGS_STREAM + h3_frame(GOAWAY, b""), H3_FRAME_ERROR),
        (SETTINGS_STREAM + h3_frame(GOAWAY, b"\x00\x00"), H3_FRAME_ERROR),
        (SETTINGS_STREAM + h3_frame(MAX_PUSH_ID, b"\x40"), H3_FRAME_ERROR),
        (SETTINGS_STREAM + b"\x07\x7f\xff", H3_EXCESSIVE_LOAD),
        (b"\x00\x04\x02\x02\x00", H3_SETTINGS_ERROR),
        (b"\x00\x04\x02\x03\x00", H3_SETTINGS_ERROR),
        (b"\x00\x04\x02\x04\x00", H3_SETTINGS_ERROR),
        (b"\x00\x04\x02\x05\x00", H3_SETTINGS_ERROR),
        (b"\x00\x04\x04\x06\x01\x06\x01", H3_SETTINGS_ERROR),
        (b"\x00\x04\x04\x21\x01\x21\x02", H3_SETTINGS_ERROR),
        (b"\x00\x04\x02\x08\x02", H3_SETTINGS_ERROR),
        (b"\x00\x04\x01\x06", H3_FRAME_ERROR),
        (b"\x00\x04\x80\x10\x00\x00", H3_EXCESSIVE_LOAD),
        (SETTINGS_STREAM + h3_frame(0x21, b"grease" * 2000), None),
        (SETTINGS_STREAM + h3_frame(0xF0700, b"\x00u=1"), None),
    ],
)
def test_control_stream(stream: bytes, code: int | None) -> None:
    talk = hostile()
    talk.raw_uni(stream)
    assert talk.close_code() == code


@pytest.mark.parametrize("kind", [0, 2, 3])
def test_a_second_critical_stream_of_a_kind_is_refused(kind: int) -> None:
    talk = hostile()
    first = b"\x00\x04\x00" if kind == 0 else bytes([kind])
    talk.raw_uni(first)
    assert talk.close_code() is None
    talk.raw_uni(first)
    assert talk.close_code() == H3_STREAM_CREATION_ERROR


@pytest.mark.parametrize("kind", [0, 2, 3])
@pytest.mark.parametrize("how", ["finished", "reset"])
def test_critical_streams_must_stay_open(kind: int, how: str) -> None:
    talk = hostile()
    stream_id = talk.raw_uni(b"\x00\x04\x00" if kind == 0 else bytes([kind]))
    if how == "finished":
        talk.client.finish(stream_id)
    else:
        talk.client.reset(stream_id, 0)
    talk.drive(0.1)
    assert talk.close_code() == H3_CLOSED_CRITICAL_STREAM


def test_our_critical_streams_must_not_be_stopped() -> None:
    talk = hostile()
    assert len(talk.opened_by_server) == 3
    talk.client.stop(talk.opened_by_server[0], H3_NO_ERROR)
    talk.drive(0.1)
    assert talk.close_code() == H3_CLOSED_CRITICAL_STREAM


def test_a_stream_may_end_before_its_type_is_known() -> None:
    talk = hostile()
    for data in (b"", b"\x40"):
        stream_id = talk.client.open_stream(False)
        assert stream_id is not None
        talk.client.write(stream_id, data)
        talk.client.finish(stream_id)
    reset = talk.raw_uni(b"\x40")
    talk.client.reset(reset, 0)
    talk.drive(0.1)
    assert talk.close_code() is None


@pytest.mark.parametrize(
    "kind", [b"\x21", b"\x40\x54", b"\x04", b"\xc0\x00\x00\x01\x00\x00\x00\x00"]
)
def test_unknown_streams_are_not_read_and_no_error(kind: bytes) -> None:
    talk = hostile()
    stream_id = talk.raw_uni(kind + b"whatever")
    assert talk.close_code() is None
    stops = [event for event in talk.client_events if isinstance(event, StreamStoppedByPeer)]
    assert stops == [StreamStoppedByPeer(stream_id, H3_STREAM_CREATION_ERROR)]


def test_a_client_cannot_push() -> None:
    talk = hostile()
    talk.raw_uni(b"\x01\x00")
    assert talk.close_code() == H3_STREAM_CREATION_ERROR


def test_a_control_stream_in_single_bytes_is_understood() -> None:
    talk = hostile()
    stream_id = talk.client.open_stream(False)
    assert stream_id is not None
    for byte in (
        b"\x80\x00\x00\x00\x40\x04\x40\x03\x06\x44\x00" + h3_frame(0x21, b"gr") + b"\x07\x01\x00"
    ):
        talk.client.write(stream_id, bytes([byte]))
        talk.drive(0.03)
    assert talk.close_code() is None
    assert talk.server_side.http.peer_settings.max_field_section_size == 0x400
    assert talk.server_side.http.going_away


# -- request streams: frames


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (h3_frame(DATA, b"x") + HEAD, H3_FRAME_UNEXPECTED),
        (HEAD + HEAD + h3_frame(DATA, b"x"), H3_MESSAGE_ERROR),
        (HEAD + h3_frame(HEADERS, section((b"t", b"1"))) + h3_frame(DATA), H3_FRAME_UNEXPECTED),
        (HEAD + h3_frame(HEADERS, section((b"t", b"1"))) * 2, H3_FRAME_UNEXPECTED),
        (HEAD + h3_frame(CANCEL_PUSH, b"\x00"), H3_FRAME_UNEXPECTED),
        (h3_frame(CANCEL_PUSH, b"\x00") + HEAD, H3_FRAME_UNEXPECTED),
        (h3_frame(SETTINGS) + HEAD, H3_FRAME_UNEXPECTED),
        (h3_frame(GOAWAY, b"\x00"), H3_FRAME_UNEXPECTED),
        (h3_frame(MAX_PUSH_ID, b"\x00"), H3_FRAME_UNEXPECTED),
        (h3_frame(PUSH_PROMISE, b"\x00\x00\x00"), H3_FRAME_UNEXPECTED),
        (h3_frame(0x02), H3_FRAME_UNEXPECTED),
        (HEAD + h3_frame(0x06), H3_FRAME_UNEXPECTED),
        (HEAD + h3_frame(0x08), H3_FRAME_UNEXPECTED),
        (HEAD + h3_frame(0x09), H3_FRAME_UNEXPECTED),
        (HEAD[:-1], H3_FRAME_ERROR),
        (HEAD + b"\x00", H3_FRAME_ERROR),
        (HEAD + b"\x21\x05abc", H3_FRAME_ERROR),
        (HEAD + b"\x00\x05abc", H3_FRAME_ERROR),
        (h3_frame(HEADERS, b""), QPACK_DECOMPRESSION_FAILED),
        (h3_frame(HEADERS, b"\x00\x00\xff\x24"), QPACK_DECOMPRESSION_FAILED),
        (h3_frame(HEADERS, b"\x02\x00\x80"), QPACK_DECOMPRESSION_FAILED),
        (h3_frame(HEADERS, b"\x00\x00\x80"), QPACK_DECOMPRESSION_FAILED),
    ],
)
def test_frames_of_a_request(stream: bytes, code: int) -> None:
    talk = hostile()
    stream_id = talk.raw_request(stream)
    if code == H3_MESSAGE_ERROR:
        assert_failed(talk, stream_id, code)
    else:
        assert talk.close_code() == code


def test_unknown_frames_are_skipped_anywhere() -> None:
    talk = hostile()
    grease = h3_frame(0x21) + h3_frame(0x1F * 1000 + 0x21, b"grease" * 999)
    end = h3_frame(HEADERS, section((b"t", b"1")))
    post = h3_frame(HEADERS, section(*request(b"POST")))
    pieces = [post, h3_frame(DATA, b"ab"), h3_frame(DATA), h3_frame(DATA, b"cd"), end]
    stream_id = talk.raw_request(grease + b"".join(piece + grease for piece in pieces))
    assert talk.close_code() is None
    assert talk.server_side.bodies[stream_id] == b"abcd"
    assert talk.server_side.complete() == [stream_id]


def test_a_request_in_single_bytes_is_understood() -> None:
    talk = hostile()
    post = h3_frame(HEADERS, section(*request(b"POST"))) + h3_frame(DATA, b"ab") * 2
    stream_id = talk.raw_request(b"", end=False)
    for byte in post + h3_frame(0x21, b"grease") + h3_frame(HEADERS, section((b"t", b"1"))):
        talk.client.write(stream_id, bytes([byte]))
        talk.drive(0.03)
    talk.client.finish(stream_id)
    talk.drive(0.1)
    assert talk.server_side.bodies[stream_id] == b"abab"
    assert talk.server_side.complete() == [stream_id]


# -- request streams: fields


def assert_failed(talk: Talk, stream_id: int, code: int) -> None:
    """The stream was given up with the code; the connection lives on."""
    assert talk.close_code() is None
    failed = talk.server_side.of(MessageFailed)
    assert [(e.stream_id, e.code) for e in failed if isinstance(e, MessageFailed)] == [
        (stream_id, code)
    ]
    with pytest.raises(StreamReset) as caught:
        talk.client.read(stream_id, 100)
    assert caught.value.code == code
    assert talk.server_side.http.open_requests == 0
    # and another request is served
    other = talk.raw_request(HEAD)
    assert talk.server_side.complete()[-1] == other


def without(name: bytes) -> Fields:
    return [line for line in GET if line[0] != name]


@pytest.mark.parametrize(
    "fields",
    [
        [*GET[:1], *GET],
        [*GET, GET[3]],
        without(b":method"),
        without(b":scheme"),
        without(b":path"),
        without(b":authority"),
        [*GET, (b":status", b"200")],
        [*GET, (b":unknown", b"1")],
        [*GET, (b":protocol", b"websocket")],
        [(b"x", b"y"), *GET],
        [*GET[:3], (b"x", b"y"), GET[3]],
        [*GET, (b"connection", b"close")],
        [*GET, (b"X-Upper", b"1")],
        [*GET, (b"te", b"gzip")],
        [*GET, (b"content-length", b"1")],
    ],
)
def test_malformed_requests_end_their_stream_alone(fields: Fields) -> None:
    talk = hostile()
    stream_id = talk.raw_request(h3_frame(HEADERS, section(*fields)))
    assert_failed(talk, stream_id, H3_MESSAGE_ERROR)


@pytest.mark.parametrize(
    "after",
    [
        h3_frame(DATA, b"toolong"),
        h3_frame(DATA, b"abc") * 2,
        h3_frame(DATA, b"abc"),
        h3_frame(DATA, b"abc") + h3_frame(HEADERS, section((b"t", b"1"))),
        h3_frame(DATA, b"abcd") + h3_frame(HEADERS, section((b":status", b"200"))),
        h3_frame(DATA, b"abcd") + h3_frame(HEADERS, section((b"Bad", b"1"))),
    ],
)
def test_content_length_must_be_true_and_trailers_plain(after: bytes) -> None:
    talk = hostile()
    talk.server_side.reads = False
    fields = request(b"POST", b"/", (b"content-length", b"4"))
    stream_id = talk.raw_request(h3_frame(HEADERS, section(*fields)) + after)
    if not talk.server_side.of(MessageFailed):
        with pytest.raises(Exception, match="H3_MESSAGE_ERROR"):
            talk.server_side.http.read_body(stream_id, 100, talk.now)
        talk.server_side.take(talk.server_side.http.events(), talk.now)
        talk.drive(0.1)
    assert_failed(talk, stream_id, H3_MESSAGE_ERROR)


def test_an_empty_request_is_incomplete() -> None:
    talk = hostile()
    assert_failed(talk, talk.raw_request(b""), H3_REQUEST_INCOMPLETE)
    talk = hostile()
    assert_failed(talk, talk.raw_request(h3_frame(0x21, b"x")), H3_REQUEST_INCOMPLETE)


def test_a_request_reset_before_its_fields_leaves_no_trace() -> None:
    talk = hostile()
    stream_id = talk.raw_request(HEAD[:5], end=False)
    talk.client.reset(stream_id, 7)
    talk.drive(0.1)
    assert talk.server_side.http.open_requests == 0
    assert talk.server_side.of(StreamResetReceived) == []
    assert talk.close_code() is None


@pytest.mark.parametrize("declared_only", [True, False])
def test_too_large_a_field_section_is_answered_431(declared_only: bool) -> None:
    talk = hostile()
    if declared_only:
        data = b"\x01" + (65537 | 0x80000000).to_bytes(4, "big") + b"x"
    else:
        # static entries: small when compressed, 64 KiB otherwise
        data = h3_frame(HEADERS, section(*GET) + b"\xd1" * 2000)
    stream_id = talk.raw_request(data, end=False)
    assert talk.close_code() is None
    answer, end = talk.client.read(stream_id, 1000)
    assert end
    assert Decoder().decode(0, answer[2:]) == [(b":status", b"431"), (b"content-length", b"0")]
    (failed,) = talk.server_side.of(MessageFailed)
    assert isinstance(failed, MessageFailed)
    assert failed.code == H3_EXCESSIVE_LOAD
    assert StreamStoppedByPeer(stream_id, H3_NO_ERROR) in talk.client_events
    assert talk.server_side.http.open_requests == 0
    assert requests(talk.server_side) == []


def test_a_client_that_accepts_no_431_is_cut_off() -> None:
    talk = hostile()
    talk.raw_uni(b"\x00\x04\x02\x06\x05")  # a section limit of five bytes
    stream_id = talk.raw_request(b"\x01" + (65537 | 0x80000000).to_bytes(4, "big"), end=False)
    with pytest.raises(StreamReset) as caught:
        talk.client.read(stream_id, 100)
    assert caught.value.code == H3_EXCESSIVE_LOAD
    assert talk.close_code() is None
    assert talk.server_side.http.open_requests == 0


def test_a_client_that_stops_before_its_431_is_cut_off() -> None:
    talk = hostile()
    stream_id = talk.client.open_stream()
    assert stream_id is not None
    talk.client.write(stream_id, b"\x01" + (65537 | 0x80000000).to_bytes(4, "big"))
    talk.client.stop(stream_id, 9)
    talk.drive(0.1)
    assert talk.close_code() is None
    assert talk.server_side.http.open_requests == 0


def test_a_stop_that_crosses_the_room_for_more_is_heard_of() -> None:
    talk = Talk(raw_client=True, server={"send_buffer": 1000})
    stream_id = talk.raw_request(HEAD)
    server = talk.server_side
    server.http.send_response(stream_id, [(b":status", b"200")])
    server.say(stream_id, bytes(100_000))
    # Both happen before the events are looked at.
    talk.server.state.streams.on_stop_sending(stream_id, 9)
    server.take(server.http.handle(StreamWritable(stream_id), talk.now), talk.now)
    talk.drive(0.1)
    assert server.of(StopReceived) == [StopReceived(stream_id, 9)]
    assert server.http.open_requests == 0


# -- QPACK streams


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (b"\x02\x3f\xe1\x1f", QPACK_ENCODER_STREAM_ERROR),  # capacity 4096 where 0 is allowed
        (b"\x02\x20", None),  # capacity 0
        (b"\x02\x00", QPACK_ENCODER_STREAM_ERROR),  # duplicate of what is not there
        (b"\x02\x41a\x01b", QPACK_ENCODER_STREAM_ERROR),  # insertion without capacity
        (b"\x03\x00", QPACK_DECODER_STREAM_ERROR),  # Insert Count Increment of 0
        (b"\x03\x01", QPACK_DECODER_STREAM_ERROR),  # beyond what we inserted
        (b"\x03\x80", QPACK_DECODER_STREAM_ERROR),  # acknowledges what needed none
        (b"\x03\x44", None),  # a cancelled stream
    ],
)
def test_qpack_streams(stream: bytes, code: int | None) -> None:
    talk = hostile()
    talk.raw_uni(stream)
    assert talk.close_code() == code


def test_nothing_is_heard_after_a_connection_error() -> None:
    talk = hostile()
    stream_id = talk.client.open_stream(False)
    assert stream_id is not None
    talk.client.write(stream_id, b"\x00\x04\x02\x02\x00")
    talk.raw_request(HEAD)
    assert talk.close_code() == H3_SETTINGS_ERROR
    assert requests(talk.server_side) == []
