"""How connections end, on the wire (RFC 9000 10)."""

from __future__ import annotations

import pytest

from ropewalk.quic.types.errors import StatelessReset
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.wire.frames import ConnectionCloseFrame
from tests.conformance.wire import ELSEWHERE, Watched, seal
from tests.connection.pair import Pair

PING = b"\x01\x00\x00\x00"


def closes(pair: Watched, side: str) -> list[int]:
    """The levels of the packets with CONNECTION_CLOSE, in order."""
    watch = getattr(pair, f"{side}_watch")
    return [one.level for one in watch.sent if one.has(ConnectionCloseFrame)]


def test_closing_and_draining_last_three_probe_timeouts() -> None:
    pair = Pair().connect()
    client, server = 3 * pair.client.state.probe_timeout(), 3 * pair.server.state.probe_timeout()
    begun = pair.now
    pair.client.close(1, "", pair.now)
    pair.drive(pair.delay)
    assert not pair.server.active, "the close has arrived"
    pair.drive(begun + client - 0.001 - pair.now)
    assert not pair.client.closed
    assert not pair.server.closed
    pair.drive(begun + client + 0.001 - pair.now)
    assert pair.client.closed
    pair.drive(begun + pair.delay + server + 0.001 - pair.now)
    assert pair.server.closed


def test_an_address_that_appears_while_closing_gets_nothing() -> None:
    pair = Watched().connect()
    pair.server.close(1, "", pair.now)
    pair.server_bursts()
    for _ in range(8):
        pair.deliver_to_server(seal(pair.client, PING), ELSEWHERE)
    assert all(remote != ELSEWHERE for remote, _ in pair.server_bursts())


def test_draining_sends_nothing_whatever_arrives() -> None:
    pair = Pair().connect()
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, bytes(100_000))
    pair.flush()
    pair.server.close(1, "", pair.now)
    pair.drive(pair.delay)
    assert not pair.client.active
    sent = len(pair.sent_to_server)
    for _ in range(40):
        pair.deliver_to_client(seal(pair.server, PING))
        pair.drive(0.001)
    assert not pair.client.closed
    assert len(pair.sent_to_server) == sent
    pair.drive(5.0)
    assert len(pair.sent_to_server) == sent


def test_a_confirmed_connection_closes_in_1_rtt_alone() -> None:
    pair = Watched().connect()
    pair.client.close(1, "", pair.now)
    pair.inject(True, b"\x1e")
    pair.flush()
    for side in ("client", "server"):
        assert closes(pair, side) == [ONE_RTT]
    assert pair.sent_to_server[-1][0] & 0x80 == 0


def test_a_server_closes_at_each_level_that_the_client_may_read() -> None:
    pair = Watched()
    pair.drive(0.0101)
    assert not pair.server.handshake_complete
    pair.server.close(1, "secret", pair.now)
    pair.flush()
    assert closes(pair, "server") == [INITIAL, HANDSHAKE]
    pair.drive(0.05)
    assert not pair.client.active


def test_a_client_that_is_not_confirmed_closes_in_handshake_and_1_rtt() -> None:
    pair = Watched()
    pair.drive(0.0201)
    assert pair.client.handshake_complete
    assert not pair.client.handshake_confirmed
    pair.client.close(1, "secret", pair.now)
    pair.flush()
    assert closes(pair, "client") == [HANDSHAKE, ONE_RTT]


def test_no_packet_is_shorter_than_a_reset_would_be() -> None:
    pair = Watched().connect()
    for _ in range(5):
        pair.client.ping(pair.now)
        pair.drive(0.1)
    pair.client.close(0, "", pair.now)
    pair.drive(0.1)
    # 22 bytes more than the connection IDs that the peer asks for
    for packets in (pair.client_watch.sent, pair.server_watch.sent):
        assert min(one.size for one in packets) >= 22 + 8


# -- stateless resets


@pytest.mark.parametrize("own_id", [False, True])
@pytest.mark.parametrize("version", [b"\x00\x00\x00\x01", b"\x0b\xad\xca\xfe"])
def test_a_reset_may_wear_a_long_header(own_id: bool, version: bytes) -> None:
    pair = Pair().connect()
    token = pair.client.state.path.peer_ids.current.reset_token
    cid = pair.client.own_cids()[0] if own_id else b"whatever"
    packet = b"\xe0" + version + b"\x08" + cid + b"\x08" + bytes(8) + bytes(40)
    pair.deliver_to_client(packet + bytes(16))
    assert pair.client.active
    pair.deliver_to_client(packet + token)
    assert isinstance(pair.client.close_error, StatelessReset)


def test_a_reset_to_our_own_id_is_recognised() -> None:
    pair = Pair().connect()
    token = pair.client.state.path.peer_ids.current.reset_token
    pair.deliver_to_client(b"\x40" + pair.client.own_cids()[0] + bytes(30) + token)
    assert isinstance(pair.client.close_error, StatelessReset)


def test_a_reset_connection_falls_silent() -> None:
    pair = Pair().connect()
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, bytes(100_000))
    pair.flush()
    sent = len(pair.sent_to_server)
    token = pair.client.state.path.peer_ids.current.reset_token
    pair.deliver_to_client(b"\x40" + bytes(40) + token)
    for _ in range(10):
        pair.deliver_to_client(seal(pair.server, PING))
        pair.drive(0.01)
    assert not pair.client.closed
    pair.drive(5.0)
    assert len(pair.sent_to_server) == sent
    assert pair.client.closed
