"""Numbers as people read them."""

from __future__ import annotations

import math
from typing import Final

#: What stands for a number that is not known.
UNKNOWN: Final = "\N{EN DASH}"
_NARROW: Final = "\N{NO-BREAK SPACE}"


def seconds(value: float) -> str:
    """A time with three significant digits: ``1.23 s``, ``45.6 ms``, ``789 µs``."""
    if math.isnan(value):
        return UNKNOWN
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if abs(value) * factor >= 0.9995 or unit == "µs":
            return f"{_significant(value * factor)}{_NARROW}{unit}"
    raise AssertionError


def size(value: float) -> str:
    """Bytes: ``1.23 MB``, ``456 kB``, ``78 B``."""
    return _scaled(value, "B")


def rate(value: float) -> str:
    """Bits per second: ``9.87 Mbit/s``."""
    return _scaled(value, "bit/s")


def count(value: float) -> str:
    """A whole number: ``12,345``."""
    return UNKNOWN if math.isnan(value) else f"{value:,.0f}"


def share(value: float) -> str:
    """A part of a whole: ``1.23 %``."""
    return UNKNOWN if math.isnan(value) else f"{_significant(value * 100)}{_NARROW}%"


def _scaled(value: float, unit: str) -> str:
    if math.isnan(value):
        return UNKNOWN
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor * 0.9995:
            return f"{_significant(value / factor)}{_NARROW}{prefix}{unit}"
    return f"{value:.0f}{_NARROW}{unit}"


def _significant(value: float) -> str:
    """Three significant digits, and all of those before the point."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value)) + 1e-9))
    shown = f"{value:,.{min(digits, 6)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
