"""A server's certificates: read from PEM, found by server name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from ropewalk.quic.handshake.tls.signatures import schemes_of_private_key
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.quic.types.identity import Credential, CredentialStore


def load_credential(cert_pem: bytes, key_pem: bytes) -> Credential:
    """A credential from a certificate chain (leaf first) and its unencrypted private key.

    Raises ``ConfigurationError`` when either cannot be read, when they do not belong
    together, and for keys that TLS 1.3 as built here cannot sign with.
    """
    try:
        chain = x509.load_pem_x509_certificates(cert_pem)
    except ValueError:
        raise ConfigurationError(
            "the certificate cannot be read: it is not PEM, or it is damaged; give the server's "
            "certificate first, then its intermediates"
        ) from None
    key = _load_key(key_pem)
    try:
        certified = (
            chain[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(f"the certificate's key cannot be read ({error})") from None
    owned = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certified != owned:
        raise ConfigurationError(
            "the private key does not belong to the first certificate; the server's own "
            "certificate must come first in the file"
        )
    return Credential([certificate.public_bytes(Encoding.DER) for certificate in chain], key)


def _load_key(key_pem: bytes) -> PrivateKeyTypes:
    try:
        key = load_pem_private_key(key_pem, password=None)
    except TypeError:
        raise ConfigurationError(
            "the private key is encrypted; decrypt it first, for example with 'openssl pkey'"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(
            "the private key cannot be read: it is not PEM, or it is damaged; write it with "
            "'openssl pkey', for example"
        ) from None
    if not schemes_of_private_key(key):
        raise ConfigurationError(
            "the private key is not of a kind that servers here can sign with; use ECDSA P-256 "
            "or P-384, Ed25519, or RSA"
        )
    return key


@final
class StaticCredentials(CredentialStore):
    """One credential for every client, whatever name it asks for."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def find(self, server_name: str | None) -> Credential | None:
        """The credential."""
        return self._credential


@final
class NamedCredentials(CredentialStore):
    """Credentials by server name. ``*.example.org`` stands for one label before the dot.

    ``default`` answers clients that send no name or an unknown one; without it they are
    refused (alert unrecognized_name).
    """

    def __init__(
        self, credentials: Mapping[str, Credential], default: Credential | None = None
    ) -> None:
        self._credentials: dict[str, Credential] = {}
        for name, credential in credentials.items():
            self._credentials[_normal(name)] = credential
        self._default = default

    def find(self, server_name: str | None) -> Credential | None:
        """The exact name's credential, else the wildcard's, else the default."""
        if server_name is None:
            return self._default
        name = _normal(server_name)
        found = self._credentials.get(name)
        if found is None:
            dot = name.find(".")
            if dot > 0:
                found = self._credentials.get("*" + name[dot:])
        return self._default if found is None else found


def _normal(name: str) -> str:
    return name.lower().rstrip(".")
