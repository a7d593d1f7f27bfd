"""What happens before a connection exists: Retry, version negotiation, refusal, caps."""

from __future__ import annotations

import pytest

from ropewalk.quic.endpoint import Incoming
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import (
    ConfigurationError,
    HandshakeTimeout,
    TransportError,
    Unsupported,
    VersionMismatch,
)
from ropewalk.quic.types.events import TokenReceived
from ropewalk.quic.types.identity import ReplayGuard, TicketStore
from ropewalk.quic.wire.header import encode_version_negotiation, parse_long_header
from tests.connection.pair import Pair


def test_incoming_tells_server_name_and_protocols_before_anything_is_decided() -> None:
    pair = Pair(client={"alpn": ("one", "test")})
    pair.drive(0.011)
    incoming = pair.incoming[0]
    assert incoming.server_name == "localhost"
    assert incoming.alpns == ("one", "test")
    assert not incoming.token_valid


def test_retry_makes_the_client_prove_its_address() -> None:
    pair = Pair()
    seen: list[bool] = []

    def decide(incoming: Incoming) -> None:
        seen.append(incoming.token_valid)
        if incoming.token_valid:
            pair.accept(incoming)
        else:
            incoming.retry(pair.now)

    pair.on_incoming = decide
    pair.connect()
    assert seen == [False, True]
    assert pair.server.state.path.active.validated
    assert pair.client.state.retry_source_cid is not None


def test_second_retry_is_ignored_and_forged_ones_too() -> None:
    pair = Pair()
    pair.on_incoming = lambda incoming: incoming.retry(pair.now)
    pair.flush()
    pair.drive(0.011)
    retry = pair.sent_to_client[0]
    pair.wire.clear()
    forged = retry[:-1] + bytes([retry[-1] ^ 1])
    pair.deliver_to_client(forged)
    assert pair.client.state.retry_source_cid is None
    pair.deliver_to_client(retry)
    first = pair.client.state.retry_source_cid
    assert first is not None
    dropped = pair.client.counters.packets_dropped
    pair.deliver_to_client(retry)
    assert pair.client.counters.packets_dropped == dropped + 1
    assert pair.client.state.retry_source_cid == first


def test_retry_token_of_another_address_is_refused_with_invalid_token() -> None:
    pair = Pair()
    pair.on_incoming = lambda incoming: incoming.retry(pair.now)
    pair.drive(0.02)  # the Retry has arrived and is answered
    pair.client_address = Address("198.51.100.77", 50000)
    pair.on_incoming = pair.accept
    pair.drive(0.05)
    error = pair.client.close_error
    assert isinstance(error, TransportError)
    assert error.code == 0x0B
    assert pair.servers == []


def test_expired_retry_token_is_refused() -> None:
    pair = Pair()
    pair.on_incoming = lambda incoming: incoming.retry(pair.now)
    pair.drive(0.025)
    held = [item[2] for item in pair.wire if item[1]]
    pair.wire.clear()
    assert held
    pair.now += 31.0
    for datagram in held:
        pair.deliver_to_server(datagram)
    assert pair.server_endpoint.incoming() == []
    burst = pair.server_endpoint.transmit(pair.now)
    assert burst is not None
    pair.deliver_to_client(burst.data)
    error = pair.client.close_error
    assert isinstance(error, TransportError)
    assert error.code == 0x0B


def test_refusal_closes_with_connection_refused() -> None:
    pair = Pair()
    pair.on_incoming = lambda incoming: incoming.refuse(pair.now)
    pair.drive(0.03)
    error = pair.client.close_error
    assert isinstance(error, TransportError)
    assert error.code == 0x02
    assert error.from_peer


def test_ignored_clients_run_into_their_timeout() -> None:
    pair = Pair(client={"handshake_timeout": 3.0})
    pair.on_incoming = lambda incoming: incoming.ignore()
    pair.drive(4.0)
    assert isinstance(pair.client.close_error, HandshakeTimeout)


def test_an_incoming_connection_is_decided_once() -> None:
    pair = Pair()
    pair.drive(0.011)
    with pytest.raises(ConfigurationError, match="already"):
        pair.incoming[0].refuse(pair.now)


def test_unknown_versions_are_answered_with_a_version_negotiation() -> None:
    pair = Pair()
    pair.flush()
    initial = pair.sent_to_server[0]
    pair.wire.clear()
    strange = initial[:1] + bytes.fromhex("0badcafe") + initial[5:]
    pair.deliver_to_server(strange)
    burst = pair.server_endpoint.transmit(pair.now)
    assert burst is not None
    header = parse_long_header(burst.data, 0, len(burst.data))
    sent = parse_long_header(initial, 0, len(initial))
    assert header is not None
    assert sent is not None
    assert 1 in header.versions
    assert header.destination_cid == sent.source_cid
    assert header.source_cid == sent.destination_cid
    # 6: not in answer to a datagram too small to be an Initial
    pair.deliver_to_server(strange[:1199])
    assert pair.server_endpoint.transmit(pair.now) is None


def test_client_aborts_on_a_version_negotiation_that_lacks_its_version() -> None:
    pair = Pair()
    pair.flush()
    sent = parse_long_header(pair.sent_to_server[0], 0, 1200)
    assert sent is not None
    offered = encode_version_negotiation(
        sent.source_cid, sent.destination_cid, [0x6B3343CF, 0x1A2A3A4A], 0
    )
    pair.deliver_to_client(offered)
    error = pair.client.close_error
    assert isinstance(error, VersionMismatch)
    assert error.offered == (0x6B3343CF, 0x1A2A3A4A)
    assert "0x6b3343cf" in str(error)


def test_client_ignores_a_version_negotiation_that_lists_its_version_or_is_not_for_it() -> None:
    pair = Pair()
    pair.flush()
    sent = parse_long_header(pair.sent_to_server[0], 0, 1200)
    assert sent is not None
    for destination, source, versions in (
        (sent.source_cid, sent.destination_cid, [1, 0x6B3343CF]),
        (sent.source_cid, b"\x01" * 8, [0x6B3343CF]),
        (b"\x02" * 8, sent.destination_cid, [0x6B3343CF]),
    ):
        pair.deliver_to_client(encode_version_negotiation(destination, source, versions, 0))
        assert pair.client.active
    pair.connect()
    pair.deliver_to_client(
        encode_version_negotiation(sent.source_cid, sent.destination_cid, [0x6B3343CF], 0)
    )
    assert pair.client.active


def test_half_open_connections_are_capped() -> None:
    pair = Pair(endpoint={"max_half_open": 3})
    others = [
        pair.client_endpoint.open(pair.client_config, pair.client.remote, 0, pair.now)
        for _ in range(5)
    ]
    pair.to_client = lambda data: []
    pair.drive(0.02)
    assert len(pair.servers) == 3
    assert pair.server_endpoint.counters.connections_refused >= 3
    assert len(others) == 5


def test_connections_are_capped_and_the_refused_are_told() -> None:
    pair = Pair(endpoint={"max_connections": 1}).connect()
    late = pair.client_endpoint.open(pair.client_config, pair.client.remote, 0, pair.now)
    pair.drive(0.1)
    assert isinstance(late.close_error, TransportError)
    assert late.close_error.code == 0x02
    assert pair.server.active


def test_half_a_client_hello_is_kept_only_for_a_while() -> None:
    pair = Pair()
    pair.flush()
    first = pair.sent_to_server[0]
    pair.wire.clear()
    pair.deliver_to_server(first)
    assert pair.server_endpoint.incoming() == []
    assert pair.server_endpoint._door.waiting() == 1
    pair.now += 5.1
    pair.server_endpoint.on_timeout(pair.now)
    assert pair.server_endpoint._door.waiting() == 0


def test_a_late_copy_of_the_first_flight_does_not_knock_again() -> None:
    pair = Pair().connect()
    for datagram in pair.sent_to_server[:2]:
        pair.deliver_to_server(datagram)
    assert pair.server_endpoint.incoming() == []
    assert pair.server.active


class OnceOnly(ReplayGuard):
    """Remembers every token for good."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[bytes, float] = {}

    def first_use(self, identifier: bytes, expires: float) -> bool:
        fresh = identifier not in self.seen
        self.seen[identifier] = expires
        return fresh


def test_a_guarded_token_opens_the_door_once() -> None:
    guard = OnceOnly()
    pair = Pair(endpoint={"replay_guard": guard}).connect()
    token = next(event.token for event in pair.client_events if isinstance(event, TokenReceived))
    for expected in (True, False):
        # made from one seed, so with one root secret
        again = Pair(client={"token": token}, endpoint={"replay_guard": guard})
        again.drive(0.05)
        assert again.incoming[0].token_valid is expected
        assert again.servers


def test_session_tickets_are_unsupported_and_say_so() -> None:
    class Store(TicketStore):
        """Never asked."""

    with pytest.raises(Unsupported, match="resumption"):
        Pair(client={"tickets": Store()})
