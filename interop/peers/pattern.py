"""The bytes that cross in the cases: the same on every side, and no two blocks alike."""

from __future__ import annotations

import hashlib

ALPN = "ropewalk-interop"
_BLOCK = 1 << 16


def pattern(size: int) -> bytes:
    """``size`` bytes, made of numbered SHAKE-128 blocks."""
    blocks = []
    for number in range((size + _BLOCK - 1) // _BLOCK):
        blocks.append(hashlib.shake_128(b"ropewalk interop %d" % number).digest(_BLOCK))
    return b"".join(blocks)[:size]


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
