"""What the lab's streams and datagrams carry: bytes by which every misplacement shows."""

from __future__ import annotations

import random
from typing import Final, final

#: The content repeats after this many bytes: a prime, which no buffer's size divides.
PERIOD: Final = 1_048_583
#: More than this is not asked for at once.
LARGEST_PIECE: Final = PERIOD


@final
class Content:
    """Bytes that follow from a seed, a place to start ("salt") and an offset."""

    def __init__(self, seed: int) -> None:
        block = random.Random(f"content/{seed}").randbytes(PERIOD)  # noqa: S311 - it has to repeat
        self._block = block + block

    def piece(self, salt: int, offset: int, size: int) -> bytes:
        """The ``size`` bytes from ``offset`` on, at most :data:`LARGEST_PIECE`."""
        start = (salt + offset) % PERIOD
        return self._block[start : start + size]

    def matches(self, salt: int, offset: int, data: bytes) -> bool:
        """Whether ``data`` is what stands at ``offset``."""
        start = (salt + offset) % PERIOD
        return self._block.startswith(data, start) if len(data) <= PERIOD else False


def salt_of(flow: int, number: int, downward: bool) -> int:
    """Where the content of one direction of a flow's stream (or of its datagrams) starts."""
    return (flow * 7919 + number * 104_729 + (524_287 if downward else 0)) % PERIOD
