"""Stateless resets: making them, and knowing them when they come (RFC 9000 10.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from mypy_extensions import i64

TOKEN_LENGTH: Final = 16
#: Five unpredictable bytes and the token (RFC 9000 10.3).
SMALLEST_RESET: Final = 21
#: A reset of this size passes for a packet with a connection ID of any length.
_INCONSPICUOUS: Final = 42


def make_stateless_reset(
    token: bytes, trigger_size: i64, entropy: Callable[[int], bytes]
) -> bytes | None:
    """The datagram that answers one of ``trigger_size`` bytes for an unknown connection ID.

    Always smaller than what triggered it, so that two endpoints without state cannot keep
    each other busy (RFC 9000 10.3.3); ``None`` where that leaves no room for a reset.
    """
    size: i64 = trigger_size - 1
    if size < SMALLEST_RESET:
        return None
    if size > _INCONSPICUOUS:
        spread: i64 = entropy(1)[0] & 0x1F
        if size > _INCONSPICUOUS + spread:
            size = _INCONSPICUOUS + spread
    noise = entropy(size - TOKEN_LENGTH)
    # The form of a short header: header bit 0, fixed bit 1.
    return bytes([(noise[0] & 0x3F) | 0x40]) + noise[1:] + token


@final
class ResetTokens:
    """The reset tokens that peers gave for the connection IDs in use towards them.

    Tokens are kept and looked up only in a form that a secret block cipher gives them, so
    the time of a lookup tells nothing about their value (RFC 9000 10.3.1). ``owner_key`` is
    whatever number the owner knows a connection by. Bounded by what is added.
    """

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        # One block in, one block out under a random key: ECB is the permutation itself.
        cipher = Cipher(algorithms.AES(entropy(16)), modes.ECB())  # noqa: S305
        self._cipher = cipher.encryptor()
        self._owners: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def add(self, token: bytes, owner_key: int) -> None:
        """Remember a 16-byte token. If two owners name one token, the first keeps it."""
        self._owners.setdefault(self._hide(token), owner_key)

    def discard(self, token: bytes, owner_key: int) -> None:
        """Forget a token of ``owner_key``. Does nothing for one that is not known as its."""
        hidden = self._hide(token)
        if self._owners.get(hidden) == owner_key:
            del self._owners[hidden]

    def match(self, datagram_tail: bytes) -> bool:
        """Whether the last 16 bytes of a datagram (of at least 21) are a known token."""
        return self.owner(datagram_tail) is not None

    def owner(self, datagram_tail: bytes) -> int | None:
        """Whose token the last 16 bytes of a datagram are; ``None`` for nobody's."""
        if len(datagram_tail) != TOKEN_LENGTH:
            return None
        return self._owners.get(self._cipher.update(datagram_tail))

    def _hide(self, token: bytes) -> bytes:
        if len(token) != TOKEN_LENGTH:
            raise ValueError(f"a stateless-reset token has 16 bytes, not {len(token)}")
        return self._cipher.update(token)
