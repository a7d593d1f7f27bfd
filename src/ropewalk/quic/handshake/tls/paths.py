"""From a server's certificate to a trusted root, judged by ``cryptography``."""

from __future__ import annotations

import ipaddress
import warnings
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, final

from cryptography import x509
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

from ropewalk.quic.handshake.tls.certificate_errors import MALFORMED, explain
from ropewalk.quic.handshake.tls.codepoints import BAD_CERTIFICATE
from ropewalk.quic.types.errors import ConfigurationError, HandshakeError

_SERVER_PURPOSES: Final = (
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
)


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
    except ValueError:
        raise ConfigurationError(
            "the trusted roots cannot be read; they must be certificates in PEM"
        ) from None
    return TrustAnchors(certificates)


@final
class PathCheck:
    """One policy for one server name.

    ``private`` relaxes the profile that the public web's authorities must keep. Raises
    ``ConfigurationError`` for roots that cannot be read and for a name, or the lack of one,
    that no certificate can match.
    """

    def __init__(self, roots: bytes, server_name: str | None, private: bool) -> None:
        self._anchors = load_anchors(roots)
        self._private = private
        if server_name is None:
            raise ConfigurationError(
                "set server_name: a certificate is verified against a name or an IP address"
            )
        self._subject = _subject(server_name, self._anchors.store)

    def verify(self, leaf: x509.Certificate, chain: list[bytes], wall_clock: float) -> None:
        """Find a path from ``leaf`` (the first of ``chain``) to a root, valid at ``wall_clock``.

        Raises ``HandshakeError`` that names the failing check and the way out.
        """
        intermediates: list[x509.Certificate] = []
        for der in chain[1:]:
            intermediates.append(parse_certificate(der))
        now = datetime.fromtimestamp(wall_clock, UTC)
        builder = PolicyBuilder().store(self._anchors.store).time(now)
        if self._private:
            builder = builder.extension_policies(
                ca_policy=_PRIVATE_AUTHORITY, ee_policy=_PRIVATE_LEAF
            )
        try:
            builder.build_server_verifier(self._subject).verify(leaf, intermediates)
        except VerificationError as error:
            raise explain(
                str(error), leaf, intermediates, self._anchors.certificates, self._subject, now
            ) from None
        except MALFORMED as error:
            raise HandshakeError(
                BAD_CERTIFICATE, f"the server's certificate chain is malformed ({error})"
            ) from None


def parse_certificate(der: bytes) -> x509.Certificate:
    """A certificate of the peer. Raises ``HandshakeError`` (bad_certificate)."""
    try:
        return x509.load_der_x509_certificate(der)
    except MALFORMED as error:
        raise HandshakeError(
            BAD_CERTIFICATE, f"a certificate of the server cannot be parsed ({error})"
        ) from None


def _check_authority_key_usage(
    policy: Policy, certificate: x509.Certificate, extension: x509.KeyUsage | None
) -> None:
    if extension is not None and not extension.key_cert_sign:
        raise ValueError("key usage of an authority lacks keyCertSign")


def _check_authority_purpose(
    policy: Policy, certificate: x509.Certificate, extension: x509.ExtendedKeyUsage | None
) -> None:
    # The roots were chosen by hand; what stands between them and the leaf was not.
    if certificate.subject != certificate.issuer:
        _check_purpose(policy, certificate, extension)


def _check_purpose(
    policy: Policy, certificate: x509.Certificate, extension: x509.ExtendedKeyUsage | None
) -> None:
    if extension is None:
        return
    for purpose in extension:
        if purpose in _SERVER_PURPOSES:
            return
    raise ValueError("required EKU not found")


# A private CA need not follow the web's certificate profile, but a leaf is no authority, a
# path ends where its authorities say so, and a certificate serves only its purpose. Names,
# dates and signatures are checked by cryptography under any policy.
_PRIVATE_AUTHORITY: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _check_authority_key_usage)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check_authority_purpose)
)
_PRIVATE_LEAF: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check_purpose)
)


def _subject(server_name: str, store: Store) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(server_name))
    except ValueError:
        pass
    try:
        name = x509.DNSName(server_name)
        PolicyBuilder().store(store).build_server_verifier(name)
    except ValueError:
        raise ConfigurationError(
            f"server_name {server_name!r} is neither an IP address nor a DNS name in ASCII "
            "(write international names in their xn-- form)"
        ) from None
    return name
