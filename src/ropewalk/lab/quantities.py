"""Times, rates and sizes with their units: "20 ms", "50 Mbit/s", "3 MB"."""

from __future__ import annotations

import math
import re
from typing import Final

from ropewalk.lab.limits import shown

_NUMBER_AND_UNIT: Final = re.compile(
    r"\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?|inf)\s*([A-Za-z/µ]*)\s*"
)

_SECONDS: Final = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "min": 60.0, "h": 3600.0}
_RATES: Final = {
    "": 1.0,
    "B/s": 1.0,
    "kB/s": 1e3,
    "MB/s": 1e6,
    "bit/s": 1 / 8,
    "kbit/s": 1e3 / 8,
    "Mbit/s": 1e6 / 8,
    "Gbit/s": 1e9 / 8,
}
_SIZES: Final = {"": 1.0, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20}
_UNITS: Final = {"seconds": _SECONDS, "rate": _RATES, "bytes": _SIZES}


def parse_quantity(value: object, kind: str) -> float:
    """A number, or text with a unit, in seconds, bytes per second ("rate") or bytes.

    Raises ``ValueError`` with the units that are allowed.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"{shown(value)} is too large") from None
    units = _UNITS[kind]
    match = _NUMBER_AND_UNIT.fullmatch(value) if isinstance(value, str) else None
    if match is None or match.group(2) not in units:
        named = ", ".join(unit for unit in units if unit)
        raise ValueError(f"{shown(value)} is not a number with one of the units {named}")
    try:
        return float(match.group(1)) * units[match.group(2)]
    except ValueError:
        raise ValueError(f"{match.group(1)!r} is not a number") from None


def show_seconds(seconds: float) -> str:
    """A time as people write it."""
    if seconds < 0 or not math.isfinite(seconds):
        return "never"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1.0:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:.0f} s"


def show_rate(rate: float) -> str:
    """A rate (bytes per second) as people write it."""
    bits = rate * 8
    for name, unit in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bits >= unit:
            return f"{bits / unit:.3g} {name}"
    return f"{bits:.0f} bit/s"
