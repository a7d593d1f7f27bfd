"""Requirements on connection IDs (RFC 9000 5.1, 7.2, 7.3, 19.15, 19.16)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ropewalk.quic.path.connection_ids import PeerConnectionIds
from ropewalk.quic.protection.burst import BurstWriter
from ropewalk.quic.protection.initial import initial_protection
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION, TRANSPORT_PARAMETER_ERROR
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL
from ropewalk.quic.wire.frames import NewConnectionIdFrame, RetireConnectionIdFrame
from ropewalk.quic.wire.header import PACKET_INITIAL, write_long_header
from ropewalk.quic.wire.transport_parameters import TransportParameters
from ropewalk.quic.wire.writers import write_new_connection_id
from tests.conformance.wire import NUMBERED, Watched, long_headers, seal
from tests.connection.pair import Pair, frame

PING = b"\x01\x00\x00\x00"
#: MAX_DATA, which no Initial or Handshake packet may carry: whoever processes it closes.
FORBIDDEN = b"\x10\x00\x00\x00"


def test_issued_connection_ids_are_numbered_in_a_row() -> None:
    pair = Watched().connect()
    for watch in (pair.client_watch, pair.server_watch):
        announced = watch.frames(NewConnectionIdFrame)
        numbers = [
            one.sequence_number for one in announced if isinstance(one, NewConnectionIdFrame)
        ]
        assert numbers == list(range(1, 8))
        for one in announced:
            assert isinstance(one, NewConnectionIdFrame)
            assert one.retire_prior_to <= one.sequence_number


def test_every_issued_id_is_accepted_until_it_is_retired() -> None:
    pair = Pair().connect()
    counters = pair.server.counters
    ids = pair.client.state.path.peer_ids
    for one in [ids.current, *ids.spare]:
        before = counters.packets_received
        pair.deliver_to_server(seal(pair.client, PING, destination=one.connection_id))
        assert counters.packets_received == before + 1
    gone = ids.spare[2]
    pair.inject(True, bytes([0x19, gone.sequence]))
    before = counters.packets_received
    pair.deliver_to_server(seal(pair.client, PING, destination=gone.connection_id))
    assert counters.packets_received == before


def test_a_retired_connection_id_is_replaced() -> None:
    pair = Watched().connect()
    assert len(pair.server.own_cids()) == 8
    pair.inject(True, b"\x19\x03")
    pair.drive(0.1)
    assert len(pair.server.own_cids()) == 8
    newest = pair.server_watch.frames(NewConnectionIdFrame)[-1]
    assert isinstance(newest, NewConnectionIdFrame)
    assert newest.sequence_number == 8


@pytest.mark.parametrize("host", ["192.0.2.1", "203.0.113.9"])
def test_another_route_gets_another_connection_id(host: str) -> None:
    pair = Watched().connect()
    ids = pair.server.state.path.peer_ids
    former = ids.current.connection_id
    pair.client_address = Address(host, 61234)
    pair.client.ping(pair.now)
    pair.drive(0.011)
    moved = pair.server_bursts() or [(pair.client_address, pair.sent_to_client[-1:])]
    for _, datagrams in moved:
        for datagram in datagrams:
            assert datagram[1:9] == ids.current.connection_id != former


def test_the_id_of_a_route_that_was_left_is_retired() -> None:
    pair = Watched().connect()
    former = pair.server.state.path.peer_ids.current
    pair.client_address = Address("192.0.2.1", 61234)
    pair.client.ping(pair.now)
    pair.drive(1.0)
    assert RetireConnectionIdFrame(former.sequence) in pair.server_watch.frames(
        RetireConnectionIdFrame
    )
    assert former.connection_id not in pair.client.own_cids()


def test_as_many_ids_as_allowed_may_be_replaced_at_once() -> None:
    ids = PeerConnectionIds(b"0" * 8, 4)
    for sequence in range(1, 4):
        ids.add(sequence, 0, bytes([sequence]) * 8, bytes([sequence]) * 16)
    for sequence in range(4, 8):
        ids.add(sequence, 4, bytes([sequence]) * 8, bytes([sequence]) * 16)
    assert ids.current.sequence == 4
    assert [one.sequence for one in ids.spare] == [5, 6, 7]
    assert sorted(ids.retirements) == [0, 1, 2, 3]


def test_twice_the_allowed_ids_may_be_on_their_way_out() -> None:
    ids = PeerConnectionIds(b"0" * 8, 4)
    for sequence in range(1, 9):
        ids.add(sequence, sequence, bytes([sequence]) * 8, bytes([sequence]) * 16)
    assert ids.unacknowledged_retirements == 8


def test_a_lost_retirement_is_sent_again() -> None:
    pair = Watched().connect()
    former = pair.server.state.path.peer_ids.current
    pair.to_client = lambda data: []
    pair.server.state.path.peer_ids.rotate()
    pair.server.ping(pair.now)
    pair.drive(0.5)
    assert former.connection_id in pair.client.own_cids()
    pair.to_client = lambda data: [data]
    pair.drive(2.0)
    assert former.connection_id not in pair.client.own_cids()
    assert len(pair.server_watch.frames(RetireConnectionIdFrame)) > 1


def test_a_retirement_is_sent_to_another_id() -> None:
    pair = Pair().connect()
    former = pair.client.state.path.peer_ids.current.connection_id
    sent = len(pair.sent_to_server)
    pair.client.state.path.peer_ids.rotate()
    pair.client.ping(pair.now)
    pair.drive(0.1)
    later = pair.sent_to_server[sent:]
    assert later
    assert all(datagram[1:9] != former for datagram in later)
    assert former not in pair.server.own_cids()


def test_the_same_announcement_may_come_again() -> None:
    pair = Pair().connect()
    one = pair.client.state.path.own_ids.active[3]
    again = frame(write_new_connection_id, one.sequence, 0, one.connection_id, one.reset_token)
    spare = [known.sequence for known in pair.server.state.path.peer_ids.spare]
    for _ in range(5):
        pair.inject(True, again)
        assert pair.server.active, pair.server.close_error
    assert [known.sequence for known in pair.server.state.path.peer_ids.spare] == spare


def test_a_smaller_retire_prior_to_changes_nothing() -> None:
    ids = PeerConnectionIds(b"0" * 8, 4)
    ids.add(3, 2, b"3" * 8, b"c" * 16)
    retired = list(ids.retirements)
    ids.add(4, 1, b"4" * 8, b"d" * 16)
    ids.add(5, 0, b"5" * 8, b"e" * 16)
    assert ids.retire_prior_to == 2
    assert ids.retirements == retired
    assert ids.current.sequence == 3


def test_a_new_id_for_a_peer_without_ids_is_a_protocol_violation() -> None:
    ids = PeerConnectionIds(b"", 4)
    with pytest.raises(TransportError) as caught:
        ids.add(1, 0, b"1" * 8, b"a" * 16)
    assert caught.value.code == PROTOCOL_VIOLATION


# -- the handshake


def test_the_clients_first_destination_id_is_long_and_stays_until_it_is_answered() -> None:
    pair = Pair()
    pair.to_server = lambda data: []
    pair.drive(8.0)
    headers = [header for one in pair.sent_to_server for header in long_headers(one)]
    assert len(headers) > 6
    assert len({header.destination_cid for header in headers}) == 1
    assert len(headers[0].destination_cid) >= 8


@pytest.mark.parametrize("length", [0, 7, 8, 20])
def test_a_first_destination_id_below_eight_bytes_is_dropped(length: int) -> None:
    pair = Watched()
    pair.flush()
    pair.wire.clear()
    hello = pair.client_watch.sent[0].payload
    destination = bytes(range(length))
    payload = hello + bytes(1200 - len(hello))
    header = write_long_header(
        PACKET_INITIAL, 1, destination, b"client", b"", 0, 4, len(payload) + 16
    )
    burst = BurstWriter()
    burst.add(initial_protection(1, destination)[0], 0, 0, header, 4, payload)
    pair.deliver_to_server(burst.finish())
    assert pair.server_endpoint._door.waiting() == (1 if length >= 8 else 0)


def test_packets_with_another_source_id_are_discarded() -> None:
    pair = Pair()
    pair.drive(0.011)
    strange = seal(pair.client, FORBIDDEN + bytes(1200), INITIAL, source=b"stranger")
    dropped = pair.server.counters.packets_dropped
    pair.deliver_to_server(strange)
    assert pair.server.active
    assert pair.server.counters.packets_dropped == dropped + 1
    # the same from the right place is heard
    other = Pair()
    other.drive(0.011)
    other.deliver_to_server(seal(other.client, FORBIDDEN + bytes(1200), INITIAL))
    assert not other.server.active

    pair.drive(0.0105)
    dropped = pair.client.counters.packets_dropped
    pair.deliver_to_client(seal(pair.server, FORBIDDEN, HANDSHAKE, source=b"stranger"))
    assert pair.client.active
    assert pair.client.counters.packets_dropped == dropped + 1


def test_the_first_initial_sets_the_destination_id_for_good() -> None:
    pair = Pair()
    pair.drive(0.011)
    bent = seal(pair.server, PING, INITIAL, source=b"stranger")
    pair.connect()
    pair.deliver_to_client(bent)
    client_cid = pair.client.state.path.own_ids.active[0].connection_id
    towards_client = [header for one in pair.sent_to_client for header in long_headers(one)]
    assert {header.destination_cid for header in towards_client} == {client_cid}
    (chosen,) = {header.source_cid for header in towards_client}
    towards_server = [header for one in pair.sent_to_server for header in long_headers(one)]
    assert towards_server[-1].destination_cid == chosen
    assert {header.destination_cid for header in towards_server[2:]} == {chosen}
    assert all(header.packet_type in NUMBERED for header in towards_server)


@pytest.mark.parametrize("retried", [False, True])
def test_connection_ids_that_do_not_match_the_parameters_are_found_out(retried: bool) -> None:
    pair = Pair()

    def decide(incoming: object) -> None:
        one = pair.incoming[-1]
        if retried and not one.token_valid:
            one.retry(pair.now)
        else:
            pair.accept(one)

    pair.on_incoming = decide
    pair.connect()
    check = pair.client._handshaking._authenticate
    honest = pair.client.state.peer_parameters
    assert honest is not None
    check(honest)
    for bent in (
        replace(honest, initial_source_connection_id=None),
        replace(honest, initial_source_connection_id=b"stranger"),
        replace(honest, original_destination_connection_id=None),
        replace(honest, original_destination_connection_id=b"stranger"),
        replace(honest, retry_source_connection_id=None if retried else b""),
        replace(honest, retry_source_connection_id=b"stranger"),
    ):
        with pytest.raises(TransportError) as caught:
            check(bent)
        assert caught.value.code == TRANSPORT_PARAMETER_ERROR
    for source in (None, b"", b"stranger"):
        with pytest.raises(TransportError) as caught:
            pair.server._handshaking._authenticate(
                TransportParameters(initial_source_connection_id=source)
            )
        assert caught.value.code == TRANSPORT_PARAMETER_ERROR
