"""What a transfer is measured by, on one side of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import final

from ropewalk.runtime import Connection


@dataclass(frozen=True)
class Figures:
    """One side's view of a transfer. Sizes in bytes.

    ``retransmissions`` counts packets declared lost, whose data this side sent again.
    ``cpu_us_per_packet`` is the process's CPU time (user and system) over all packets that
    it sent and received.
    """

    side: str
    bytes_sent: int
    bytes_received: int
    seconds: float
    gbit_per_second: float
    packets_sent: int
    packets_received: int
    retransmissions: int
    cpu_seconds: float
    cpu_us_per_packet: float
    connections: int

    def as_json(self) -> dict[str, object]:
        """The figures with numbers rounded to what they mean."""
        return {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }

    def lines(self) -> list[str]:
        """The figures for people."""
        return [
            f"{self.side}: {self.gbit_per_second:.3f} Gbit/s "
            f"({_megabytes(self.bytes_sent)} sent, {_megabytes(self.bytes_received)} received "
            f"in {self.seconds:.3f} s)",
            f"{self.side}: {self.packets_sent:,} packets sent, "
            f"{self.packets_received:,} received, {self.retransmissions:,} retransmissions; "
            f"CPU {self.cpu_seconds:.3f} s, {self.cpu_us_per_packet:.2f} µs per packet",
        ]


@final
class Meter:
    """Takes the time, the CPU time and the counters of connections over a transfer.

    The clocks run from :meth:`begin` (or else from the making) to the last :meth:`stop`.
    """

    def __init__(
        self,
        side: str,
        clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._side = side
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._packets_sent = 0
        self._packets_received = 0
        self._lost = 0
        self.bytes_sent = 0
        self.bytes_received = 0
        self._connections = 0
        self._started = clock()
        self._cpu = cpu_clock()
        self._begun = False
        self._stopped: tuple[float, float] | None = None

    def add(self, connections: Iterable[Connection], sign: int = 1) -> None:
        """Add what connections have counted so far; with ``sign`` -1 what does not belong."""
        for connection in connections:
            stats = connection.stats
            self._packets_sent += sign * stats.packets_sent
            self._packets_received += sign * stats.packets_received
            self._lost += sign * stats.packets_lost
            self._connections += sign > 0

    def begin(self) -> None:
        """The transfer begins now, unless it has begun already."""
        if not self._begun:
            self._begun = True
            self._started = self._clock()
            self._cpu = self._cpu_clock()

    def stop(self) -> None:
        """The transfer ends now, or will have ended at a later call."""
        self._stopped = self._clock(), self._cpu_clock()

    def figures(self) -> Figures:
        """The result; stops the clocks if that was not done."""
        if self._stopped is None:
            self.stop()
            assert self._stopped is not None
        seconds = self._stopped[0] - self._started
        cpu = self._stopped[1] - self._cpu
        packets = self._packets_sent + self._packets_received
        moved = self.bytes_sent + self.bytes_received
        return Figures(
            side=self._side,
            bytes_sent=self.bytes_sent,
            bytes_received=self.bytes_received,
            seconds=seconds,
            gbit_per_second=moved * 8 / seconds / 1e9 if seconds > 0 else 0.0,
            packets_sent=self._packets_sent,
            packets_received=self._packets_received,
            retransmissions=self._lost,
            cpu_seconds=cpu,
            cpu_us_per_packet=cpu * 1e6 / packets if packets else 0.0,
            connections=self._connections,
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
