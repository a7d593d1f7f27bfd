"""Connections of other stacks, captured with their keys, are understood to the last field."""

from __future__ import annotations

import random

import pytest
from cryptography import x509
from librt.strings import BytesWriter

from ropewalk.quic.handshake.tls.codec import message
from ropewalk.quic.handshake.tls.codepoints import (
    CERTIFICATE,
    CERTIFICATE_VERIFY,
    CLIENT_HELLO,
    ENCRYPTED_EXTENSIONS,
    FINISHED,
    NEW_SESSION_TICKET,
    SERVER_HELLO,
)
from ropewalk.quic.handshake.tls.key_schedule import KeySchedule
from ropewalk.quic.handshake.tls.messages import (
    encode_certificate,
    encode_certificate_verify,
    encode_client_hello,
    encode_encrypted_extensions,
    encode_server_hello,
    parse_certificate,
    parse_certificate_verify,
    parse_client_hello,
    parse_encrypted_extensions,
    parse_new_session_ticket,
    parse_server_hello,
)
from ropewalk.quic.handshake.tls.peek import peek_client_hello
from ropewalk.quic.handshake.tls.signatures import check_signature, server_content
from ropewalk.quic.protection.burst import BurstWriter
from ropewalk.quic.protection.labels import hash_of_suite
from ropewalk.quic.streams.receive_buffer import ReceiveBuffer
from ropewalk.quic.types.errors import Error
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.wire.frame_types import allowed_in, read_frame_type
from ropewalk.quic.wire.frames import StreamFrame, parse_frames
from ropewalk.quic.wire.header import (
    PACKET_VERSION_NEGOTIATION,
    destination_cid,
    is_long_header,
    parse_long_header,
)
from ropewalk.quic.wire.reader import Reader
from ropewalk.quic.wire.transport_parameters import (
    decode_transport_parameters,
    encode_transport_parameters,
)
from tests.captures.decoder import (
    FIXED_BIT,
    Decoder,
    NotDecoded,
    Side,
    decode,
)
from tests.captures.files import Captured
from tests.captures.library import CAPTURES, Capture

each_capture = pytest.mark.parametrize("capture", CAPTURES.values(), ids=CAPTURES.keys())


def test_every_capture_is_here() -> None:
    assert sorted(CAPTURES) == [
        "illustrated_quic",
        "v1_chacha20",
        "v1_h3_get",
        "v1_retry",
        "v1_secp384r1",
        "vn_unknown_version",
    ]


@each_capture
def test_every_packet_and_frame_is_decoded_to_its_fields(capture: Capture) -> None:
    decoded = decode(capture.datagrams, capture.key_log)
    expected = capture.expected
    for found, wanted in zip(decoded["datagrams"], expected["datagrams"], strict=True):
        for packet, wanted_packet in zip(found["packets"], wanted["packets"], strict=True):
            assert packet == wanted_packet
        assert found == wanted
    packets = [packet for each in decoded["datagrams"] for packet in each["packets"]]
    assert {
        "datagrams": len(decoded["datagrams"]),
        "packets": len(packets),
        "opened": len([packet for packet in packets if "frames" in packet]),
        "no_key": 0,
    } == expected["counts"]


@each_capture
def test_streams_are_put_together(capture: Capture) -> None:
    streams = decode(capture.datagrams, capture.key_log)["streams"]
    assert streams
    assert streams == capture.expected["streams"]


@each_capture
def test_streams_are_put_together_from_frames_in_any_order(capture: Capture) -> None:
    decoder = Decoder(capture.key_log)
    sent: list[tuple[Side, StreamFrame]] = []
    for datagram in capture.datagrams:
        decoder.datagram(datagram)
    for connection in decoder.connections.values():
        for packet in connection.opened:
            sent += [(packet.sender, each) for each in packet.frames if type(each) is StreamFrame]
    for sender, _ in sent:
        sender.streams.clear()
    pieces = [
        (sender, frame.stream_id, frame.offset + offset, frame.data[offset : offset + 7])
        for sender, frame in sent
        for offset in range(0, len(frame.data), 3)
    ]
    random.Random(capture.name).shuffle(pieces)
    for sender, stream_id, offset, data in pieces:
        sender.streams.setdefault(stream_id, ReceiveBuffer()).insert(offset, data)
    assert decoder.read_streams() == capture.expected["streams"]


@each_capture
def test_sealing_the_payloads_again_gives_the_captured_bytes(capture: Capture) -> None:
    opened = capture.connection().opened
    assert {packet.level for packet in opened} == {INITIAL, HANDSHAKE, ONE_RTT}
    burst = BurstWriter()
    for packet in opened:
        burst.add(
            packet.protection,
            0,
            packet.packet_number,
            packet.header,
            packet.packet_number_length,
            packet.payload,
        )
    assert burst.finish() == b"".join(packet.wire for packet in opened)


@each_capture
def test_frames_survive_writing_and_stand_where_they_may(capture: Capture) -> None:
    for packet in capture.connection().opened:
        writer = BytesWriter()
        for frame in packet.frames:
            begin = len(writer)
            frame.write(writer)
            frame_type = read_frame_type(Reader(writer.getvalue(), begin))
            assert allowed_in(frame_type, packet.level)
        assert parse_frames(writer.getvalue()) == packet.frames
        assert len(writer) <= len(packet.payload)


# -- the handshake in the CRYPTO frames


@each_capture
def test_the_handshake_is_made_of_the_messages_of_tls(capture: Capture) -> None:
    connection = capture.connection()
    client = [(level, data[0]) for level, data in connection.client.messages]
    server = [(level, data[0]) for level, data in connection.server.messages]
    assert client == [(INITIAL, CLIENT_HELLO), (HANDSHAKE, FINISHED)]
    assert server[:5] == [
        (INITIAL, SERVER_HELLO),
        (HANDSHAKE, ENCRYPTED_EXTENSIONS),
        (HANDSHAKE, CERTIFICATE),
        (HANDSHAKE, CERTIFICATE_VERIFY),
        (HANDSHAKE, FINISHED),
    ]
    assert all(each == (ONE_RTT, NEW_SESSION_TICKET) for each in server[5:])
    for _, data in connection.client.messages + connection.server.messages:
        assert rewritten(data) == data


def rewritten(data: bytes) -> bytes:
    """A handshake message, parsed and encoded again."""
    body = Reader(data, 4)
    match data[0]:
        case 1:
            client = parse_client_hello(body)
            assert (client.session_id, client.compression_methods) == (b"", b"\0")
            extensions = list(client.extensions.items())
            return encode_client_hello(client.random, client.cipher_suites, extensions)
        case 2:
            server = parse_server_hello(body)
            assert (server.session_id, server.is_retry) == (b"", False)
            extensions = list(server.extensions.items())
            return encode_server_hello(server.random, server.cipher_suite, extensions)
        case 4:
            ticket = parse_new_session_ticket(body)
            assert ticket.ticket
            assert 0 < ticket.lifetime <= 7 * 24 * 3600
            return data
        case 8:
            return encode_encrypted_extensions(list(parse_encrypted_extensions(body).items()))
        case 11:
            context, entries = parse_certificate(body)
            return encode_certificate(context, [entry.certificate for entry in entries])
        case 15:
            scheme, signature = parse_certificate_verify(body)
            return encode_certificate_verify(scheme, signature)
    assert data[0] == FINISHED
    return message(FINISHED, data[4:])


@each_capture
def test_signature_and_finished_agree_with_the_transcript(capture: Capture) -> None:
    connection = capture.connection()
    client = [data for _, data in connection.client.messages]
    server = [data for _, data in connection.server.messages]
    schedule = KeySchedule(hash_of_suite(connection.suite))
    for data in (client[0], *server[:3]):
        schedule.add(data)

    _, entries = parse_certificate(Reader(server[2], 4))
    key = x509.load_der_x509_certificate(entries[0].certificate).public_key()
    scheme, signature = parse_certificate_verify(Reader(server[3], 4))
    check_signature(key, scheme, signature, server_content(schedule.transcript_hash()))

    schedule.add(server[3])
    server_secret = connection.secrets["SERVER_HANDSHAKE_TRAFFIC_SECRET"]
    assert server[4][4:] == schedule.finished(server_secret)
    schedule.add(server[4])
    client_secret = connection.secrets["CLIENT_HANDSHAKE_TRAFFIC_SECRET"]
    assert client[1][4:] == schedule.finished(client_secret)


@each_capture
def test_transport_parameters_name_the_connection_ids_of_the_headers(capture: Capture) -> None:
    connection = capture.connection()
    client, server = connection.client, connection.server
    assert client.parameters is not None
    assert server.parameters is not None
    # RFC 9000 7.3
    assert client.parameters.initial_source_connection_id == client.connection_id
    assert server.parameters.initial_source_connection_id == server.connection_id
    original = connection.original_destination_cid
    assert server.parameters.original_destination_connection_id == original
    assert server.parameters.retry_source_connection_id == connection.retry_source_cid
    assert (connection.retry_source_cid is not None) == (capture.name == "v1_retry")
    for parameters, from_client in ((client.parameters, True), (server.parameters, False)):
        encoded = encode_transport_parameters(parameters)
        assert decode_transport_parameters(encoded, from_client) == parameters


@each_capture
def test_client_hellos_tell_server_name_and_protocol(capture: Capture) -> None:
    info = peek_client_hello(capture.connection().client.messages[0][1])
    assert info is not None
    if capture.name == "illustrated_quic":
        assert (info.server_name, info.alpn) == ("example.ulfheim.net", ["ping/1.0"])
    else:
        assert (info.server_name, info.alpn) == ("localhost", ["h3"])


# -- what the captures show beside the plain course of things


def test_a_cleared_fixed_bit_is_a_drop_unless_it_was_negotiated() -> None:
    """ngtcp2 clears it for peers that send grease_quic_bit (RFC 9287); we do not send it."""
    cleared = [
        datagram.payload
        for capture in CAPTURES.values()
        for datagram in capture.datagrams
        if not datagram.payload[0] & FIXED_BIT
    ]
    kinds: list[str] = []
    for data in cleared:
        header = parse_long_header(data, 0, len(data))
        if not is_long_header(data[0]):
            assert destination_cid(data, 0, len(data), 17) is None
            kinds.append("short")
        elif header is None:
            kinds.append("long")
        else:
            assert header.packet_type == PACKET_VERSION_NEGOTIATION  # which has no such bit
            kinds.append("version negotiation")
    assert {"short", "long", "version negotiation"} == set(kinds)


def test_a_retry_is_authentic_for_its_connection_only() -> None:
    capture = CAPTURES["v1_retry"]
    first = capture.datagrams[0]
    other = bytearray(first.payload)
    other[6] ^= 1  # in the destination connection ID, so the first Initial does not open
    decoder = Decoder(capture.key_log)
    with pytest.raises(NotDecoded):
        decoder.datagram(Captured(first.source, first.destination, 0, bytes(other)))
    (retry,) = decoder.datagram(capture.datagrams[1])
    assert retry["integrity_ok"] is False


@pytest.mark.parametrize("name", ["v1_chacha20", "v1_h3_get", "illustrated_quic"])
def test_packets_after_a_key_update_are_followed(name: str) -> None:
    """The captures hold no update, so both sides say something more, under the next keys."""
    capture = CAPTURES[name]
    decoder = Decoder(capture.key_log)
    for datagram in capture.datagrams:
        decoder.datagram(datagram)
    (connection,) = [each for each in decoder.connections.values() if each.secrets]
    client, server = connection.client, connection.server
    client_name, server_name = connection.names
    payload = connection.opened[-1].payload
    for names, sender, receiver in (
        ((client_name, server_name), client, server),
        ((server_name, client_name), server, client),
    ):
        assert receiver.keys is not None
        following = receiver.keys.receive.next_generation()
        for _ in range(2):
            number = sender.largest[ONE_RTT] + 1
            header = b"\x44" + receiver.connection_id + bytes([number])
            burst = BurstWriter()
            burst.add(following, 0, number, header, 1, payload)
            (found,) = decoder.datagram(Captured(*names, 0, burst.finish()))
            assert (found["key_phase"], found["key_generation"]) == (1, 1)
            assert found["payload"] == payload.hex()


# -- no check passes by itself


@each_capture
def test_no_byte_can_change_unnoticed(capture: Capture) -> None:
    chance = random.Random(capture.name)
    for _ in range(300):
        index = chance.randrange(len(capture.datagrams))
        captured = capture.datagrams[index]
        expected = capture.expected["datagrams"][index]["packets"]
        if expected[0]["type"] == "unknown_version":
            continue  # what is behind the connection IDs is nobody's business
        place = chance.randrange(len(captured.payload))
        if expected[0]["type"] == "version_negotiation" and place == 0:
            continue  # seven bits without a meaning (RFC 9000 17.2.1)
        changed = bytearray(captured.payload)
        changed[place] ^= 1 << chance.randrange(8)
        decoder = Decoder(capture.key_log)
        for datagram in capture.datagrams[:index]:
            decoder.datagram(datagram)
        try:
            packets = decoder.datagram(
                Captured(captured.source, captured.destination, 0, bytes(changed))
            )
        except (NotDecoded, Error):
            continue
        assert packets != expected


@each_capture
def test_wrong_secrets_open_nothing(capture: Capture) -> None:
    for label in ("HANDSHAKE_TRAFFIC_SECRET", "TRAFFIC_SECRET_0"):
        for role in ("CLIENT", "SERVER"):
            key_log = {
                client_random: secrets
                | {f"{role}_{label}": bytes([secrets[f"{role}_{label}"][0] ^ 1, *range(1, 32)])}
                for client_random, secrets in capture.key_log.items()
            }
            with pytest.raises(NotDecoded):
                decode(capture.datagrams, key_log)
