"""The integrity tag of Retry packets (RFC 9001 5.8)."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.constant_time import bytes_eq

from ropewalk.quic.protection.versions import version_keys


def retry_integrity_tag(version: int, original_dcid: bytes, retry_without_tag: bytes) -> bytes:
    """The 16 bytes that end a Retry packet.

    ``original_dcid`` is the Destination Connection ID of the Initial that the Retry answers.
    Raises ``Unsupported`` for an unknown version.
    """
    keys = version_keys(version)
    pseudo_packet = bytes([len(original_dcid)]) + original_dcid + retry_without_tag
    return AESGCM(keys.retry_key).encrypt(keys.retry_nonce, b"", pseudo_packet)


def retry_is_authentic(version: int, original_dcid: bytes, retry_packet: bytes) -> bool:
    """Whether a Retry packet, tag included, answers an Initial sent to ``original_dcid``."""
    expected = retry_integrity_tag(version, original_dcid, retry_packet[:-16])
    return bytes_eq(expected, retry_packet[-16:])
