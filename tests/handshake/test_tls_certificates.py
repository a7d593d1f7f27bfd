"""Whom a client trusts, and how it says why not."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ropewalk.quic.handshake.credentials import StaticCredentials, load_credential
from ropewalk.quic.handshake.tls import TlsClient
from ropewalk.quic.handshake.tls.certificates import ServerVerifier
from ropewalk.quic.handshake.tls.codepoints import (
    BAD_CERTIFICATE,
    CERTIFICATE_EXPIRED,
    CERTIFICATE_UNKNOWN,
    UNKNOWN_CA,
    UNSUPPORTED_CERTIFICATE,
)
from ropewalk.quic.types.configuration import (
    NoVerification,
    PinnedKey,
    PrivateCa,
    Verification,
    WebPki,
)
from ropewalk.quic.types.errors import ConfigurationError, HandshakeError
from ropewalk.runtime.certificates import (
    CertificateAuthority,
    MadeCertificate,
    make_authority,
    make_certificate,
    system_roots,
    with_system_roots,
)
from tests.handshake.tls_pair import (
    AUTHORITY,
    CERTIFICATE,
    NOW,
    Pair,
    client_config,
    seeded,
    server_config,
)

PRIVATE = PrivateCa(AUTHORITY.cert_pem)
STRANGER = make_authority("Stranger", now=NOW, entropy=seeded(20))
DAY = timedelta(days=1)


def chain_of(made: MadeCertificate) -> list[bytes]:
    return load_credential(made.cert_pem, made.key_pem).certificates


def verify(
    chain: list[bytes], policy: Verification = PRIVATE, name: str | None = "server.example"
) -> str:
    return ServerVerifier(policy, name).verify(chain, NOW.timestamp()).verified_by


def refusal(
    chain: list[bytes], policy: Verification = PRIVATE, name: str | None = "server.example"
) -> tuple[int, str]:
    with pytest.raises(HandshakeError) as caught:
        verify(chain, policy, name)
    return caught.value.alert, caught.value.reason


def hand_made(
    issuer: CertificateAuthority,
    *extensions: x509.ExtensionType,
    authority: bool = False,
    subject: str = "hand made",
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate with exactly these extensions, and a critical flag on none of them."""
    key = ec.derive_private_key(len(subject) + 77, ec.SECP256R1())
    builder = x509.CertificateBuilder(
        issuer_name=issuer.certificate.subject,
        subject_name=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]),
        public_key=key.public_key(),
        serial_number=7,
        not_valid_before=NOW - DAY,
        not_valid_after=NOW + DAY,
    )
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    assert isinstance(issuer.private_key, ec.EllipticCurvePrivateKey)
    return builder.sign(issuer.private_key, hashes.SHA256()), key


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


SAN = x509.SubjectAlternativeName([x509.DNSName("server.example")])


# -- what is accepted
def test_each_policy_says_who_vouched() -> None:
    chain = chain_of(CERTIFICATE)
    assert verify(chain) == "private-ca"
    assert verify(chain, WebPki(AUTHORITY.cert_pem)) == "web-pki"
    assert verify(chain, PinnedKey((bytes(32), CERTIFICATE.spki_sha256)), None) == "pin"
    assert verify(chain, NoVerification(), None) == "nothing"


@pytest.mark.parametrize("name", ["server.example", "SERVER.example", "127.0.0.1", "::1", "0::1"])
def test_names_and_addresses_match(name: str) -> None:
    assert verify(chain_of(CERTIFICATE), PRIVATE, name) == "private-ca"
    assert verify(chain_of(CERTIFICATE), WebPki(AUTHORITY.cert_pem), name) == "web-pki"


def test_a_wildcard_stands_for_one_label() -> None:
    chain = chain_of(make_certificate(["*.example"], issuer=AUTHORITY, now=NOW))
    assert verify(chain, PRIVATE, "one.example") == "private-ca"
    assert refusal(chain, PRIVATE, "one.two.example")[0] == BAD_CERTIFICATE


def test_the_private_policy_takes_profiles_that_the_web_does_not() -> None:
    # No authority key identifier, no key usage: what "openssl x509 -req" makes by default.
    plain, _ = hand_made(AUTHORITY, SAN)
    assert verify([der(plain)]) == "private-ca"
    alert, reason = refusal([der(plain)], WebPki(AUTHORITY.cert_pem))
    assert alert == CERTIFICATE_UNKNOWN
    assert "PrivateCa" in reason


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "p384", "ed25519", "rsa2048"])
def test_a_certificate_signed_by_itself_may_be_its_own_root(key_type: str) -> None:
    made = make_certificate(["server.example"], key_type=key_type, now=NOW)
    assert verify(chain_of(made), PrivateCa(made.cert_pem)) == "private-ca"
    assert refusal(chain_of(made), PrivateCa(made.cert_pem), "x.example")[0] == BAD_CERTIFICATE


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "p384", "rsa2048"])
def test_authorities_of_every_usual_kind(key_type: str) -> None:
    root = make_authority("Root", key_type=key_type, now=NOW)
    between = make_authority("Between", key_type=key_type, issuer=root, now=NOW)
    chain = chain_of(make_certificate(["server.example"], issuer=between, now=NOW))
    assert len(chain) == 2
    for policy in (PrivateCa(root.cert_pem), WebPki(root.cert_pem)):
        assert verify(chain, policy)
        assert refusal(chain[:1], policy)[0] == UNKNOWN_CA


def test_a_bundle_may_hold_many_roots() -> None:
    roots = STRANGER.cert_pem + b"\n# a comment\n" + AUTHORITY.cert_pem
    assert verify(chain_of(CERTIFICATE), PrivateCa(roots)) == "private-ca"


# -- what is refused, and in which words
def test_an_unknown_issuer_is_named() -> None:
    alert, reason = refusal(chain_of(CERTIFICATE), PrivateCa(STRANGER.cert_pem))
    assert alert == UNKNOWN_CA
    assert "unknown issuer" in reason
    assert "CN=Test authority" in reason
    assert "--ca" in reason
    assert "--pin" in reason


def test_a_certificate_signed_by_itself_is_recognised() -> None:
    made = make_certificate(["server.example"], now=NOW)
    alert, reason = refusal(chain_of(made))
    assert alert == UNKNOWN_CA
    assert "signed by itself" in reason


def test_another_authority_of_the_same_name_did_not_sign() -> None:
    impostor = make_authority("Test authority", now=NOW)
    chain = chain_of(make_certificate(["server.example"], issuer=impostor, now=NOW))
    alert, reason = refusal(chain)
    assert alert == BAD_CERTIFICATE
    assert "wrong signature" in reason


@pytest.mark.parametrize("policy", [PRIVATE, WebPki(AUTHORITY.cert_pem)])
def test_dates_are_checked_by_the_wall_clock_of_the_configuration(policy: Verification) -> None:
    old = make_certificate(["server.example"], issuer=AUTHORITY, now=NOW - 9 * DAY, days=8)
    alert, reason = refusal(chain_of(old), policy)
    assert alert == CERTIFICATE_EXPIRED
    assert "expired on 2026-02-28 12:00 UTC" in reason
    young = make_certificate(["server.example"], issuer=AUTHORITY, now=NOW + 2 * DAY)
    alert, reason = refusal(chain_of(young), policy)
    assert alert == CERTIFICATE_EXPIRED
    assert "not valid before 2026-03-03 11:00 UTC" in reason


def test_an_expired_authority_is_told_from_an_expired_server() -> None:
    root = make_authority("Old root", now=NOW - 9 * DAY, days=8)
    chain = chain_of(make_certificate(["server.example"], issuer=root, now=NOW))
    alert, reason = refusal(chain, PrivateCa(root.cert_pem))
    assert alert == CERTIFICATE_EXPIRED
    assert "authority" in reason
    assert "CN=Old root" in reason


@pytest.mark.parametrize("name", ["other.example", "10.0.0.1", "::2", "example"])
@pytest.mark.parametrize("policy", [PRIVATE, WebPki(AUTHORITY.cert_pem)])
def test_a_wrong_name_lists_the_right_ones(policy: Verification, name: str) -> None:
    alert, reason = refusal(chain_of(CERTIFICATE), policy, name)
    assert alert == BAD_CERTIFICATE
    assert "wrong name" in reason
    assert "server.example, 127.0.0.1, ::1" in reason
    assert name in reason


def test_a_common_name_is_no_name() -> None:
    bare, _ = hand_made(AUTHORITY, subject="server.example")
    alert, reason = refusal([der(bare)])
    assert alert == BAD_CERTIFICATE
    assert "no subjectAltName" in reason


def test_a_certificate_with_many_names_is_summed_up() -> None:
    names = [f"host{number}.example" for number in range(20)]
    _, reason = refusal(chain_of(make_certificate(names, issuer=AUTHORITY, now=NOW)))
    assert "host7.example, 12 more" in reason


def test_the_purpose_must_allow_servers() -> None:
    purpose = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH])
    leaf, _ = hand_made(AUTHORITY, SAN, purpose)
    for roots in (AUTHORITY.cert_pem, leaf.public_bytes(Encoding.PEM)):
        for policy in (PrivateCa(roots), WebPki(roots)):
            alert, reason = refusal([der(leaf)], policy)
            if isinstance(policy, PrivateCa):
                assert alert == UNSUPPORTED_CERTIFICATE
                assert "wrong purpose" in reason
    any_purpose = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    leaf, _ = hand_made(AUTHORITY, SAN, any_purpose)
    assert verify([der(leaf)]) == "private-ca"


def issued_through(*extensions: x509.ExtensionType, authority: bool = True) -> list[bytes]:
    between, key = hand_made(AUTHORITY, *extensions, authority=authority, subject="between")
    issuer = CertificateAuthority(between, key, between.public_bytes(Encoding.PEM))
    leaf, _ = hand_made(issuer, SAN)
    return [der(leaf), der(between)]


def test_an_authority_without_the_right_to_sign_breaks_the_path() -> None:
    assert verify(issued_through()) == "private-ca"
    assert refusal(issued_through(authority=False))[0] == BAD_CERTIFICATE
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    alert, reason = refusal(issued_through(usage))
    assert alert == BAD_CERTIFICATE
    assert "keyCertSign" in reason
    purpose = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH])
    assert refusal(issued_through(purpose))[0] == UNSUPPORTED_CERTIFICATE


def test_name_constraints_of_an_authority_hold() -> None:
    inside = x509.NameConstraints([x509.DNSName("example")], None)
    outside = x509.NameConstraints([x509.DNSName("example.org")], None)
    assert verify(issued_through(inside)) == "private-ca"
    assert refusal(issued_through(outside))[0] == BAD_CERTIFICATE


@pytest.mark.parametrize("policy", [PrivateCa, WebPki])
def test_an_ed25519_authority_is_named_as_the_reason(
    policy: type[PrivateCa] | type[WebPki],
) -> None:
    root = make_authority("Edwards", key_type="ed25519", now=NOW)
    chain = chain_of(make_certificate(["server.example"], issuer=root, now=NOW))
    alert, reason = refusal(chain, policy(root.cert_pem))
    assert alert == UNSUPPORTED_CERTIFICATE
    assert "CN=Edwards" in reason
    assert "Ed25519" in reason
    assert "--pin" in reason


def test_a_key_of_unknown_kind_is_unsupported() -> None:
    ecdsa = bytes.fromhex("06072a8648ce3d0201")
    leaf = chain_of(CERTIFICATE)[0]
    assert ecdsa in leaf
    bent = leaf.replace(ecdsa, bytes.fromhex("06072a8648ce3d0209"))
    assert refusal([bent], NoVerification())[0] == UNSUPPORTED_CERTIFICATE
    pem = x509.load_der_x509_certificate(bent).public_bytes(Encoding.PEM)
    with pytest.raises(ConfigurationError, match="key cannot be read"):
        load_credential(pem, CERTIFICATE.key_pem)


def test_a_wrong_pin_shows_the_right_one() -> None:
    alert, reason = refusal(chain_of(CERTIFICATE), PinnedKey((bytes(32),)), None)
    assert alert == CERTIFICATE_UNKNOWN
    assert CERTIFICATE.spki_sha256.hex() in reason


def test_a_pin_ignores_names_and_dates() -> None:
    old = make_certificate(["elsewhere.example"], now=NOW - 9 * DAY, days=8)
    assert verify(chain_of(old), PinnedKey((old.spki_sha256,))) == "pin"


def test_a_pin_still_wants_the_private_key() -> None:
    other = make_certificate(["server.example"], now=NOW)
    thief = load_credential(other.cert_pem, other.key_pem)
    thief.certificates = chain_of(CERTIFICATE)
    pair = Pair(
        client_config(verification=PinnedKey((CERTIFICATE.spki_sha256,))),
        server_config(credentials=StaticCredentials(thief)),
    )
    with pytest.raises(HandshakeError, match="decrypt_error"):
        pair.run()


def test_the_whole_handshake_fails_with_the_certificates_alert() -> None:
    pair = Pair(client_config(verification=PrivateCa(STRANGER.cert_pem)))
    with pytest.raises(HandshakeError, match="unknown_ca") as caught:
        pair.run()
    assert caught.value.code == 0x100 + UNKNOWN_CA
    assert pair.client.peer_identity is None
    assert not pair.client.complete


# -- settings
def test_policies_that_cannot_work_are_refused_at_once() -> None:
    def client(verification: Verification, name: str | None = "server.example") -> TlsClient:
        return TlsClient(client_config(verification=verification, server_name=name))

    with pytest.raises(ConfigurationError, match="with_system_roots"):
        client(WebPki())
    with pytest.raises(ConfigurationError, match="roots cannot be read"):
        client(PrivateCa(b"no certificate"))
    with pytest.raises(ConfigurationError, match="set server_name"):
        client(PRIVATE, None)
    for name in ("local_host", "a..b", "*.example", "two words"):
        with pytest.raises(ConfigurationError, match="neither an IP address nor a DNS name"):
            client(PRIVATE, name)
    with pytest.raises(ConfigurationError, match="no hash"):
        client(PinnedKey(()))
    with pytest.raises(ConfigurationError, match="32 bytes"):
        client(PinnedKey((b"short",)))
    with pytest.raises(ConfigurationError, match="no policy"):
        client(Verification())


def test_system_roots_fill_in_the_web_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "roots.pem"
    bundle.write_bytes(AUTHORITY.cert_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert system_roots() == AUTHORITY.cert_pem
    filled = with_system_roots(client_config(verification=WebPki()))
    assert filled.verification == WebPki(AUTHORITY.cert_pem)
    assert Pair(filled).run().client.complete
    kept = client_config(verification=PRIVATE)
    assert with_system_roots(kept) is kept


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_ca_made_by_openssl_works_with_the_private_policy(tmp_path: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30000", "-keyout", "ca.key"),
        *("-out", "ca.pem", "-subj", "/CN=openssl CA"),
    )
    openssl(
        *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server"),
    )
    (tmp_path / "names").write_text("subjectAltName=DNS:server.example\n")
    openssl(
        *("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
        *("-CAcreateserial", "-days", "30000", "-extfile", "names", "-out", "server.pem"),
    )
    credential = load_credential(
        (tmp_path / "server.pem").read_bytes(), (tmp_path / "server.key").read_bytes()
    )
    verifier = ServerVerifier(PrivateCa((tmp_path / "ca.pem").read_bytes()), "server.example")
    start = x509.load_der_x509_certificate(credential.certificates[0]).not_valid_before_utc
    moment = (start + DAY).timestamp()
    assert verifier.verify(credential.certificates, moment).verified_by == "private-ca"
