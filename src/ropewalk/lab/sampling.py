"""Takes the figures that a report draws, at even times."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from ropewalk.lab.outcome import Series
from ropewalk.quic.connection import Connection
from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.sim.clock import VirtualClock
from ropewalk.sim.link import Link

#: When so many samples were taken, every second one is dropped, and they come half as often.
_MOST_SAMPLES = 1200
_FIRST_INTERVAL = 0.01

_ROUTE_FIGURES = (
    "throughput",
    "congestion_window",
    "bytes_in_flight",
    "smoothed_rtt",
    "packets_lost",
)


@final
class _RouteSamples:
    """The samples of one route; totals, so that samples can be dropped."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.times: list[float] = []
        self.acked: list[int] = []
        self.window: list[int] = []
        self.in_flight: list[int] = []
        self.rtt: list[float] = []
        self.lost: list[int] = []

    def take(self, now: float, recovery: RouteRecovery) -> None:
        self.times.append(now)
        self.acked.append(int(recovery.bytes_acked))
        self.window.append(int(recovery.controller.congestion_window))
        self.in_flight.append(int(recovery.bytes_in_flight))
        self.rtt.append(recovery.rtt.smoothed)
        self.lost.append(int(recovery.packets_lost))

    def thin(self) -> None:
        for floats in (self.times, self.rtt):
            del floats[1::2]
        for numbers in (self.acked, self.window, self.in_flight, self.lost):
            del numbers[1::2]

    def series(self) -> list[Series]:
        times = tuple(self.times)
        throughput = [
            0.0
            if not index or time <= times[index - 1]
            else (self.acked[index] - self.acked[index - 1]) / (time - times[index - 1])
            for index, time in enumerate(times)
        ]
        lost = [
            float(total - (self.lost[index - 1] if index else 0))
            for index, total in enumerate(self.lost)
        ]
        columns: tuple[list[float], ...] = (
            throughput,
            [float(value) for value in self.window],
            [float(value) for value in self.in_flight],
            self.rtt,
            lost,
        )
        return [
            Series(where=self.where, figure=figure, times=times, values=tuple(values))
            for figure, values in zip(_ROUTE_FIGURES, columns, strict=True)
        ]


@final
class _LinkSamples:
    def __init__(self, link: Link) -> None:
        self.link = link
        self.times: list[float] = []
        self.queue: list[float] = []


@final
class Sampler:
    """Samples every route of the connections, and every link."""

    def __init__(
        self,
        clock: VirtualClock,
        links: dict[str, Link],
        connections: Callable[[], list[tuple[str, Connection]]],
    ) -> None:
        self._clock = clock
        self._connections = connections
        self._links = {name: _LinkSamples(link) for name, link in links.items()}
        self._routes: dict[str, _RouteSamples] = {}
        self._interval = _FIRST_INTERVAL
        self._taken = 0

    def start(self) -> None:
        """Take the first sample now, the others by the clock."""
        self._sample()

    def series(self) -> tuple[Series, ...]:
        """All that was sampled."""
        found: list[Series] = []
        for samples in self._routes.values():
            found += samples.series()
        for name, link in self._links.items():
            found.append(
                Series(
                    where=name,
                    figure="queue_length",
                    times=tuple(link.times),
                    values=tuple(link.queue),
                )
            )
        return tuple(found)

    def _sample(self) -> None:
        now = self._clock.now
        for name, connection in self._connections():
            if connection.closed:
                continue
            route = connection.state.path.active
            where = f"{name} to {route.remote}"
            samples = self._routes.get(where)
            if samples is None:
                samples = _RouteSamples(where)
                self._routes[where] = samples
            samples.take(now, route.recovery)
        for link in self._links.values():
            link.times.append(now)
            link.queue.append(float(link.link.queue_length(now)))
        self._taken += 1
        if self._taken == _MOST_SAMPLES:
            self._thin()
        self._clock.after(self._interval, self._sample)

    def _thin(self) -> None:
        self._taken //= 2
        self._interval *= 2
        for samples in self._routes.values():
            samples.thin()
        for link in self._links.values():
            del link.times[1::2]
            del link.queue[1::2]
