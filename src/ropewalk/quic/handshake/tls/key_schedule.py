"""The TLS 1.3 key schedule and the transcript that it hashes (RFC 9846 4.1, 7.1)."""

from __future__ import annotations

from typing import Final, final

from cryptography.hazmat.primitives import hashes, hmac

from ropewalk.quic.handshake.tls.codec import message
from ropewalk.quic.handshake.tls.codepoints import MESSAGE_HASH
from ropewalk.quic.protection.labels import (
    derive_secret,
    hash_length,
    hkdf_expand_label,
    hkdf_extract,
)


def _algorithm(hash_name: str) -> hashes.HashAlgorithm:
    if hash_name == "sha384":
        return hashes.SHA384()
    return hashes.SHA256()


def digest(hash_name: str, data: bytes) -> bytes:
    """The hash of ``data``."""
    context = hashes.Hash(_algorithm(hash_name))
    context.update(data)
    return context.finalize()


def _salt_of_handshake_secret(hash_name: str) -> bytes:
    # Without a PSK the early secret, and what is derived from it, is a constant of the hash.
    zeros = bytes(hash_length(hash_name))
    early = hkdf_extract(hash_name, b"", zeros)
    return derive_secret(hash_name, early, b"derived", digest(hash_name, b""))


_NO_PSK_SALTS: Final[dict[str, bytes]] = {
    "sha256": _salt_of_handshake_secret("sha256"),
    "sha384": _salt_of_handshake_secret("sha384"),
}

_EMPTY_DIGESTS: Final[dict[str, bytes]] = {
    "sha256": digest("sha256", b""),
    "sha384": digest("sha384", b""),
}


@final
class KeySchedule:
    """Transcript and secrets of one handshake without a PSK.

    Order of use: ``add`` the hellos, ``agree``, ``add`` up to the server's Finished,
    ``derive_application_secrets``.
    """

    def __init__(self, hash_name: str) -> None:
        self.hash_name = hash_name
        self.hash_length = hash_length(hash_name)
        self._algorithm = _algorithm(hash_name)
        self._transcript = hashes.Hash(self._algorithm)
        self._handshake_secret = b""
        self.client_handshake = b""
        self.server_handshake = b""
        self.client_application = b""
        self.server_application = b""
        self.exporter = b""

    def add(self, handshake_message: bytes) -> None:
        """Append a whole handshake message to the transcript."""
        self._transcript.update(handshake_message)

    def restart_for_retry(self) -> None:
        """Replace the first ClientHello by its hash, because a HelloRetryRequest follows."""
        first = self._transcript.finalize()
        self._transcript = hashes.Hash(self._algorithm)
        self._transcript.update(message(MESSAGE_HASH, first))

    def transcript_hash(self) -> bytes:
        """The hash of all messages so far."""
        return self._transcript.copy().finalize()

    def agree(self, shared_secret: bytes) -> None:
        """Take the key exchange's result; the transcript must end with the ServerHello."""
        name = self.hash_name
        secret = hkdf_extract(name, _NO_PSK_SALTS[name], shared_secret)
        transcript = self.transcript_hash()
        self._handshake_secret = secret
        self.client_handshake = derive_secret(name, secret, b"c hs traffic", transcript)
        self.server_handshake = derive_secret(name, secret, b"s hs traffic", transcript)

    def derive_application_secrets(self) -> None:
        """Derive the 1-RTT and exporter secrets; the transcript must end with the server's
        Finished."""
        name = self.hash_name
        salt = derive_secret(name, self._handshake_secret, b"derived", _EMPTY_DIGESTS[name])
        master = hkdf_extract(name, salt, bytes(self.hash_length))
        transcript = self.transcript_hash()
        self.client_application = derive_secret(name, master, b"c ap traffic", transcript)
        self.server_application = derive_secret(name, master, b"s ap traffic", transcript)
        self.exporter = derive_secret(name, master, b"exp master", transcript)
        self._handshake_secret = b""

    def finished(self, base_secret: bytes) -> bytes:
        """The verify_data of a Finished message over the transcript so far (RFC 9846 4.5.3)."""
        key = hkdf_expand_label(self.hash_name, base_secret, b"finished", b"", self.hash_length)
        mac = hmac.HMAC(key, self._algorithm)
        mac.update(self.transcript_hash())
        return mac.finalize()


def export(hash_name: str, exporter: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """Keying material for an application (RFC 9846 7.5)."""
    secret = derive_secret(hash_name, exporter, label, _EMPTY_DIGESTS[hash_name])
    return hkdf_expand_label(hash_name, secret, b"exporter", digest(hash_name, context), length)
