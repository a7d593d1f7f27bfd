"""A broken rule closes the connection with the RFC's code and frame type, and harms no other."""

from __future__ import annotations

import pytest

from ropewalk.quic.types.error_codes import transport_error_name
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.events import ConnectionClosing
from tests.connection.pair import Pair, forge

MAX = "ffffffffffffffff"  # 2**62 - 1

#: what a client sends, the code and the frame type that the server must close with
FROM_CLIENT = [
    ("PADDING in two bytes where one would do", "4000", 0x0A, 0x00),
    ("unknown frame type", "2100", 0x07, 0x21),
    ("frame type in two bytes where one would do", "4001", 0x0A, 0x01),
    ("ACK of a packet never sent", "0240ff000000", 0x0A, 0x02),
    ("ACK that reaches below zero", "0200000005", 0x07, 0x02),
    ("truncated ACK", "0205", 0x07, 0x02),
    ("HANDSHAKE_DONE from a client", "1e", 0x0A, 0x1E),
    ("NEW_TOKEN from a client", "070155", 0x0A, 0x07),
    ("STREAM beyond the stream window", "0c00" + "84000000" + "55", 0x03, 0x0C),
    ("STREAM that ends beyond 2**62 - 1", "0c00" + MAX + "5555", 0x07, 0x0C),
    ("STREAM beyond the stream limit", "0a" + "8000fffc" + "0155", 0x04, 0x0A),
    ("STREAM on a stream that only the server may open", "0a010155", 0x05, 0x0A),
    ("STREAM on the server's unidirectional stream", "0a030155", 0x05, 0x0A),
    ("truncated STREAM", "0a00405555", 0x07, 0x0A),
    ("RESET_STREAM of the server's unidirectional stream", "04030000", 0x05, 0x04),
    ("RESET_STREAM with a final size beyond the window", "04000084000000", 0x03, 0x04),
    ("STOP_SENDING of the client's unidirectional stream", "050200", 0x05, 0x05),
    ("STOP_SENDING of a stream never opened", "050100", 0x05, 0x05),
    ("MAX_STREAM_DATA for a receive-only stream", "110205", 0x05, 0x11),
    ("MAX_STREAM_DATA for a stream never opened", "110105", 0x05, 0x11),
    ("MAX_STREAMS beyond 2**60", "12" + MAX, 0x07, 0x12),
    ("STREAMS_BLOCKED beyond 2**60", "16" + MAX, 0x07, 0x16),
    ("NEW_CONNECTION_ID with an ID of 0 bytes", "18080000" + "00" * 16, 0x07, 0x18),
    ("NEW_CONNECTION_ID with an ID of 21 bytes", "18080015" + "11" * 21 + "00" * 16, 0x07, 0x18),
    ("NEW_CONNECTION_ID that retires more than it is", "18080908" + "11" * 24, 0x07, 0x18),
    ("NEW_CONNECTION_ID repeated with other contents", "18010008" + "99" * 24, 0x0A, 0x18),
    ("NEW_CONNECTION_ID beyond the limit", "18080008" + "11" * 24, 0x09, 0x18),
    ("RETIRE_CONNECTION_ID never issued", "1940ff", 0x0A, 0x19),
    ("RETIRE_CONNECTION_ID of the ID in use", "1900", 0x0A, 0x19),
    ("truncated PATH_CHALLENGE", "1a00112233", 0x07, 0x1A),
    ("CRYPTO far ahead", "06" + "84000000" + "0155", 0x0D, 0x06),
    ("CRYPTO with a TLS message that must not come", "0600" + "05" + "1800000100", 0x10A, 0x06),
    ("NEW_TOKEN without a token", "0700", 0x07, 0x07),
    ("DATAGRAM that is cut short", "314055", 0x07, 0x31),
]


@pytest.mark.parametrize(
    ("payload", "code", "frame_type"),
    [row[1:] for row in FROM_CLIENT],
    ids=[row[0] for row in FROM_CLIENT],
)
def test_server_closes_with_the_codes_of_the_rfc(payload: str, code: int, frame_type: int) -> None:
    pair = Pair().connect()
    pair.inject(True, bytes.fromhex(payload))
    error = pair.server.close_error
    assert isinstance(error, TransportError), payload
    assert (error.code, error.frame_type) == (code, frame_type), error
    assert not error.from_peer
    if code < 0x100:
        assert transport_error_name(code) in str(error)
    pair.drive(0.05)
    told = pair.client.close_error
    assert isinstance(told, TransportError)
    assert told.from_peer
    assert told.code == code
    if code < 0x100:
        assert told.frame_type == frame_type
    pair.drive(5.0)
    assert pair.client.closed
    assert pair.server.closed


def test_client_refuses_what_only_a_client_may_send() -> None:
    for payload, code in (("0a000155", 0x05), ("050200", 0x05), ("0a050155", None)):
        pair = Pair().connect()
        pair.inject(False, bytes.fromhex(payload))
        if code is None:
            assert pair.client.active  # stream 5 is the server's to open
            continue
        error = pair.client.close_error
        assert isinstance(error, TransportError), payload
        assert error.code == code


def test_datagram_larger_than_announced_is_a_protocol_violation() -> None:
    pair = Pair(server={"max_datagram_frame_size": 100}).connect()
    pair.inject(True, bytes.fromhex("30") + bytes(99))
    assert pair.server.active
    pair.inject(True, bytes.fromhex("30") + bytes(100))
    error = pair.server.close_error
    assert isinstance(error, TransportError)
    assert (error.code, error.frame_type) == (0x0A, 0x30)


def test_datagram_to_an_endpoint_that_takes_none_is_a_protocol_violation() -> None:
    pair = Pair(server={"max_datagram_frame_size": 0}).connect()
    assert pair.client.max_datagram_size() == 0
    pair.inject(True, bytes.fromhex("3055"))
    assert isinstance(pair.server.close_error, TransportError)


def test_reserved_bits_are_checked_after_opening() -> None:
    pair = Pair().connect()
    pair.deliver_to_server(forge(pair.client, b"\x01", first_bits=0x18))
    error = pair.server.close_error
    assert isinstance(error, TransportError)
    assert error.code == 0x0A


def test_final_size_rules() -> None:
    for second in ("0e000a0155", "0f00000155", "04000001"):
        pair = Pair().connect()
        pair.inject(True, bytes.fromhex("0b0005" + "55" * 5))  # five bytes and FIN
        pair.inject(True, bytes.fromhex(second))
        error = pair.server.close_error
        assert isinstance(error, TransportError), second
        assert error.code == 0x06


def test_crypto_fragments_cannot_hoard_memory() -> None:
    pair = Pair().connect()
    for index in range(6000):
        offset = (2 * index + 1) | 0x80000000
        pair.inject(True, b"\x06" + offset.to_bytes(4, "big") + b"\x01\x55")
        if not pair.server.active:
            break
    error = pair.server.close_error
    assert isinstance(error, TransportError)
    assert error.code == 0x0D


def test_path_challenges_are_answered_but_not_without_bound() -> None:
    pair = Pair().connect()
    sent = len(pair.sent_to_client)
    for index in range(300):
        pair.inject(True, b"\x1a" + index.to_bytes(8, "big"))
    assert len(pair.server.state.path.responses) == 16
    assert pair.server.state.path.responses_refused == 284
    pair.flush()
    answers = pair.sent_to_client[sent:]
    # 8.2.2: a datagram with PATH_RESPONSE has at least 1,200 bytes
    assert answers
    assert len(answers[0]) == 1200
    assert pair.server.active


def test_retirements_forced_upon_us_are_bounded() -> None:
    pair = Pair().connect()
    for sequence in range(8, 64):
        number = sequence.to_bytes(1, "big")
        payload = b"\x18" + number + number + b"\x08" + number * 8 + number * 16
        pair.inject(True, payload)
        if not pair.server.active:
            break
    error = pair.server.close_error
    assert isinstance(error, TransportError)
    assert error.code == 0x09


def test_another_connection_of_the_same_endpoint_is_untouched() -> None:
    pair = Pair().connect()
    other = pair.client_endpoint.open(pair.client_config, pair.client.remote, 0, pair.now)
    for _ in range(20):
        pair.drive(0.02)
    assert other.handshake_confirmed
    pair.inject(True, bytes.fromhex("1e"))
    pair.drive(0.1)
    assert isinstance(pair.client.close_error, TransportError)
    assert other.active
    assert pair.servers[1].active
    stream = other.open_stream()
    assert stream == 0
    other.write(stream, b"still here")
    pair.client_endpoint.touch(other)
    pair.drive(0.1)
    assert pair.servers[1].read(0, 100) == (b"still here", False)


def test_garbage_is_dropped_counted_and_not_answered() -> None:
    pair = Pair().connect()
    before = len(pair.sent_to_client)
    server = pair.server
    packet = forge(pair.client, b"\x01\x00\x00\x00")
    flipped = packet[:-1] + bytes([packet[-1] ^ 1])
    for junk in (b"", b"\x40", packet[:9], packet[:20], flipped, b"\x00" * 40, b"\xff" * 1300):
        if junk:
            pair.deliver_to_server(junk)
    pair.drive(0.2)
    assert server.active
    assert server.counters.failed_openings >= 1
    assert server.counters.packets_dropped >= 2
    assert pair.server_endpoint.counters.datagrams_dropped >= 1
    # the 40 zero bytes have no fixed bit; the long header names version 0xffffffff
    answered = pair.sent_to_client[before:]
    assert all(one[0] & 0x80 for one in answered)


def test_replayed_packets_are_counted_and_processed_once() -> None:
    pair = Pair().connect()
    packet = forge(pair.client, bytes.fromhex("0a000155"))
    pair.deliver_to_server(packet)
    pair.deliver_to_server(packet)
    assert pair.server.counters.duplicates == 1
    assert pair.server.read(0, 10) == (b"\x55", False)
    assert pair.server.active


def test_closing_is_reported_once() -> None:
    pair = Pair().connect()
    pair.inject(True, bytes.fromhex("1e"))
    pair.inject(True, bytes.fromhex("1e"))
    pair.server.close(7, "again", pair.now)
    pair.drive(3.0)
    closings = [event for event in pair.server_events if isinstance(event, ConnectionClosing)]
    assert len(closings) == 1
