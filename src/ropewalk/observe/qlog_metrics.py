"""recovery_metrics_updated: what changed since it was last told."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from ropewalk.observe.qlog_trace import Trace


@final
class Metrics:
    """Remembers what the trace says of recovery, and adds what is new."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._out = trace.out
        #: the length of what is written when the event has no field yet
        self._empty: i64 = 0
        self._window: i64 = -1
        self._in_flight: i64 = -1
        self._threshold: i64 = -1
        self._probes: i64 = -1
        self._pacing: i64 = -1
        self._smoothed = -1.0
        # Not told before the first sample: these are 0.0 until then.
        self._latest = 0.0
        self._minimum = 0.0
        self._variation = -1.0

    def update(
        self,
        now: float,
        window: i64,
        in_flight: i64,
        smoothed: float,
        latest: float,
        minimum: float,
        variation: float,
        threshold: i64,
        pacing_rate: float,
        probes: i64,
    ) -> None:
        """Write an event with the fields that are new."""
        # qlog counts it in bits per second.
        pacing = i64(min(pacing_rate * 8.0, 9e18))
        if (
            window == self._window
            and in_flight == self._in_flight
            and smoothed == self._smoothed
            and latest == self._latest
            and variation == self._variation
            and threshold == self._threshold
            and pacing == self._pacing
            and probes == self._probes
        ):
            return
        self._trace.open_event(now, b',"name":"quic:recovery_metrics_updated","data":{')
        self._empty = len(self._out)
        if window != self._window:
            self._window = window
            self._number(b'"congestion_window":', window)
        if in_flight != self._in_flight:
            self._in_flight = in_flight
            self._number(b'"bytes_in_flight":', in_flight)
        if smoothed != self._smoothed:
            self._smoothed = smoothed
            self._time(b'"smoothed_rtt":', smoothed)
        if latest != self._latest:
            self._latest = latest
            self._time(b'"latest_rtt":', latest)
        if minimum != self._minimum:
            self._minimum = minimum
            self._time(b'"min_rtt":', minimum)
        if variation != self._variation:
            self._variation = variation
            self._time(b'"rtt_variance":', variation)
        if threshold != self._threshold:
            self._threshold = threshold
            if threshold >= 0:
                self._number(b'"ssthresh":', threshold)
        if pacing != self._pacing:
            self._pacing = pacing
            if pacing > 0:
                self._number(b'"pacing_rate":', pacing)
        if probes != self._probes:
            self._probes = probes
            self._number(b'"pto_count":', probes)
        self._out.raw(b"}")
        self._trace.close_event(now)

    def _number(self, key: bytes, value: i64) -> None:
        out = self._out
        if len(out) > self._empty:
            out.raw(b",")
        out.raw(key)
        out.number(value)

    def _time(self, key: bytes, value: float) -> None:
        out = self._out
        if len(out) > self._empty:
            out.raw(b",")
        out.raw(key)
        out.milliseconds(value)
