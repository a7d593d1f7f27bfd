"""HKDF with TLS 1.3 labels, and what each cipher suite needs of it (RFC 9846 7.1)."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from ropewalk.quic.types.errors import Unsupported
from ropewalk.quic.types.handshake import AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305

_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
}

_SUITE_HASHES: Final[dict[int, str]] = {
    AES_128_GCM: "sha256",
    AES_256_GCM: "sha384",
    CHACHA20_POLY1305: "sha256",
}

_KEY_LENGTHS: Final[dict[int, int]] = {
    AES_128_GCM: 16,
    AES_256_GCM: 32,
    CHACHA20_POLY1305: 32,
}


def _algorithm(hash_name: str) -> hashes.HashAlgorithm:
    algorithm = _HASHES.get(hash_name)
    if algorithm is None:
        raise Unsupported(f"hash {hash_name!r} is not used by any QUIC cipher suite built here")
    return algorithm


def hash_of_suite(suite: int) -> str:
    """The hash of a cipher suite, "sha256" or "sha384". Raises ``Unsupported``."""
    name = _SUITE_HASHES.get(suite)
    if name is None:
        raise Unsupported(f"cipher suite 0x{suite:04x} is not built in")
    return name


def key_length(suite: int) -> int:
    """Bytes in the AEAD key (and in the header key) of a cipher suite. Raises ``Unsupported``."""
    length = _KEY_LENGTHS.get(suite)
    if length is None:
        raise Unsupported(f"cipher suite 0x{suite:04x} is not built in")
    return length


def hash_length(hash_name: str) -> int:
    """Bytes in a digest, and so in every secret of a suite with that hash."""
    return _algorithm(hash_name).digest_size


def hkdf_extract(hash_name: str, salt: bytes, ikm: bytes) -> bytes:
    """HKDF-Extract (RFC 5869 2.2). An empty salt stands for a digest's length of zeros."""
    return HKDF.extract(_algorithm(hash_name), salt, ikm)


def hkdf_expand_label(
    hash_name: str, secret: bytes, label: bytes, context: bytes, length: int
) -> bytes:
    """HKDF-Expand-Label (RFC 9846 7.1): ``length`` bytes from ``secret`` for one purpose.

    ``label`` comes without its "tls13 " prefix.
    """
    full_label = b"tls13 " + label
    info = (
        length.to_bytes(2, "big")
        + bytes([len(full_label)])
        + full_label
        + bytes([len(context)])
        + context
    )
    return HKDFExpand(_algorithm(hash_name), length, info).derive(secret)


def derive_secret(hash_name: str, secret: bytes, label: bytes, transcript_hash: bytes) -> bytes:
    """Derive-Secret (RFC 9846 7.1), given the hash of the messages instead of the messages."""
    return hkdf_expand_label(hash_name, secret, label, transcript_hash, hash_length(hash_name))
