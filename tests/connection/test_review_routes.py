"""Path validation when datagrams are lost, and answers to routes that went away."""

from __future__ import annotations

from ropewalk.quic.types.address import Address
from tests.connection.pair import Pair, forge


def test_a_lost_path_challenge_is_sent_again() -> None:
    pair = Pair().connect()
    pair.client_address = Address("192.0.2.1", 61234)
    lost = [0]

    def first_large_is_lost(data: bytes) -> list[bytes]:
        if lost[0] < 1:
            lost[0] += 1
            return []
        return [data]

    pair.to_client = first_large_is_lost
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, b"moved" * 200)
    pair.flush()
    pair.now += 0.01
    pair._arrivals()
    pair.flush()
    assert pair.server.state.path.active.challenges_sent == 1
    assert not pair.server.state.path.active.validated
    # nothing more comes from the client: only the server's own timer can repeat it
    pair.to_server = lambda data: [data]
    deadline = pair.server_endpoint.deadline()
    assert deadline < pair.now + 2.0
    pair.drive(1.5)
    assert pair.server.remote == pair.client_address
    assert pair.server.state.path.active.validated


def test_answers_owed_to_a_route_that_is_gone_do_not_block_later_ones() -> None:
    pair = Pair().connect()
    state = pair.server.state
    # a spoofed copy with challenges from an address of which nothing more is heard
    packet = forge(pair.client, b"".join(b"\x1a" + bytes([i]) * 8 for i in range(16)))
    pair.deliver_to_server(packet, Address("203.0.113.66", 9))
    route = state.path.candidates[0]
    route.bytes_sent = 3 * route.bytes_received
    pair.drive(10.0)
    sent = len(pair.sent_to_client)
    pair.inject(True, b"\x1a" + b"realpath")
    pair.flush()
    assert len(pair.sent_to_client) > sent
    assert all(one.route is state.path.active for one in state.path.responses)
    assert state.path.responses == []


def test_answers_to_a_route_without_room_do_not_hold_up_those_of_the_active_one() -> None:
    pair = Pair().connect()
    state = pair.server.state
    packet = forge(pair.client, b"\x1a" + bytes(8))
    pair.deliver_to_server(packet, Address("203.0.113.66", 9))
    route = state.path.candidates[0]
    route.bytes_sent = 3 * route.bytes_received
    pair.inject(True, b"\x1a" + b"realpath")
    pair.flush()
    assert [one.route for one in state.path.responses] == [route]


def test_probes_to_a_candidate_never_exceed_its_amplification_limit() -> None:
    for count in range(1, 17):
        pair = Pair().connect()
        payload = b"".join(b"\x1a" + bytes([i]) * 8 for i in range(count))
        packet = forge(pair.client, payload)
        victim = Address("203.0.113.66", 9)
        pair.deliver_to_server(packet, victim)
        route = pair.server.state.path.candidates[0]
        route.bytes_sent = 3 * route.bytes_received - 70
        while pair.server_endpoint.transmit(pair.now) is not None:
            pass
        assert route.bytes_sent <= 3 * route.bytes_received


def test_a_packet_whose_response_moves_the_peer_may_itself_come_on_the_old_route() -> None:
    pair = Pair().connect()
    path = pair.server.state.path
    elsewhere = Address("192.0.2.1", 61234)
    pair.deliver_to_server(forge(pair.client, b"\x01\x00\x00\x00"), elsewhere)
    moved = path.active
    pair.deliver_to_server(forge(pair.client, b"\x1b" + moved.challenge + b"\x01"))
    assert pair.server.active
    assert moved.validated
    assert path.active is moved
    assert path.candidates == []
    assert path.fallback is None
    # should it really be at home again, its next packet tells
    pair.inject(True, b"\x01")
    assert path.active.remote == pair.client_address


def test_the_server_follows_at_once_and_within_the_amplification_limit() -> None:
    pair = Pair().connect()
    home = pair.server.state.path.active
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, b"send me much")
    pair.drive(0.05)
    pair.server.write(stream, bytes(500_000))
    pair.flush()
    elsewhere = Address("203.0.113.9", 7)
    packet = forge(pair.client, b"\x01\x00\x00\x00")
    pair.deliver_to_server(packet, elsewhere)
    path = pair.server.state.path
    assert path.active.remote == elsewhere
    assert path.fallback is home
    sent = {elsewhere: 0, home.remote: 0}
    while (burst := pair.server_endpoint.transmit(pair.now)) is not None:
        sent[burst.remote] += len(burst.data)
    assert 0 < sent[elsewhere] <= 3 * len(packet)
    assert sent[home.remote] == 1200  # one challenge, for the peer may still be there (9.3.3)


def test_a_genuine_packet_brings_the_server_back_from_a_spoofed_address() -> None:
    pair = Pair().connect()
    path = pair.server.state.path
    home = path.active
    pair.deliver_to_server(forge(pair.client, b"\x01\x00\x00\x00"), Address("203.0.113.9", 7))
    assert path.active is not home
    pair.inject(True, b"\x01")
    assert path.active is home
    assert path.fallback is None
    assert len(pair.server.state.group.controllers) == 1


def test_a_validation_that_fails_leads_back_to_the_last_validated_route() -> None:
    pair = Pair().connect()
    path = pair.server.state.path
    home = path.active
    pair.to_client = lambda data: []
    pair.deliver_to_server(forge(pair.client, b"\x01\x00\x00\x00"), Address("203.0.113.9", 7))
    assert path.active is not home
    pair.drive(10.0)
    assert path.active is home
    assert path.fallback is None
    assert pair.server.active


def test_routes_that_are_only_probed_do_not_stay_for_ever() -> None:
    pair = Pair().connect()
    path = pair.server.state.path
    pair.deliver_to_server(forge(pair.client, b"\x1a" + bytes(8)), Address("192.0.2.1", 61234))
    assert len(path.candidates) == 1
    pair.drive(10.0)
    assert path.candidates == []
