"""Whom a client trusts: web PKI, a private CA, a pinned key, or anybody."""

from __future__ import annotations

from typing import Final, final

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ropewalk.quic.handshake.tls.certificate_errors import MALFORMED
from ropewalk.quic.handshake.tls.codepoints import (
    BAD_CERTIFICATE,
    CERTIFICATE_UNKNOWN,
    INTERNAL_ERROR,
    UNSUPPORTED_CERTIFICATE,
)
from ropewalk.quic.handshake.tls.key_schedule import digest
from ropewalk.quic.handshake.tls.paths import PathCheck, parse_certificate
from ropewalk.quic.handshake.tls.signatures import check_signature
from ropewalk.quic.types.configuration import (
    NoVerification,
    PinnedKey,
    PrivateCa,
    Verification,
    WebPki,
)
from ropewalk.quic.types.errors import ConfigurationError, HandshakeError
from ropewalk.quic.types.handshake import PeerIdentity

#: Certificates in a chain. The work of path building grows faster than their number.
MAX_CHAIN: Final = 16


@final
class ServerVerifier:
    """Judges the certificate chain of one server.

    Raises ``ConfigurationError`` when policy and name cannot work together.
    """

    def __init__(self, policy: Verification, server_name: str | None) -> None:
        self._path: PathCheck | None = None
        self._pins: tuple[bytes, ...] = ()
        self._verified_by = "nothing"
        self._leaf_key: PublicKeyTypes | None = None
        if isinstance(policy, WebPki):
            if policy.roots is None:
                raise ConfigurationError(
                    "WebPki without roots: the core reads no files; fill in the system's with "
                    "ropewalk.runtime.certificates.with_system_roots"
                )
            self._verified_by = "web-pki"
            self._path = PathCheck(policy.roots, server_name, private=False)
        elif isinstance(policy, PrivateCa):
            self._verified_by = "private-ca"
            self._path = PathCheck(policy.roots, server_name, private=True)
        elif isinstance(policy, PinnedKey):
            self._verified_by = "pin"
            self._pins = _checked_pins(policy.spki_sha256)
        elif not isinstance(policy, NoVerification):
            raise ConfigurationError(
                f"{type(policy).__name__} is no policy; use WebPki, PrivateCa, PinnedKey or "
                "NoVerification"
            )

    def verify(self, chain: list[bytes], wall_clock: float) -> PeerIdentity:
        """Judge ``chain`` (DER, leaf first) at ``wall_clock`` (seconds since 1970).

        Raises ``HandshakeError`` that names the failing check and the way out.
        """
        if len(chain) > MAX_CHAIN:
            raise HandshakeError(
                BAD_CERTIFICATE,
                f"the server sent {len(chain)} certificates, {MAX_CHAIN} are taken",
            )
        leaf = parse_certificate(chain[0])
        try:
            key = leaf.public_key()
            spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except MALFORMED:
            raise HandshakeError(
                UNSUPPORTED_CERTIFICATE, "the server's certificate holds a key of unknown kind"
            ) from None
        spki_sha256 = digest("sha256", spki)
        if self._path is not None:
            self._path.verify(leaf, chain, wall_clock)
        elif self._pins and spki_sha256 not in self._pins:
            raise HandshakeError(
                CERTIFICATE_UNKNOWN,
                f"wrong key: the server's has the pin {spki_sha256.hex()}, which is not one of "
                "those expected (PinnedKey, --pin)",
            )
        self._leaf_key = key
        return PeerIdentity(chain, spki_sha256, self._verified_by)

    def check_possession(self, scheme: int, signature: bytes, content: bytes) -> None:
        """Check that the owner of the verified leaf's key signed ``content``."""
        key = self._leaf_key
        if key is None:
            raise HandshakeError(INTERNAL_ERROR, "a signature came before any certificate")
        check_signature(key, scheme, signature, content)

    def forget(self) -> None:
        """Drop the leaf's key and the path policy."""
        self._leaf_key = None
        self._path = None


def _checked_pins(pins: tuple[bytes, ...]) -> tuple[bytes, ...]:
    if not pins:
        raise ConfigurationError("PinnedKey holds no hash; give one SHA-256 at least")
    for pin in pins:
        if len(pin) != 32:
            raise ConfigurationError(f"a pin is a SHA-256 of 32 bytes, this one has {len(pin)}")
    return pins
