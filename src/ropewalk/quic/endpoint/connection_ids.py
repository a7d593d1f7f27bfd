"""Connection IDs that say nothing to an observer."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from mypy_extensions import i64

from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.quic.types.identity import ConnectionIdGenerator


@final
class RandomConnectionIds(ConnectionIdGenerator):
    """Random IDs of one length (RFC 9000 5.1). Eight bytes make collisions negligible."""

    def __init__(self, entropy: Callable[[int], bytes], length: int = 8) -> None:
        """``entropy(n)`` returns n unpredictable bytes; ``length`` is 1 to 20 bytes.

        Raises ``ConfigurationError`` for another length.
        """
        if not 1 <= length <= 20:
            raise ConfigurationError(
                f"connection IDs of {length} bytes cannot be used; QUIC v1 allows 1 to 20"
            )
        self._entropy = entropy
        self._length = length

    def length(self) -> i64:
        """The length of every ID made here."""
        return self._length

    def generate(self) -> bytes:
        """A new ID that an observer cannot link to any other."""
        return self._entropy(self._length)
