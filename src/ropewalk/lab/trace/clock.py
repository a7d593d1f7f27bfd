"""The times of a log: three formats, two units, and a zero that is chosen for the reader."""

from __future__ import annotations

from datetime import datetime
from typing import Final, final

from ropewalk.lab.trace.values import mapping, number, text

#: Milliseconds that can only be counted from 1970: 1973-03-03. No trace lasts so long.
_EPOCH_TIMES: Final = 1e11
_DELTA: Final = ("delta", "relative_to_previous_event")


@final
class TraceClock:
    """Turns the ``time`` of events into seconds on the trace's axis."""

    def __init__(self) -> None:
        self._per_second = 1000.0
        self._is_delta = False
        self._zero: float | None = None
        self._now = 0.0
        #: Unix time of the axis' zero, as far as a head told it.
        self._reference: float | None = None

    @property
    def wall_clock(self) -> float | None:
        """Unix time of the axis' zero in seconds."""
        if self._zero:
            return self._zero
        return self._reference

    def read_head(self, trace: dict[str, object]) -> bool:
        """Take in ``common_fields``; False if the format turns out to be another than that of
        the times read so far."""
        common = mapping(trace.get("common_fields"))
        if text(mapping(trace.get("configuration")).get("time_units")) == "us":
            self._per_second = 1e6
        self._reference = _reference(common.get("reference_time"))
        is_delta = text(common.get("time_format")) in _DELTA
        fits = self._zero is None or is_delta == self._is_delta
        self._is_delta = is_delta
        return fits

    def read(self, event: dict[str, object]) -> float | None:
        """The time of an event; None if it has none."""
        time = number(event.get("time"))
        if time is None:
            return None
        is_delta = self._is_delta
        if "time_format" in event:
            is_delta = text(event["time_format"]) in _DELTA
        if self._zero is None:
            counts_from_1970 = not is_delta and time * 1000 / self._per_second > _EPOCH_TIMES
            self._zero = time / self._per_second if counts_from_1970 else 0.0
        if is_delta:
            self._now += time / self._per_second
        else:
            self._now = time / self._per_second - self._zero
        return self._now


def _reference(value: object) -> float | None:
    """Unix time of a reference: milliseconds (old), or an object with an RFC 3339 date."""
    fields = mapping(value)
    if not fields:
        milliseconds = number(value)
        return milliseconds / 1000 if milliseconds and milliseconds > _EPOCH_TIMES else None
    for name in ("wall_clock_time", "epoch"):
        try:
            date = datetime.fromisoformat(_to_microseconds(text(fields.get(name), 60)))
        except ValueError:
            continue
        if date.tzinfo is not None:
            seconds = date.timestamp()
            return seconds if seconds > 0 else None
    return None


def _to_microseconds(date: str) -> str:
    """Go writes nanoseconds, which datetime does not read in every version."""
    head, point, rest = date.partition(".")
    if not point:
        return date
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{head}.{rest[:digits][:6].ljust(6, '0')}{rest[digits:]}"
