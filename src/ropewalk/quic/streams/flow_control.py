"""Credit in both directions, for a connection or a stream (RFC 9000 4)."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64


@final
class WindowClock:
    """What windows need to know of time, set now and then by the connection. Seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        #: smoothed RTT, 0.0 while unknown
        self.rtt = 0.0


@final
class ReceiveWindow:
    """What the peer may send us. The limit moves as the application consumes.

    ``limit`` is what the peer was last told, ``received`` what it has used of it. A new
    limit is due once half of ``size`` is consumed. The size grows when consumption, measured
    over at least one RTT, takes more than half a window per RTT, because then the peer may
    be waiting for credit rather than for the network; so it settles between two and four
    bandwidth-delay products and never grows for a reader who is slow.
    """

    def __init__(self, size: i64, size_limit: i64, clock: WindowClock) -> None:
        self.size: i64 = size
        self.size_limit: i64 = size_limit
        self.limit: i64 = size
        self.received: i64 = 0
        self.consumed: i64 = 0
        #: the peer should be told a new limit
        self.due = False
        self._clock = clock
        self._epoch = clock.now
        self._epoch_consumed: i64 = 0

    def consume(self, size: i64) -> bool:
        """Count bytes as read or discarded. True when this makes a new limit due."""
        self.consumed += size
        if self.due or (self.limit - self.consumed) * 2 > self.size:
            return False
        self._grow()
        self.due = True
        return True

    def take_update(self) -> i64:
        """The limit to tell the peer now."""
        self.due = False
        limit: i64 = self.consumed + self.size
        if limit > self.limit:
            self.limit = limit
        return self.limit

    def _grow(self) -> None:
        clock = self._clock
        elapsed = clock.now - self._epoch
        if clock.rtt <= 0.0 or elapsed < clock.rtt:
            return
        per_rtt = float(self.consumed - self._epoch_consumed) * clock.rtt / elapsed
        self._epoch = clock.now
        self._epoch_consumed = self.consumed
        if per_rtt * 2.0 > float(self.size):
            self.size = min(self.size_limit, self.size * 2)


@final
class SendCredit:
    """What we may send on the whole connection: the peer's MAX_DATA and our use of it."""

    def __init__(self) -> None:
        self.limit: i64 = 0
        self.used: i64 = 0
        #: the limit at which DATA_BLOCKED was last queued; one is enough for each limit
        self.blocked_at: i64 = -1
        self.blocked_due = False

    def left(self) -> i64:
        """Bytes of new stream data that may still be sent."""
        return self.limit - self.used

    def raise_limit(self, limit: i64) -> bool:
        """Take a MAX_DATA. A smaller value than before is ignored (RFC 9000 4.1)."""
        if limit <= self.limit:
            return False
        self.limit = limit
        self.blocked_due = False
        return True

    def note_blocked(self) -> bool:
        """Data waits and the credit is used up. True when the peer should hear of it."""
        if self.blocked_at == self.limit:
            return False
        self.blocked_at = self.limit
        self.blocked_due = True
        return True
