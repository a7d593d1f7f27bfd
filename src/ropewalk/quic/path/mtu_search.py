"""Search for the largest datagram that a route carries (RFC 8899, RFC 9000 14.3).

A probe is one padded packet. Its arrival proves the size; that it is lost three times in a
row disproves it. The search climbs over the sizes that networks have, then halves the gap to
the first one that failed. What a route once carried it may stop to carry, so a size is given
up again when nothing of it arrives any more.
"""

from __future__ import annotations

from math import inf
from typing import Final, final

from mypy_extensions import i64

#: UDP payloads that fill the packets of common links: Ethernet under IPv6 and IPv4, jumbo
#: frames under both. The search looks at these first, and at the ceiling.
_LANDMARKS: Final = (1452, 1472, 8952, 8972)
#: MAX_PROBES of RFC 8899 5.1.2.
_ATTEMPTS: Final = 3
#: The search ends when the answer is known to this many bytes.
_PRECISION: Final = 16
#: PMTU_RAISE_TIMER of RFC 8899 5.1.1, in seconds.
RAISE_INTERVAL: Final = 600.0
#: Probe timeouts in a row, or large packets lost behind the newest large one that arrived,
#: that give a size up (RFC 8899 4.3).
_SILENT_TIMEOUTS: Final = 3
_VANISHED_PACKETS: Final = 8


@final
class MtuSearch:
    """The search on one route, in bytes of UDP payload, between ``base`` and ``ceiling``.

    ``size`` is what is in use: at first what the route is taken to carry, then what has been
    proved. The owner asks :meth:`wanted` when it could send, tells
    what became of each probe, and takes ``size`` after :meth:`on_arrived`, :meth:`on_refused`
    or :meth:`on_silence` returned True.
    """

    def __init__(self, base: i64, size: i64, ceiling: i64) -> None:
        self.base: i64 = base
        self.ceiling: i64 = max(size, ceiling)
        self.size: i64 = size
        #: when the next probe may leave; infinity while one is on its way
        self.next_probe = 0.0
        self._failed: i64 = self.ceiling + 1
        self._probing: i64 = 0
        self._attempts: i64 = 0
        self._newest_large: i64 = -1
        self._vanished: i64 = 0

    def wanted(self, now: float) -> i64:
        """The size of the probe to send now, 0 for none. Repeats until :meth:`on_sent`."""
        if now < self.next_probe:
            return 0
        if self._probing == 0:
            self._probing = self._candidate()
            self._attempts = 0
            if self._probing == 0:
                # Found; look again later whether the route has become better.
                self.next_probe = now + RAISE_INTERVAL
                self._failed = self.ceiling + 1
        return self._probing

    def on_sent(self) -> None:
        """The wanted probe left."""
        self.next_probe = inf

    def on_arrived(self, size: i64, now: float) -> bool:
        """A probe was acknowledged. Whether ``size`` has grown."""
        if self._probing == size:
            self._probing = 0
            self.next_probe = now
        if size <= self.size or size > self.ceiling:
            return False
        self.size = size
        return True

    def on_lost(self, size: i64, now: float, pause: float) -> None:
        """A probe was lost; the next leaves after ``pause`` seconds, so that one burst of
        losses does not decide."""
        if self._probing != size:
            return
        self.next_probe = now + pause
        self._attempts += 1
        if self._attempts >= _ATTEMPTS:
            self._failed = size
            self._probing = 0

    def on_refused(self, size: i64, now: float) -> bool:
        """The own system said that datagrams of ``size`` do not fit. Whether that changes
        what is sent."""
        if size <= self.base:
            return False
        self._failed = min(self._failed, size)
        if self._probing >= size:
            self._probing = 0
            self.next_probe = now
        if self.size < size:
            return False
        self._give_up(now)
        return True

    def on_large_arrived(self, packet_number: i64) -> None:
        """A packet larger than ``base`` was acknowledged."""
        if packet_number > self._newest_large:
            self._newest_large = packet_number
        self._vanished = 0

    def on_large_lost(self, packet_number: i64, now: float) -> bool:
        """A packet larger than ``base`` was lost. Whether this gives the size up: when
        several were that were sent after all that arrived, only smaller ones get through."""
        if packet_number < self._newest_large or self.size == self.base:
            return False
        self._vanished += 1
        if self._vanished < _VANISHED_PACKETS:
            return False
        self._give_up(now)
        return True

    def on_silence(self, timeouts: i64, now: float) -> bool:
        """So many probe timeouts expired in a row. Whether this gives the size up."""
        if timeouts < _SILENT_TIMEOUTS or self.size == self.base:
            return False
        self._give_up(now)
        return True

    def _give_up(self, now: float) -> None:
        """Back to ``base`` and search anew, below what does not work any more."""
        self._failed = min(self._failed, self.size)
        self.size = self.base
        self._probing = 0
        self._vanished = 0
        self.next_probe = now

    def _candidate(self) -> i64:
        """The next size worth a probe, 0 when the answer is known well enough."""
        size, failed = self.size, self._failed
        if failed - size <= 1:
            return 0
        if failed > self.ceiling:
            for landmark in _LANDMARKS:
                if size < landmark < self.ceiling:
                    return landmark
            return self.ceiling
        for landmark in _LANDMARKS:
            if size < landmark < failed:
                return landmark
        if failed - size <= _PRECISION:
            return 0
        return (size + failed) // 2
