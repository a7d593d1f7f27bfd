"""Leaving without losing anything (RFC 9114 5.2)."""

from __future__ import annotations

import pytest

from ropewalk.http3 import Http3Connection
from ropewalk.http3.errors import H3_NO_ERROR, H3_REQUEST_REJECTED, Http3Error
from ropewalk.http3.events import (
    GoawayReceived,
    RequestUnprocessed,
    StopReceived,
    StreamResetReceived,
)
from ropewalk.quic.types.errors import ApplicationError
from tests.http3.talk import GET, OK, Talk, h3_frame, requests, section


def test_a_server_serves_what_it_has_and_refuses_what_comes_later() -> None:
    talk = Talk()
    first = talk.ask(GET)
    server, client = talk.server_side, talk.client_side
    late = client.http.send_request(GET, True)  # crosses the GOAWAY
    assert late is not None
    server.http.goaway()
    talk.drive(0.1)
    assert client.of(GoawayReceived) == [GoawayReceived(late)]
    assert client.of(RequestUnprocessed) == [RequestUnprocessed(late)]
    assert [asked.stream_id for asked in requests(server)] == [first]
    with pytest.raises(Http3Error) as caught:
        client.http.send_request(GET, True)
    assert caught.value.code == H3_REQUEST_REJECTED
    assert not server.http.drained()
    server.http.send_response(first, OK)
    server.say(first, b"last words")
    assert server.http.open_requests == 0
    assert not server.http.drained()  # not before the client has it
    talk.drive(0.1)
    assert client.bodies[first] == b"last words"
    assert client.http.open_requests == server.http.open_requests == 0
    assert server.http.drained()
    assert client.http.drained()
    server.http.close(talk.now)
    talk.drive(0.1)
    error = talk.client.close_error
    assert isinstance(error, ApplicationError)
    assert error.code == H3_NO_ERROR


def test_a_later_request_is_rejected_with_the_code_that_allows_another_try() -> None:
    talk = Talk(raw_client=True)
    talk.server_side.http.goaway()
    talk.drive(0.1)
    stream_id = talk.raw_request(h3_frame(1, section(*GET)), end=False)
    names = [type(event).__name__ for event in talk.client_events[-2:]]
    codes = {getattr(event, "code", None) for event in talk.client_events[-2:]}
    assert sorted(names) == ["StreamResetByPeer", "StreamStoppedByPeer"]
    assert codes == {H3_REQUEST_REJECTED}
    assert requests(talk.server_side) == []
    assert stream_id == 0
    assert talk.server_side.http.open_requests == 0


def test_a_warning_refuses_nothing_and_the_final_goaway_names_what_was_served() -> None:
    talk = Talk()
    server, client = talk.server_side, talk.client_side
    crossing = client.http.send_request(GET, True)
    server.http.goaway(final=False)
    server.http.goaway(final=False)
    talk.drive(0.1)
    assert [asked.stream_id for asked in requests(server)] == [crossing]
    server.http.goaway()
    server.http.goaway()
    talk.drive(0.1)
    assert client.of(GoawayReceived) == [GoawayReceived((1 << 62) - 4), GoawayReceived(4)]
    assert client.of(RequestUnprocessed) == []
    assert crossing == 0
    server.http.send_response(0, OK, True)
    talk.drive(0.1)
    assert client.complete() == [0]


def test_goaway_before_the_control_stream_follows_the_settings() -> None:
    talk = Talk(raw_server=True)
    http = Http3Connection(talk.server, False)
    http.goaway()
    http.start(talk.now)
    http.start(talk.now)
    talk.drive(0.1)
    assert talk.client_side.of(GoawayReceived) == [GoawayReceived(0)]
    assert talk.close_code() is None


def test_a_client_that_leaves_sends_no_more_requests() -> None:
    talk = Talk()
    stream_id = talk.ask(GET)
    talk.client_side.http.goaway()
    talk.drive(0.1)
    assert talk.server_side.of(GoawayReceived) == [GoawayReceived(0)]
    with pytest.raises(Http3Error):
        talk.client_side.http.send_request(GET, True)
    talk.server_side.http.send_response(stream_id, OK, True)
    talk.drive(0.1)
    assert talk.client_side.complete() == [stream_id]


def test_a_rejected_request_is_told_with_its_code() -> None:
    talk = Talk()
    stream_id = talk.ask(GET)
    talk.server_side.http.cancel(stream_id, H3_REQUEST_REJECTED)
    talk.drive(0.1)
    heard = talk.client_side.of(StreamResetReceived)
    assert heard == [StreamResetReceived(stream_id, H3_REQUEST_REJECTED)]
    assert talk.client_side.of(StopReceived) == []
    assert talk.client_side.http.open_requests == 0


def test_leaving_a_closed_connection_is_harmless() -> None:
    talk = Talk()
    stream_id = talk.ask(GET)
    server = talk.server_side.http
    server.close(talk.now)
    server.goaway()
    server.cancel(stream_id)
    server.close(talk.now)
    assert server.open_requests == 0
    talk.drive(0.1)
    with pytest.raises(ApplicationError):
        talk.client_side.http.send_request(GET, True)
