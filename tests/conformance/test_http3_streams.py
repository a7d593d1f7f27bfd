"""The streams of HTTP/3 and what goes on them (RFC 9114 6, 7; RFC 9204 3.2, 4.2)."""

from __future__ import annotations

import pytest

from ropewalk.http3.errors import H3_FRAME_UNEXPECTED
from ropewalk.http3.frames import (
    CANCEL_PUSH,
    DATA,
    GOAWAY,
    HEADERS,
    MAX_PUSH_ID,
    PUSH_PROMISE,
    SETTINGS,
)
from ropewalk.http3.settings import Settings
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.quic.types.events import StreamOpened, StreamStoppedByPeer
from ropewalk.quic.wire.reader import Reader
from tests.http3.talk import GET, OK, SETTINGS_STREAM, Talk, h3_frame, request, requests, section

#: DATA, HEADERS and so on; the rest of the small numbers was HTTP/2's.
LEFT_OVER = (0x02, 0x06, 0x08, 0x09)


def frames_of(data: bytes) -> list[tuple[int, bytes]]:
    """The frames in the bytes of a stream."""
    reader = Reader(data)
    found = []
    while reader.remaining():
        kind = int(reader.varint())
        found.append((kind, reader.take(reader.varint())))
    return found


class Listener(Talk):
    """Our HTTP/3 at one end, and at the other somebody who notes down every stream."""

    def __init__(self, *, ours_is_client: bool, **settings: object) -> None:
        super().__init__(
            raw_client=not ours_is_client,
            raw_server=ours_is_client,
            **settings,  # type: ignore[arg-type]  # tests name the fields
        )
        self.ours_is_client = ours_is_client
        self.heard: dict[int, bytes] = {}
        self.ended: list[int] = []

    def listen(self) -> None:
        """Read all streams that ours has opened, as far as they go."""
        raw = self.server if self.ours_is_client else self.client
        events = self.server_events if self.ours_is_client else self.client_events
        for event in events:
            if not isinstance(event, StreamOpened) or event.stream_id in self.ended:
                continue
            while True:
                data, end = raw.read(event.stream_id, 65536)
                self.heard[event.stream_id] = self.heard.get(event.stream_id, b"") + data
                if end:
                    self.ended.append(event.stream_id)
                if end or not data:
                    break

    def unidirectional(self) -> dict[int, bytes]:
        """The unidirectional streams of ours by their type, without it."""
        self.listen()
        found = {}
        for stream_id, data in self.heard.items():
            if stream_id & 2:
                assert data[0] not in found, "a second stream of a kind"
                assert stream_id not in self.ended
                found[data[0]] = data[1:]
        return found


def busy(ours_is_client: bool, *, settings: bytes = SETTINGS_STREAM) -> Listener:
    """Ours after requests, responses, a cancelled request and a GOAWAY."""
    talk = Listener(ours_is_client=ours_is_client)
    talk.raw_uni(settings, from_client=not ours_is_client)
    for number in range(3):
        if ours_is_client:
            stream_id = talk.ask(GET, None if number else b"body")
            talk.server.write(stream_id, h3_frame(HEADERS, section((b":status", b"200"))))
            talk.server.finish(stream_id)
            talk.drive(0.1)
        else:
            stream_id = talk.raw_request(h3_frame(HEADERS, section(*GET)))
            side = talk.server_side
            side.http.send_response(stream_id, [*OK, (b"server", b"x" * 50)])
            side.say(stream_id, b"body")
            talk.drive(0.1)
    if ours_is_client:
        talk.client_side.http.cancel(talk.ask(request(b"POST"), b"x"))
        talk.client_side.http.goaway()
    else:
        talk.server_side.http.goaway()
    talk.drive(0.2)
    assert talk.close_code() is None
    return talk


both = pytest.mark.parametrize("ours_is_client", [True, False], ids=["client", "server"])


@both
def test_our_control_stream_begins_with_settings_and_stays_open(ours_is_client: bool) -> None:
    frames = frames_of(busy(ours_is_client).unidirectional()[0])
    kinds = [kind for kind, _ in frames]
    assert kinds[0] == SETTINGS
    assert kinds.count(SETTINGS) == 1
    assert kinds.count(GOAWAY) == 1
    known = {kind for kind in kinds if kind <= MAX_PUSH_ID}
    assert known == {SETTINGS, GOAWAY}
    reader = Reader(frames[0][1])
    identifiers = []
    while reader.remaining():
        identifiers.append(int(reader.varint()))
        reader.varint()
    assert len(identifiers) == len(set(identifiers))
    assert not set(identifiers) & {0, 2, 3, 4, 5}


@both
def test_each_side_opens_its_three_streams_once(ours_is_client: bool) -> None:
    talk = busy(ours_is_client)
    assert sorted(talk.unidirectional()) == [0, 2, 3]
    assert [stream_id >> 2 for stream_id in sorted(talk.heard) if stream_id & 2] == [0, 1, 2]


@both
@pytest.mark.parametrize("capacity", [0, 4096])
def test_our_encoder_stream_has_nothing_but_its_type(ours_is_client: bool, capacity: int) -> None:
    table = b"\x01" + bytes([0x40 | capacity >> 8, capacity & 255])
    allowed = h3_frame(SETTINGS, table + b"\x07\x10")
    talk = busy(ours_is_client, settings=b"\x00" + allowed)
    assert talk.unidirectional()[2] == b""


def test_a_client_says_nothing_of_pushes() -> None:
    talk = busy(True)
    control = {kind for kind, _ in frames_of(talk.unidirectional()[0])}
    assert not control & {MAX_PUSH_ID, CANCEL_PUSH}
    for stream_id, data in talk.heard.items():
        if not stream_id & 2:
            assert PUSH_PROMISE not in {kind for kind, _ in frames_of(data)}


def test_a_request_is_headers_data_and_trailers() -> None:
    talk = Listener(ours_is_client=True)
    http = talk.client_side.http
    stream_id = http.send_request(request(b"POST"))
    assert stream_id == 0
    http.send_body(0, b"body")
    http.send_trailers(0, [(b"x-sum", b"1")])
    talk.drive(0.1)
    talk.listen()
    kinds = [kind for kind, _ in frames_of(talk.heard[0])]
    assert [kind for kind in kinds if kind < 0x21] == [HEADERS, DATA, HEADERS]
    assert not set(kinds) & set(LEFT_OVER)
    assert talk.ended == [0]


def test_many_requests_take_a_stream_each() -> None:
    talk = Listener(ours_is_client=True)
    asked = [talk.ask(GET) for _ in range(4)]
    talk.listen()
    assert asked == [0, 4, 8, 12]
    for stream_id in asked:
        kinds = [kind for kind, _ in frames_of(talk.heard[stream_id])]
        assert kinds.count(HEADERS) == 1
        assert stream_id in talk.ended


@both
def test_the_peer_may_open_three_unidirectional_streams(ours_is_client: bool) -> None:
    talk = Listener(ours_is_client=ours_is_client)
    raw = talk.server if ours_is_client else talk.client
    told = raw.state.peer_parameters
    assert told is not None
    assert told.initial_max_streams_uni >= 3
    assert told.initial_max_stream_data_uni >= 1024


def test_the_default_limits_leave_room_for_requests() -> None:
    talk = Listener(ours_is_client=False)
    told = talk.client.state.peer_parameters
    assert told is not None
    assert told.initial_max_streams_bidi >= 100
    assert told.initial_max_stream_data_bidi_remote >= 65536
    opened = [talk.client.open_stream() for _ in range(100)]
    assert None not in opened
    fields = Configuration.__dataclass_fields__
    assert fields["max_bidirectional_streams"].default >= 100


@both
def test_the_peers_critical_streams_are_never_stopped(ours_is_client: bool) -> None:
    talk = busy(ours_is_client)
    for kind in (2, 3):
        talk.raw_uni(bytes([kind]), from_client=not ours_is_client)
    talk.drive(1.0)
    events = talk.server_events if ours_is_client else talk.client_events
    stopped = [event.stream_id for event in events if isinstance(event, StreamStoppedByPeer)]
    assert [stream_id for stream_id in stopped if stream_id & 2] == []


@both
def test_a_long_control_stream_is_never_blocked(ours_is_client: bool) -> None:
    small: dict[str, object] = {"stream_window": 4096, "stream_window_limit": 4096}
    talk = Listener(ours_is_client=ours_is_client, client=small, server=small)
    raw = talk.server if ours_is_client else talk.client
    control = talk.raw_uni(SETTINGS_STREAM, from_client=not ours_is_client)
    left = h3_frame(0x21, b"grease" * 100) * 200
    while left:
        accepted = raw.write(control, left)
        left = left[accepted:]
        talk.drive(0.2)
    talk.drive(2.0)
    assert raw.undelivered() == 0
    assert talk.close_code() is None


@both
def test_our_settings_go_out_with_the_first_packets(ours_is_client: bool) -> None:
    # the peer sends nothing at all on its streams
    talk = Listener(ours_is_client=ours_is_client)
    assert frames_of(talk.unidirectional()[0])[0][0] == SETTINGS


@both
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (None, {0x06: 65536}),
        (Settings(max_field_section_size=None), {}),
        (Settings(max_field_section_size=0), {0x06: 0}),
        (
            Settings(
                max_field_section_size=1234,
                qpack_max_table_capacity=4096,
                qpack_blocked_streams=16,
                others=((0x4D46, 7), (0x4D45, 0)),
            ),
            {0x01: 4096, 0x06: 1234, 0x07: 16, 0x4D46: 7, 0x4D45: 0},
        ),
    ],
    ids=["ours", "defaults", "zero", "all"],
)
def test_every_setting_that_is_not_at_its_default_is_sent(
    ours_is_client: bool, settings: Settings | None, told: dict[int, int]
) -> None:
    named: dict[str, object] = {
        "client_settings" if ours_is_client else "server_settings": settings
    }
    talk = Listener(ours_is_client=ours_is_client, **named)
    kind, payload = frames_of(talk.unidirectional()[0])[0]
    assert kind == SETTINGS
    reader = Reader(payload)
    sent = {}
    while reader.remaining():
        identifier = int(reader.varint())
        sent[identifier] = int(reader.varint())
    meaningless = [one for one in sent if one >= 0x21 and (one - 0x21) % 0x1F == 0]
    assert len(meaningless) == 1
    assert {one: value for one, value in sent.items() if one not in meaningless} == told


def test_settings_that_came_before_the_first_request_are_known_to_it() -> None:
    talk = Talk(server_settings=Settings(max_field_section_size=200))
    http = talk.client_side.http
    assert http.peer_settings.max_field_section_size == 200
    with pytest.raises(ConfigurationError, match="the peer accepts 200"):
        http.send_request(request(b"GET", b"/", (b"x-long", b"x" * 200)), True)


def test_requests_do_not_wait_for_the_servers_settings() -> None:
    talk = Listener(ours_is_client=True)
    stream_id = talk.ask(GET)
    talk.listen()
    assert frames_of(talk.heard[stream_id])[0][0] == HEADERS
    assert talk.client_side.http.peer_settings.max_field_section_size is None


# -- frames where they must not be


@pytest.mark.parametrize("kind", [SETTINGS, GOAWAY])
@pytest.mark.parametrize("after", [True, False])
def test_frames_that_belong_elsewhere_in_a_response(kind: int, after: bool) -> None:
    talk = Talk(raw_server=True)
    stream_id = talk.ask(GET)
    payload = b"" if kind == SETTINGS else b"\x00"
    head = h3_frame(HEADERS, section((b":status", b"200"))) if after else b""
    talk.server.write(stream_id, head + h3_frame(kind, payload))
    talk.drive(0.1)
    assert talk.close_code() == H3_FRAME_UNEXPECTED


def test_frames_that_belong_elsewhere_on_the_control_stream() -> None:
    for kind in (PUSH_PROMISE, DATA, HEADERS, *LEFT_OVER):
        talk = Talk(raw_server=True)
        talk.raw_uni(SETTINGS_STREAM + h3_frame(kind, b"\x00\x00\x00"), from_client=False)
        assert talk.close_code() == H3_FRAME_UNEXPECTED


def test_a_tunnel_carries_data_alone() -> None:
    for kind, payload in ((HEADERS, section((b"t", b"1"))), (SETTINGS, b""), (GOAWAY, b"\x00")):
        talk = Talk(raw_client=True)
        connect = section((b":method", b"CONNECT"), (b":authority", b"example.net:22"))
        stream_id = talk.raw_request(h3_frame(HEADERS, connect), end=False)
        assert len(requests(talk.server_side)) == 1
        talk.server_side.http.send_response(stream_id, OK)
        talk.client.write(stream_id, h3_frame(DATA, b"x"))
        talk.drive(0.1)
        assert talk.close_code() is None
        talk.client.write(stream_id, h3_frame(kind, payload))
        talk.drive(0.1)
        assert talk.close_code() == H3_FRAME_UNEXPECTED
