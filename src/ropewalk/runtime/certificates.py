"""Certificates made on the spot, for demos and tests, and the system's trusted roots."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ropewalk.quic.types.configuration import Configuration, WebPki
from ropewalk.quic.types.errors import ConfigurationError

_PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

#: The kinds of keys that :func:`make_certificate` and :func:`make_authority` know.
KEY_TYPES = ("ecdsa-p256", "p384", "ed25519", "rsa2048")

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True)
class MadeCertificate:
    """A certificate with its key. ``spki_sha256`` is what ``PinnedKey`` takes."""

    cert_pem: bytes
    key_pem: bytes
    spki_sha256: bytes


@dataclass(frozen=True)
class CertificateAuthority:
    """An authority that :func:`make_certificate` lets sign. ``cert_pem`` is what clients trust."""

    certificate: x509.Certificate
    private_key: _PrivateKey
    cert_pem: bytes


def make_authority(
    name: str = "Ropewalk test authority",
    *,
    key_type: str = "ecdsa-p256",
    issuer: CertificateAuthority | None = None,
    days: float = 30,
    now: datetime | None = None,
    entropy: Callable[[int], bytes] | None = None,
) -> CertificateAuthority:
    """A new authority, a root or (with ``issuer``) an intermediate.

    Parameters as in :func:`make_certificate`.
    """
    key = _make_key(key_type, entropy)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(subject, key, issuer, days, now, entropy)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    certificate = _sign(builder, key if issuer is None else issuer.private_key, entropy)
    return CertificateAuthority(certificate, key, certificate.public_bytes(Encoding.PEM))


def make_certificate(
    names: Sequence[str],
    *,
    key_type: str = "ecdsa-p256",
    issuer: CertificateAuthority | None = None,
    days: float = 30,
    now: datetime | None = None,
    entropy: Callable[[int], bytes] | None = None,
) -> MadeCertificate:
    """A server certificate for DNS names and IP addresses, signed by itself without ``issuer``.

    ``key_type`` is one of :data:`KEY_TYPES`; ``now`` (aware; default: the system's clock) less
    an hour is where the ``days`` begin. With ``entropy`` key, serial and signature repeat from
    run to run (not for RSA). The PEM holds the issuer too when that is an intermediate.
    Raises ``ConfigurationError``.
    """
    if not names:
        raise ConfigurationError("a certificate needs one name at least")
    key = _make_key(key_type, entropy)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    builder = _builder(subject, key, issuer, days, now, entropy)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
    )
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    builder = builder.add_extension(_key_usage(authority=False), critical=True)
    builder = builder.add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
    )
    certificate = _sign(builder, key if issuer is None else issuer.private_key, entropy)
    chain = certificate.public_bytes(Encoding.PEM)
    if issuer is not None and issuer.certificate.issuer != issuer.certificate.subject:
        chain += issuer.cert_pem
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(spki)
    return MadeCertificate(
        cert_pem=chain,
        key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        spki_sha256=digest.finalize(),
    )


def system_roots() -> bytes:
    """The authorities that this system trusts, in PEM (``SSL_CERT_FILE`` overrides).

    Raises ``ConfigurationError`` when none are found. Reads files.
    """
    paths = ssl.get_default_verify_paths()
    for candidate in (paths.cafile, *_BUNDLES):
        if candidate is None:
            continue
        try:
            data = Path(candidate).read_bytes()
        except OSError:
            continue
        if b"BEGIN CERTIFICATE" in data:
            return data
    # Windows and macOS keep them in stores that only ssl can read.
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    if found:
        return "".join([ssl.DER_cert_to_PEM_cert(der) for der in found]).encode()
    raise ConfigurationError(
        "this system's trusted authorities were not found; install its ca-certificates package, "
        "set SSL_CERT_FILE, or give a CA (PrivateCa, --ca) or a pin (PinnedKey, --pin)"
    )


def with_system_roots(config: Configuration) -> Configuration:
    """``config`` with the system's roots filled in where its policy is web PKI without roots."""
    verification = config.verification
    if isinstance(verification, WebPki) and verification.roots is None:
        return replace(config, verification=WebPki(system_roots()))
    return config


def _make_key(key_type: str, entropy: Callable[[int], bytes] | None) -> _PrivateKey:
    if key_type == "ed25519":
        if entropy is None:
            return ed25519.Ed25519PrivateKey.generate()
        return ed25519.Ed25519PrivateKey.from_private_bytes(entropy(32))
    if key_type == "rsa2048":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if key_type not in ("ecdsa-p256", "p384"):
        raise ConfigurationError(
            f"key type {key_type!r} is not known; choose from {', '.join(KEY_TYPES)}"
        )
    curve = ec.SECP256R1() if key_type == "ecdsa-p256" else ec.SECP384R1()
    if entropy is None:
        return ec.generate_private_key(curve)
    # Half the field's size in bytes short of the order: always in range, enough for a lab.
    return ec.derive_private_key(int.from_bytes(entropy(31), "big") + 1, curve)


def _builder(
    subject: x509.Name,
    key: _PrivateKey,
    issuer: CertificateAuthority | None,
    days: float,
    now: datetime | None,
    entropy: Callable[[int], bytes] | None,
) -> x509.CertificateBuilder:
    begin = (datetime.now(UTC) if now is None else now) - timedelta(hours=1)
    serial = x509.random_serial_number()
    if entropy is not None:
        serial = int.from_bytes(entropy(16), "big") | 1
    public = key.public_key()
    issuer_name = subject
    authority_key = public
    if issuer is not None:
        issuer_name = issuer.certificate.subject
        authority_key = issuer.private_key.public_key()
    builder = x509.CertificateBuilder(
        issuer_name=issuer_name,
        subject_name=subject,
        public_key=public,
        serial_number=serial,
        not_valid_before=begin,
        not_valid_after=begin + timedelta(hours=1, days=days),
    )
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(public), critical=False
    )
    return builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key), critical=False
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(
    builder: x509.CertificateBuilder,
    key: _PrivateKey,
    entropy: Callable[[int], bytes] | None,
) -> x509.Certificate:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return builder.sign(key, None)
    if isinstance(key, ec.EllipticCurvePrivateKey) and entropy is not None:
        return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    return builder.sign(key, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError:
        raise ConfigurationError(
            f"{name!r} is neither an IP address nor a DNS name in ASCII"
        ) from None
