"""The CRYPTO stream of one encryption level, both directions (RFC 9000 7.5, 19.6)."""

from __future__ import annotations

from bisect import insort
from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.types.error_codes import CRYPTO_BUFFER_EXCEEDED
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.frame_types import CRYPTO

#: Out-of-order bytes held per level (7.5 asks for at least 4,096).
MAX_BUFFERED: Final = 65536
#: What the table costs per fragment, lest one-byte fragments come for free.
_FRAGMENT_COST: Final = 64


@final
class CryptoReceiver:
    """Puts CRYPTO data in order. Fragments may come in any order, overlap and repeat."""

    def __init__(self) -> None:
        self.offset: i64 = 0
        self._fragments: dict[int, bytes] = {}
        #: where the fragments begin, ascending
        self._starts: list[int] = []
        self._held: i64 = 0

    def receive(self, offset: i64, data: bytes) -> bytes:
        """Take one frame; the bytes that are in order now, b"" while there is a gap.

        Raises ``TransportError`` (CRYPTO_BUFFER_EXCEEDED) beyond 64 KiB of look-ahead.
        """
        end = offset + len(data)
        if end <= self.offset:
            return b""
        if end - self.offset > MAX_BUFFERED:
            raise TransportError(
                CRYPTO_BUFFER_EXCEEDED,
                f"CRYPTO data {end - self.offset} bytes ahead; {MAX_BUFFERED} are held",
                CRYPTO,
            )
        if offset > self.offset:
            known = self._fragments.get(int(offset))
            if known is None or len(known) < len(data):
                if known is None:
                    insort(self._starts, int(offset))
                else:
                    self._held -= len(known) + _FRAGMENT_COST
                self._fragments[int(offset)] = data
                self._held += len(data) + _FRAGMENT_COST
                self._check_held()
            return b""
        ready = data[self.offset - offset :]
        self.offset = end
        return ready + self._join() if self._fragments else ready

    def _check_held(self) -> None:
        if self._held > 4 * MAX_BUFFERED:
            raise TransportError(CRYPTO_BUFFER_EXCEEDED, "too many CRYPTO fragments", CRYPTO)

    def _join(self) -> bytes:
        joined: list[bytes] = []
        starts = self._starts
        while starts and starts[0] <= self.offset:
            start = starts.pop(0)
            fragment = self._fragments.pop(start)
            self._held -= len(fragment) + _FRAGMENT_COST
            end: i64 = start + len(fragment)
            if end > self.offset:
                joined.append(fragment[self.offset - start :])
                self.offset = end
        return b"".join(joined)

    @property
    def waiting(self) -> bool:
        """Whether bytes are held behind a gap."""
        return len(self._fragments) > 0


@final
class CryptoSender:
    """Holds CRYPTO data until it is acknowledged. Lost ranges go out first."""

    def __init__(self) -> None:
        self._data = b""
        self._next: i64 = 0
        self._lost: list[tuple[int, int]] = []
        self._acked: list[tuple[int, int]] = []

    def append(self, data: bytes) -> None:
        """Queue bytes from the handshake."""
        self._data += data

    def has_pending(self) -> bool:
        """Whether something waits to be sent (again)."""
        return self._next < len(self._data) or len(self._lost) > 0

    def next_range(self) -> tuple[i64, i64]:
        """Offset and length of what should be sent next; length 0 when nothing waits."""
        if self._lost:
            start, end = self._lost[0]
            return start, end - start
        return self._next, len(self._data) - self._next

    def take(self, offset: i64, length: i64) -> bytes:
        """The bytes of a range that :meth:`next_range` offered; they count as sent now."""
        end = offset + length
        if self._lost:
            _start, lost_end = self._lost[0]
            if end >= lost_end:
                del self._lost[0]
            else:
                self._lost[0] = (int(end), lost_end)
        else:
            self._next = end
        return self._data[offset:end]

    def on_acked(self, offset: i64, length: i64) -> None:
        """A range arrived."""
        self._acked.append((int(offset), int(offset + length)))
        self._acked = _merged(self._acked)
        self._lost = _without(self._lost, self._acked)

    def on_lost(self, offset: i64, length: i64) -> None:
        """A range has to be sent again, less what another packet delivered."""
        self._lost.append((int(offset), int(offset + length)))
        self._lost = _without(_merged(self._lost), self._acked)

    def lose_unacknowledged(self) -> None:
        """Send everything again that is not known to have arrived (a probe, or a Retry)."""
        if self._next > 0:
            self.on_lost(0, self._next)


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    result: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def _without(
    ranges: list[tuple[int, int]], removed: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    result: list[tuple[int, int]] = []
    for first, last in ranges:
        start = first
        for low, high in removed:
            if high <= start or low >= last:
                continue
            if low > start:
                result.append((start, low))
            start = max(start, high)
        if start < last:
            result.append((start, last))
    return result
