"""What a user may know of a path."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.quic.path.path import Path
from ropewalk.quic.types.address import Address


@dataclass(frozen=True)
class PathStats:
    """A snapshot of one path. Times in seconds, sizes in bytes, rates in bytes per second."""

    path_id: int
    remote: Address
    smoothed_rtt: float
    min_rtt: float
    congestion_window: int
    bytes_in_flight: int
    packets_sent: int
    packets_received: int
    packets_lost: int
    bytes_sent: int
    bytes_received: int
    max_datagram_size: int
    pacing_rate: float


def path_stats(path: Path) -> PathStats:
    """The snapshot of a path's active route."""
    route = path.active
    recovery = route.recovery
    return PathStats(
        path_id=path.path_id,
        remote=route.remote,
        smoothed_rtt=recovery.rtt.smoothed,
        min_rtt=recovery.rtt.minimum,
        congestion_window=recovery.controller.congestion_window,
        bytes_in_flight=recovery.bytes_in_flight,
        packets_sent=route.packets_sent,
        packets_received=route.packets_received,
        packets_lost=route.packets_lost,
        bytes_sent=route.bytes_sent,
        bytes_received=route.bytes_received,
        max_datagram_size=route.datagram_size,
        pacing_rate=recovery.pacing_rate(),
    )
