"""The seam behind which packets are sealed and opened."""

from __future__ import annotations

from mypy_extensions import i64, mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class PacketProtection:
    """AEAD and header mask for one direction, one key generation (RFC 9001 5).

    One object seals or opens all packets under one secret. The nonce is made from the
    path ID and the packet number (RFC 10069); path 0 gives the nonce of QUIC v1.
    """

    #: Bytes that sealing adds.
    tag_length: i64
    #: Packets that may be sealed under this key (RFC 9001 6.6).
    confidentiality_limit: i64
    #: Failed openings over all keys after which the connection must close.
    integrity_limit: i64

    def __init__(self) -> None:
        self.tag_length = 16
        self.confidentiality_limit = 0
        self.integrity_limit = 0

    def seal(self, path_id: i64, packet_number: i64, header: bytes, payload: bytes) -> bytes:
        """Ciphertext with tag. ``header`` is the unprotected header, the AEAD's associated data."""
        raise NotImplementedError

    def open(
        self, path_id: i64, packet_number: i64, header: bytes, ciphertext: bytes
    ) -> bytes | None:
        """Plaintext, or ``None`` when the packet is not authentic. Never raises for bad input."""
        raise NotImplementedError

    def masks(self, samples: bytes) -> bytes:
        """Header-protection masks for many packets in one call (RFC 9001 5.4).

        ``samples`` is n × 16 bytes; the answer has the mask of sample *i* at ``16 * i``
        (five bytes of it count).
        """
        raise NotImplementedError

    def next_generation(self) -> PacketProtection:
        """The protection after a key update; the header key stays (RFC 9001 6)."""
        raise NotImplementedError
