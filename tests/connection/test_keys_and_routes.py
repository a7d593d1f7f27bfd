"""Key update (RFC 9001 6), rebound peers (RFC 9000 9), datagrams (RFC 9221), key limits."""

from __future__ import annotations

import math

import pytest

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.datagrams import Datagrams
from ropewalk.quic.types.errors import TransportError, Unsupported
from ropewalk.quic.types.events import DatagramsReadable, PathMigrated, PathValidated
from tests.connection.pair import Pair, forge


def transfer(pair: Pair, size: int) -> None:
    """Send so many bytes from the client and check that they arrive."""
    stream = pair.client.open_stream()
    assert stream is not None
    data = pair.random.randbytes(size)
    written = pair.client.write(stream, data)
    assert written == size
    pair.client.finish(stream)
    received = b""
    for _ in range(200):
        pair.drive(0.02)
        part, end = pair.server.read(stream, 1 << 20)
        received += part
        if end:
            break
    assert received == data


def test_key_update_by_either_side_while_data_flows() -> None:
    for initiator in ("client", "server"):
        pair = Pair().connect()
        transfer(pair, 50_000)
        side = getattr(pair, initiator)
        assert side.update_keys(pair.now)
        transfer(pair, 50_000)
        transfer(pair, 50_000)
        for end in (pair.client, pair.server):
            assert end.state.keys is not None
            assert end.state.keys.generation == 1
            assert end.counters.key_updates == 1


def test_key_update_waits_for_the_last_one_to_be_seen_through() -> None:
    pair = Pair().connect()
    transfer(pair, 1000)
    assert pair.client.update_keys(pair.now)
    assert not pair.client.update_keys(pair.now)
    transfer(pair, 1000)
    pair.drive(1.0)
    assert pair.client.update_keys(pair.now)
    transfer(pair, 1000)


def test_keys_are_updated_by_themselves_before_their_limit() -> None:
    pair = Pair().connect()
    assert pair.client.state.keys is not None
    pair.client.state.keys.confidentiality_limit = 200
    transfer(pair, 300_000)
    assert pair.client.state.keys.generation >= 1
    assert pair.client.active


def test_used_up_keys_close_the_connection_instead_of_sealing_more() -> None:
    pair = Pair().connect()
    keys = pair.client.state.keys
    assert keys is not None
    keys.confidentiality_limit = 20
    keys._confirmed = False  # no update is allowed
    pair.to_client = lambda data: []
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, bytes(100_000))
    pair.drive(2.0)
    error = pair.client.close_error
    assert isinstance(error, TransportError)
    assert error.code == 0x0F


def test_too_many_forged_packets_close_the_connection() -> None:
    pair = Pair().connect()
    assert pair.server.state.keys is not None
    pair.server.state.keys.integrity_limit = 10
    packet = forge(pair.client, b"\x01\x00\x00\x00")
    for index in range(10):
        assert pair.server.active
        pair.deliver_to_server(packet[:-1] + bytes([(packet[-1] + 1 + index) % 256]))
    error = pair.server.close_error
    assert isinstance(error, TransportError)
    assert error.code == 0x0F


def test_a_rebound_client_is_validated_and_followed() -> None:
    for host in ("192.0.2.1", "203.0.113.9"):
        pair = Pair().connect()
        transfer(pair, 30_000)
        first = pair.server.state.path.active
        pair.client_address = Address(host, 61234)
        transfer(pair, 30_000)
        path = pair.server.state.path
        assert path.active is not first
        assert path.active.validated
        assert pair.server.remote == Address(host, 61234)
        assert PathValidated(0, Address(host, 61234)) in pair.server_events
        assert PathMigrated(0, Address(host, 61234)) in pair.server_events
        # RFC 9000 9.4: what was measured holds when only the port changed
        assert (path.active.recovery is first.recovery) == (host == "192.0.2.1")
        assert pair.client.active


def test_spoofed_addresses_get_no_more_than_three_times_what_they_send() -> None:
    pair = Pair().connect()
    transfer(pair, 30_000)
    home = pair.server.state.path.active
    victim = Address("203.0.113.66", 9)
    packet = forge(pair.client, b"\x01\x00\x00\x00")
    pair.deliver_to_server(packet, victim)
    sent = 0
    for _ in range(50):
        while (burst := pair.server_endpoint.transmit(pair.now)) is not None:
            if burst.remote == victim:
                sent += len(burst.data)
        pair.now += 0.1
        if pair.server_endpoint.deadline() <= pair.now:
            pair.server_endpoint.on_timeout(pair.now)
    assert 0 < sent <= 3 * len(packet)
    assert pair.server.state.path.active is home
    assert pair.server.state.path.candidates == []


def test_unauthentic_packets_from_elsewhere_make_no_route() -> None:
    pair = Pair().connect()
    packet = forge(pair.client, b"\x01\x00\x00\x00")
    broken = packet[:-1] + bytes([packet[-1] ^ 1])
    for port in range(20):
        pair.deliver_to_server(broken, Address("203.0.113.66", 1000 + port))
    assert pair.server.state.path.candidates == []
    assert len(pair.server.state.group.controllers) == 1


def test_clients_ignore_other_servers() -> None:
    pair = Pair().connect()
    packet = forge(pair.server, bytes.fromhex("0a010155"))
    pair.client_endpoint.receive(
        Datagrams(packet, len(packet), 0, "192.0.2.1", Address("203.0.113.66", 443)), pair.now
    )
    assert pair.client.counters.packets_dropped == 1


def test_datagrams_cross_and_are_announced_once() -> None:
    pair = Pair().connect()
    largest = pair.client.max_datagram_size()
    assert largest > 1100
    sent = [b"one", b"", bytes(largest)]
    assert pair.client.send_datagrams(sent) == 3
    pair.drive(0.05)
    assert pair.server_events.count(DatagramsReadable()) == 1
    assert pair.server.receive_datagrams(10) == sent


def test_lost_datagrams_are_not_sent_again() -> None:
    pair = Pair().connect()
    pair.to_server = lambda data: []
    pair.client.send_datagrams([b"gone"])
    pair.flush()
    pair.to_server = lambda data: [data]
    transfer(pair, 100_000)
    pair.drive(2.0)
    assert pair.server.receive_datagrams(10) == []


def test_datagrams_to_a_peer_that_takes_none_are_unsupported() -> None:
    pair = Pair(server={"max_datagram_frame_size": 0}).connect()
    with pytest.raises(Unsupported, match="datagram"):
        pair.client.send_datagrams([b"x"])


def test_datagrams_past_their_deadline_are_dropped() -> None:
    pair = Pair().connect()
    pair.client.send_datagrams([b"late"], 0, pair.now - 1.0)
    pair.client.send_datagrams([b"in time"], 0, math.inf)
    pair.drive(0.05)
    assert pair.server.receive_datagrams(10) == [b"in time"]


def test_acknowledging_a_skipped_packet_number_is_found_out() -> None:
    pair = Pair().connect()
    pair.client._assembler._next_skip = pair.client.state.path.space.ledger.next_packet_number + 2
    stream = pair.client.open_stream()
    assert stream is not None
    pair.to_server = lambda data: []
    pair.client.write(stream, bytes(10_000))
    pair.flush()
    number = pair.client.state.path.space.ledger.skipped[-1]
    payload = b"\x02" + (0x80000000 | number).to_bytes(4, "big") + b"\x00\x00\x00"
    pair.inject(False, payload)
    error = pair.client.close_error
    assert isinstance(error, TransportError)
    assert error.code == 0x0A
