"""What goes along with packets that leave for another reason (RFC 9000 13.2.1, 9002 6.2.4)."""

from __future__ import annotations

import pytest

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import HandshakeTimeout
from ropewalk.quic.types.events import ConnectionClosing, PathMigrated
from ropewalk.quic.types.local import BLOCKED, WRITABLE, LocalChange
from tests.connection.pair import Pair


@pytest.mark.parametrize("what", ["probes", "pings"])
def test_an_acknowledgment_that_got_lost_is_repeated(what: str) -> None:
    # Once it was not. After an outage in which all ACKs were lost, a sender whose window was
    # full and whose probes had backed off to a minute heard the peer ask and ask, learned
    # nothing of its data, and fell idle (found by the property machine, seed 1660).
    pair = Pair().connect()
    pair.drive(1.0)
    pair.to_client = lambda _: []
    stream = pair.client.open_stream()
    answer = pair.server.open_stream(False)
    assert stream is not None
    assert answer is not None
    pair.client.write(stream, bytes(100))
    if what == "probes":
        pair.server.write(answer, bytes(100))
    pair.drive(0.05)
    assert pair.client.undelivered() == 100
    pair.to_server = lambda _: []
    pair.to_client = lambda datagram: [datagram]
    if what == "pings":
        pair.server.ping(pair.now)
    pair.drive(1.0)
    assert pair.client.undelivered() == 0


def test_a_rebinding_before_the_handshake_is_confirmed_is_survived() -> None:
    # Once the client probed with Handshake packets alone, for which the server had no keys any
    # more, and the server spoke to the old address alone: neither ever learned better
    # (found by the property machine, seed 15977).
    pair = Pair()
    pair.drive(0.025)
    assert pair.client.handshake_complete
    pair.server_endpoint.on_local(0, LocalChange(BLOCKED), pair.now)
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, bytes(20_000))
    pair.drive(0.02)
    assert pair.server.handshake_complete
    old, pair.client_address = pair.client_address, Address("198.51.100.77", 7777)
    pair.to_client = lambda datagram: [datagram] if pair.server.remote != old else []
    pair.server_endpoint.on_local(0, LocalChange(WRITABLE), pair.now)
    pair.drive(10.0)
    assert pair.server.remote == pair.client_address
    assert pair.client.undelivered() == 0


@pytest.mark.parametrize("start", [7.0843, 0.1, 33.3, 1e6 / 3])
def test_a_handshake_that_takes_too_long_is_called_so(start: float) -> None:
    # Once a rounding error made an idle timeout of it (property machine, seed 15489).
    pair = Pair(server={"idle_timeout": 0.0})
    pair.now = start
    pair.to_client = lambda _: []
    pair.drive(40.0)
    assert isinstance(pair.server.close_error, HandshakeTimeout)


def test_a_close_from_a_new_address_moves_nothing_any_more() -> None:
    # Once the path migrated, and told so, after the connection had begun to drain
    # (found by the property machine, seed 19927).
    pair = Pair().connect()
    pair.client_address = Address("198.51.100.77", 7777)
    pair.client.close(7, "moved and done", pair.now)
    pair.drive(0.5)
    kinds = [type(event) for event in pair.server_events]
    assert ConnectionClosing in kinds
    assert PathMigrated not in kinds
