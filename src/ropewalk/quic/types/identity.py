"""Seams for what a server proves itself with and what it remembers of its clients."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from mypy_extensions import i64, mypyc_attr


class Credential:
    """A certificate chain (DER, leaf first) with the leaf's private key."""

    def __init__(self, certificates: list[bytes], private_key: PrivateKeyTypes) -> None:
        self.certificates = certificates
        self.private_key = private_key


@mypyc_attr(allow_interpreted_subclasses=True)
class CredentialStore:
    """Finds the credential for a server name."""

    def find(self, server_name: str | None) -> Credential | None:
        """The credential for a name (``None``: the client sent none), or ``None`` to refuse."""
        raise NotImplementedError

    def find_psk(self, identity: bytes) -> bytes | None:
        """The external pre-shared key of an identity, or ``None``."""
        return None


@mypyc_attr(allow_interpreted_subclasses=True)
class TicketStore:
    """Where a client keeps session tickets, per server name and ALPN."""

    def put(self, server_name: str, ticket: bytes) -> None:
        """Keep a ticket; the store bounds how many."""
        raise NotImplementedError

    def take(self, server_name: str) -> bytes | None:
        """Remove and return the newest ticket: each is used once."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class ReplayGuard:
    """Tells fresh early data and tokens from replayed ones."""

    def first_use(self, identifier: bytes, expires: float) -> bool:
        """Whether the identifier was never seen before; remembers it until ``expires``."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class TokenKeys:
    """Seals address-validation tokens and derives stateless-reset tokens.

    All keys come from one root secret, so that workers and hosts may share it.
    """

    def seal(self, kind: i64, plaintext: bytes, associated: bytes) -> bytes:
        """An opaque token of ``kind`` (0 Retry, 1 NEW_TOKEN)."""
        raise NotImplementedError

    def open(self, kind: i64, token: bytes, associated: bytes) -> bytes | None:
        """The plaintext, or ``None`` when the token is not ours."""
        raise NotImplementedError

    def reset_token(self, connection_id: bytes) -> bytes:
        """The 16-byte stateless-reset token of a connection ID (RFC 9000 10.3.2)."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class ConnectionIdGenerator:
    """Makes connection IDs, all of one length, so that short headers can be split."""

    def length(self) -> i64:
        """The length of every ID made here, 1 to 20 bytes."""
        raise NotImplementedError

    def generate(self) -> bytes:
        """A new ID that an observer cannot link to any other."""
        raise NotImplementedError
