"""Signature schemes of CertificateVerify (RFC 9846 4.3.3, 4.5.2)."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

from ropewalk.quic.handshake.tls.codepoints import (
    DECRYPT_ERROR,
    ECDSA_SECP256R1_SHA256,
    ECDSA_SECP384R1_SHA384,
    ED25519,
    ILLEGAL_PARAMETER,
    RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512,
    RSA_PSS_RSAE_SHA256,
    RSA_PSS_RSAE_SHA384,
    RSA_PSS_RSAE_SHA512,
    UNSUPPORTED_CERTIFICATE,
)
from ropewalk.quic.types.errors import ConfigurationError, HandshakeError

#: Schemes for CertificateVerify, in the order of preference.
VERIFY_SCHEMES: Final[list[int]] = [
    ECDSA_SECP256R1_SHA256,
    ED25519,
    ECDSA_SECP384R1_SHA384,
    RSA_PSS_RSAE_SHA256,
    RSA_PSS_RSAE_SHA384,
    RSA_PSS_RSAE_SHA512,
]

#: What a ClientHello offers: PKCS #1 v1.5 too, but only for signatures inside certificates.
OFFERED_SCHEMES: Final[list[int]] = [
    *VERIFY_SCHEMES,
    RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512,
]

_SERVER_CONTEXT: Final = b" " * 64 + b"TLS 1.3, server CertificateVerify\x00"

_SHA256: Final = hashes.SHA256()
_SHA384: Final = hashes.SHA384()
_SHA512: Final = hashes.SHA512()


def server_content(transcript_hash: bytes) -> bytes:
    """What a server's CertificateVerify signs."""
    return _SERVER_CONTEXT + transcript_hash


def schemes_of_private_key(key: PrivateKeyTypes) -> list[int]:
    """The schemes that a key can sign with, best first; empty for a key of another kind."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _schemes_of_curve(key.curve.name)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return [ED25519]
    if isinstance(key, rsa.RSAPrivateKey):
        return _schemes_of_modulus(key.key_size)
    return []


def sign(key: PrivateKeyTypes, scheme: int, content: bytes, deterministic: bool) -> bytes:
    """Sign ``content``. ``scheme`` is one of :func:`schemes_of_private_key`.

    ``deterministic`` chooses RFC 6979 nonces for ECDSA.
    """
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = _SHA256 if scheme == ECDSA_SECP256R1_SHA256 else _SHA384
        return key.sign(content, ec.ECDSA(algorithm, deterministic_signing=deterministic))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(content)
    if isinstance(key, rsa.RSAPrivateKey):
        digest = _rsa_hash(scheme)
        return key.sign(content, _pss(digest), digest)
    raise ConfigurationError("the private key is not of a kind that TLS 1.3 signs with")


def check_signature(key: PublicKeyTypes, scheme: int, signature: bytes, content: bytes) -> None:
    """Check a CertificateVerify signature.

    Raises ``HandshakeError``: illegal_parameter when the scheme was not offered or does not
    fit the key, unsupported_certificate for a kind of key that no scheme of ours uses,
    decrypt_error when the signature is wrong.
    """
    possible = _schemes_of_public_key(key)
    if not possible:
        raise HandshakeError(
            UNSUPPORTED_CERTIFICATE,
            "the certificate's key is not ECDSA P-256 or P-384, Ed25519 or RSA",
        )
    if scheme not in VERIFY_SCHEMES or scheme not in possible:
        raise HandshakeError(
            ILLEGAL_PARAMETER,
            f"signature scheme 0x{scheme:04x} was not offered or does not fit the certificate",
        )
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            algorithm = _SHA256 if scheme == ECDSA_SECP256R1_SHA256 else _SHA384
            key.verify(signature, content, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, content)
        elif isinstance(key, rsa.RSAPublicKey):
            digest = _rsa_hash(scheme)
            key.verify(signature, content, _pss(digest), digest)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        raise HandshakeError(DECRYPT_ERROR, "the signature in CertificateVerify is wrong") from None


def _schemes_of_public_key(key: PublicKeyTypes) -> list[int]:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _schemes_of_curve(key.curve.name)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return [ED25519]
    if isinstance(key, rsa.RSAPublicKey):
        return _schemes_of_modulus(key.key_size)
    return []


def _schemes_of_curve(name: str) -> list[int]:
    if name == "secp256r1":
        return [ECDSA_SECP256R1_SHA256]
    if name == "secp384r1":
        return [ECDSA_SECP384R1_SHA384]
    return []


def _schemes_of_modulus(bits: int) -> list[int]:
    schemes = [RSA_PSS_RSAE_SHA256, RSA_PSS_RSAE_SHA384]
    # PSS with a salt as long as the hash needs two hash lengths and two bytes (RFC 8017 9.1.1).
    if bits >= 8 * (2 * 64 + 2) + 1:
        schemes.append(RSA_PSS_RSAE_SHA512)
    return schemes


def _rsa_hash(scheme: int) -> hashes.HashAlgorithm:
    if scheme == RSA_PSS_RSAE_SHA256:
        return _SHA256
    if scheme == RSA_PSS_RSAE_SHA384:
        return _SHA384
    return _SHA512


def _pss(digest: hashes.HashAlgorithm) -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
