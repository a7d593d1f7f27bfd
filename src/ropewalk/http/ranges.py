"""Which bytes a Range field asks for (RFC 9110 14)."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

#: A field with more ranges than this is ignored: it asks for work, not for content.
_MOST_RANGES: Final = 16
_ONE: Final = re.compile(r"(\d{0,18})-(\d{0,18})", re.ASCII)


def parse_range(value: str, size: int) -> list[tuple[int, int]] | None:
    """The ranges as (start, stop), stop excluded, in the order asked for.

    None when the field is to be ignored: another unit, malformed, too many or overlapping
    ranges (RFC 9110 14.2). An empty list when nothing it asks for exists (416).
    """
    unit, equals, listed = value.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    found: list[tuple[int, int]] = []
    parts = [part.strip() for part in listed.split(",")]
    parts = [part for part in parts if part]
    if not parts or len(parts) > _MOST_RANGES:
        return None
    for part in parts:
        match = _ONE.fullmatch(part)
        if match is None or part == "-":
            return None
        first, last = match.groups()
        if not first:
            start, stop = max(0, size - int(last)), size
        else:
            start, stop = int(first), (int(last) + 1 if last else size)
            if stop <= start and last:
                return None
            stop = min(stop, size)
        if start < stop:
            found.append((start, stop))
    ordered = sorted(found)
    for (_, stop), (start, _) in pairwise(ordered):
        if start < stop:
            return None
    return found
