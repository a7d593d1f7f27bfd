"""Messages and secrets that others published: RFC 8448, a QUIC capture, aioquic, ngtcp2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography import x509

from ropewalk.quic.handshake.tls import peek_client_hello
from ropewalk.quic.handshake.tls.codec import message
from ropewalk.quic.handshake.tls.codepoints import (
    CERTIFICATE,
    CERTIFICATE_VERIFY,
    KEY_SHARE,
    QUIC_TRANSPORT_PARAMETERS,
    RSA_PSS_RSAE_SHA256,
)
from ropewalk.quic.handshake.tls.extensions import read_client_shares, read_server_share
from ropewalk.quic.handshake.tls.groups import SECP256R1, X25519, _EllipticExchange, _X25519Exchange
from ropewalk.quic.handshake.tls.key_schedule import KeySchedule, export
from ropewalk.quic.handshake.tls.messages import (
    encode_certificate,
    encode_certificate_verify,
    encode_encrypted_extensions,
    parse_certificate,
    parse_certificate_request,
    parse_certificate_verify,
    parse_encrypted_extensions,
    parse_new_session_ticket,
)
from ropewalk.quic.handshake.tls.signatures import check_signature, server_content
from ropewalk.quic.types.errors import HandshakeError
from ropewalk.quic.wire.reader import Reader
from tests.handshake.tls_pair import (
    read_client_hello,
    read_server_hello,
    write_client_hello,
    write_server_hello,
)

DATA = Path(__file__).parent.parent / "data" / "handshake"
TRACES = {
    trace["name"]: trace["steps"]
    for trace in json.loads((DATA / "rfc8448_tls13_traces.json").read_text())["traces"]
}
ILLUSTRATED = json.loads((DATA / "illustrated_quic.json").read_text())
AIOQUIC = {
    entry["name"]: bytes.fromhex(entry["hex"])
    for entry in json.loads((DATA / "tls13_messages_aioquic.json").read_text())["messages"]
}
CLIENT_HELLOS = {
    entry["capture"]: bytes.fromhex(entry["hex"])
    for entry in json.loads((DATA / "client_hellos.json").read_text())["client_hellos"]
}


class Trace:
    """A trace of RFC 8448, step by step."""

    def __init__(self, name: str) -> None:
        self.messages: list[bytes] = []
        self.secrets: dict[str, bytes] = {}
        self.finished: dict[str, bytes] = {}
        self.keys: dict[tuple[str, str], bytes] = {}
        for step in TRACES[name]:
            kind, _, detail = step["step"].partition("/")
            values = {key: bytes.fromhex(value) for key, value in step["values"].items()}
            if kind == "handshake_message":
                self.messages.append(next(iter(values.values())))
            elif kind == "derive_secret" and values:
                self.secrets[detail.removeprefix("tls13 ")] = values["expanded"]
            elif kind == "finished" and values:
                self.finished[step["actor"]] = values["finished"]
            elif kind == "ephemeral_key_pair":
                self.keys[step["actor"], detail] = values["private_key"]


def check_trace(trace: Trace, hellos: int, shared_secret: bytes) -> None:
    schedule = KeySchedule("sha256")
    for position, handshake_message in enumerate(trace.messages[:hellos]):
        schedule.add(handshake_message)
        if position == 0 and hellos == 4:
            schedule.restart_for_retry()
    schedule.agree(shared_secret)
    assert schedule.client_handshake == trace.secrets["c hs traffic"]
    assert schedule.server_handshake == trace.secrets["s hs traffic"]
    rest = trace.messages[hellos:]
    last = [handshake_message[0] for handshake_message in rest].index(20)
    for handshake_message in rest[:last]:
        schedule.add(handshake_message)
    finished = message(20, schedule.finished(schedule.server_handshake))
    assert finished == rest[last]
    assert finished[4:] == trace.finished["server"]
    schedule.add(finished)
    schedule.derive_application_secrets()
    assert schedule.client_application == trace.secrets["c ap traffic"]
    assert schedule.server_application == trace.secrets["s ap traffic"]
    assert schedule.exporter == trace.secrets["exp master"]
    for handshake_message in rest[last + 1 :]:
        if handshake_message[0] == 20:
            break
        schedule.add(handshake_message)
    assert schedule.finished(schedule.client_handshake) == trace.finished["client"]


@pytest.mark.parametrize("name", ["onertt", "client-authentication", "compatibility-mode"])
def test_rfc_8448_secrets_and_finished_with_x25519(name: str) -> None:
    trace = Trace(name)
    server_share = read_server_share(read_server_hello(trace.messages[1]).extensions[KEY_SHARE])
    assert server_share[0] == X25519
    ours = _X25519Exchange(trace.keys["client", "x25519"])
    shares = read_client_hello(trace.messages[0]).extensions[KEY_SHARE]
    assert read_client_shares(shares, [X25519]) == {X25519: ours.share}
    check_trace(trace, 2, ours.agree(server_share[1]))


def test_rfc_8448_secrets_after_a_hello_retry_request_with_p256() -> None:
    trace = Trace("helloretryrequest")
    retry = read_server_hello(trace.messages[1])
    assert retry.is_retry
    scalar = int.from_bytes(trace.keys["client", "P-256"], "big")
    ours = _EllipticExchange(SECP256R1, (scalar - 1).to_bytes(32, "big"))
    group, share = read_server_share(read_server_hello(trace.messages[3]).extensions[KEY_SHARE])
    assert group == SECP256R1
    check_trace(trace, 4, ours.agree(share))


def test_rfc_8448_signature_over_the_transcript_verifies() -> None:
    trace = Trace("onertt")
    schedule = KeySchedule("sha256")
    for handshake_message in trace.messages[:4]:
        schedule.add(handshake_message)
    certificate, verify = trace.messages[3], trace.messages[4]
    assert (certificate[0], verify[0]) == (CERTIFICATE, CERTIFICATE_VERIFY)
    _, entries = parse_certificate(Reader(certificate, 4))
    key = x509.load_der_x509_certificate(entries[0].certificate).public_key()
    scheme, signature = parse_certificate_verify(Reader(verify, 4))
    assert scheme == RSA_PSS_RSAE_SHA256
    content = server_content(schedule.transcript_hash())
    check_signature(key, scheme, signature, content)
    with pytest.raises(HandshakeError, match="decrypt_error"):
        check_signature(key, scheme, signature, content + b"!")


@pytest.mark.parametrize("name", sorted(TRACES))
def test_rfc_8448_messages_survive_reading_and_writing(name: str) -> None:
    # The ClientHello of the 0-RTT trace stops before its PSK binders.
    for handshake_message in Trace(name).messages[name == "zerortt" :]:
        check_round_trip(handshake_message)


@pytest.mark.parametrize("name", sorted(AIOQUIC))
def test_messages_of_aioquic_survive_reading_and_writing(name: str) -> None:
    check_round_trip(AIOQUIC[name])


def check_round_trip(data: bytes) -> None:
    reader = Reader(data, 4)
    if data[0] == 1:
        assert write_client_hello(read_client_hello(data)) == data
    elif data[0] == 2:
        assert write_server_hello(read_server_hello(data)) == data
    elif data[0] == 4:
        ticket = parse_new_session_ticket(reader)
        assert ticket.ticket in data
        assert ticket.lifetime > 0
    elif data[0] == 8:
        extensions = parse_encrypted_extensions(reader)
        assert encode_encrypted_extensions(list(extensions.items())) == data
    elif data[0] == 11:
        context, entries = parse_certificate(reader)
        if all(not entry.extensions for entry in entries):
            assert encode_certificate(context, [entry.certificate for entry in entries]) == data
    elif data[0] == 13:
        parse_certificate_request(reader)
    elif data[0] == 15:
        scheme, signature = parse_certificate_verify(reader)
        assert encode_certificate_verify(scheme, signature) == data
    else:
        assert data[0] in (5, 20)


def test_a_whole_quic_handshake_of_the_illustrated_capture() -> None:
    messages = {name: bytes.fromhex(text) for name, text in ILLUSTRATED["messages"].items()}
    log = {label: bytes.fromhex(text) for label, text in ILLUSTRATED["key_log"].items()}
    client = read_client_hello(messages["ClientHello"])
    server = read_server_hello(messages["ServerHello"])
    ours = _X25519Exchange(bytes(range(0x20, 0x40)))
    shares = read_client_shares(client.extensions[KEY_SHARE], [X25519])
    assert shares == {X25519: ours.share}
    assert QUIC_TRANSPORT_PARAMETERS in client.extensions

    schedule = KeySchedule("sha256")
    schedule.add(messages["ClientHello"])
    schedule.add(messages["ServerHello"])
    schedule.agree(ours.agree(read_server_share(server.extensions[KEY_SHARE])[1]))
    assert schedule.client_handshake == log["CLIENT_HANDSHAKE_TRAFFIC_SECRET"]
    assert schedule.server_handshake == log["SERVER_HANDSHAKE_TRAFFIC_SECRET"]
    schedule.add(messages["EncryptedExtensions"])
    schedule.add(messages["Certificate"])
    _, entries = parse_certificate(Reader(messages["Certificate"], 4))
    key = x509.load_der_x509_certificate(entries[0].certificate).public_key()
    scheme, signature = parse_certificate_verify(Reader(messages["CertificateVerify"], 4))
    check_signature(key, scheme, signature, server_content(schedule.transcript_hash()))
    schedule.add(messages["CertificateVerify"])
    assert messages["server Finished"][4:] == schedule.finished(schedule.server_handshake)
    schedule.add(messages["server Finished"])
    schedule.derive_application_secrets()
    assert schedule.client_application == log["CLIENT_TRAFFIC_SECRET_0"]
    assert schedule.server_application == log["SERVER_TRAFFIC_SECRET_0"]
    assert schedule.exporter == log["EXPORTER_SECRET"]
    assert messages["client Finished"][4:] == schedule.finished(schedule.client_handshake)
    assert len(export("sha256", schedule.exporter, b"EXPERIMENTAL", b"", 40)) == 40


@pytest.mark.parametrize("capture", sorted(CLIENT_HELLOS))
def test_client_hellos_of_ngtcp2_are_understood(capture: str) -> None:
    data = CLIENT_HELLOS[capture]
    info = peek_client_hello(data)
    assert info is not None
    assert "h3" in info.alpn
    assert write_client_hello(read_client_hello(data)) == data
    for cut in (0, 1, 3, 4, 100, len(data) - 1):
        assert peek_client_hello(data[:cut]) is None


def test_the_client_hello_of_the_illustrated_capture_names_its_server() -> None:
    info = peek_client_hello(bytes.fromhex(ILLUSTRATED["messages"]["ClientHello"]))
    assert info is not None
    assert info.server_name == "example.ulfheim.net"
    assert info.alpn == ["ping/1.0"]
