"""Messages of HTTP/3: what is not sent, not taken and not repeated (RFC 9114 4, 5.4, 8)."""

from __future__ import annotations

import pytest

from ropewalk.http import Headers
from ropewalk.http3.errors import (
    H3_FRAME_UNEXPECTED,
    H3_MESSAGE_ERROR,
    H3_REQUEST_CANCELLED,
    H3_REQUEST_REJECTED,
)
from ropewalk.http3.events import MessageFailed, RequestUnprocessed, StreamResetReceived
from ropewalk.http3.fields import Fields, MessageError
from ropewalk.quic.types.errors import ApplicationError
from ropewalk.quic.types.events import StreamOpened, StreamResetByPeer, StreamStoppedByPeer
from tests.http3.talk import GET, OK, SETTINGS_STREAM, Talk, h3_frame, request, responses, section

HEADERS, GOAWAY = 1, 7


def answer(talk: Talk, stream_id: int, data: bytes) -> None:
    talk.server.write(stream_id, data)
    talk.drive(0.1)


@pytest.mark.parametrize(
    "bad",
    [
        [*GET, (b"transfer-encoding", b"chunked")],
        [*GET, (b"connection", b"close")],
        [*GET, (b"te", b"gzip")],
        [*GET, (b":status", b"200")],
        [*GET, (b":unknown", b"x")],
        [*GET[:3], (b"x", b"y"), GET[3]],
        [*GET, (b"Upper", b"x")],
    ],
)
def test_a_request_that_would_be_malformed_is_not_sent(bad: Fields) -> None:
    talk = Talk()
    with pytest.raises(MessageError):
        talk.client_side.http.send_request(bad, True)
    assert talk.ask(GET) == 0, "no stream was opened for it"


@pytest.mark.parametrize(
    "bad",
    [
        [*OK, (b"transfer-encoding", b"chunked")],
        [*OK, (b"connection", b"close")],
        [*OK, (b":path", b"/")],
        [*OK, (b":unknown", b"x")],
        [(b"x", b"y"), *OK],
        [*OK, *OK],
        [(b"x", b"y")],
        [*OK, (b"Upper", b"x")],
    ],
)
def test_a_response_that_would_be_malformed_is_not_sent(bad: Fields) -> None:
    talk = Talk()
    stream_id = talk.ask(GET)
    with pytest.raises(MessageError):
        talk.server_side.http.send_response(stream_id, bad)
    talk.drive(0.1)
    assert responses(talk.client_side) == []


def test_a_second_final_response_is_refused() -> None:
    ok = h3_frame(HEADERS, section(*OK))
    talk = Talk(raw_server=True)
    stream_id = talk.ask(GET)
    answer(talk, stream_id, ok + ok)
    (failed,) = talk.client_side.of(MessageFailed)
    assert isinstance(failed, MessageFailed)
    assert failed.code == H3_MESSAGE_ERROR
    assert talk.close_code() is None
    talk = Talk(raw_server=True)
    stream_id = talk.ask(GET)
    answer(talk, stream_id, ok + h3_frame(HEADERS, section((b"t", b"1"))) + ok)
    assert talk.close_code() == H3_FRAME_UNEXPECTED


def test_malformed_responses_have_their_status_first() -> None:
    talk = Talk(raw_server=True)
    stream_id = talk.ask(GET)
    answer(talk, stream_id, h3_frame(HEADERS, section((b"server", b"x"), *OK)))
    (failed,) = talk.client_side.of(MessageFailed)
    assert isinstance(failed, MessageFailed)
    assert failed.code == H3_MESSAGE_ERROR


def test_a_client_never_rejects() -> None:
    talk = Talk(raw_server=True)
    kept, late = talk.ask(request(b"POST"), b"x"), talk.client_side.http.send_request(GET)
    assert late is not None
    control = talk.raw_uni(SETTINGS_STREAM, from_client=False)
    talk.server.write(control, h3_frame(GOAWAY, b"\x04"))
    talk.drive(0.1)
    assert talk.client_side.of(RequestUnprocessed) == [RequestUnprocessed(late)]
    talk.client_side.http.cancel(kept)
    talk.drive(0.1)
    told = [
        event.code
        for event in talk.server_events
        if isinstance(event, (StreamResetByPeer, StreamStoppedByPeer))
    ]
    assert told
    assert H3_REQUEST_REJECTED not in told
    assert set(told) == {H3_REQUEST_CANCELLED}


def test_a_request_is_never_repeated_by_itself() -> None:
    talk = Talk(raw_server=True)
    for code in (H3_REQUEST_REJECTED, H3_REQUEST_CANCELLED):
        stream_id = talk.ask(GET)
        talk.server.reset(stream_id, code)
        talk.drive(2.0)
    opened = [
        event.stream_id
        for event in talk.server_events
        if isinstance(event, StreamOpened) and not event.stream_id & 2
    ]
    assert opened == [0, 4]


def test_an_unknown_error_code_is_no_error_of_its_own() -> None:
    talk = Talk(raw_server=True)
    for code in (0x21 + 0x1F * 7, 0x7777, (1 << 62) - 1):
        stream_id = talk.ask(GET)
        talk.server.reset(stream_id, code)
        talk.drive(0.1)
        assert talk.client_side.of(StreamResetReceived)[-1] == StreamResetReceived(stream_id, code)
        assert talk.close_code() is None
    assert talk.client_side.http.open_requests == 0


def test_a_connection_lost_without_goaway_calls_no_request_unprocessed() -> None:
    talk = Talk(raw_server=True)
    talk.ask(GET)
    talk.server.close(0x100, "", talk.now)
    talk.drive(0.1)
    assert isinstance(talk.client.close_error, ApplicationError)
    assert talk.client_side.of(RequestUnprocessed) == []


def test_headers_are_sent_in_lower_case() -> None:
    headers = Headers([("X-Upper", "1"), ("Content-Type", "text/plain")])
    assert [name for name, _ in headers.to_wire()] == [b"x-upper", b"content-type"]
