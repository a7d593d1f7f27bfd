"""Values out of JSON that anybody may have written: the right type within bounds, or nothing."""

from __future__ import annotations

import math
from typing import Final

_MAX_INTEGER: Final = 2**62 - 1
#: Ten thousand years in milliseconds and more: beyond it, a number is no time and no size.
_MAX_NUMBER: Final = 1e18


def number(value: object) -> float | None:
    """A finite number; old drafts wrote numbers as strings."""
    if isinstance(value, str):
        if len(value) > 40:
            return None
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not -_MAX_NUMBER < value < _MAX_NUMBER or math.isnan(value):
        return None
    return float(value)


def integer(value: object) -> int | None:
    """An integer of QUIC's range (0 … 2^62 - 1)."""
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= 20):
            return None
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MAX_INTEGER else None


def text(value: object, limit: int = 200) -> str:
    """A short text on one line; empty for what is none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:.15g}" if isinstance(value, float) else _short(value)
    if not isinstance(value, str):
        return ""
    cut = value if len(value) <= limit else value[: limit - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in cut)


def _short(value: int) -> str:
    return str(value) if abs(value) <= _MAX_NUMBER else "out of range"


def mapping(value: object) -> dict[str, object]:
    """An object; the empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """An array; the empty one for anything else."""
    return value if isinstance(value, list) else []
