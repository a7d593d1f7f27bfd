"""What a driver tells the endpoint about its own sockets and interfaces."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.types.address import Address

WRITABLE: Final = 0
BLOCKED: Final = 1
SEND_FAILED: Final = 2
ADDED: Final = 3
REMOVED: Final = 4
UP: Final = 5
DOWN: Final = 6
MTU_CHANGED: Final = 7


@final
class LocalChange:
    """One change of one local socket, carrier or interface.

    ``kind`` is one of the constants of this module. For ``SEND_FAILED``: ``failure`` is
    "refused", "unreachable", "too-large" or "other", with the remote address and the
    datagram's size. For ``MTU_CHANGED``: ``size`` is the new largest UDP payload.
    """

    def __init__(
        self, kind: i64, failure: str = "", remote: Address | None = None, size: i64 = 0
    ) -> None:
        self.kind: i64 = kind
        self.failure = failure
        self.remote = remote
        self.size: i64 = size
