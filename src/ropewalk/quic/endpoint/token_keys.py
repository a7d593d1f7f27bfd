"""Keys for tokens and stateless resets, all from one root secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from mypy_extensions import i64

from ropewalk.quic.protection.labels import hkdf_expand_label, hkdf_extract
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.quic.types.identity import TokenKeys

_HASH: Final = "sha256"
_SALT_LENGTH: Final = 16
_TAG_LENGTH: Final = 16


@final
class RootTokenKeys(TokenKeys):
    """Derives every key from ``root_secret``; workers and hosts that share it share tokens.

    A token is the kind (1 byte), a random salt (16), then AES-128-GCM ciphertext with its tag
    under a key made from the salt. A key per token, because a fleet may seal more tokens over
    its life than random nonces under one key allow.
    """

    def __init__(self, root_secret: bytes, entropy: Callable[[int], bytes]) -> None:
        """``root_secret``: 16 or more unpredictable bytes, else ``ConfigurationError``."""
        if len(root_secret) < 16:
            raise ConfigurationError(
                f"the root secret has {len(root_secret)} bytes; give at least 16 random ones"
            )
        root = hkdf_extract(_HASH, b"ropewalk root secret", root_secret)
        self._entropy = entropy
        self._token_secret = hkdf_expand_label(_HASH, root, b"token", b"", 32)
        self._reset_secret = hkdf_expand_label(_HASH, root, b"stateless reset", b"", 32)

    def seal(self, kind: i64, plaintext: bytes, associated: bytes) -> bytes:
        """An opaque token; see :meth:`TokenKeys.seal`."""
        head = bytes([kind]) + self._entropy(_SALT_LENGTH)
        material = hkdf_expand_label(_HASH, self._token_secret, b"token key", head, 28)
        return head + AESGCM(material[:16]).encrypt(material[16:], plaintext, associated)

    def open(self, kind: i64, token: bytes, associated: bytes) -> bytes | None:
        """The plaintext or ``None``; see :meth:`TokenKeys.open`."""
        if len(token) < 1 + _SALT_LENGTH + _TAG_LENGTH or token[0] != kind:
            return None
        head = token[: 1 + _SALT_LENGTH]
        material = hkdf_expand_label(_HASH, self._token_secret, b"token key", head, 28)
        try:
            return AESGCM(material[:16]).decrypt(
                material[16:], token[1 + _SALT_LENGTH :], associated
            )
        except InvalidTag:
            return None

    def reset_token(self, connection_id: bytes) -> bytes:
        """The stateless-reset token of a connection ID; see :meth:`TokenKeys.reset_token`."""
        return hkdf_expand_label(_HASH, self._reset_secret, b"reset token", connection_id, 16)
