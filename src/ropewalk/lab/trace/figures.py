"""What follows from a trace: rates, losses, percentiles."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ropewalk.lab.trace.model import PacketTable, PathSeries, Trace


@dataclass(frozen=True)
class PathFigures:
    """One path. Bytes and seconds; NaN and 0 for what the log does not tell."""

    name: str
    packets_sent: int
    packets_received: int
    bytes_sent: int
    bytes_received: int
    packets_lost: int
    rtt_min: float
    rtt_median: float
    congestion_window_max: int
    bytes_in_flight_max: int


@dataclass(frozen=True)
class Figures:
    """A trace in numbers. Bytes, seconds, and bits per second; NaN for what is not known.

    ``bytes_*`` count whole packets, ``data_*`` stream data and datagrams without repetitions.
    ``goodput_*`` is such data over the time from the first packet to the last with new data.
    ``loss_rate`` is of the packets sent. The RTT is that of the samples. ``spurious_losses``
    were acknowledged after they had been declared lost.
    """

    duration: float
    handshake: float
    packets_sent: int
    packets_received: int
    bytes_sent: int
    bytes_received: int
    data_sent: int
    data_received: int
    goodput_sent: float
    goodput_received: float
    packets_lost: int
    loss_rate: float
    spurious_losses: int
    bytes_resent: int
    probe_timeouts: int
    packets_dropped: int
    rtt_min: float
    rtt_median: float
    rtt_p95: float
    rtt_max: float
    congestion_window_max: int
    bytes_in_flight_max: int
    paths: tuple[PathFigures, ...]

    def as_json(self) -> dict[str, object]:
        """The figures as JSON takes them: null for what is not known."""
        document = _without_nan(asdict(self))
        document["paths"] = [_without_nan(asdict(path)) for path in self.paths]
        return document


def _without_nan(fields: dict[str, object]) -> dict[str, object]:
    return {
        name: (None if math.isnan(value) else round(value, 9))
        if isinstance(value, float)
        else value
        for name, value in fields.items()
    }


@dataclass(frozen=True)
class Rates:
    """Bits per second in windows of one width, the first of which begins at ``start``."""

    start: float
    width: float
    sent: Sequence[float]
    received: Sequence[float]
    #: New stream data and datagrams, of both directions.
    data_sent: Sequence[float]
    data_received: Sequence[float]


def figures_of(trace: Trace) -> Figures:
    """Count and measure."""
    table = trace.packets
    rtts = sorted(trace.rtt_samples())
    sent, received = _totals(table, True), _totals(table, False)
    lost = sum(1 for row in range(len(table)) if not math.isnan(table.lost[row]))
    spurious = sum(1 for row in range(len(table)) if table.fate(row) == "spurious")
    return Figures(
        duration=trace.duration,
        handshake=trace.handshake_complete - trace.start,
        packets_sent=sent.packets,
        packets_received=received.packets,
        bytes_sent=sent.size,
        bytes_received=received.size,
        data_sent=sent.fresh,
        data_received=received.fresh,
        goodput_sent=sent.goodput(trace.start),
        goodput_received=received.goodput(trace.start),
        packets_lost=lost,
        loss_rate=lost / sent.packets if sent.packets else math.nan,
        spurious_losses=max(spurious, trace.reported_spurious),
        bytes_resent=trace.resent_bytes,
        probe_timeouts=trace.probe_timeouts,
        packets_dropped=sum(trace.dropped.values()),
        rtt_min=rtts[0] if rtts else math.nan,
        rtt_median=percentile(rtts, 0.5),
        rtt_p95=percentile(rtts, 0.95),
        rtt_max=rtts[-1] if rtts else math.nan,
        congestion_window_max=max(
            (_largest(path.congestion_window.values) for path in trace.paths), default=0
        ),
        bytes_in_flight_max=max(
            (_largest(path.bytes_in_flight.values) for path in trace.paths), default=0
        ),
        paths=_paths(trace),
    )


def rates_of(trace: Trace, windows: int = 200) -> Rates:
    """Throughput and goodput in so many windows over the whole trace."""
    table = trace.packets
    width = trace.duration / windows if trace.duration > 0 else 1.0
    sums = tuple(array("d", bytes(8 * windows)) for _ in range(4))
    for row in range(len(table)):
        window = min(windows - 1, max(0, int((table.time[row] - trace.start) / width)))
        which = 0 if table.sent[row] else 1
        sums[which][window] += table.size[row] * 8 / width
        sums[which + 2][window] += table.fresh[row] * 8 / width
    return Rates(trace.start, width, *sums)


def percentile(ascending: Sequence[float], share: float) -> float:
    """The value that ``share`` of all do not exceed (nearest rank); NaN of nothing."""
    if not ascending:
        return math.nan
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]


@dataclass(frozen=True)
class _Totals:
    packets: int
    size: int
    fresh: int
    last_fresh: float

    def goodput(self, start: float) -> float:
        seconds = self.last_fresh - start
        return self.fresh * 8 / seconds if self.fresh and seconds > 0 else math.nan


def _totals(table: PacketTable, sent: bool) -> _Totals:
    packets = size = fresh = 0
    last = math.nan
    for row in range(len(table)):
        if bool(table.sent[row]) == sent:
            packets += 1
            size += table.size[row]
            fresh += table.fresh[row]
            if table.fresh[row]:
                last = table.time[row]
    return _Totals(packets, size, fresh, last)


def _paths(trace: Trace) -> tuple[PathFigures, ...]:
    counts = [[0, 0, 0, 0, 0] for _ in trace.paths]
    table = trace.packets
    for row in range(len(table)):
        count = counts[table.path[row]]
        side = 0 if table.sent[row] else 1
        count[side] += 1
        count[side + 2] += table.size[row]
        if not math.isnan(table.lost[row]):
            count[4] += 1
    return tuple(_path(path, *count) for path, count in zip(trace.paths, counts, strict=True))


def _path(
    path: PathSeries, sent: int, received: int, bytes_sent: int, bytes_received: int, lost: int
) -> PathFigures:
    rtts = sorted(path.latest_rtt.values)
    return PathFigures(
        name=path.name,
        packets_sent=sent,
        packets_received=received,
        bytes_sent=bytes_sent,
        bytes_received=bytes_received,
        packets_lost=lost,
        rtt_min=rtts[0] if rtts else math.nan,
        rtt_median=percentile(rtts, 0.5),
        congestion_window_max=_largest(path.congestion_window.values),
        bytes_in_flight_max=_largest(path.bytes_in_flight.values),
    )


def _largest(values: Sequence[float]) -> int:
    return int(max(values, default=0))
