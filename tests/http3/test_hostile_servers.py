"""What a client answers to servers that break the rules (RFC 9114)."""

from __future__ import annotations

import pytest

from ropewalk.http3.errors import (
    H3_EXCESSIVE_LOAD,
    H3_FRAME_UNEXPECTED,
    H3_ID_ERROR,
    H3_MESSAGE_ERROR,
    H3_STREAM_CREATION_ERROR,
)
from ropewalk.http3.events import MessageFailed
from ropewalk.quic.wire.writers import write_max_streams
from tests.connection.pair import frame
from tests.http3.talk import GET, SETTINGS_STREAM, Talk, h3_frame, request, responses, section

OK = h3_frame(1, section((b":status", b"200")))


def hostile() -> Talk:
    """A client of ours, and a server that only speaks QUIC."""
    return Talk(raw_server=True)


def answer(talk: Talk, stream_id: int, data: bytes, end: bool = True) -> None:
    """Answer a request with any bytes."""
    talk.server.write(stream_id, data)
    if end:
        talk.server.finish(stream_id)
    talk.drive(0.1)


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (SETTINGS_STREAM + h3_frame(13, b"\x01"), H3_FRAME_UNEXPECTED),
        (SETTINGS_STREAM + h3_frame(3, b"\x01"), H3_ID_ERROR),
        (SETTINGS_STREAM + h3_frame(7, b"\x01"), H3_ID_ERROR),
        (SETTINGS_STREAM + h3_frame(7, b"\x04") + h3_frame(7, b"\x08"), H3_ID_ERROR),
        (SETTINGS_STREAM + h3_frame(7, b"\x08") + h3_frame(7, b"\x04"), None),
        (b"\x01\x00", H3_ID_ERROR),
        (b"\x21grease", None),
    ],
)
def test_unidirectional_streams(stream: bytes, code: int | None) -> None:
    talk = hostile()
    talk.raw_uni(stream, from_client=False)
    assert talk.close_code() == code


def test_a_server_cannot_open_request_streams() -> None:
    talk = hostile()
    stream_id = talk.server.open_stream()
    assert stream_id is not None
    talk.server.write(stream_id, b"x")
    talk.drive(0.1)
    assert talk.close_code() == H3_STREAM_CREATION_ERROR


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (h3_frame(0, b"x"), H3_FRAME_UNEXPECTED),
        (h3_frame(5, b"\x00\x00\x00"), H3_ID_ERROR),
        (h3_frame(1, section((b":status", b"100"))) + h3_frame(0, b"x"), H3_FRAME_UNEXPECTED),
        (OK + h3_frame(3, b"\x00"), H3_FRAME_UNEXPECTED),
        (OK + h3_frame(13, b"\x00"), H3_FRAME_UNEXPECTED),
    ],
)
def test_frames_of_a_response(data: bytes, code: int) -> None:
    talk = hostile()
    answer(talk, talk.ask(GET), data)
    assert talk.close_code() == code


@pytest.mark.parametrize(
    "data",
    [
        b"",
        h3_frame(1, section((b":status", b"100"))),
        h3_frame(1, section((b":status", b"101"))),
        h3_frame(1, section((b":status", b"20"))),
        h3_frame(1, section((b":status", b"2000"))),
        h3_frame(1, section((b":status", b"099"))),
        h3_frame(1, section((b"server", b"x"))),
        h3_frame(1, section((b":status", b"200"), (b":path", b"/"))),
        h3_frame(1, section((b":status", b"200"), (b"upgrade", b"h2c"))),
        h3_frame(1, section((b":status", b"204"))) + h3_frame(0, b"x"),
        h3_frame(1, section((b":status", b"200"), (b"content-length", b"2"))) + h3_frame(0, b"x"),
        h3_frame(1, section((b":status", b"200"), (b"content-length", b"-1"))),
    ],
)
def test_malformed_responses_end_their_stream_alone(data: bytes) -> None:
    talk = hostile()
    talk.client_side.reads = False
    stream_id = talk.ask(GET)
    answer(talk, stream_id, data)
    if not talk.client_side.of(MessageFailed):
        with pytest.raises(Exception, match="H3_MESSAGE_ERROR"):
            talk.client_side.http.read_body(stream_id, 100, talk.now)
        talk.client_side.take(talk.client_side.http.events(), talk.now)
    (failed,) = talk.client_side.of(MessageFailed)
    assert isinstance(failed, MessageFailed)
    assert (failed.stream_id, failed.code) == (stream_id, H3_MESSAGE_ERROR)
    assert talk.close_code() is None
    assert talk.client_side.http.open_requests == 0


def test_a_body_in_a_head_response_is_malformed() -> None:
    talk = hostile()
    stream_id = talk.ask(request(b"HEAD"))
    answer(talk, stream_id, OK + h3_frame(0, b"x"))
    assert len(talk.client_side.of(MessageFailed)) == 1


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_statuses_without_content_may_announce_a_length(status: bytes) -> None:
    talk = hostile()
    stream_id = talk.ask(GET)
    lines = ((b":status", status), (b"content-length", b"77"))
    answer(talk, stream_id, h3_frame(1, section(*lines)))
    assert talk.client_side.complete() == [stream_id]


def test_too_large_a_response_header_ends_its_stream_alone() -> None:
    talk = hostile()
    stream_id = talk.ask(GET)
    answer(talk, stream_id, b"\x01" + (65537 | 0x80000000).to_bytes(4, "big") + b"x", False)
    (failed,) = talk.client_side.of(MessageFailed)
    assert isinstance(failed, MessageFailed)
    assert failed.code == H3_EXCESSIVE_LOAD
    assert talk.close_code() is None


def test_a_late_end_of_a_response_completes_it() -> None:
    talk = hostile()
    stream_id = talk.ask(GET)
    answer(talk, stream_id, OK, False)
    assert [event.end for event in responses(talk.client_side)] == [False]
    assert talk.client_side.complete() == []
    answer(talk, stream_id, b"")
    assert talk.client_side.complete() == [stream_id]


def test_streams_that_the_peer_does_not_allow_yet_are_opened_later() -> None:
    talk = Talk(raw_client=True, client={"max_unidirectional_streams": 1})
    (control,) = talk.opened_by_server
    data, _ = talk.client.read(control, 1000)
    assert data[:2] == b"\x00\x04"
    # The client has to keep its word: raise its own limit, then tell the server.
    talk.client.state.streams._registry.remote[1].limit = 3
    talk.inject(True, frame(write_max_streams, 3, False))
    talk.drive(0.1)
    assert [talk.client.read(s, 10)[0] for s in talk.opened_by_server[1:]] == [b"\x02", b"\x03"]


def test_informational_responses_without_end_are_too_many() -> None:
    talk = hostile()
    stream_id = talk.ask(GET)
    hint = h3_frame(1, section((b":status", b"103")))
    answer(talk, stream_id, hint * 32, end=False)
    client = talk.client_side
    assert len(responses(client)) == 32
    answer(talk, stream_id, hint, end=False)
    (failed,) = client.of(MessageFailed)
    assert isinstance(failed, MessageFailed)
    assert failed.code == H3_EXCESSIVE_LOAD
    assert len(responses(client)) == 32
    assert client.http.open_requests == 0
    assert talk.close_code() is None
