"""What an ACK frame says beyond the one before it."""

from __future__ import annotations

from mypy_extensions import i64


def subtract_ranges(ranges: list[int], known: list[int], oldest: i64, parts: list[int]) -> None:
    """Fill ``parts`` with what ``ranges`` covers, ``known`` does not, and is not below
    ``oldest``. All are flat, descending and inclusive: ``[high, low, high, low, …]``.

    Consecutive ACKs repeat each other nearly whole. Walking over the ranges instead of the
    packet numbers keeps an ACK cheap while an unfilled gap holds many settled packets back.
    """
    parts.clear()
    index: i64 = 0
    count: i64 = len(ranges)
    at: i64 = 0
    end: i64 = len(known)
    while index < count:
        high: i64 = ranges[index]
        low: i64 = ranges[index + 1]
        index += 2
        if high < oldest:
            break
        if low < oldest:
            low = oldest
        while at < end and high >= low:
            known_low: i64 = known[at + 1]
            if known_low > high:
                at += 2
                continue
            known_high: i64 = known[at]
            if known_high < low:
                break
            if known_high < high:
                parts.append(high)
                parts.append(known_high + 1)
            high = known_low - 1
        if high >= low:
            parts.append(high)
            parts.append(low)


def covers(ranges: list[int], packet_number: i64) -> bool:
    """Whether the number lies in one of the ranges."""
    index: i64 = 0
    while index < len(ranges):
        high: i64 = ranges[index]
        low: i64 = ranges[index + 1]
        if low <= packet_number <= high:
            return True
        index += 2
    return False
