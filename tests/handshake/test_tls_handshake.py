"""Our TLS client and our TLS server with each other."""

from __future__ import annotations

import pytest

from ropewalk.quic.handshake.credentials import StaticCredentials, load_credential
from ropewalk.quic.handshake.tls import TlsClient, TlsServer
from ropewalk.quic.handshake.tls.codec import message
from ropewalk.quic.handshake.tls.codepoints import ECDSA_SECP256R1_SHA256, SIGNATURE_ALGORITHMS
from ropewalk.quic.handshake.tls.extensions import encode_u16_vector
from ropewalk.quic.handshake.tls.messages import (
    encode_certificate_request,
    encode_certificate_verify,
)
from ropewalk.quic.handshake.tls.signatures import server_content, sign
from ropewalk.quic.types.configuration import PinnedKey
from ropewalk.quic.types.errors import ConfigurationError, Unsupported
from ropewalk.quic.types.handshake import (
    AES_128_GCM,
    AES_256_GCM,
    CHACHA20_POLY1305,
    HANDSHAKE,
    INITIAL,
    ONE_RTT,
)
from ropewalk.runtime.certificates import make_authority, make_certificate
from tests.handshake.tls_pair import (
    AUTHORITY,
    CERTIFICATE,
    CLIENT_PARAMETERS,
    NOW,
    SERVER_PARAMETERS,
    Pair,
    client_config,
    credentials,
    seeded,
    server_config,
    split_messages,
)

GROUPS = ["X25519MLKEM768", "X25519", "P-256", "P-384"]


def check_complete(pair: Pair) -> None:
    assert pair.client.complete
    assert pair.server.complete
    assert pair.client.alpn == pair.server.alpn == "h3"
    assert pair.client.peer_transport_parameters() == SERVER_PARAMETERS
    assert pair.server.peer_transport_parameters() == CLIENT_PARAMETERS
    assert pair.server.server_name == "server.example"
    secrets = pair.secrets()
    assert len(secrets) == 8
    for level in (HANDSHAKE, ONE_RTT):
        for client_sends in (True, False):
            assert secrets["client", level, client_sends] == secrets["server", level, client_sends]
    assert len(set(secrets.values())) == 4


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("suite", [AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305])
def test_every_group_with_every_cipher_suite(group: str, suite: int) -> None:
    pair = Pair(client_config(key_shares=(group,), cipher_suites=(suite,))).run()
    check_complete(pair)
    assert pair.client.group == pair.server.group == group
    assert pair.client.cipher_suite == pair.server.cipher_suite == suite
    assert {secret.suite for secret in pair.client_secrets} == {suite}


@pytest.mark.parametrize("group", GROUPS)
def test_hello_retry_request_leads_to_the_group_that_the_server_wants(group: str) -> None:
    share = "P-256" if group == "X25519" else "X25519"
    groups = tuple(sorted({group, share}))
    client = client_config(groups=groups, key_shares=(share,))
    pair = Pair(client, server_config(groups=(group,), key_shares=())).run()
    check_complete(pair)
    assert pair.client.group == group
    assert len(split_messages(pair.sent["client", INITIAL])) == 2
    assert len(split_messages(pair.sent["server", INITIAL])) == 2


def test_a_client_without_any_share_asks_for_a_retry() -> None:
    pair = Pair(client_config(key_shares=())).run()
    check_complete(pair)
    assert pair.client.group == "X25519MLKEM768"


def test_default_client_hello_offers_the_hybrid_group_first_and_spans_two_datagrams() -> None:
    pair = Pair(client_config(key_shares=("X25519", "X25519MLKEM768"))).run()
    check_complete(pair)
    assert pair.client.group == "X25519MLKEM768"
    assert 1250 < len(pair.sent["client", INITIAL]) < 2000


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "p384", "ed25519", "rsa2048"])
def test_every_kind_of_server_key(key_type: str) -> None:
    pair = Pair(server=server_config(credentials=credentials(key_type))).run()
    check_complete(pair)
    assert pair.client.peer_identity is not None
    assert pair.client.peer_identity.verified_by == "private-ca"


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100])
def test_messages_may_be_split_anywhere(piece: int) -> None:
    check_complete(Pair().run(piece))


def test_secrets_come_in_the_order_in_which_they_are_installed() -> None:
    pair = Pair().run()
    client = [(secret.level, secret.sending) for secret in pair.client_secrets]
    server = [(secret.level, secret.sending) for secret in pair.server_secrets]
    assert client == [(HANDSHAKE, False), (HANDSHAKE, True), (ONE_RTT, False), (ONE_RTT, True)]
    assert server == [(HANDSHAKE, True), (HANDSHAKE, False), (ONE_RTT, True), (ONE_RTT, False)]


def test_server_hands_out_its_receiving_secret_only_with_the_clients_finished() -> None:
    pair = Pair()
    pair.carry(pair.client, pair.server)
    assert not pair.server.complete
    assert [secret.sending for secret in pair.server_secrets if secret.level == ONE_RTT] == [True]
    pair.carry(pair.server, pair.client)
    assert pair.client.complete
    assert not pair.server.complete
    pair.carry(pair.client, pair.server)
    assert pair.server.complete


def test_crypto_and_secrets_are_handed_out_once() -> None:
    pair = Pair().run()
    for side in (pair.client, pair.server):
        assert side.take_secrets() == []
        assert [side.take_crypto(level) for level in (INITIAL, HANDSHAKE, ONE_RTT)] == [b""] * 3


def test_a_run_repeats_from_its_seeds() -> None:
    # With X25519 alone: ML-KEM encapsulation cannot be seeded.
    once = Pair(client_config(entropy=seeded(8)), server_config(entropy=seeded(9))).run()
    again = Pair(client_config(entropy=seeded(8)), server_config(entropy=seeded(9))).run()
    other = Pair(client_config(entropy=seeded(7)), server_config(entropy=seeded(9))).run()
    assert once.sent == again.sent
    assert once.secrets() == again.secrets()
    assert once.secrets() != other.secrets()


def test_alpn_follows_the_servers_preference() -> None:
    pair = Pair(client_config(alpn=("a", "b", "c")), server_config(alpn=("c", "b"))).run()
    assert pair.client.alpn == pair.server.alpn == "c"


def test_an_ip_address_is_verified_but_not_sent_as_server_name() -> None:
    for address in ("127.0.0.1", "::1"):
        pair = Pair(client_config(server_name=address)).run()
        assert pair.client.complete
        assert pair.client.server_name == address
        assert pair.server.server_name is None


def test_a_pinned_key_needs_no_name() -> None:
    pin = PinnedKey((CERTIFICATE.spki_sha256,))
    pair = Pair(client_config(verification=pin, server_name=None)).run()
    assert pair.client.complete
    identity = pair.client.peer_identity
    assert identity is not None
    assert identity.verified_by == "pin"
    assert identity.spki_sha256 == CERTIFICATE.spki_sha256


def test_key_log_has_the_same_five_lines_on_both_sides() -> None:
    client: list[str] = []
    server: list[str] = []
    pair = Pair(client_config(key_log=client.append), server_config(key_log=server.append)).run()
    assert client == server
    assert [line.split()[0] for line in client] == [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
    ]
    random = pair.sent["client", INITIAL][6:38].hex()
    assert {line.split()[1] for line in client} == {random}
    assert client[2].split()[2] == pair.secrets()["client", ONE_RTT, True].hex()


def test_exporters_agree_and_outlive_confirmation() -> None:
    pair = Pair()
    with pytest.raises(Unsupported):
        pair.client.export_keying_material(b"label", b"context", 32)
    pair.run()
    first = pair.client.export_keying_material(b"label", b"context", 32)
    assert first == pair.server.export_keying_material(b"label", b"context", 32)
    assert first != pair.client.export_keying_material(b"label", b"other", 32)
    assert first != pair.client.export_keying_material(b"other", b"context", 32)
    assert len(pair.client.export_keying_material(b"label", b"", 200)) == 200
    pair.client.confirm()
    pair.server.confirm()
    assert first == pair.client.export_keying_material(b"label", b"context", 32)
    assert first == pair.server.export_keying_material(b"label", b"context", 32)
    with pytest.raises(ConfigurationError):
        pair.client.export_keying_material(b"label", b"", 0)
    with pytest.raises(ConfigurationError):
        pair.client.export_keying_material(b"l" * 250, b"", 32)


def test_a_certificate_request_is_answered_with_an_empty_certificate() -> None:
    pair = Pair()
    pair.carry(pair.client, pair.server)
    hello = pair.server.take_crypto(INITIAL)
    flight = split_messages(pair.server.take_crypto(HANDSHAKE))
    schemes = encode_u16_vector([ECDSA_SECP256R1_SHA256])
    request = encode_certificate_request(b"", [(SIGNATURE_ALGORITHMS, schemes)])
    pair.client.receive(INITIAL, hello)
    pair.client.receive(HANDSHAKE, flight[0] + request + flight[1])
    # The transcript differs from the server's now, so the signature must be made anew.
    resign(pair, flight)
    answer = split_messages(pair.client.take_crypto(HANDSHAKE))
    assert [part[0] for part in answer] == [11, 20]
    assert answer[0] == bytes.fromhex("0b000004 00000000")


def resign(pair: Pair, flight: list[bytes]) -> None:
    """Play the server's CertificateVerify and Finished over the client's transcript."""
    schedule = pair.client._key_schedule()
    credential = load_credential(CERTIFICATE.cert_pem, CERTIFICATE.key_pem)
    content = server_content(schedule.transcript_hash())
    signature = sign(credential.private_key, ECDSA_SECP256R1_SHA256, content, True)
    pair.client.receive(HANDSHAKE, encode_certificate_verify(ECDSA_SECP256R1_SHA256, signature))
    pair.client.receive(HANDSHAKE, message(20, schedule.finished(schedule.server_handshake)))
    assert pair.client.complete


def test_session_tickets_are_read_and_ignored() -> None:
    pair = Pair().run()
    ticket = bytes.fromhex("04000017 00000e10 01020304 01 00 0005 68656c6c6f 0004 0a0a 0000")
    pair.client.confirm()
    pair.client.receive(ONE_RTT, ticket + ticket[:9])
    pair.client.receive(ONE_RTT, ticket[9:])
    assert pair.client.take_tickets() == []


def test_an_intermediate_authority_is_sent_along() -> None:
    between = make_authority("Between", issuer=AUTHORITY, now=NOW)
    made = make_certificate(["server.example"], issuer=between, now=NOW)
    store = StaticCredentials(load_credential(made.cert_pem, made.key_pem))
    pair = Pair(server=server_config(credentials=store)).run()
    check_complete(pair)
    assert pair.client.peer_identity is not None
    assert len(pair.client.peer_identity.certificates) == 2


def test_settings_that_cannot_work_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="credentials"):
        TlsServer(server_config(credentials=None))
    with pytest.raises(ConfigurationError, match="P-521"):
        TlsClient(client_config(groups=("P-521",), key_shares=()))
    with pytest.raises(ConfigurationError, match="twice"):
        TlsClient(client_config(groups=("P-256", "P-256"), key_shares=()))
    with pytest.raises(Unsupported, match="0x1304"):
        TlsClient(client_config(cipher_suites=(0x1304,)))
    with pytest.raises(ConfigurationError, match="cipher_suites"):
        TlsClient(client_config(cipher_suites=()))
    pin = PinnedKey((bytes(32),))
    for name in ("bücher.example", "two words", "", "a" * 256):
        with pytest.raises(ConfigurationError, match="host name"):
            TlsClient(client_config(server_name=name, verification=pin))
