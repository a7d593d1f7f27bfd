"""A server's certificates: read from PEM, found by name; and those made on the spot."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed448
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ropewalk.quic.handshake.credentials import (
    NamedCredentials,
    StaticCredentials,
    load_credential,
)
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.runtime.certificates import KEY_TYPES, make_authority, make_certificate
from tests.handshake.tls_pair import NOW, seeded

ONE = make_certificate(["one.example"], now=NOW, entropy=seeded(1))
TWO = make_certificate(["two.example"], now=NOW, entropy=seeded(2))
FIRST = load_credential(ONE.cert_pem, ONE.key_pem)
SECOND = load_credential(TWO.cert_pem, TWO.key_pem)


def test_a_static_store_has_one_answer() -> None:
    store = StaticCredentials(FIRST)
    assert store.find(None) is FIRST
    assert store.find("anything") is FIRST
    assert store.find_psk(b"identity") is None


def test_a_named_store_prefers_the_exact_name() -> None:
    store = NamedCredentials({"*.Example": FIRST, "two.example.": SECOND})
    assert store.find("one.example") is FIRST
    assert store.find("TWO.example") is SECOND
    assert store.find("two.example.") is SECOND
    assert store.find("a.b.example") is None
    assert store.find("example") is None
    assert store.find(".example") is None
    assert store.find(None) is None


def test_a_named_store_may_have_a_default() -> None:
    store = NamedCredentials({"one.example": FIRST}, default=SECOND)
    assert store.find("one.example") is FIRST
    assert store.find("else.example") is SECOND
    assert store.find(None) is SECOND


def test_a_credential_keeps_the_whole_chain() -> None:
    root = make_authority("root", now=NOW)
    between = make_authority("between", issuer=root, now=NOW)
    made = make_certificate(["one.example"], issuer=between, now=NOW)
    chain = load_credential(made.cert_pem, made.key_pem).certificates
    subjects = [x509.load_der_x509_certificate(der).subject.rfc4514_string() for der in chain]
    assert subjects == ["CN=one.example", "CN=between"]


def test_files_that_cannot_serve_are_explained() -> None:
    with pytest.raises(ConfigurationError, match="certificate cannot be read"):
        load_credential(b"", ONE.key_pem)
    with pytest.raises(ConfigurationError, match="certificate cannot be read"):
        load_credential(ONE.key_pem, ONE.key_pem)
    with pytest.raises(ConfigurationError, match="private key cannot be read"):
        load_credential(ONE.cert_pem, ONE.cert_pem)
    with pytest.raises(ConfigurationError, match="does not belong"):
        load_credential(ONE.cert_pem, TWO.key_pem)
    with pytest.raises(ConfigurationError, match="does not belong"):
        load_credential(TWO.cert_pem + ONE.cert_pem, ONE.key_pem)
    key = load_pem_private_key(ONE.key_pem, None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw"))
    with pytest.raises(ConfigurationError, match="encrypted"):
        load_credential(ONE.cert_pem, locked)
    odd = ed448.Ed448PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    with pytest.raises(ConfigurationError, match="not of a kind"):
        load_credential(ONE.cert_pem, odd)


# -- certificates made on the spot
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_made_certificates_of_every_kind_can_serve(key_type: str) -> None:
    made = make_certificate(["one.example", "10.0.0.1"], key_type=key_type, now=NOW, days=2)
    credential = load_credential(made.cert_pem, made.key_pem)
    certificate = x509.load_der_x509_certificate(credential.certificates[0])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["one.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1"]
    validity = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert validity.total_seconds() == 3600 + 2 * 86400
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "p384", "ed25519"])
def test_made_certificates_repeat_from_a_seed(key_type: str) -> None:
    def make(seed: int) -> object:
        return make_certificate(["a.example"], key_type=key_type, now=NOW, entropy=seeded(seed))

    assert make(1) == make(1)
    assert make(1) != make(2)


def test_impossible_certificates_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="one name"):
        make_certificate([])
    with pytest.raises(ConfigurationError, match="choose from"):
        make_certificate(["a.example"], key_type="dsa")
    with pytest.raises(ConfigurationError, match="neither an IP address"):
        make_certificate(["bücher.example"])
