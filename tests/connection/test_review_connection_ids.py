"""Connection IDs under rotation, retirement and retransmission (RFC 9000 5.1, 10.3, 19.15)."""

from __future__ import annotations

from ropewalk.quic.path.connection_ids import OwnConnectionIds, PeerConnectionIds
from ropewalk.quic.types.datagrams import Datagrams
from ropewalk.quic.types.errors import StatelessReset
from tests.connection.pair import Pair, forge


def new_cid(sequence: int, prior: int, fill: int) -> bytes:
    return bytes([0x18, sequence, prior, 8]) + bytes([fill]) * 8 + bytes([fill]) * 16


def test_ids_that_come_and_go_in_one_batch_leave_the_endpoint_in_order() -> None:
    pair = Pair(client={"active_connection_id_limit": 8}).connect()
    pair.inject(True, new_cid(8, 8, 0x88) + new_cid(9, 9, 0x99))
    pair.drive(0.1)
    assert pair.server.active
    assert pair.server.state.path.peer_ids.current.sequence == 9


def test_a_late_copy_of_an_announcement_does_not_revive_a_retired_id() -> None:
    ids = PeerConnectionIds(b"0" * 8, 4)
    ids.add(1, 0, b"1" * 8, b"a" * 16)
    ids.add(2, 0, b"2" * 8, b"b" * 16)
    ids.rotate()
    ids.rotate()
    assert ids.current.sequence == 2
    ids.add(1, 0, b"1" * 8, b"a" * 16)
    assert ids.spare == []
    assert ids.retirements == [0, 1]


def test_an_id_below_the_bound_is_retired_once() -> None:
    ids = PeerConnectionIds(b"0" * 8, 4)
    ids.add(5, 5, b"5" * 8, b"e" * 16)
    assert ids.retirements == [0]
    for _ in range(40):
        ids.add(3, 0, b"3" * 8, b"c" * 16)
    assert ids.retirements == [0, 3]
    assert ids.current.sequence == 5


def test_a_repeated_announcement_may_still_raise_the_bound() -> None:
    ids = PeerConnectionIds(b"0" * 8, 4)
    ids.add(1, 0, b"1" * 8, b"a" * 16)
    ids.add(2, 0, b"2" * 8, b"b" * 16)
    ids.add(2, 2, b"2" * 8, b"b" * 16)
    assert ids.current.sequence == 2
    assert sorted(ids.retirements) == [0, 1]


def test_a_retirement_acknowledged_twice_is_counted_once() -> None:
    pair = Pair().connect()
    ids = pair.server.state.path.peer_ids
    pair.to_client = lambda data: []
    ids.rotate()
    pair.drive(1.0)
    assert pair.server.counters.probe_timeouts > 0
    pair.to_client = lambda data: [data]
    pair.drive(3.0)
    assert ids.unacknowledged_retirements == 0
    assert ids.retirements == []


def test_a_peer_that_retires_without_reading_cannot_pile_up_announcements() -> None:
    ids = OwnConnectionIds(b"0" * 8)
    for sequence in range(1, 1000):
        ids.issue(sequence.to_bytes(8, "big"), bytes(16))
        ids.announce_again(sequence)
        ids.announce_again(sequence)
        ids.retire(sequence, b"0" * 8)
    assert len(ids.announcements) <= 1


def test_a_reset_token_counts_only_once_its_id_is_in_use() -> None:
    pair = Pair().connect()
    spare = pair.client.state.path.peer_ids.spare[0]
    junk = b"\x40" + bytes(30) + spare.reset_token
    pair.deliver_to_client(junk)
    # RFC 9000 10.3.1: tokens of IDs that were never used MUST NOT be checked
    assert pair.client.active
    pair.client.state.path.peer_ids.rotate()
    pair.drive(0.05)
    pair.inject(False, b"\x01")
    pair.deliver_to_client(junk)
    assert isinstance(pair.client.close_error, StatelessReset)


def test_a_lost_announcement_is_repeated_and_the_bound_still_obeyed() -> None:
    pair = Pair(client={"active_connection_id_limit": 4})
    pair.to_client = lambda data: [data] if data[0] & 0x80 else []
    pair.drive(0.05)
    pair.to_client = lambda data: [data]
    pair.drive(3.0)
    assert len(pair.client.state.path.peer_ids.spare) == 3
    assert len(pair.server.own_cids()) == 4


def test_one_datagram_with_packets_of_two_ids_reaches_its_connection() -> None:
    pair = Pair().connect()
    first = forge(pair.client, b"\x01" + bytes(30))
    pair.client.state.path.peer_ids.rotate()
    second = forge(pair.client, b"\x01" + bytes(30))
    assert len(first) == len(second)
    before = pair.server.counters.packets_received
    pair.server_endpoint.receive(
        Datagrams(first + second, len(first), 0, "192.0.2.2", pair.client_address), pair.now
    )
    assert pair.server.counters.packets_received == before + 2
