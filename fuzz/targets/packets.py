"""Datagrams from anybody: to endpoints that know nobody yet, and in the middle of connections."""

from __future__ import annotations

from ropewalk.quic.protection.retry import retry_integrity_tag
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConnectionLost
from ropewalk.quic.wire.header import destination_cid, parse_long_header
from tests.connection.pair import Pair

#: The first byte chooses; seeds are datagrams and get this one: a fresh server.
SEED_PREFIX = b"\x00"
STRANGER = Address("203.0.113.9", 999)
#: One connected pair serves so many inputs; nothing unauthenticated may leave a trace in it.
_INPUTS_PER_PAIR = 200


class _Connected:
    """A connected pair that is made anew now and then."""

    def __init__(self) -> None:
        self.used = _INPUTS_PER_PAIR
        self.pair: Pair | None = None

    def take(self) -> Pair:
        self.used += 1
        if self.pair is None or self.used >= _INPUTS_PER_PAIR:
            self.pair = Pair(seed=3).connect()
            self.used = 0
        return self.pair


_CONNECTED = _Connected()


def fuzz_packets(data: bytes) -> None:
    """The first byte: who receives it. The rest is one datagram, or two equal halves."""
    if len(data) < 2:
        return
    choice, datagram = data[0], data[1:]
    check_headers(datagram)
    match choice & 3:
        case 0:
            _fresh_server(datagram)
        case 1:
            _fresh_client(datagram)
        case 2:
            _connected_server(datagram, bool(choice & 4), bool(choice & 8))
        case 3:
            _connected_client(datagram, bool(choice & 4))


def _fresh_server(datagram: bytes) -> None:
    pair = Pair(seed=1)
    pair.deliver_to_server(datagram, STRANGER)
    pair.flush()
    _check_replies(pair, len(datagram))


def _fresh_client(datagram: bytes) -> None:
    """What looks like a Retry gets the tag that makes it one."""
    pair = Pair(seed=1)
    pair.flush()
    header = parse_long_header(pair.sent_to_server[0], 0, 1200)
    assert header is not None
    if datagram[0] & 0xF0 == 0xF0:
        tag = retry_integrity_tag(1, header.destination_cid, datagram)
        datagram += tag
    elif datagram[0] & 0x80:
        # Addressed to the client, or it would be dropped at the first look.
        cid = header.source_cid
        datagram = datagram[:5] + bytes([len(cid)]) + cid + datagram[5:]
    pair.deliver_to_client(datagram)
    pair.drive(0.05)
    _check_endings(pair)


def _connected_server(datagram: bytes, addressed: bool, stranger: bool) -> None:
    pair = _CONNECTED.take()
    if addressed:
        datagram = _addressed(datagram, pair.server.own_cids()[0])
    pair.deliver_to_server(datagram, STRANGER if stranger else None)
    _check_undisturbed(pair, len(datagram))


def _connected_client(datagram: bytes, addressed: bool) -> None:
    pair = _CONNECTED.take()
    if addressed:
        datagram = _addressed(datagram, pair.client.own_cids()[0])
    pair.deliver_to_client(datagram)
    _check_undisturbed(pair, len(datagram))


def _addressed(datagram: bytes, cid: bytes) -> bytes:
    return bytes([datagram[0] & 0x7F | 0x40]) + cid + datagram[1:]


def _check_undisturbed(pair: Pair, size: int) -> None:
    before = len(pair.sent_to_client)
    pair.flush()
    _check_faults(pair)
    assert pair.client.active, pair.client.close_error
    assert pair.server.active, pair.server.close_error
    assert len(pair.server_endpoint.connections()) == 1
    # Nothing but a stateless reset or a version negotiation, never longer than three times.
    assert sum(map(len, pair.sent_to_client[before:])) <= 3 * size
    pair.wire.clear()
    pair.sent_to_client.clear()
    pair.sent_to_server.clear()


def _check_replies(pair: Pair, size: int) -> None:
    assert sum(map(len, pair.sent_to_client)) <= 3 * size
    _check_faults(pair)
    _check_endings(pair)


def _check_faults(pair: Pair) -> None:
    for endpoint in (pair.client_endpoint, pair.server_endpoint):
        for fault in endpoint.take_faults():
            raise fault


def _check_endings(pair: Pair) -> None:
    for connection in (pair.client, *pair.servers):
        error = connection.close_error
        assert error is None or isinstance(error, ConnectionLost), error


def check_headers(datagram: bytes) -> None:
    """The packets of a datagram lie one behind the other and within it."""
    position = 0
    while position < len(datagram):
        header = parse_long_header(datagram, position, len(datagram))
        if header is None:
            return
        assert position < header.end <= len(datagram)
        assert header.destination_cid == destination_cid(datagram, position, len(datagram), 8)
        position = int(header.end)
