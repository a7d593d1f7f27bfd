"""Who simulated servers are: keys, certificates and entropy that follow from a seed.

Serials, keys, validity and signatures repeat, so packets of two runs have equal sizes and
bytes. Nothing made here is a secret.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ropewalk.quic.types.identity import Credential

#: Where virtual time 0.0 lies on the wall clock: 2027-01-01 00:00 UTC.
EPOCH = datetime(2027, 1, 1, tzinfo=UTC).timestamp()

# The order of P-256; a private key lies between 1 and this less one.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def seeded_entropy(seed: int | str) -> Callable[[int], bytes]:
    """A source of bytes that repeats. For simulations only: anybody can guess them."""
    return random.Random(f"entropy/{seed}").randbytes  # noqa: S311 - it has to repeat


@dataclass(frozen=True)
class SimulatedIdentity:
    """A server's credential, and the pin by which its clients know it."""

    credential: Credential
    spki_sha256: bytes
    certificate_pem: bytes


def seeded_identity(seed: int | str, name: str = "server.sim") -> SimulatedIdentity:
    """A self-signed ECDSA P-256 certificate for ``name``, valid for ten virtual years."""
    source = random.Random(f"identity/{seed}/{name}")  # noqa: S311 - it has to repeat
    key = ec.derive_private_key(source.randrange(1, _P256_ORDER), ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.fromtimestamp(EPOCH, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(source.getrandbits(63) | 1)
        .not_valid_before(start - timedelta(days=1))
        .not_valid_after(start + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return SimulatedIdentity(Credential([der], key), hashlib.sha256(spki).digest(), pem)
