"""The seam between QUIC and whatever agrees on its keys (TLS 1.3 today, Noise later)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64, mypyc_attr

#: Encryption levels (RFC 9001 2.1), in the order in which they come to life.
INITIAL: Final = 0
ZERO_RTT: Final = 1
HANDSHAKE: Final = 2
ONE_RTT: Final = 3

#: Cipher suites by their TLS code points (RFC 9846 B.4).
AES_128_GCM: Final = 0x1301
AES_256_GCM: Final = 0x1302
CHACHA20_POLY1305: Final = 0x1303

#: What became of early data.
EARLY_NONE: Final = 0
EARLY_OFFERED: Final = 1
EARLY_ACCEPTED: Final = 2
EARLY_REJECTED: Final = 3


@final
class TrafficSecret:
    """A secret that the handshake hands to packet protection.

    ``sending`` tells the direction as seen from this side; ``suite`` names the AEAD and
    the hash. The secret itself never appears in ``repr``.
    """

    __slots__ = ("level", "secret", "sending", "suite")

    def __init__(self, level: i64, sending: bool, suite: i64, secret: bytes) -> None:
        self.level: i64 = level
        self.sending = sending
        self.suite: i64 = suite
        self.secret = secret


@final
class PeerIdentity:
    """Who the peer proved to be. Chain in DER, leaf first; ``spki_sha256`` of the leaf's key."""

    __slots__ = ("certificates", "spki_sha256", "verified_by")

    def __init__(self, certificates: list[bytes], spki_sha256: bytes, verified_by: str) -> None:
        self.certificates = certificates
        self.spki_sha256 = spki_sha256
        #: "web-pki", "private-ca", "pin", "nothing" (verification switched off)
        self.verified_by = verified_by


@mypyc_attr(allow_interpreted_subclasses=True)
class Handshake:
    """A sans-IO handshake. It sees CRYPTO bytes in order, per level, and yields the same.

    After each call of :meth:`start` or :meth:`receive` the owner drains
    :meth:`take_secrets` and :meth:`take_crypto`. Failures are raised as ``HandshakeError``
    with the alert to send.
    """

    def __init__(self) -> None:
        #: The handshake is complete as seen from this side (RFC 9001 4.1.1).
        self.complete = False
        self.alpn: str | None = None
        self.server_name: str | None = None
        self.cipher_suite: i64 = 0
        #: Name of the key-exchange group in use, "" before it is known.
        self.group = ""
        self.peer_identity: PeerIdentity | None = None
        self.early_data: i64 = EARLY_NONE

    def start(self, transport_parameters: bytes) -> None:
        """Begin. The client's first flight is ready afterwards; a server only keeps the
        parameters until the ClientHello comes."""
        raise NotImplementedError

    def receive(self, level: i64, data: bytes) -> None:
        """Take the next in-order CRYPTO bytes of ``level``.

        Raises ``HandshakeError`` (alert to send) and never anything else for bad input.
        """
        raise NotImplementedError

    def take_crypto(self, level: i64) -> bytes:
        """Bytes to send as CRYPTO at ``level`` that were not taken before; b"" for none."""
        raise NotImplementedError

    def take_secrets(self) -> list[TrafficSecret]:
        """Secrets that became available since the last call, in order of installation."""
        raise NotImplementedError

    def peer_transport_parameters(self) -> bytes | None:
        """The peer's parameters once they have arrived (authenticated only at completion)."""
        raise NotImplementedError

    def take_tickets(self) -> list[bytes]:
        """Session tickets received since the last call, serialised for a ``TicketStore``."""
        return []

    def export_keying_material(self, label: bytes, context: bytes, length: i64) -> bytes:
        """Exporter (RFC 9846 7.5). Raises ``Unsupported`` before completion."""
        raise NotImplementedError

    def confirm(self) -> None:
        """The handshake is confirmed: key shares, transcripts and keys may be dropped."""
