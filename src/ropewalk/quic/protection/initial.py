"""Keys of Initial packets, which both sides take from the first connection ID (RFC 9001 5.2)."""

from __future__ import annotations

from ropewalk.quic.protection.aead import AesGcmProtection
from ropewalk.quic.protection.labels import hkdf_expand_label, hkdf_extract
from ropewalk.quic.protection.versions import version_keys
from ropewalk.quic.types.handshake import AES_128_GCM
from ropewalk.quic.types.protection import PacketProtection


def initial_protection(
    version: int, client_destination_cid: bytes
) -> tuple[PacketProtection, PacketProtection]:
    """The protection of the client's Initial packets, then that of the server's.

    ``client_destination_cid`` is the Destination Connection ID of the client's first Initial
    packet, or the one that a Retry gave it. Raises ``Unsupported`` for an unknown version.
    """
    salt = version_keys(version).initial_salt
    common = hkdf_extract("sha256", salt, client_destination_cid)
    client = hkdf_expand_label("sha256", common, b"client in", b"", 32)
    server = hkdf_expand_label("sha256", common, b"server in", b"", 32)
    return (
        AesGcmProtection(AES_128_GCM, client, version),
        AesGcmProtection(AES_128_GCM, server, version),
    )
