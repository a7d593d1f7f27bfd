"""Our handshake against the TLS of aioquic and of qh3, in memory and in both roles."""

from __future__ import annotations

import base64
import importlib
import ssl
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ropewalk.quic.handshake.credentials import StaticCredentials, load_credential
from ropewalk.quic.handshake.tls import TlsClient, TlsServer
from ropewalk.quic.protection.labels import hkdf_expand_label
from ropewalk.quic.types.configuration import Configuration, NoVerification
from ropewalk.quic.types.errors import HandshakeError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT, Handshake, TrafficSecret
from ropewalk.runtime.certificates import MadeCertificate, make_certificate
from tests.handshake.tls_pair import AUTHORITY, CERTIFICATE, NOW, client_config, server_config

PEERS = ["aioquic", "qh3"]
LEVELS = (INITIAL, HANDSHAKE, ONE_RTT)


class Peer:
    """A ``tls.Context`` of aioquic or qh3 (a fork of it) with what it sends and agrees on."""

    def __init__(self, package: str, is_client: bool, **settings: Any) -> None:
        self.tls: ModuleType = pytest.importorskip(f"{package}.tls")
        self._buffer = importlib.import_module(
            "aioquic.buffer" if package == "aioquic" else "qh3._hazmat"
        ).Buffer
        self.context = self.tls.Context(is_client=is_client, alpn_protocols=["h3"], **settings)
        self.context.handshake_extensions = [
            (self.tls.ExtensionType.QUIC_TRANSPORT_PARAMETERS, b"their parameters")
        ]
        self.secrets: dict[tuple[int, bool], bytes] = {}
        self.context.update_traffic_key_cb = self._take_secret
        self.epochs = {
            INITIAL: self.tls.Epoch.INITIAL,
            HANDSHAKE: self.tls.Epoch.HANDSHAKE,
            ONE_RTT: self.tls.Epoch.ONE_RTT,
        }
        self.output = {epoch: self._buffer(capacity=16384) for epoch in self.tls.Epoch}
        if is_client:
            self.context.handle_message(b"", self.output)

    def _take_secret(self, direction: Any, epoch: Any, suite: Any, secret: bytes) -> None:
        level = {value: key for key, value in self.epochs.items()}[epoch]
        self.secrets[level, direction == self.tls.Direction.ENCRYPT] = secret

    def serve(self, made: MadeCertificate = CERTIFICATE) -> None:
        """Give a server a certificate."""
        context = self.context
        if self.tls.__name__.startswith("qh3"):
            hazmat = importlib.import_module("qh3._hazmat")
            context.certificate = hazmat.Certificate(pem_to_der(made.cert_pem))
            context.certificate_private_key = hazmat.EcPrivateKey(
                pem_to_der(made.key_pem), 256, True
            )
        else:
            context.certificate = self.tls.load_pem_x509_certificates(made.cert_pem)[0]
            context.certificate_private_key = self.tls.load_pem_private_key(made.key_pem)

    def talk(self, ours: Handshake) -> list[TrafficSecret]:
        secrets: list[TrafficSecret] = []
        for _ in range(4):
            for level in LEVELS:
                buffer = self.output[self.epochs[level]]
                data = buffer.data
                if data:
                    buffer.seek(0)
                    ours.receive(level, data)
            for level in LEVELS:
                data = ours.take_crypto(level)
                if data:
                    self.context.handle_message(data, self.output)
            secrets += ours.take_secrets()
        return secrets

    def check(self, ours: Handshake, secrets: list[TrafficSecret]) -> None:
        assert ours.complete
        assert ours.alpn == "h3"
        assert ours.peer_transport_parameters() == b"their parameters"
        assert self.context.alpn_negotiated == "h3"
        assert len(secrets) == 4
        for secret in secrets:
            assert self.secrets[secret.level, not secret.sending] == secret.secret


def pem_to_der(pem: bytes) -> bytes:
    lines = pem.decode().split("-----")[2]
    return base64.b64decode(lines)


def run_client(package: str, config: Configuration) -> tuple[TlsClient, Peer]:
    peer = Peer(package, is_client=False)
    peer.serve()
    ours = TlsClient(config)
    ours.start(b"our parameters")
    peer.check(ours, peer.talk(ours))
    return ours, peer


def run_server(package: str, config: Configuration, **settings: Any) -> tuple[TlsServer, Peer]:
    # Their certificate check reads the machine's clock, ours stands at the test's date.
    peer = Peer(package, is_client=True, server_name="server.example", verify_mode=0, **settings)
    ours = TlsServer(config)
    ours.start(b"our parameters")
    peer.check(ours, peer.talk(ours))
    return ours, peer


@pytest.mark.parametrize("package", PEERS)
@pytest.mark.parametrize("shares", [("X25519MLKEM768", "X25519"), ("X25519",), ("P-256",)])
def test_our_client_with_their_server(package: str, shares: tuple[str, ...]) -> None:
    ours, _ = run_client(package, client_config(key_shares=shares))
    assert ours.peer_identity is not None
    assert ours.peer_identity.verified_by == "private-ca"


@pytest.mark.parametrize("package", PEERS)
def test_our_server_with_their_client(package: str) -> None:
    ours, _ = run_server(package, server_config())
    assert ours.server_name == "server.example"
    assert ours.group == ("X25519" if package == "aioquic" else "X25519MLKEM768")


@pytest.mark.parametrize("suite", [0x1301, 0x1302, 0x1303])
@pytest.mark.parametrize("package", PEERS)
def test_each_cipher_suite_in_both_roles(package: str, suite: int) -> None:
    ours, _ = run_client(package, client_config(cipher_suites=(suite,)))
    assert ours.cipher_suite == suite
    server, _ = run_server(package, server_config(cipher_suites=(suite,)))
    assert server.cipher_suite == suite


@pytest.mark.parametrize("key_type", ["p384", "ed25519", "rsa2048"])
def test_every_kind_of_server_key_in_both_roles(key_type: str) -> None:
    made = make_certificate(["server.example"], key_type=key_type, issuer=AUTHORITY, now=NOW)
    peer = Peer("aioquic", is_client=False)
    peer.serve(made)
    ours = TlsClient(client_config())
    ours.start(b"our parameters")
    peer.check(ours, peer.talk(ours))
    store = StaticCredentials(load_credential(made.cert_pem, made.key_pem))
    run_server("aioquic", server_config(credentials=store))


def open_record(secret: bytes, sequence: int, record: bytes) -> tuple[int, bytes]:
    """Content type and content of a TLS record under AES-128-GCM (RFC 9846 5.2)."""
    key = hkdf_expand_label("sha256", secret, b"key", b"", 16)
    iv = int.from_bytes(hkdf_expand_label("sha256", secret, b"iv", b"", 12), "big")
    nonce = (iv ^ sequence).to_bytes(12, "big")
    inner = AESGCM(key).decrypt(nonce, record[5:], record[:5]).rstrip(b"\0")
    return inner[-1], inner[:-1]


def split_records(data: bytes) -> list[bytes]:
    records: list[bytes] = []
    while data:
        size = 5 + int.from_bytes(data[3:5], "big")
        records.append(data[:size])
        data = data[size:]
    return records


@pytest.mark.parametrize("wanted", ["P-256", "P-384"])
def test_our_client_answers_the_hello_retry_request_of_openssl(wanted: str, tmp_path: Path) -> None:
    """OpenSSL speaks TLS in records and knows no QUIC: the handshake gets as far as its
    EncryptedExtensions, which open under keys that depend on the whole retried transcript."""
    (tmp_path / "chain.pem").write_bytes(CERTIFICATE.cert_pem + CERTIFICATE.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem")
    context.set_ecdh_curve({"P-256": "prime256v1", "P-384": "secp384r1"}[wanted])
    context.set_alpn_protocols(["h3"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    ours = TlsClient(client_config(groups=("X25519", wanted), cipher_suites=(0x1301,)))
    ours.start(b"our parameters")

    for hellos in (1, 2):
        hello = ours.take_crypto(INITIAL)
        assert hello
        incoming.write(b"\x16\x03\x01" + len(hello).to_bytes(2, "big") + hello)
        with pytest.raises(ssl.SSLWantReadError):
            server.do_handshake()
        records = split_records(outgoing.read())
        assert records[0][0] == 22
        ours.receive(INITIAL, records[0][5:])
        assert (ours.group == wanted) == (hellos == 2)
    secret = ours.take_secrets()[0]
    assert (secret.level, secret.sending) == (HANDSHAKE, False)
    protected = [record for record in records[1:] if record[0] == 23]
    content_type, content = open_record(secret.secret, 0, protected[0])
    assert (content_type, content[0]) == (22, 8)
    with pytest.raises(HandshakeError, match="missing_extension"):
        ours.receive(HANDSHAKE, content)


def test_tickets_of_aioquic_are_ignored() -> None:
    peer = Peer("aioquic", is_client=False)
    peer.serve()
    peer.context.new_session_ticket_cb = lambda ticket: None
    ours = TlsClient(client_config(verification=NoVerification()))
    ours.start(b"our parameters")
    peer.check(ours, peer.talk(ours))
