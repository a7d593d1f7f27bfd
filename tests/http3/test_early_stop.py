"""A client that declines the response before its request is here."""

from __future__ import annotations

import pytest

from ropewalk.http3.errors import H3_REQUEST_CANCELLED
from ropewalk.http3.events import RequestReceived, StopReceived
from ropewalk.quic.types.errors import StreamStateError
from tests.http3.talk import GET, Talk, h3_frame, section

DATA, HEADERS = 0, 1
POST = [(name, b"POST" if name == b":method" else value) for name, value in GET]


def test_a_stop_that_overtakes_its_request_is_told_after_it() -> None:
    """Found by cancelling an upload: STOP_SENDING leaves before the stream's own bytes do."""
    talk = Talk(raw_client=True)
    stream_id = talk.client.open_stream()
    assert stream_id is not None
    talk.client.write(stream_id, h3_frame(HEADERS, section(*POST)) + h3_frame(DATA, b"x" * 100))
    talk.client.finish(stream_id)
    talk.client.stop(stream_id, H3_REQUEST_CANCELLED)
    talk.drive(0.1)
    server = talk.server_side
    events = [each for each in server.events if isinstance(each, (RequestReceived, StopReceived))]
    assert [type(each) for each in events] == [RequestReceived, StopReceived]
    assert events[1] == StopReceived(stream_id, H3_REQUEST_CANCELLED)
    with pytest.raises(StreamStateError):
        server.http.send_response(stream_id, [(b":status", b"200")])
    assert server.http.open_requests == 0
