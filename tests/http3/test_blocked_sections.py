"""Field sections that wait for the QPACK encoder stream (RFC 9204 2.1.2)."""

from __future__ import annotations

from ropewalk.http3.errors import QPACK_DECOMPRESSION_FAILED
from ropewalk.http3.settings import Settings
from tests.http3.talk import GET, SETTINGS_STREAM, Talk, h3_frame, request, requests, section

DYNAMIC = Settings(qpack_max_table_capacity=4096, qpack_blocked_streams=1)

#: Required Insert Count 1, Base 1, four literals and dynamic entry 0
WAITING = b"\x02\x00" + section(*request(b"POST"))[2:] + b"\x80"
#: capacity 4096, insert x-name: value
INSERTION = b"\x3f\xe1\x1f" + b"\x46x-name" + b"\x05value"


def test_a_blocked_request_is_told_when_its_table_entry_comes() -> None:
    talk = Talk(raw_client=True, server_settings=DYNAMIC)
    talk.raw_uni(SETTINGS_STREAM)
    encoder = talk.raw_uni(b"\x02")
    stream_id = talk.raw_request(h3_frame(1, WAITING) + h3_frame(0, b"body"))
    assert requests(talk.server_side) == []
    talk.client.write(encoder, INSERTION)
    talk.drive(0.1)
    (asked,) = requests(talk.server_side)
    assert asked.fields == [*request(b"POST"), (b"x-name", b"value")]
    assert talk.server_side.bodies[stream_id] == b"body"
    assert talk.server_side.complete() == [stream_id]
    # our decoder stream: its type, and the acknowledgment of the section
    assert talk.client.read(talk.opened_by_server[2], 100) == (b"\x03\x80", False)
    assert talk.close_code() is None


def test_more_blocked_requests_than_allowed_close_the_connection() -> None:
    talk = Talk(raw_client=True, server_settings=DYNAMIC)
    talk.raw_request(h3_frame(1, WAITING))
    assert talk.close_code() is None
    talk.raw_request(h3_frame(1, WAITING))
    assert talk.close_code() == QPACK_DECOMPRESSION_FAILED


def test_a_blocked_request_that_is_reset_is_cancelled_at_the_encoder() -> None:
    talk = Talk(raw_client=True, server_settings=DYNAMIC)
    stream_id = talk.raw_request(h3_frame(1, WAITING), end=False)
    talk.client.reset(stream_id, 1)
    talk.drive(0.1)
    assert talk.client.read(talk.opened_by_server[2], 100) == (b"\x03\x40", False)
    assert talk.server_side.http.open_requests == 0
    # the place is free again
    talk.raw_request(h3_frame(1, section(*GET)))
    assert len(requests(talk.server_side)) == 1


def test_insertions_are_confirmed_without_any_section() -> None:
    talk = Talk(raw_client=True, server_settings=DYNAMIC)
    talk.raw_uni(b"\x02" + INSERTION)
    assert talk.client.read(talk.opened_by_server[2], 100) == (b"\x03\x01", False)
