"""What differs in packet protection from one QUIC version to the next."""

from __future__ import annotations

from typing import Final, final

from ropewalk.quic.types.errors import Unsupported

QUIC_V1: Final = 0x00000001
QUIC_V2: Final = 0x6B3343CF


@final
class VersionKeys:
    """Salts, labels and fixed keys of one version (RFC 9001 5.1, 5.2, 5.8; RFC 9369 3.3)."""

    def __init__(
        self, initial_salt: bytes, label_prefix: bytes, retry_key: bytes, retry_nonce: bytes
    ) -> None:
        self.initial_salt = initial_salt
        self.key_label = label_prefix + b" key"
        self.iv_label = label_prefix + b" iv"
        self.header_label = label_prefix + b" hp"
        self.update_label = label_prefix + b" ku"
        self.retry_key = retry_key
        self.retry_nonce = retry_nonce


_VERSIONS: Final[dict[int, VersionKeys]] = {
    QUIC_V1: VersionKeys(
        bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"),
        b"quic",
        bytes.fromhex("be0c690b9f66575a1d766b54e368c84e"),
        bytes.fromhex("461599d35d632bf2239825bb"),
    ),
    QUIC_V2: VersionKeys(
        bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"),
        b"quicv2",
        bytes.fromhex("8fb4b01b56ac48e260fbcbcead7ccc92"),
        bytes.fromhex("d86969bc2d7c6d9990efb04a"),
    ),
}


def version_keys(version: int) -> VersionKeys:
    """The constants of a version. Raises ``Unsupported`` for one that is not known."""
    keys = _VERSIONS.get(version)
    if keys is None:
        raise Unsupported(f"packet protection of QUIC version 0x{version:08x} is not built in")
    return keys
