"""What a user may know of a connection, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.quic.connection import Connection as CoreConnection
from ropewalk.quic.path.stats import PathStats


@dataclass(frozen=True)
class DatagramStats:
    """What became of unreliable datagrams (RFC 9221), in numbers of them.

    ``sent`` are those that left: ``acked``, ``lost`` (never sent again) or still on their
    way. Dropped before they left were ``dropped_full`` (the queue had no room),
    ``dropped_expired`` (past their deadline) and ``dropped_too_large`` (the path came to
    carry less). ``received`` were queued for reading; ``dropped_unread`` arrived when that
    queue was full.
    """

    sent: int
    acked: int
    lost: int
    received: int
    dropped_full: int
    dropped_expired: int
    dropped_too_large: int
    dropped_unread: int


@dataclass(frozen=True)
class ConnectionStats:
    """Totals over all paths, and each path by itself. Sizes in bytes, times in seconds.

    ``packets_lost`` counts packets declared lost, whose data was sent again;
    ``packets_dropped`` those that arrived and were discarded unread, for they were damaged,
    forged, or came before or after their keys.
    """

    packets_sent: int
    packets_received: int
    packets_lost: int
    packets_dropped: int
    bytes_sent: int
    bytes_received: int
    datagrams: DatagramStats
    paths: tuple[PathStats, ...]


def connection_stats(core: CoreConnection) -> ConnectionStats:
    """The figures of a connection as of now."""
    paths = tuple(core.path_stats())
    queues = core.state.datagrams
    return ConnectionStats(
        packets_sent=sum(path.packets_sent for path in paths),
        packets_received=sum(path.packets_received for path in paths),
        packets_lost=sum(path.packets_lost for path in paths),
        packets_dropped=core.counters.packets_dropped,
        bytes_sent=sum(path.bytes_sent for path in paths),
        bytes_received=sum(path.bytes_received for path in paths),
        datagrams=DatagramStats(
            sent=queues.sent,
            acked=queues.acked,
            lost=queues.lost,
            received=queues.received,
            dropped_full=queues.dropped_full,
            dropped_expired=queues.dropped_expired,
            dropped_too_large=queues.dropped_too_large,
            dropped_unread=queues.dropped_unread,
        ),
        paths=paths,
    )
