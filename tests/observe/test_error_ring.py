"""The ring keeps the newest 256 errors with what is needed to make sense of them."""

from __future__ import annotations

from ropewalk.observe.error_ring import CAPACITY, ErrorRing
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import TransportError
from tests.connection.pair import CLIENT, EPOCH, SERVER, Pair


def ringed(**options: object) -> tuple[Pair, ErrorRing]:
    """A pair whose server's errors are kept."""
    clock = [EPOCH]
    ring = ErrorRing(lambda: clock[0])
    return Pair(server={"observer": ring, **options}), ring


def test_a_broken_rule_is_kept_with_code_ends_and_reason() -> None:
    pair, ring = ringed()
    pair.connect()
    source = pair.server.state.path.own_ids.active[0].connection_id
    pair.client.fail(TransportError(0x03, "beyond the limit"), pair.now)
    pair.drive(1.0)
    [record] = ring.records()
    assert record.number == 503
    assert (record.cause, record.from_peer) == ("transport", True)
    assert record.time == EPOCH
    assert record.source_cid == source
    assert (record.local, record.remote) == (SERVER.ip, str(CLIENT))
    assert record.path_id == 0
    assert record.message == "beyond the limit"


def test_orderly_ends_are_no_errors() -> None:
    for end in (0, 5):
        pair, ring = ringed()
        pair.connect()
        pair.client.close(end, "", pair.now)
        pair.drive(1.0)
        assert [record.number for record in ring.records()] == ([505] if end else [])


def test_timeouts_and_lost_routes_are_errors_without_a_code_of_their_own() -> None:
    pair, ring = ringed(idle_timeout=20.0)
    pair.connect()
    pair.to_client = lambda data: []
    pair.client_address = Address("198.51.100.7", 40000)
    pair.client.ping(pair.now)
    pair.drive(60.0)
    first, *_, last = ring.records()
    assert (first.number, first.cause) == (516, "no_viable_path")
    assert first.remote == "198.51.100.7:40000"
    assert (last.number, last.cause) == (500, "idle_timeout")
    assert last.message.startswith("nothing was heard")


def test_messages_are_cut_to_64_bytes_between_characters() -> None:
    pair, ring = ringed()
    pair.connect()
    pair.server.fail(TransportError(0x0A, "x" * 63 + "\N{PILCROW SIGN}!"), pair.now)
    [record] = ring.records()
    assert record.message == "x" * 63
    assert len(record.message.encode()) <= 64


def test_the_oldest_goes_first() -> None:
    ring = ErrorRing(lambda: 0.0)
    for number in range(CAPACITY + 10):
        ring.add(number, "transport", False, b"", "", "", 0, "")
    numbers = [record.number for record in ring.records()]
    assert numbers == list(range(510, 510 + CAPACITY))
    assert len(numbers) == 256
    assert ring.total == CAPACITY + 10
    ring.clear()
    assert ring.records() == []
