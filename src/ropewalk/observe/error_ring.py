"""The last errors of an instance, for whoever asks afterwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from mypy_extensions import i64

from ropewalk.observe.observer import Observer

#: Errors that are kept.
CAPACITY: Final = 256
#: Bytes of a message, in UTF-8.
LONGEST_MESSAGE: Final = 64

#: Numbers of errors are this plus the code of CONNECTION_CLOSE.
_BASE: Final = 500
#: What stands for the ends that have no code. Transport codes reach to 0x1ff.
_CODELESS: Final[dict[str, int]] = {
    "idle_timeout": 0,
    "handshake_timeout": 0,
    "refused": 2,  # CONNECTION_REFUSED
    "version_mismatch": 0,
    "stateless_reset": 0,
    "no_viable_path": 16,  # NO_VIABLE_PATH
}


@dataclass(frozen=True)
class ErrorRecord:
    """One error. ``time`` is seconds since 1970; ``number`` is 500 plus the error's code, 500
    where there is none (``cause`` tells more); ``source_cid`` is our first connection ID;
    ``message`` has at most 64 bytes of UTF-8. Addresses as in
    :meth:`~ropewalk.observe.observer.Observer.connection`."""

    time: float
    number: int
    cause: str
    from_peer: bool
    source_cid: bytes
    local: str
    remote: str
    path_id: int
    message: str


@final
class ErrorRing(Observer):
    """Keeps the newest errors of all connections that have it for their observer.

    Errors are ends of connections other than in order (an application's code 0, NO_ERROR),
    and routes whose validation failed. ``wall_clock`` gives seconds since 1970.
    """

    def __init__(self, wall_clock: Callable[[], float], capacity: int = CAPACITY) -> None:
        self._wall_clock = wall_clock
        self._records: deque[ErrorRecord] = deque(maxlen=capacity)
        #: all errors there ever were
        self.total: i64 = 0

    def connection(
        self, now: float, is_client: bool, original_dcid: bytes, local: str, remote: str
    ) -> Observer:
        return _ConnectionErrors(self, local, remote)

    def records(self) -> list[ErrorRecord]:
        """The errors that are kept, oldest first."""
        return list(self._records)

    def clear(self) -> None:
        """Forget them."""
        self._records.clear()

    def add(
        self,
        code: int,
        cause: str,
        from_peer: bool,
        source_cid: bytes,
        local: str,
        remote: str,
        path_id: int,
        message: str,
    ) -> None:
        """Keep one more; the oldest makes room for it."""
        self.total += 1
        # Cut between characters.
        cut = message.encode("utf-8", "replace")[:LONGEST_MESSAGE].decode("utf-8", "ignore")
        record = ErrorRecord(
            self._wall_clock(),
            _BASE + code,
            cause,
            from_peer,
            source_cid,
            local,
            remote,
            path_id,
            cut,
        )
        self._records.append(record)


@final
class _ConnectionErrors(Observer):
    """Knows what the errors of one connection have in common."""

    def __init__(self, ring: ErrorRing, local: str, remote: str) -> None:
        self._ring = ring
        self._local = local
        self._remote = remote
        self._source_cid = b""

    def connection_id(self, now: float, ours: bool, old: bytes, new: bytes) -> None:
        if ours and not self._source_cid:
            self._source_cid = new

    def route(self, now: float, path_id: i64, change: str, local: str, remote: str) -> None:
        if change == "migrated":
            self._local = local
            self._remote = remote
        elif change == "failed":
            self._add(-1, "no_viable_path", False, local, remote, path_id, "no answer to a probe")

    def closed(
        self, now: float, cause: str, from_peer: bool, code: i64, frame_type: i64, reason: str
    ) -> None:
        if code != 0:
            self._add(code, cause, from_peer, self._local, self._remote, 0, reason)

    def _add(
        self,
        code: i64,
        cause: str,
        from_peer: bool,
        local: str,
        remote: str,
        path_id: i64,
        message: str,
    ) -> None:
        number = _CODELESS.get(cause, 0) if code < 0 else int(code)
        self._ring.add(
            number, cause, from_peer, self._source_cid, local, remote, int(path_id), message
        )
