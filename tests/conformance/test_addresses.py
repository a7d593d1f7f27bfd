"""Address validation: what counts, tokens, Retry, sizes (RFC 9000 8.1, 14.1, 17.2.2, 17.2.5)."""

from __future__ import annotations

import pytest

from ropewalk.quic.endpoint import Incoming
from ropewalk.quic.protection.retry import retry_integrity_tag
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import HandshakeTimeout
from ropewalk.quic.types.events import TokenReceived
from ropewalk.quic.types.handshake import INITIAL
from ropewalk.quic.wire.frames import CryptoFrame
from ropewalk.quic.wire.header import (
    PACKET_HANDSHAKE,
    PACKET_INITIAL,
    PACKET_RETRY,
    PACKET_ZERO_RTT,
    LongHeader,
    encode_retry_without_tag,
    encode_version_negotiation,
    parse_long_header,
    write_long_header,
)
from tests.conformance.wire import Seen, Watched, by_datagram, long_headers, seal
from tests.connection.pair import Pair


def initials(datagrams: list[bytes]) -> list[LongHeader]:
    found = [header for one in datagrams for header in long_headers(one)]
    return [header for header in found if header.packet_type == PACKET_INITIAL]


def with_retry(pair: Pair) -> Pair:
    """Let the server send everyone away once."""

    def decide(incoming: Incoming) -> None:
        if incoming.token_valid:
            pair.accept(incoming)
        else:
            incoming.retry(pair.now)

    pair.on_incoming = decide
    return pair


# -- what may be sent


def test_discarded_packets_count_towards_what_may_be_sent() -> None:
    pair = Pair()
    pair.to_client = lambda data: []
    pair.drive(0.011)
    route = pair.server.state.path.active
    assert not route.validated
    cid = pair.server.own_cids()[0]
    junk = write_long_header(PACKET_HANDSHAKE, 1, cid, b"x", b"", 0, 4, 1000) + bytes(1100)
    before = route.bytes_received
    pair.deliver_to_server(junk)
    assert route.bytes_received == before + len(junk)
    assert pair.server.counters.packets_received <= 2


def test_a_token_of_another_address_lifts_no_limit() -> None:
    pair = Pair().connect()
    token = next(event.token for event in pair.client_events if isinstance(event, TokenReceived))
    for address, valid in (("192.0.2.1", True), ("198.51.100.77", False)):
        # made from one seed, so with one root secret
        again = Pair(client={"token": token})
        again.client_address = Address(address, 50000)
        again.to_client = lambda data: []
        again.drive(0.011)
        assert again.incoming[0].token_valid is valid
        assert again.server.state.path.active.validated is valid
    again.drive(5.0)
    route = again.server.state.path.active
    assert route.bytes_sent <= 3 * route.bytes_received


def test_an_unknown_token_is_no_reason_to_refuse() -> None:
    pair = Pair(client={"token": b"made up" * 9})
    pair.connect()
    assert not pair.incoming[0].token_valid


@pytest.mark.parametrize("lost", range(8))
@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_datagrams_with_initials_are_expanded(direction: str, lost: int) -> None:
    pair = Watched()
    seen = [0]

    def drop_some(data: bytes) -> list[bytes]:
        seen[0] += 1
        return [] if lost <= seen[0] - 1 < lost + 3 else [data]

    setattr(pair, direction, drop_some)
    pair.drive(20.0)
    assert pair.client.handshake_confirmed
    for datagram in pair.sent_to_server:
        assert not initials([datagram]) or len(datagram) >= 1200
    grouped = by_datagram(pair.sent_to_client, pair.server_watch.sent)
    for datagram, packets in zip(pair.sent_to_client, grouped, strict=True):
        if any(one.level == INITIAL and one.frames and asks(one) for one in packets):
            assert len(datagram) >= 1200


def asks(seen: Seen) -> bool:
    """Whether a packet asks for an acknowledgment."""
    return seen.payload.strip(b"\0")[:1] not in (b"\x02", b"\x03") or seen.has(CryptoFrame)


def test_a_path_below_1200_bytes_carries_no_connection() -> None:
    for direction in ("to_server", "to_client"):
        pair = Pair()
        setattr(pair, direction, lambda data: [data] if len(data) < 1200 else [])
        pair.drive(31.0)
        assert isinstance(pair.client.close_error, HandshakeTimeout)


def test_a_small_datagram_closes_nothing() -> None:
    pair = Pair()
    pair.drive(0.011)
    dropped = pair.server.counters.packets_dropped
    pair.deliver_to_server(seal(pair.client, b"\x01\x00\x00\x00", INITIAL))
    assert pair.server.active
    assert pair.server.counters.packets_dropped == dropped + 1
    assert pair.connect().server.active


def test_no_datagram_exceeds_1200_bytes_unless_told_to() -> None:
    pair = Pair().connect()
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, bytes(300_000))
    pair.drive(2.0)
    assert max(len(one) for one in pair.sent_to_server + pair.sent_to_client) == 1200


# -- tokens


def test_a_token_from_before_is_in_every_initial() -> None:
    pair = Pair(client={"token": b"from before" * 3})
    pair.to_server = lambda data: []
    pair.drive(8.0)
    found = initials(pair.sent_to_server)
    assert len(found) > 6
    assert {header.token for header in found} == {b"from before" * 3}


def test_the_token_of_a_retry_is_in_every_later_initial() -> None:
    pair = with_retry(Pair(client={"token": b"from before" * 3}))
    pair.drive(0.02)
    retry = parse_long_header(pair.sent_to_client[0], 0, len(pair.sent_to_client[0]))
    assert retry is not None
    assert retry.packet_type == PACKET_RETRY
    first = initials(pair.sent_to_server[:2])
    assert {header.token for header in first} == {b"from before" * 3}
    pair.to_server = lambda data: []
    pair.drive(5.0)
    later = initials(pair.sent_to_server[2:])
    assert len(later) > 3
    assert {header.token for header in later} == {retry.retry_token}
    assert {header.destination_cid for header in later} == {retry.source_cid}
    assert {header.source_cid for header in first + later} == {first[0].source_cid}


def test_only_new_token_frames_give_tokens_for_later() -> None:
    pair = with_retry(Pair())
    pair.connect()
    retry = parse_long_header(pair.sent_to_client[0], 0, len(pair.sent_to_client[0]))
    assert retry is not None
    tokens = [event.token for event in pair.client_events if isinstance(event, TokenReceived)]
    assert len(tokens) == 1
    assert retry.retry_token not in tokens


def test_a_servers_initials_have_no_token() -> None:
    pair = Pair(client={"token": b"from before" * 3}).connect()
    found = initials(pair.sent_to_client)
    assert found
    assert {header.token for header in found} == {b""}


def test_a_servers_initial_with_a_token_is_discarded() -> None:
    pair = Pair()
    pair.drive(0.011)
    # MAX_DATA would close the connection if it were processed
    bent = seal(pair.server, b"\x10\x00\x00\x00", INITIAL, token=b"token")
    pair.deliver_to_client(bent)
    assert pair.client.active
    assert pair.client.counters.packets_dropped == 1
    pair.deliver_to_client(seal(pair.server, b"\x10\x00\x00\x00", INITIAL))
    assert not pair.client.active


# -- Retry


def retry_for(pair: Pair, source: bytes, unused: int = 0) -> bytes:
    """A Retry that is authentic for the client's first Initial."""
    sent = parse_long_header(pair.sent_to_server[0], 0, 1200)
    assert sent is not None
    packet = encode_retry_without_tag(1, sent.source_cid, source, b"token", unused)
    return packet + retry_integrity_tag(1, sent.destination_cid, packet)


def test_a_retry_offers_another_id_and_comes_once() -> None:
    pair = Pair()
    pair.on_incoming = lambda incoming: incoming.retry(pair.now)
    pair.drive(0.011)
    assert len(pair.sent_to_client) == 1
    offered = parse_long_header(pair.sent_to_client[0], 0, len(pair.sent_to_client[0]))
    sent = parse_long_header(pair.sent_to_server[0], 0, 1200)
    assert offered is not None
    assert sent is not None
    assert offered.packet_type == PACKET_RETRY
    assert offered.source_cid != sent.destination_cid


def test_a_retry_that_offers_the_ids_own_copy_is_discarded() -> None:
    pair = Pair()
    pair.flush()
    sent = parse_long_header(pair.sent_to_server[0], 0, 1200)
    assert sent is not None
    pair.deliver_to_client(retry_for(pair, sent.destination_cid))
    assert pair.client.state.retry_source_cid is None
    pair.deliver_to_client(retry_for(pair, b"another!"))
    assert pair.client.state.retry_source_cid == b"another!"


def test_a_retry_after_the_servers_initial_is_discarded() -> None:
    pair = Pair()
    pair.drive(0.0205)
    assert pair.client.state.authenticated_packets > 0
    pair.deliver_to_client(retry_for(pair, b"another!"))
    assert pair.client.state.retry_source_cid is None
    pair.connect()


@pytest.mark.parametrize("unused", range(16))
def test_a_retry_is_taken_whatever_its_unused_bits(unused: int) -> None:
    pair = Pair()
    pair.flush()
    packet = retry_for(pair, b"another!", unused)
    assert packet[0] == 0xF0 | unused
    pair.deliver_to_client(packet)
    assert pair.client.state.retry_source_cid == b"another!"


def test_the_client_hello_after_a_retry_is_the_same_and_numbers_go_on() -> None:
    pair = Watched()
    with_retry(pair)
    pair.connect()
    sent = [one for one in pair.client_watch.sent if one.level == INITIAL]
    numbers = [one.number for one in sent]
    assert numbers == list(range(len(numbers)))
    hellos: list[dict[int, bytes]] = [{}, {}]
    for index, one in enumerate(sent):
        for frame in one.frames:
            if isinstance(frame, CryptoFrame):
                hellos[0 if index < 2 else 1][frame.offset] = frame.data
    first, second = (b"".join(hello[offset] for offset in sorted(hello)) for hello in hellos)
    assert first == second
    assert len(first) > 1200


# -- packets for nobody


def test_packets_that_can_begin_nothing_are_dropped() -> None:
    pair = Pair()
    cid = b"nobody's"
    for packet_type in (PACKET_HANDSHAKE, PACKET_ZERO_RTT):
        header = write_long_header(packet_type, 1, cid, b"x", b"", 0, 4, 1170)
        pair.deliver_to_server(header + bytes(1300 - len(header)))
    retry = encode_retry_without_tag(1, cid, b"x", bytes(1200), 0)
    pair.deliver_to_server(retry + bytes(16))
    pair.deliver_to_server(b"\x80" + bytes(1300))
    assert pair.server_endpoint.counters.datagrams_dropped == 4
    assert pair.server_endpoint.incoming() == []
    assert pair.server_endpoint.transmit(pair.now) is None


@pytest.mark.parametrize("sizes", [(0, 0), (3, 7), (21, 8), (255, 255)])
def test_version_negotiation_asks_nothing_of_an_unknown_version(sizes: tuple[int, int]) -> None:
    pair = Pair()
    destination, source = b"d" * sizes[0], b"s" * sizes[1]
    packet = b"\x80\x0b\xad\xca\xfe" + bytes([sizes[0]]) + destination + bytes([sizes[1]]) + source
    pair.deliver_to_server(packet + b"\xc5" * (1200 - len(packet)))
    burst = pair.server_endpoint.transmit(pair.now)
    assert burst is not None
    answer = parse_long_header(burst.data, 0, len(burst.data))
    assert answer is not None
    assert (answer.destination_cid, answer.source_cid) == (source, destination)
    assert 1 in answer.versions
    assert pair.server_endpoint.transmit(pair.now) is None


def test_a_version_negotiation_is_answered_by_nobody() -> None:
    pair = Pair()
    offer = encode_version_negotiation(b"12345678", b"87654321", list(range(2, 400)), 0)
    assert len(offer) >= 1200
    pair.deliver_to_server(offer)
    assert pair.server_endpoint.transmit(pair.now) is None
    pair.connect()
    sent = len(pair.sent_to_server), len(pair.sent_to_client)
    pair.deliver_to_server(offer)
    pair.deliver_to_client(offer)
    pair.drive(0.5)
    assert (len(pair.sent_to_server), len(pair.sent_to_client)) == sent


def test_a_client_discards_packets_of_another_version() -> None:
    pair = Pair()
    pair.drive(0.011)
    genuine = [item[2] for item in pair.wire if not item[1]]
    assert genuine
    dropped = pair.client.counters.packets_dropped
    pair.deliver_to_client(genuine[0][:1] + b"\x00\x00\x00\x02" + genuine[0][5:])
    assert pair.client.active
    assert pair.client.state.authenticated_packets == 0
    assert pair.client.counters.packets_dropped == dropped + 1
    pair.connect()
