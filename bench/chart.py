"""The picture: one small chart of bars for each row, each to its own scale."""

from __future__ import annotations

from html import escape

from rows import ROWS, Kind, Row
from sitting import Sitting
from summary import Summary
from tables import digits

_CELL, _COLUMNS = 460, 2
_LEFT, _RIGHT = 150, 70
_BAR, _GAP = 15, 4
_COLOURS = {
    "ropewalk": "#0b6e4f",
    "ropewalk-pure": "#6bbf59",
    "qh3": "#d1495b",
    "aioquic": "#edae49",
}
_OTHER = "#8d99ae"


def chart(sitting: Sitting) -> str:
    """An SVG document."""
    parts: list[str] = []
    shown = [row for row in ROWS if any(one.row == row.key for one in sitting.summaries)]
    bottoms = [10] * _COLUMNS
    for number, row in enumerate(shown):
        column = number % _COLUMNS
        cell, height = _bars(sitting, row, column * _CELL, bottoms[column])
        parts += cell
        bottoms[column] += height
        if column == _COLUMNS - 1:
            bottoms = [max(bottoms)] * _COLUMNS
    width, height = _CELL * _COLUMNS, max(bottoms) + 6
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _bars(sitting: Sitting, row: Row, left: int, top: int) -> tuple[list[str], int]:
    """The elements of one row's chart, and how high it is."""
    found: list[tuple[str, Summary]] = []
    for stack in sitting.taking_part():
        summary = sitting.figures.get(row.key, stack.key)
        if summary is not None:
            found.append((stack.label, summary))
    y = top + 16
    unit = row.kind.value + (", less is better" if row.less_is_better else "")
    title = "99th percentile beside a bulk transfer" if row.kind is Kind.LATENCY else row.title
    title = f"Idle connection, {title}" if row.kind is Kind.MEMORY else title
    parts = [
        f'<text x="{left + 8}" y="{y}" font-weight="bold">{escape(title)} ({escape(unit)})</text>'
    ]
    y += 8
    longest = max(one.figure for _, one in found) or 1.0
    begin = left + _LEFT
    for label, one in found:
        width = max(1.0, one.figure / longest * (_CELL - _LEFT - _RIGHT))
        middle = y + _BAR - 3
        colour = _COLOURS.get(one.contender, _OTHER)
        parts += [
            f'<text x="{begin - 6}" y="{middle}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{begin}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>',
            f'<text x="{begin + width + 5:.1f}" y="{middle}">{digits(one.figure)}</text>',
        ]
        y += _BAR + _GAP
    return parts, y - top + 8
