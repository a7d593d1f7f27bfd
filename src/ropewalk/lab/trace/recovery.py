"""What a log tells of congestion control and RTT, path by path."""

from __future__ import annotations

from typing import Final, final

from ropewalk.lab.trace.model import PathSeries, Series
from ropewalk.lab.trace.values import integer, number, text

_MOST_PATHS: Final = 256

Fields = dict[str, object]


@final
class RecoveryLog:
    """Metrics of all paths. Old logs know of one path, which has no name."""

    def __init__(self) -> None:
        self.probe_timeouts = 0
        self.reported_spurious = 0
        self._indexes: dict[tuple[str, str], int] = {}
        self._paths: list[PathSeries] = []
        self._variance: list[float | None] = []
        self._probes: dict[int, int] = {}
        self._timed = False

    def paths(self) -> tuple[PathSeries, ...]:
        """The paths that something is known of."""
        return tuple(self._paths)

    def path_of(self, data: Fields, event: Fields) -> int:
        """The index of the path that an event belongs to: of its path ID, which has packet
        numbers of its own, and its 4-tuple, which has not."""
        key = path_id(data, event), text(event.get("tuple"), 40)
        index = self._indexes.get(key)
        if index is None:
            if len(self._paths) >= _MOST_PATHS:
                return 0
            index = self._indexes[key] = len(self._paths)
            self._paths.append(PathSeries(*key))
            self._variance.append(None)
        return index

    def metrics(self, time: float, data: Fields, event: Fields) -> bool:
        """Take in an event; whether it tells of another probe timeout."""
        index = self.path_of(data, event)
        path = self._paths[index]
        window = data.get("congestion_window", data.get("cwnd"))
        _add(path.congestion_window, time, integer(window))
        _add(path.bytes_in_flight, time, integer(data.get("bytes_in_flight")))
        _add(path.slow_start_threshold, time, integer(data.get("ssthresh")))
        _add(path.pacing_rate, time, number(data.get("pacing_rate")))
        self._rtt(time, data, index)
        probes = integer(data.get("pto_count"))
        if probes is None or self._timed:
            return False
        before = self._probes.get(index, 0)
        self._probes[index] = probes
        if probes > before:
            self.probe_timeouts += probes - before if probes - before < 100 else 1
        return probes > before

    def timer_expired(self, time: float) -> None:
        """A log with timer events need not be told by counts again."""
        if not self._timed:
            self._timed = True
            self.probe_timeouts = 0
        self.probe_timeouts += 1

    def _rtt(self, time: float, data: Fields, index: int) -> None:
        path = self._paths[index]
        latest, smoothed = _seconds(data.get("latest_rtt")), _seconds(data.get("smoothed_rtt"))
        variance = _seconds(data.get("rtt_variance"))
        # Many logs repeat all metrics in every event: it is a sample if one of these changed.
        changed = latest is not None and latest != _last(path.latest_rtt)
        changed = changed or (smoothed is not None and smoothed != _last(path.smoothed_rtt))
        changed = changed or (variance is not None and variance != self._variance[index])
        # Others leave out what did not change: then the latest is the one before.
        sample = latest or _last(path.latest_rtt)
        if changed and sample:
            path.latest_rtt.add(time, sample, repeat=True)
        if variance is not None:
            self._variance[index] = variance
        # Before the first sample, smoothed_rtt is a setting.
        if smoothed and path.latest_rtt.values:
            path.smoothed_rtt.add(time, smoothed)
        minimum = _seconds(data.get("min_rtt"))
        if minimum:
            path.min_rtt.add(time, minimum)


def path_id(data: Fields, event: Fields) -> str:
    """The path ID of an event, which has no settled place; empty without multipath."""
    for place in (data.get("header"), data, event):
        if isinstance(place, dict) and "path_id" in place:
            return text(place["path_id"], 40)
    return ""


def _last(series: Series) -> float | None:
    return series.values[-1] if series.values else None


def _add(series: Series, time: float, value: float | None) -> None:
    if value is not None:
        series.add(time, value)


def _seconds(value: object) -> float | None:
    """An RTT, which qlog gives in milliseconds; an hour and more is none."""
    found = number(value)
    return found / 1000 if found is not None and 0 <= found < 3.6e6 else None
