"""Why a certificate chain was refused, in words, and which alert says so (RFC 9846 6.2).

``cryptography`` gives the verdict; what is found here only explains it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519

from ropewalk.quic.handshake.tls.codepoints import (
    BAD_CERTIFICATE,
    CERTIFICATE_EXPIRED,
    CERTIFICATE_UNKNOWN,
    UNKNOWN_CA,
    UNSUPPORTED_CERTIFICATE,
)
from ropewalk.quic.types.errors import HandshakeError

#: What reading a field of a malformed certificate may raise.
MALFORMED: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

_ADVICE: Final = (
    "give the authority's certificate (PrivateCa, --ca) or pin the server's key (PinnedKey, --pin)"
)


def explain(
    said: str,
    leaf: x509.Certificate,
    intermediates: list[x509.Certificate],
    roots: list[x509.Certificate],
    subject: x509.DNSName | x509.IPAddress,
    now: datetime,
) -> HandshakeError:
    """The error for a chain that ``cryptography`` refused with the words ``said``."""
    try:
        return _explain(said, leaf, intermediates, roots, subject, now)
    except MALFORMED as error:
        # cryptography reads fields only when they are asked for.
        return HandshakeError(
            BAD_CERTIFICATE, f"a certificate in the server's chain is malformed ({error})"
        )


def _explain(
    said: str,
    leaf: x509.Certificate,
    intermediates: list[x509.Certificate],
    roots: list[x509.Certificate],
    subject: x509.DNSName | x509.IPAddress,
    now: datetime,
) -> HandshakeError:
    if now > leaf.not_valid_after_utc:
        return HandshakeError(
            CERTIFICATE_EXPIRED,
            f"the server's certificate expired on {_day(leaf.not_valid_after_utc)}; renew it, "
            "check this machine's clock, or pin its key (PinnedKey, --pin), which has no dates",
        )
    if now < leaf.not_valid_before_utc:
        return HandshakeError(
            CERTIFICATE_EXPIRED,
            "the server's certificate is not valid before "
            f"{_day(leaf.not_valid_before_utc)}; check both machines' clocks, or pin its key "
            "(PinnedKey, --pin), which has no dates",
        )
    if "subjectAltName" in said:
        return HandshakeError(
            BAD_CERTIFICATE,
            f"wrong name: the server's certificate is for {_names(leaf)}, not for "
            f"{subject.value}; connect to one of its names, have an authority of yours "
            "(PrivateCa, --ca) issue it for this one, or pin its key (PinnedKey, --pin)",
        )
    if "EKU" in said:
        return HandshakeError(
            UNSUPPORTED_CERTIFICATE,
            "wrong purpose: the extended key usage of a certificate in the server's chain does "
            "not allow TLS servers (serverAuth); issue it with that purpose",
        )
    issuer = _edwards_issuer(leaf, intermediates, roots)
    if issuer:
        return HandshakeError(
            UNSUPPORTED_CERTIFICATE,
            f"the authority {issuer} signs with Ed25519 or Ed448, which the cryptography library "
            "does not verify in chains; use an ECDSA or RSA authority, or pin the server's key "
            "(PinnedKey, --pin)",
        )
    return _explain_path(said, leaf)


def _explain_path(said: str, leaf: x509.Certificate) -> HandshakeError:
    issuer = leaf.issuer.rfc4514_string() or "without a name"
    if "cA must not be asserted" in said and leaf.issuer == leaf.subject:
        # What `openssl req -x509` makes when nothing else is said.
        return HandshakeError(
            UNKNOWN_CA,
            "unknown issuer: the server's certificate is signed by itself, as an authority of "
            f"its own that nobody here trusts; {_ADVICE}",
        )
    if "no interior errors" in said:
        if leaf.issuer == leaf.subject:
            return HandshakeError(
                UNKNOWN_CA,
                f"unknown issuer: the server's certificate is signed by itself; {_ADVICE}",
            )
        return HandshakeError(
            UNKNOWN_CA,
            f"unknown issuer: nobody trusted here has signed it ({issuer}); {_ADVICE}",
        )
    if "signature does not match" in said:
        return HandshakeError(
            BAD_CERTIFICATE,
            f"wrong signature: the trusted authority {issuer} did not sign this certificate; "
            f"{_ADVICE}",
        )
    if "not valid at validation time" in said:
        return HandshakeError(
            CERTIFICATE_EXPIRED,
            f"an authority of the server's certificate ({issuer} or above) has expired or is not "
            "valid yet",
        )
    if "signature algorithm" in said:
        # RFC 9846 4.5.1.4 wants this alert for signatures over MD5 and SHA-1.
        return HandshakeError(
            BAD_CERTIFICATE,
            f"a certificate in the server's chain is signed with a weak algorithm ({said})",
        )
    if "public key algorithm" in said or "RSA" in said:
        return HandshakeError(
            UNSUPPORTED_CERTIFICATE,
            f"a certificate in the server's chain has a key of a kind not accepted ({said})",
        )
    if "candidates exhausted" in said:
        return HandshakeError(
            BAD_CERTIFICATE,
            f"the path from the server's certificate to a trusted authority is broken ({said})",
        )
    return HandshakeError(
        CERTIFICATE_UNKNOWN,
        f"the server's certificate breaks the rules of this policy ({said}); a private "
        "authority's certificates pass with PrivateCa (--ca)",
    )


def _names(leaf: x509.Certificate) -> str:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return "no name at all (it has no subjectAltName)"
    names: list[str] = []
    for name in extension.value:
        if isinstance(name, (x509.DNSName, x509.IPAddress)):
            names.append(str(name.value))
    if len(names) > 8:
        names = [*names[:8], f"{len(names) - 8} more"]
    return ", ".join(names) or "no DNS name or IP address"


def _edwards_issuer(
    leaf: x509.Certificate, intermediates: list[x509.Certificate], roots: list[x509.Certificate]
) -> str:
    """The name of an issuer on the leaf's path that has an Edwards key, else ""."""
    wanted = leaf.issuer
    candidates = intermediates + roots
    for _ in range(len(intermediates) + 1):
        parent: x509.Certificate | None = None
        for candidate in candidates:
            if candidate.subject == wanted:
                parent = candidate
                break
        if parent is None:
            return ""
        key = parent.public_key()
        if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            return wanted.rfc4514_string()
        if parent.issuer == wanted:
            return ""
        wanted = parent.issuer
    return ""


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
