"""Certificates of the lab's servers."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ropewalk.quic.types.identity import Credential
from ropewalk.sim.identity import EPOCH, seeded_identity

_RSA_BITS: Final = 2048


@lru_cache(maxsize=64)
def credential_for(seed: int, certificate: str) -> tuple[Credential, bytes]:
    """A server's credential, and the SHA-256 by which its clients pin it.

    ECDSA keys follow from the seed. An RSA key cannot: it is made once in a process, of a
    size that never changes.
    """
    if certificate == "rsa":
        return _rsa_credential()
    identity = seeded_identity(seed)
    return identity.credential, identity.spki_sha256


@lru_cache(maxsize=1)
def _rsa_credential() -> tuple[Credential, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server.sim")])
    start = datetime.fromtimestamp(EPOCH, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start - timedelta(days=1))
        .not_valid_after(start + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    return Credential([der], key), hashlib.sha256(spki).digest()
