"""Whom a client trusts: web PKI, a private CA, a pinned key, or anybody."""

from __future__ import annotations

import ipaddress
import warnings
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from ropewalk.quic.handshake.tls.certificate_errors import explain
from ropewalk.quic.handshake.tls.codepoints import (
    BAD_CERTIFICATE,
    CERTIFICATE_UNKNOWN,
    UNSUPPORTED_CERTIFICATE,
)
from ropewalk.quic.handshake.tls.key_schedule import digest
from ropewalk.quic.types.configuration import (
    NoVerification,
    PinnedKey,
    PrivateCa,
    Verification,
    WebPki,
)
from ropewalk.quic.types.errors import ConfigurationError, HandshakeError
from ropewalk.quic.types.handshake import PeerIdentity

_SERVER_PURPOSES: Final = (
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
)


@final
class ServerVerifier:
    """Judges the certificate chain of one server.

    Raises ``ConfigurationError`` when policy and name cannot work together.
    """

    def __init__(self, policy: Verification, server_name: str | None) -> None:
        self._policy = policy
        self._subject: x509.DNSName | x509.IPAddress | None = None
        self._anchors: TrustAnchors | None = None
        #: The leaf's public key after :meth:`verify`.
        self.leaf_key: PublicKeyTypes | None = None
        if isinstance(policy, WebPki):
            if policy.roots is None:
                raise ConfigurationError(
                    "WebPki without roots: the core reads no files; fill in the system's with "
                    "ropewalk.runtime.certificates.with_system_roots"
                )
            self._anchors = load_anchors(policy.roots)
        elif isinstance(policy, PrivateCa):
            self._anchors = load_anchors(policy.roots)
        elif isinstance(policy, PinnedKey):
            if not policy.spki_sha256:
                raise ConfigurationError("PinnedKey holds no hash; give one SHA-256 at least")
            for pin in policy.spki_sha256:
                if len(pin) != 32:
                    raise ConfigurationError(
                        f"a pin is a SHA-256 of 32 bytes, this one has {len(pin)}"
                    )
        elif not isinstance(policy, NoVerification):
            raise ConfigurationError(
                f"{type(policy).__name__} is no policy; use WebPki, PrivateCa, PinnedKey or "
                "NoVerification"
            )
        if self._anchors is not None:
            if server_name is None:
                raise ConfigurationError(
                    "set server_name: a certificate is verified against a name or an IP address"
                )
            self._subject = _subject(server_name, self._anchors)

    def verify(self, chain: list[bytes], wall_clock: float) -> PeerIdentity:
        """Judge ``chain`` (DER, leaf first) at ``wall_clock`` (seconds since 1970).

        Raises ``HandshakeError`` that names the failing check and the way out.
        """
        leaf = _parse(chain[0])
        try:
            key = leaf.public_key()
            spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except (ValueError, UnsupportedAlgorithm):
            raise HandshakeError(
                UNSUPPORTED_CERTIFICATE, "the server's certificate holds a key of unknown kind"
            ) from None
        spki_sha256 = digest("sha256", spki)
        policy = self._policy
        verified_by = "nothing"
        if isinstance(policy, PinnedKey):
            if spki_sha256 not in policy.spki_sha256:
                raise HandshakeError(
                    CERTIFICATE_UNKNOWN,
                    f"the server's key has the pin {spki_sha256.hex()}, which is not expected",
                )
            verified_by = "pin"
        elif self._anchors is not None:
            self._verify_chain(leaf, chain, wall_clock)
            verified_by = "web-pki" if isinstance(policy, WebPki) else "private-ca"
        self.leaf_key = key
        return PeerIdentity(chain, spki_sha256, verified_by)

    def _verify_chain(self, leaf: x509.Certificate, chain: list[bytes], wall_clock: float) -> None:
        anchors = self._anchors
        subject = self._subject
        assert anchors is not None
        assert subject is not None
        intermediates: list[x509.Certificate] = [_parse(der) for der in chain[1:]]
        now = datetime.fromtimestamp(wall_clock, UTC)
        builder = PolicyBuilder().store(anchors.store).time(now)
        if isinstance(self._policy, PrivateCa):
            builder = builder.extension_policies(
                ca_policy=_PRIVATE_AUTHORITY, ee_policy=_PRIVATE_LEAF
            )
        try:
            builder.build_server_verifier(subject).verify(leaf, intermediates)
        except VerificationError as error:
            raise explain(
                str(error), leaf, intermediates, anchors.certificates, subject, now
            ) from None
        except ValueError as error:
            raise HandshakeError(
                BAD_CERTIFICATE, f"the server's certificate chain is malformed ({error})"
            ) from None


@final
class TrustAnchors:
    """Roots in the form that verification wants."""

    def __init__(self, certificates: list[x509.Certificate]) -> None:
        self.certificates = certificates
        self.store = Store(certificates)


@lru_cache(maxsize=16)
def load_anchors(roots: bytes) -> TrustAnchors:
    """The certificates of a PEM bundle. Raises ``ConfigurationError`` when there are none.

    Remembered per bundle: a system's has about 150, and parsing them costs more than the
    whole handshake.
    """
    try:
        with warnings.catch_warnings():
            # Some roots in use have serial number 0; whoever runs us can do nothing about it.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            certificates = x509.load_pem_x509_certificates(roots)
    except ValueError as error:
        raise ConfigurationError(
            f"the trusted roots cannot be read ({error}); they must be certificates in PEM"
        ) from None
    return TrustAnchors(certificates)


def _check_authority_key_usage(
    policy: Policy, certificate: x509.Certificate, extension: x509.KeyUsage | None
) -> None:
    if extension is not None and not extension.key_cert_sign:
        raise ValueError("key usage of an authority lacks keyCertSign")


def _check_authority_purpose(
    policy: Policy, certificate: x509.Certificate, extension: x509.ExtendedKeyUsage | None
) -> None:
    # The roots were chosen by hand; what stands between them and the leaf was not.
    if extension is None or certificate.subject == certificate.issuer:
        return
    for purpose in extension:
        if purpose in _SERVER_PURPOSES:
            return
    raise ValueError("required EKU not found in an authority")


# A private CA need not follow the web's certificate profile, but a leaf is no authority, a
# path ends where its authorities say so, and a certificate serves only its purpose.
_PRIVATE_AUTHORITY: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _check_authority_key_usage)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check_authority_purpose)
)
_PRIVATE_LEAF: Final = ExtensionPolicy.permit_all().require_present(
    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
)


def _subject(server_name: str, anchors: TrustAnchors) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(server_name))
    except ValueError:
        pass
    try:
        name = x509.DNSName(server_name)
        PolicyBuilder().store(anchors.store).build_server_verifier(name)
    except ValueError:
        raise ConfigurationError(
            f"server_name {server_name!r} is neither an IP address nor a DNS name in ASCII "
            "(write international names in their xn-- form)"
        ) from None
    return name


def _parse(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise HandshakeError(
            BAD_CERTIFICATE, f"a certificate of the server cannot be parsed ({error})"
        ) from None
