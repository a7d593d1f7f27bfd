"""How connections end (RFC 9000 10)."""

from __future__ import annotations

import pytest

from ropewalk.quic.types.errors import (
    ApplicationError,
    ConnectionRefused,
    IdleTimeout,
    StatelessReset,
    TransportError,
)
from ropewalk.quic.types.events import ConnectionClosed, ConnectionClosing
from ropewalk.quic.types.local import SEND_FAILED, LocalChange
from tests.connection.pair import SERVER, Pair, forge


def test_application_close_reaches_the_peer_with_code_and_words() -> None:
    pair = Pair().connect()
    pair.client.close(42, "enough", pair.now)
    pair.drive(0.02)
    error = pair.server.close_error
    assert isinstance(error, ApplicationError)
    assert (error.code, error.reason, error.from_peer, error.number) == (42, "enough", True, 542)
    pair.drive(3.0)
    assert pair.client.closed
    assert pair.server.closed
    assert pair.client_endpoint.connections() == []
    assert pair.server_endpoint.connections() == []


def test_close_is_idempotent_and_events_come_once() -> None:
    pair = Pair().connect()
    pair.client.close(1, "first", pair.now)
    pair.client.close(2, "second", pair.now)
    pair.drive(3.0)
    pair.client.close(3, "third", pair.now)
    kinds = [type(event) for event in pair.client_events]
    assert kinds.count(ConnectionClosing) == 1
    assert kinds.count(ConnectionClosed) == 1
    error = pair.client.close_error
    assert isinstance(error, ApplicationError)
    assert error.code == 1


def test_close_before_the_handshake_hides_the_applications_words() -> None:
    pair = Pair()
    pair.drive(0.011)
    pair.client.close(42, "secret reason", pair.now)
    pair.drive(0.05)
    error = pair.server.close_error
    # RFC 9000 10.2.3: APPLICATION_ERROR with an empty reason phrase
    assert isinstance(error, TransportError)
    assert (error.code, error.reason) == (0x0C, "")


def test_a_lost_close_is_repeated_for_what_still_arrives() -> None:
    pair = Pair().connect()
    pair.to_server = lambda data: []
    pair.client.close(9, "", pair.now)
    pair.flush()
    pair.to_server = lambda data: [data]
    sent = len(pair.sent_to_server)
    stream = pair.server.open_stream()
    assert stream is not None
    pair.server.write(stream, b"are you there?")
    pair.drive(0.05)
    assert len(pair.sent_to_server) > sent
    assert isinstance(pair.server.close_error, ApplicationError)


def test_closing_answers_ever_more_rarely() -> None:
    pair = Pair().connect()
    pair.client.close(9, "", pair.now)
    pair.flush()
    pair.wire.clear()
    before = len(pair.sent_to_server)
    for _ in range(64):
        pair.deliver_to_client(forge(pair.server, b"\x01"))
        pair.client_endpoint.touch(pair.client)
        while (burst := pair.client_endpoint.transmit(pair.now)) is not None:
            pair.sent_to_server.append(burst.data)
    assert 1 <= len(pair.sent_to_server) - before <= 7


def test_idle_connections_end_on_both_sides_without_a_word() -> None:
    pair = Pair(client={"idle_timeout": 5.0}, server={"idle_timeout": 60.0}).connect()
    sent = len(pair.sent_to_server), len(pair.sent_to_client)
    pair.drive(3.5)
    assert pair.client.active
    pair.drive(2.0)
    assert isinstance(pair.client.close_error, IdleTimeout)
    assert isinstance(pair.server.close_error, IdleTimeout)
    assert (len(pair.sent_to_server), len(pair.sent_to_client)) == sent


def test_keep_alive_keeps_an_idle_connection_alive() -> None:
    pair = Pair(client={"idle_timeout": 5.0, "keep_alive": 2.0}).connect()
    pair.drive(60.0)
    assert pair.client.active
    assert pair.server.active
    assert len(pair.sent_to_server) < 80


def test_idle_timeout_is_never_shorter_than_three_probe_timeouts() -> None:
    pair = Pair(client={"idle_timeout": 0.5}, delay=0.5)
    pair.drive(4.0)
    assert pair.client.handshake_confirmed
    pto = pair.client.state.probe_timeout()
    assert 3 * pto > 0.5
    # the server moved last, about half a round trip ago
    pair.drive(0.6)
    assert pair.client.active


def test_a_server_that_lost_its_state_resets_the_connection() -> None:
    pair = Pair().connect()
    # forget everything about the connection, as after a crash; keys stay
    for table in (pair.server_endpoint._by_cid,):
        table.clear()
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, b"x" * 500)
    before = len(pair.sent_to_client)
    pair.drive(0.021)
    resets = pair.sent_to_client[before:]
    assert len(resets) == 1
    assert 21 <= len(resets[0]) < 500
    assert isinstance(pair.client.close_error, StatelessReset)
    pair.drive(3.0)
    assert pair.client.closed


def test_resets_are_smaller_than_what_triggers_them_and_limited_in_rate() -> None:
    pair = Pair().connect()
    sizes = []
    for size in (22, 23, 30, 43, 44, 100, 1200):
        pair.deliver_to_server(b"\x40" + bytes([size % 256]) * (size - 1))
        burst = pair.server_endpoint.transmit(pair.now)
        assert burst is not None, size
        assert len(burst.data) < size
        sizes.append(len(burst.data))
    pair.deliver_to_server(b"\x40" + bytes(20))
    assert pair.server_endpoint.transmit(pair.now) is None
    for _ in range(500):
        pair.deliver_to_server(b"\x40" + bytes(99))
    count = 0
    while pair.server_endpoint.transmit(pair.now) is not None:
        count += 1
    assert count <= 100


def test_a_forged_reset_does_not_end_the_connection() -> None:
    pair = Pair().connect()
    pair.deliver_to_client(b"\x40" + bytes(40))
    assert pair.client.active


def test_refused_port_ends_the_connection_only_before_the_first_authentic_packet() -> None:
    refused = LocalChange(SEND_FAILED, "refused", SERVER)
    pair = Pair()
    pair.client_endpoint.on_local(0, refused, pair.now)
    assert isinstance(pair.client.close_error, ConnectionRefused)
    assert str(SERVER) in str(pair.client.close_error)

    pair = Pair().connect()
    pair.client_endpoint.on_local(0, refused, pair.now)
    assert pair.client.active


def test_using_a_closed_connection_raises_why_it_closed() -> None:
    pair = Pair().connect()
    pair.server.close(5, "gone", pair.now)
    pair.drive(0.05)
    with pytest.raises(ApplicationError, match="gone"):
        pair.client.open_stream()


def test_drained_connections_leave_nothing_in_the_endpoints_tables() -> None:
    pair = Pair().connect()
    pair.client.close(0, "", pair.now)
    pair.drive(5.0)
    for endpoint in (pair.client_endpoint, pair.server_endpoint):
        assert endpoint._by_cid == {}
        assert endpoint._by_connection == {}
        assert len(endpoint._reset_tokens) == 0
        assert endpoint._half_open == 0
        assert endpoint.deadline() == float("inf")
