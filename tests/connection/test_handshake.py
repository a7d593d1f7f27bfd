"""The handshake as a connection sees it (RFC 9000 7, RFC 9001 4)."""

from __future__ import annotations

from ropewalk.quic.types.errors import HandshakeError, HandshakeTimeout, TransportError
from ropewalk.quic.types.events import HandshakeComplete, HandshakeConfirmed, TokenReceived
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL
from tests.connection.pair import Pair, forge


def test_both_sides_complete_and_confirm() -> None:
    pair = Pair().connect()
    for events in (pair.client_events, pair.server_events):
        assert HandshakeComplete("test", early_data_accepted=False) in events
        assert HandshakeConfirmed() in events


def test_default_client_hello_spans_two_padded_initials_with_the_hybrid_group() -> None:
    pair = Pair()
    pair.flush()
    assert [len(one) for one in pair.sent_to_server] == [1200, 1200]
    pair.connect()
    assert pair.client.key_exchange_group == "X25519MLKEM768"


def test_initial_and_handshake_keys_are_gone_once_confirmed() -> None:
    pair = Pair().connect()
    for side in (pair.client, pair.server):
        assert side.state.initial is None
        assert side.state.handshake_level is None


def test_server_gives_the_client_a_token_for_next_time() -> None:
    pair = Pair().connect()
    tokens = [event.token for event in pair.client_events if isinstance(event, TokenReceived)]
    assert len(tokens) == 1
    again = Pair(client={"token": tokens[0]})
    # the same root secret: the pair is made from one seed
    again.drive(0.05)
    assert again.incoming[0].token_valid


def test_connection_ids_are_issued_up_to_the_peers_limit() -> None:
    pair = Pair().connect()
    for side in (pair.client, pair.server):
        assert len(side.own_cids()) == 8
        assert len(side.state.path.peer_ids.spare) == 7


def test_wrong_alpn_ends_with_no_application_protocol() -> None:
    pair = Pair(client={"alpn": ("other",)})
    pair.drive(1.0)
    error = pair.client.close_error
    assert isinstance(error, HandshakeError)
    assert (error.alert, error.code, error.from_peer) == (120, 0x178, True)
    assert isinstance(pair.server.close_error, HandshakeError)


def test_handshake_survives_the_loss_of_every_single_datagram() -> None:
    for direction in ("to_server", "to_client"):
        for lost in range(6):
            pair = Pair()
            seen = [0]

            def drop_one(data: bytes, lost: int = lost, seen: list[int] = seen) -> list[bytes]:
                seen[0] += 1
                return [] if seen[0] - 1 == lost else [data]

            setattr(pair, direction, drop_one)
            pair.drive(10.0)
            assert pair.client.handshake_confirmed, (direction, lost)
            assert pair.server.handshake_confirmed, (direction, lost)


def test_handshake_survives_duplicated_and_reversed_datagrams() -> None:
    pair = Pair()
    pair.to_server = lambda data: [data, data]
    pair.to_client = lambda data: [data, data]
    pair.connect()
    assert pair.server.counters.duplicates > 0 or pair.server.counters.packets_dropped > 0

    pair = Pair()
    pair.flush()
    assert len(pair.wire) == 2
    pair.wire.reverse()
    pair.wire = [(pair.now + 0.01 + i / 1000, True, one[2]) for i, one in enumerate(pair.wire)]
    pair.connect()


def test_silence_ends_in_a_handshake_timeout_after_thirty_seconds() -> None:
    pair = Pair()
    pair.to_server = lambda data: []
    pair.drive(29.9)
    assert pair.client.active
    pair.drive(0.2)
    assert isinstance(pair.client.close_error, HandshakeTimeout)
    assert "never answered" in str(pair.client.close_error)
    assert pair.client.closed
    # and PTO backed off meanwhile: two datagrams each, doubling from one second
    assert len(pair.sent_to_server) <= 16


def test_corrupted_handshake_datagrams_are_dropped_and_repaired() -> None:
    pair = Pair()
    damaged = [0]

    def corrupt(data: bytes) -> list[bytes]:
        damaged[0] += 1
        if damaged[0] % 3 == 0:
            middle = len(data) // 2
            return [data[:middle] + bytes([data[middle] ^ 0x55]) + data[middle + 1 :]]
        return [data]

    pair.to_server = corrupt
    pair.to_client = corrupt
    pair.drive(20.0)
    assert pair.client.handshake_confirmed
    assert pair.server.handshake_confirmed


def test_client_initials_in_small_datagrams_are_ignored() -> None:
    pair = Pair()
    pair.flush()
    pair.wire.clear()
    pair.deliver_to_server(pair.sent_to_server[0][:1199])
    assert pair.server_endpoint.counters.datagrams_dropped == 1
    assert pair.server_endpoint.incoming() == []


def test_frames_that_do_not_belong_into_a_handshake_packet_close_the_connection() -> None:
    for level in (INITIAL, HANDSHAKE):
        pair = Pair()
        pair.drive(0.015)
        assert pair.servers
        # MAX_DATA is a 1-RTT frame
        pair.deliver_to_client(forge(pair.server, bytes.fromhex("1000"), level))
        if level == HANDSHAKE and pair.client.active:
            # without keys yet, the packet waits for them
            pair.drive(0.02)
        error = pair.client.close_error
        assert isinstance(error, TransportError), level
        assert (error.code, error.frame_type) == (0x0A, 0x10)


def test_server_sends_no_more_than_three_times_what_it_received_before_validation() -> None:
    pair = Pair()
    pair.to_client = lambda data: []
    pair.drive(0.5)
    pair.to_server = lambda data: []
    pair.drive(8.0)
    route = pair.server.state.path.active
    assert not route.validated
    assert route.bytes_received < route.bytes_sent <= 3 * route.bytes_received
    assert sum(len(one) for one in pair.sent_to_client) == route.bytes_sent
