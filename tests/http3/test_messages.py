"""Requests and responses between our own two sides (RFC 9114 4)."""

from __future__ import annotations

import pytest

from ropewalk.http3.errors import H3_MESSAGE_ERROR, H3_NO_ERROR, H3_REQUEST_CANCELLED
from ropewalk.http3.events import (
    BodyReadable,
    MessageComplete,
    MessageFailed,
    RequestsAvailable,
    SettingsReceived,
    StopReceived,
    StreamResetReceived,
)
from ropewalk.http3.fields import MessageError
from ropewalk.http3.settings import Settings
from ropewalk.quic.types.errors import (
    ConfigurationError,
    StopSending,
    StreamReset,
    StreamStateError,
)
from tests.http3.talk import (
    GET,
    OK,
    Talk,
    h3_frame,
    request,
    requests,
    responses,
    section,
    trailers,
)

BODY = bytes(range(256)) * 4096  # 1 MiB


def test_settings_and_reserved_ones_reach_both_sides() -> None:
    talk = Talk()
    for side in (talk.client_side, talk.server_side):
        (event,) = side.of(SettingsReceived)
        assert isinstance(event, SettingsReceived)
        assert event.settings.max_field_section_size == 65536
        assert event.settings.qpack_max_table_capacity == 0
        ((reserved, _),) = event.settings.others
        assert (reserved - 0x21) % 0x1F == 0
        assert side.http.peer_settings is event.settings


def test_get_without_body_comes_back_whole() -> None:
    talk = Talk()
    stream_id = talk.ask(GET)
    (asked,) = requests(talk.server_side)
    assert (asked.stream_id, asked.fields, asked.end) == (stream_id, GET, True)
    assert talk.server_side.complete() == [stream_id]
    talk.server_side.http.send_response(stream_id, [*OK, (b"content-length", b"5")])
    talk.server_side.say(stream_id, b"hello")
    talk.drive(0.1)
    (answered,) = responses(talk.client_side)
    assert (answered.fields[0], answered.informational) == ((b":status", b"200"), False)
    assert talk.client_side.bodies[stream_id] == b"hello"
    assert talk.client_side.complete() == [stream_id]
    assert talk.client_side.http.open_requests == 0
    assert talk.server_side.http.open_requests == 0


@pytest.mark.parametrize("limit", [7, 1000, 1 << 20])
def test_bodies_pass_both_ways_through_small_windows(limit: int) -> None:
    small: dict[str, object] = {
        "connection_window": 20_000,
        "connection_window_limit": 20_000,
        "stream_window": 10_000,
        "stream_window_limit": 10_000,
        "send_buffer": 30_000,
    }
    talk = Talk(client=small, server=small, delay=0.001)
    talk.client_side.limit = talk.server_side.limit = limit
    body = BODY[:200_000]
    stream_id = talk.ask(request(b"POST", b"/", (b"content-length", b"200000")), body)
    talk.drive(5.0)
    assert talk.server_side.bodies[stream_id] == body
    talk.server_side.http.send_response(stream_id, OK)
    talk.server_side.say(stream_id, body)
    talk.drive(5.0)
    assert talk.client_side.bodies[stream_id] == body
    assert talk.client_side.complete() == [stream_id]


def test_an_unread_body_holds_the_sender_back() -> None:
    window: dict[str, object] = {
        "stream_window": 50_000,
        "stream_window_limit": 50_000,
        "connection_window": 100_000,
        "connection_window_limit": 100_000,
    }
    talk = Talk(server=window, client={"send_buffer": 60_000})
    talk.server_side.reads = False
    stream_id = talk.ask(request(b"POST"), BODY)
    talk.drive(2.0)
    kept = len(BODY) - len(talk.client_side.to_send[stream_id])
    # Two buffers of QUIC, and at most one DATA frame of ours.
    assert kept <= 50_000 + 60_000 + 256 * 1024
    assert len(talk.server_side.of(BodyReadable)) == 1
    assert talk.server_side.complete() == []
    talk.server_side.reads = True
    talk.server_side.read(stream_id, talk.now)
    talk.drive(20.0)
    assert talk.server_side.bodies[stream_id] == BODY
    assert talk.server_side.complete() == [stream_id]


def test_trailers_pass_both_ways() -> None:
    talk = Talk()
    client, server = talk.client_side, talk.server_side
    stream_id = client.http.send_request(request(b"POST"))
    assert stream_id is not None
    client.http.send_body(stream_id, b"up")
    client.http.send_trailers(stream_id, [(b"x-sum", b"1")])
    talk.drive(0.1)
    assert server.bodies[stream_id] == b"up"
    assert [event.fields for event in trailers(server)] == [[(b"x-sum", b"1")]]
    server.http.send_response(stream_id, OK)
    server.http.send_trailers(stream_id, [(b"x-sum", b"2")])
    talk.drive(0.1)
    assert [event.fields for event in trailers(client)] == [[(b"x-sum", b"2")]]
    assert client.complete() == server.complete() == [stream_id]


def test_a_head_response_has_a_length_but_no_body() -> None:
    talk = Talk()
    stream_id = talk.ask(request(b"HEAD"))
    server = talk.server_side.http
    server.send_response(stream_id, [*OK, (b"content-length", b"5")])
    with pytest.raises(MessageError, match="cannot be any"):
        server.send_body(stream_id, b"hello")
    server.finish(stream_id)
    talk.drive(0.1)
    assert talk.client_side.complete() == [stream_id]


def test_informational_responses_come_before_the_final_one() -> None:
    talk = Talk()
    stream_id = talk.ask(GET)
    server = talk.server_side.http
    server.send_informational(stream_id, [(b":status", b"103"), (b"link", b"</a.css>")])
    server.send_informational(stream_id, [(b":status", b"100")])
    server.send_response(stream_id, OK, True)
    with pytest.raises(StreamStateError):
        server.send_informational(stream_id, [(b":status", b"103")])
    talk.drive(0.1)
    got = [(dict(e.fields)[b":status"], e.informational) for e in responses(talk.client_side)]
    assert got == [(b"103", True), (b"100", True), (b"200", False)]


def test_a_connect_stream_becomes_a_tunnel_without_trailers() -> None:
    talk = Talk()
    client, server = talk.client_side, talk.server_side
    stream_id = client.http.send_request(
        [(b":method", b"CONNECT"), (b":authority", b"example.net:22")]
    )
    assert stream_id is not None
    client.http.send_body(stream_id, b"SSH")
    talk.drive(0.1)
    server.http.send_response(stream_id, OK)
    server.http.send_body(stream_id, b"-2.0")
    talk.drive(0.1)
    assert (server.bodies[stream_id], client.bodies[stream_id]) == (b"SSH", b"-2.0")
    for side in (client, server):
        with pytest.raises(StreamStateError):
            side.http.send_trailers(stream_id, [(b"a", b"b")])
        side.http.finish(stream_id)
    talk.drive(0.1)
    assert client.complete() == server.complete() == [stream_id]


def test_cookies_are_joined_for_the_application() -> None:
    talk = Talk()
    talk.ask([*GET, (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")])
    (asked,) = requests(talk.server_side)
    assert asked.fields[4:] == [(b"cookie", b"a=1; b=2"), (b"x", b"y")]


def test_requests_wait_for_the_stream_limit() -> None:
    talk = Talk(server={"max_bidirectional_streams": 2})
    client = talk.client_side.http
    first = client.send_request(GET, True)
    assert client.send_request(GET, True) is not None
    assert client.send_request(GET, True) is None
    talk.drive(0.1)
    assert first is not None
    talk.server_side.http.send_response(first, OK, True)
    talk.drive(0.1)
    assert talk.client_side.of(RequestsAvailable)
    assert client.send_request(GET, True) is not None


def test_a_thousand_requests_leave_nothing_behind() -> None:
    talk = Talk(delay=0.001)
    client, server = talk.client_side, talk.server_side
    sent = answered = 0
    while sent < 1000:
        while sent < 1000 and client.http.send_request(GET, True) is not None:
            sent += 1
        talk.drive(0.1)
        for asked in requests(server)[answered:]:
            server.http.send_response(asked.stream_id, OK)
            server.say(asked.stream_id, b"x" * 3000)
            answered += 1
        talk.drive(0.2)
    assert len(client.complete()) == 1000
    assert set(client.bodies.values()) == {b"x" * 3000}
    assert client.http.open_requests == server.http.open_requests == 0
    assert server.http.drained()


def test_a_cancelled_request_is_heard_of_and_forgotten() -> None:
    talk = Talk()
    stream_id = talk.ask(request(b"POST"), b"x" * 100)
    talk.client_side.http.cancel(stream_id)
    talk.drive(0.1)
    assert talk.client_side.http.open_requests == 0
    (stopped,) = talk.server_side.of(StopReceived)
    assert stopped == StopReceived(stream_id, H3_REQUEST_CANCELLED)
    with pytest.raises(StreamStateError):
        talk.server_side.http.send_response(stream_id, OK)
    assert talk.server_side.http.open_requests == 0


def test_a_reset_body_is_no_end() -> None:
    talk = Talk()
    client, server = talk.client_side, talk.server_side
    server.reads = False
    stream_id = client.http.send_request(request(b"POST"))
    assert stream_id is not None
    client.http.send_body(stream_id, b"half")
    talk.drive(0.1)
    client.http.cancel(stream_id)
    talk.drive(0.1)
    assert server.of(StreamResetReceived) == [StreamResetReceived(stream_id, H3_REQUEST_CANCELLED)]
    assert server.complete() == []
    assert server.http.open_requests == 0


def test_reading_a_reset_message_raises_while_our_half_is_open() -> None:
    talk = Talk()
    client, server = talk.client_side, talk.server_side
    server.reads = False
    stream_id = client.http.send_request(request(b"POST"))
    assert stream_id is not None
    client.http.send_body(stream_id, b"half")
    talk.drive(0.1)
    talk.client.reset(stream_id, H3_REQUEST_CANCELLED)
    talk.drive(0.1)
    with pytest.raises(StreamReset):
        server.http.read_body(stream_id, 100, talk.now)
    server.http.send_response(stream_id, OK, True)
    assert server.http.open_requests == 0


def test_a_server_may_answer_early_and_stop_the_upload() -> None:
    talk = Talk(server={"stream_window": 10_000})
    talk.server_side.reads = False
    stream_id = talk.ask(request(b"POST"), BODY)
    server, client = talk.server_side, talk.client_side
    server.http.send_response(stream_id, [(b":status", b"413")])
    server.say(stream_id, b"too much")
    server.http.stop_reading(stream_id)
    talk.drive(0.2)
    assert client.of(StopReceived) == [StopReceived(stream_id, H3_NO_ERROR)]
    assert client.bodies[stream_id] == b"too much"
    assert client.complete() == [stream_id]
    assert server.http.open_requests == client.http.open_requests == 0


def test_sending_after_a_stop_says_so() -> None:
    talk = Talk()
    client = talk.client_side.http
    stream_id = client.send_request(request(b"POST"))
    assert stream_id is not None
    talk.drive(0.1)
    talk.server_side.http.stop_reading(stream_id)
    talk.drive(0.1)
    with pytest.raises((StopSending, StreamStateError)):
        client.send_body(stream_id, b"more")


def test_what_would_be_malformed_is_not_sent() -> None:
    talk = Talk()
    client = talk.client_side.http
    with pytest.raises(MessageError):
        client.send_request([*GET, (b"X-Upper", b"1")])
    with pytest.raises(MessageError):
        client.send_request([*GET, (b"x", b"a\r\nb: c")])
    stream_id = client.send_request(request(b"POST", b"/", (b"content-length", b"3")))
    assert stream_id is not None
    with pytest.raises(MessageError, match="content-length is 3"):
        client.send_body(stream_id, b"four")
    client.send_body(stream_id, b"tw")
    with pytest.raises(MessageError, match="after 2 bytes"):
        client.finish(stream_id)
    client.send_body(stream_id, b"o")
    client.finish(stream_id)
    talk.drive(0.1)
    assert talk.server_side.bodies[stream_id] == b"two"


def test_the_peers_section_limit_is_obeyed() -> None:
    talk = Talk(server_settings=Settings(max_field_section_size=1000))
    client = talk.client_side.http
    with pytest.raises(ConfigurationError, match="1000"):
        client.send_request([*GET, (b"x", b"y" * 900)])
    assert client.send_request(GET, True) is not None


def test_events_of_read_body_are_asked_for_afterwards() -> None:
    talk = Talk()
    talk.server_side.reads = False
    stream_id = talk.ask(request(b"POST"), b"abc")
    server = talk.server_side
    assert server.http.read_body(stream_id, 2, talk.now) == (b"ab", False)
    assert server.http.events() == []
    assert server.http.read_body(stream_id, 2, talk.now) == (b"c", True)
    assert server.http.events() == [MessageComplete(stream_id)]
    assert server.http.read_body(stream_id, 2, talk.now) == (b"", True)


def test_the_last_bytes_tell_the_end_even_when_they_fill_the_limit() -> None:
    talk = Talk()
    talk.server_side.reads = False
    stream_id = talk.ask(request(b"POST"), b"abcd")
    assert talk.server_side.http.read_body(stream_id, 4, talk.now) == (b"abcd", True)


def test_a_response_that_waits_for_room_survives_the_end_of_the_request() -> None:
    talk = Talk(server={"send_buffer": 10_000})
    client, server = talk.client_side, talk.server_side
    stream_id = client.http.send_request(request(b"POST"))
    assert stream_id is not None
    talk.drive(0.1)
    server.http.send_response(stream_id, OK)
    server.say(stream_id, BODY[:50_000])
    assert server.to_send == {}  # all is accepted, little of it by QUIC so far
    client.http.finish(stream_id)
    talk.drive(1.0)
    assert client.bodies[stream_id] == BODY[:50_000]
    assert client.complete() == server.complete() == [stream_id]
    assert server.http.open_requests == 0


def test_a_response_that_waits_for_room_can_be_cancelled() -> None:
    talk = Talk(server={"send_buffer": 10_000})
    stream_id = talk.ask(GET)
    server = talk.server_side
    server.http.send_response(stream_id, OK)
    server.say(stream_id, BODY[:50_000])
    server.http.cancel(stream_id)
    talk.drive(1.0)
    assert server.http.open_requests == talk.client_side.http.open_requests == 0
    (reset,) = talk.client_side.of(StreamResetReceived)
    assert reset == StreamResetReceived(stream_id, H3_REQUEST_CANCELLED)


def test_streams_that_were_reset_are_forgotten_by_quic_too() -> None:
    talk = Talk(raw_client=True)
    before = talk.server.state.streams.live()
    for end in (False, True):
        stream_id = talk.raw_request(h3_frame(1, section(*GET)), end=False)
        talk.server_side.http.send_response(stream_id, OK, True)
        if end:
            talk.client.finish(stream_id)
        else:
            talk.client.reset(stream_id, 0)
        unidirectional = talk.raw_uni(b"\x40")
        talk.client.reset(unidirectional, 0)
        talk.drive(0.2)
    assert talk.server.state.streams.live() == before
    assert talk.server_side.http.open_requests == 0


def test_a_short_body_fails_the_message_and_not_the_connection() -> None:
    talk = Talk(raw_client=True)
    stream_id = talk.raw_request(b"", end=False)
    assert talk.close_code() is None
    block = section(*request(b"POST", b"/", (b"content-length", b"5")))
    talk.client.write(stream_id, h3_frame(1, block) + h3_frame(0, b"four"))
    talk.client.finish(stream_id)
    talk.server_side.reads = False
    talk.drive(0.1)
    with pytest.raises(MessageError, match="after 4 bytes"):
        talk.server_side.http.read_body(stream_id, 100, talk.now)
    (failed,) = talk.server_side.http.events()
    assert isinstance(failed, MessageFailed)
    assert failed.code == H3_MESSAGE_ERROR
    assert talk.close_code() is None


def test_a_request_that_cannot_be_whole_leaves_no_trace() -> None:
    talk = Talk()
    http = talk.client_side.http
    with pytest.raises(MessageError, match="content-length is 5"):
        http.send_request(request(b"POST", b"/", (b"content-length", b"5")), True)
    assert http.open_requests == 0
    assert talk.ask(GET) == 0  # the stream was not even opened
    assert len(requests(talk.server_side)) == 1


def test_a_response_that_cannot_be_whole_leaves_room_for_another() -> None:
    talk = Talk()
    stream_id = talk.ask(GET)
    http = talk.server_side.http
    with pytest.raises(MessageError, match="content-length is 5"):
        http.send_response(stream_id, [*OK, (b"content-length", b"5")], True)
    http.send_response(stream_id, [(b":status", b"500")], True)
    talk.drive(0.1)
    assert [answer.fields for answer in responses(talk.client_side)] == [[(b":status", b"500")]]
    assert http.open_requests == talk.client_side.http.open_requests == 0


def test_trailers_that_cannot_be_sent_leave_the_message_as_it_was() -> None:
    talk = Talk(client_settings=Settings(max_field_section_size=200))
    stream_id = talk.ask(GET)
    http = talk.server_side.http
    http.send_response(stream_id, OK)
    with pytest.raises(MessageError):
        http.send_trailers(stream_id, [(b":status", b"200")])
    with pytest.raises(ConfigurationError):
        http.send_trailers(stream_id, [(b"note", bytes(b"x" * 500))])
    http.cancel(stream_id)
    talk.drive(0.1)
    assert http.open_requests == talk.client_side.http.open_requests == 0
