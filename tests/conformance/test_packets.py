"""Packets, coalesced and bent (RFC 9000 12, 13.4, 17, 18.2, 19; RFC 9001 4 to 6)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ropewalk.quic.types.datagrams import ECN_CE, Datagrams
from ropewalk.quic.types.errors import ConfigurationError, TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.wire.ack import AckFrame
from ropewalk.quic.wire.frames import (
    CryptoFrame,
    HandshakeDoneFrame,
    NewTokenFrame,
    StreamFrame,
    parse_frames,
)
from ropewalk.quic.wire.header import PACKET_HANDSHAKE, PACKET_ZERO_RTT, write_long_header
from tests.conformance.wire import Seen, Watched, by_datagram, long_headers, seal
from tests.connection.pair import SERVER, Pair, forge
from tests.handshake.tls_pair import read_client_hello

PING = b"\x01\x00\x00\x00"
#: MAX_DATA, which no Initial or Handshake packet may carry: whoever processes it closes.
FORBIDDEN = b"\x10\x00\x00\x00"


def code_of(pair: Pair, side: str) -> int | None:
    error = getattr(pair, side).close_error
    if error is None:
        return None
    assert isinstance(error, TransportError)
    return error.code


def lossy(seed: int, **settings: object) -> Watched:
    """A handshake and some data over a wire that loses a fifth of the datagrams."""
    pair = Watched(seed=seed, **settings)

    def perhaps(data: bytes) -> list[bytes]:
        return [] if pair.random.random() < 0.2 else [data]

    pair.to_server = pair.to_client = perhaps
    pair.drive(20.0)
    assert pair.client.handshake_complete
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, bytes(20_000))
    pair.drive(5.0)
    return pair


def acked(packets: list[Seen], level: int) -> set[int]:
    """The packet numbers that ACK frames of a level name."""
    found: set[int] = set()
    for one in packets:
        if one.level != level:
            continue
        for frame in one.frames:
            if isinstance(frame, AckFrame):
                ranges = frame.ranges
                for high, low in zip(ranges[::2], ranges[1::2], strict=True):
                    found.update(range(low, high + 1))
    return found


# -- coalescing (12.2)


def test_coalesced_packets_are_processed_and_acknowledged_one_by_one() -> None:
    pair = Watched()
    pair.drive(0.0201)
    grouped = by_datagram(pair.sent_to_client, pair.server_watch.sent)
    (together,) = [one for one in grouped if len(one) > 1][:1]
    assert [one.level for one in together] == [INITIAL, HANDSHAKE]
    for one in together:
        heard = [seen.number for seen in pair.client_watch.received if seen.level == one.level]
        assert one.number in heard
        assert one.number in acked(pair.client_watch.sent, one.level)


def test_the_servers_first_flight_shares_datagrams() -> None:
    pair = Watched()
    pair.drive(0.0101)
    grouped = by_datagram(pair.sent_to_client, pair.server_watch.sent)
    assert [INITIAL, HANDSHAKE] in [[one.level for one in together] for together in grouped]


@pytest.mark.parametrize("seed", range(6))
def test_no_datagram_holds_two_packets_of_a_level_or_of_two_ids(seed: int) -> None:
    pair = lossy(seed)
    for datagrams, watch in (
        (pair.sent_to_client, pair.server_watch),
        (pair.sent_to_server, pair.client_watch),
    ):
        for one in by_datagram(datagrams, watch.sent):
            levels = [packet.level for packet in one]
            assert len(levels) == len(set(levels))
            assert levels == sorted(levels)
        for datagram in datagrams:
            headers = long_headers(datagram)
            assert len({header.destination_cid for header in headers}) <= 1
            assert len({header.source_cid for header in headers}) <= 1
            if headers and headers[-1].end < len(datagram):
                cid = headers[0].destination_cid
                assert datagram[headers[-1].end + 1 :].startswith(cid)


def client_in_handshake() -> Pair:
    """A pair whose client has Handshake keys and has not been confirmed."""
    pair = Pair()
    pair.drive(0.0201)
    assert pair.client.state.handshake_level is not None
    assert pair.client.state.handshake_level.receive is not None
    return pair


@pytest.mark.parametrize("stranger", [False, True])
def test_coalesced_packets_for_another_id_are_ignored(stranger: bool) -> None:
    pair = client_in_handshake()
    first = seal(pair.server, PING, HANDSHAKE)
    cid = b"stranger" if stranger else None
    pair.deliver_to_client(first + seal(pair.server, FORBIDDEN, HANDSHAKE, destination=cid))
    assert pair.client.active is stranger


@pytest.mark.parametrize("stranger", [False, True])
def test_a_coalesced_short_header_for_another_id_is_ignored(stranger: bool) -> None:
    pair = Pair()
    pair.drive(0.0201)
    for _, to_server, data in list(pair.wire):
        if to_server and data[0] & 0x80:
            pair.deliver_to_server(data)
    assert pair.server.handshake_complete
    assert pair.server.state.handshake_level is not None
    first = seal(pair.server, PING, HANDSHAKE)
    cid = b"stranger" if stranger else None
    # a frame of unknown type closes the connection of whoever processes it
    pair.deliver_to_client(first + seal(pair.server, b"\x21\x00\x00\x00", destination=cid))
    assert pair.client.active is stranger


def test_what_cannot_be_opened_does_not_spoil_the_rest_of_its_datagram() -> None:
    pair = client_in_handshake()
    bad = bytearray(seal(pair.server, PING, HANDSHAKE))
    bad[-1] ^= 1
    before = pair.client.counters.packets_received
    pair.deliver_to_client(bytes(bad) + seal(pair.server, PING, HANDSHAKE))
    assert pair.client.counters.packets_received == before + 1
    assert pair.client.counters.failed_openings == 1


# -- numbers, frames and bits


def test_a_forged_copy_is_a_failed_opening_and_no_duplicate() -> None:
    pair = Pair().connect()
    packet = forge(pair.client, PING)
    pair.deliver_to_server(packet)
    failed = pair.server.counters.failed_openings
    pair.deliver_to_server(packet[:-1] + bytes([packet[-1] ^ 1]))
    assert pair.server.counters.duplicates == 0
    assert pair.server.counters.failed_openings == failed + 1
    pair.deliver_to_server(packet)
    assert pair.server.counters.duplicates == 1
    pair = client_in_handshake()
    packet = seal(pair.server, PING, HANDSHAKE)
    pair.deliver_to_client(packet)
    duplicates = pair.client.counters.duplicates
    failed = pair.client.counters.failed_openings
    pair.deliver_to_client(packet[:-1] + bytes([packet[-1] ^ 1]))
    assert pair.client.counters.duplicates == duplicates
    assert pair.client.counters.failed_openings == failed + 1
    pair.deliver_to_client(packet)
    assert pair.client.counters.duplicates == duplicates + 1


def test_packet_numbers_that_run_out_end_the_connection_in_silence() -> None:
    pair = Pair().connect()
    pair.drive(2.0)
    ledger = pair.client.state.path.space.ledger
    ledger.oldest = ledger.next_packet_number = (1 << 62) - 1
    sent = len(pair.sent_to_server)
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, b"one more")
    pair.drive(1.0)
    assert pair.client.closed
    assert isinstance(pair.client.close_error, TransportError)
    assert len(pair.sent_to_server) == sent


def test_an_authentic_packet_without_frames_closes_the_connection() -> None:
    pair = Pair().connect()
    pair.deliver_to_server(seal(pair.client, b""))
    assert code_of(pair, "server") == 0x0A
    pair = client_in_handshake()
    pair.deliver_to_client(seal(pair.server, b"", HANDSHAKE))
    assert code_of(pair, "client") == 0x0A


def test_an_applications_close_in_a_handshake_packet_is_refused() -> None:
    pair = client_in_handshake()
    pair.deliver_to_client(seal(pair.server, b"\x1d\x05\x00\x00", HANDSHAKE))
    error = pair.client.close_error
    assert isinstance(error, TransportError)
    assert (error.code, error.frame_type, error.from_peer) == (0x0A, 0x1D, False)


@pytest.mark.parametrize("bits", [0x04, 0x08, 0x0C])
def test_reserved_bits_of_long_headers_are_checked_after_opening(bits: int) -> None:
    pair = Pair()
    pair.drive(0.011)
    packet = seal(pair.client, PING + bytes(1200), INITIAL, first_bits=bits)
    damaged = packet[:-1] + bytes([packet[-1] ^ 1])
    pair.deliver_to_server(damaged)
    assert pair.server.active, "nobody vouches for what cannot be opened"
    pair.deliver_to_server(packet)
    assert code_of(pair, "server") == 0x0A


def test_the_spin_bit_is_neither_spun_nor_heeded() -> None:
    pair = Pair().connect()
    sent = len(pair.sent_to_client)
    for _ in range(5):
        before = pair.server.counters.packets_received
        pair.deliver_to_server(forge(pair.client, PING, first_bits=0x20))
        assert pair.server.counters.packets_received == before + 1
        pair.drive(0.1)
    short = [one for one in pair.sent_to_client[sent:] if not one[0] & 0x80]
    assert short
    assert all(one[0] & 0x20 == 0 for one in short)


def test_a_0_rtt_packet_is_dropped() -> None:
    pair = Pair()
    pair.drive(0.011)
    for side, deliver in (("server", pair.deliver_to_server), ("client", pair.deliver_to_client)):
        connection = getattr(pair, side)
        cid = connection.own_cids()[0]
        packet = write_long_header(PACKET_ZERO_RTT, 1, cid, b"x", b"", 0, 4, 1200) + bytes(1196)
        before = connection.counters.packets_received
        deliver(packet)
        assert connection.active
        assert connection.counters.packets_received == before
        assert connection.state.undecryptable == []
    pair.connect()


def test_ecn_marks_of_received_datagrams_reach_the_peer() -> None:
    pair = Watched().connect()
    packet = seal(pair.client, PING)
    pair.server_endpoint.receive(
        Datagrams(packet, len(packet), 0, SERVER.ip, pair.client_address, ECN_CE), pair.now
    )
    pair.drive(0.1)
    told = [one for one in pair.server_watch.frames(AckFrame) if isinstance(one, AckFrame)][-1]
    assert told.has_ecn
    assert (told.ect0, told.ect1, told.ce) == (0, 0, 1)


# -- what each side does not say (18.2, 19.7, 19.20)


def test_a_client_sends_none_of_the_servers_parameters() -> None:
    pair = Pair().connect()
    heard = pair.server.state.peer_parameters
    assert heard is not None
    assert heard.original_destination_connection_id is None
    assert heard.stateless_reset_token is None
    assert heard.preferred_address is None
    assert heard.retry_source_connection_id is None


def test_an_id_limit_below_two_cannot_be_configured() -> None:
    for limit in (0, 1):
        with pytest.raises(ConfigurationError, match="active_connection_id_limit"):
            Pair(client={"active_connection_id_limit": limit})


def test_a_client_sends_no_new_token_and_no_handshake_done() -> None:
    pair = lossy(1)
    assert pair.client_watch.frames(NewTokenFrame) == []
    assert pair.client_watch.frames(HandshakeDoneFrame) == []
    assert pair.server_watch.frames(NewTokenFrame) != []


# -- levels (RFC 9001 4)


def finished_at(packets: list[Seen]) -> list[Seen]:
    return [one for one in packets if one.level == HANDSHAKE and one.has(CryptoFrame)]


def test_handshake_done_waits_for_the_clients_finished() -> None:
    pair = Watched().connect()
    done = next(one for one in pair.server_watch.sent if one.has(HandshakeDoneFrame))
    heard = finished_at(pair.server_watch.received)[0]
    assert done.level == ONE_RTT
    assert done.now == heard.now, "as soon as the handshake is complete, and not before"
    assert pair.server_watch.sent.index(done) > 0


def test_handshake_done_is_repeated_until_it_arrives() -> None:
    pair = Watched()
    pair.to_client = lambda data: [data] if data[0] & 0x80 else []
    pair.drive(1.0)
    assert pair.client.handshake_complete
    assert not pair.client.handshake_confirmed
    assert len(pair.server_watch.frames(HandshakeDoneFrame)) > 1
    pair.to_client = lambda data: [data]
    pair.drive(5.0)
    assert pair.client.handshake_confirmed
    times = len(pair.server_watch.frames(HandshakeDoneFrame))
    pair.drive(10.0)
    assert len(pair.server_watch.frames(HandshakeDoneFrame)) == times


def test_lost_handshake_data_is_sent_again_at_its_own_level() -> None:
    pair = Watched()
    pair.drive(0.0101)
    pair.to_server = lambda data: [] if data[0] & 0x80 else [data]
    pair.drive(5.0)
    assert pair.client.state.keys is not None, "newer keys exist by now"
    assert len(finished_at(pair.client_watch.sent)) > 2
    assert not any(one.has(CryptoFrame) for one in pair.client_watch.sent if one.level == ONE_RTT)
    pair.to_server = lambda data: [data]
    pair.drive(20.0)
    assert pair.server.handshake_confirmed


@pytest.mark.parametrize("seed", range(6))
def test_new_data_goes_at_the_highest_level(seed: int) -> None:
    pair = lossy(seed)
    for watch in (pair.client_watch, pair.server_watch):
        for one in watch.sent:
            if one.has(StreamFrame):
                assert one.level == ONE_RTT
            for frame in one.frames:
                if isinstance(frame, CryptoFrame) and frame.offset == 0:
                    # ClientHello, ServerHello | EncryptedExtensions, Finished | ticket
                    expected = {INITIAL: (1, 2), HANDSHAKE: (8, 20), ONE_RTT: (4,)}[one.level]
                    assert frame.data[0] in expected


@pytest.mark.parametrize("seed", range(8))
def test_initial_keys_go_with_the_first_handshake_packet(seed: int) -> None:
    pair = lossy(seed)
    levels = [one.level for one in pair.client_watch.sent]
    first = levels.index(HANDSHAKE)
    assert INITIAL not in levels[first + 1 :]
    heard = next(one for one in pair.server_watch.received if one.level == HANDSHAKE)
    later = [one for one in pair.server_watch.sent if one.now > heard.now]
    assert later
    assert all(one.level != INITIAL for one in later)
    pair = Watched()
    pair.drive(0.0201)
    assert pair.client.state.initial is None
    assert pair.server.state.initial is not None
    # any Handshake packet will do, long before the handshake is complete
    pair.deliver_to_server(seal(pair.client, PING, HANDSHAKE))
    assert not pair.server.handshake_complete
    assert pair.server.state.initial is None


def test_packets_that_come_before_their_keys_are_kept() -> None:
    pair = Watched()
    pair.drive(0.0201)
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, b"early")
    pair.drive(0.008)
    to_server = [data for _, forth, data in pair.wire if forth]
    pair.wire.clear()
    handshake = [data for data in to_server if data[0] & 0x80]
    early = [data for data in to_server if not data[0] & 0x80]
    assert handshake
    assert early
    for data in early:
        pair.deliver_to_server(data)
    pair.flush()
    assert not any(one.level == ONE_RTT for one in pair.server_watch.received)
    assert acked(pair.server_watch.sent, ONE_RTT) == set()
    # what can be read is answered meanwhile
    assert pair.server.active
    for data in handshake:
        pair.deliver_to_server(data)
    assert pair.server.handshake_complete
    assert pair.server.read(stream, 100) == (b"early", False)
    pair.flush()
    assert acked(pair.server_watch.sent, HANDSHAKE) | acked(pair.server_watch.sent, ONE_RTT)


def test_the_client_offers_tls_1_3_alone() -> None:
    pair = Watched()
    pair.flush()
    pieces = {
        frame.offset: frame.data
        for one in pair.client_watch.sent
        for frame in one.frames
        if isinstance(frame, CryptoFrame)
    }
    hello = read_client_hello(b"".join(pieces[offset] for offset in sorted(pieces)))
    assert hello.extensions[43] == b"\x02\x03\x04"
    assert hello.session_id == b""
    assert hello.extensions[16] == b"\x00\x05\x04test"


def test_the_answer_to_an_update_is_under_the_new_keys() -> None:
    pair = Pair().connect()
    assert pair.server.state.keys is not None
    assert pair.client.update_keys(pair.now)
    sent = len(pair.sent_to_client)
    assert pair.server.state.keys.send_phase == 0
    pair.inject(True, PING)
    assert len(pair.sent_to_client) == sent, "nothing is acknowledged yet"
    assert pair.server.state.keys.send_phase == 1


def test_four_kibibytes_of_crypto_data_may_come_backwards() -> None:
    pair = Pair().connect()
    # an unfinished ticket, so that every byte is taken as it comes
    message = b"\x04\x00\x20\x00" + bytes(4192)
    pieces = [(offset, message[offset : offset + 100]) for offset in range(0, 4196, 100)]
    for offset, data in reversed(pieces[1:]):
        size = (0x4000 | len(data)).to_bytes(2, "big")
        where = (0x80000000 | offset).to_bytes(4, "big")
        pair.inject(False, b"\x06" + where + size + data)
        assert pair.client.active, pair.client.close_error
    assert pair.client.state.crypto_in.waiting
    pair.inject(False, b"\x06\x00\x40\x64" + pieces[0][1])
    assert pair.client.active
    assert not pair.client.state.crypto_in.waiting


def test_packets_of_a_handshake_type_are_no_longer_opened_once_confirmed() -> None:
    pair = Pair().connect()
    cid = pair.server.own_cids()[0]
    before = pair.server.counters.packets_dropped
    pair.deliver_to_server(
        write_long_header(PACKET_HANDSHAKE, 1, cid, b"x", b"", 0, 4, 100) + bytes(100)
    )
    assert pair.server.counters.packets_dropped == before + 1


def test_packet_numbers_rise_and_every_packet_has_a_frame() -> None:
    seen = 0
    for seed in range(5):
        pair = lossy(seed)
        for watch in (pair.client_watch, pair.server_watch):
            for level in (INITIAL, HANDSHAKE, ONE_RTT):
                numbers = [one.number for one in watch.sent if one.level == level]
                assert all(earlier < later for earlier, later in pairwise(numbers))
                seen += len(numbers)
            assert all(parse_frames(one.payload) for one in watch.sent)
        assert pair.client.counters.probe_timeouts + pair.server.counters.probe_timeouts > 0
    assert seen > 100
