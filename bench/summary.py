"""From samples to figures: medians, ratios, CPU."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rounds import Sample
from rows import BY_KEY, ROWS, Kind


@dataclass(frozen=True)
class Summary:
    """Medians over a stack's samples of one row."""

    row: str
    contender: str
    runs: int
    work: int
    figure: float
    least: float
    most: float
    #: of each side: seconds per GB of the bulk, else µs per request, message, ...
    client_cpu: float
    server_cpu: float
    #: µs per datagram that brought the bulk, of each side; 0 where nobody counted
    client_packet: float
    server_packet: float
    middle: float
    #: part of the datagrams that did not come back
    lost: float

    @property
    def cpu(self) -> float:
        """Of both sides together."""
        return self.client_cpu + self.server_cpu


def summarize(samples: Sequence[Sample]) -> list[Summary]:
    """In the order of the rows, then of the samples."""
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.row, sample.contender), []).append(sample)
    order = {row.key: number for number, row in enumerate(ROWS)}
    return sorted((_median(group) for group in groups.values()), key=lambda one: order[one.row])


def _median(group: Sequence[Sample]) -> Summary:
    median = statistics.median
    first = group[0]
    unit = 1e9 if BY_KEY[first.row].kind is Kind.BULK else 1e6
    counted = all(one.packets for one in group)
    figures = [one.figure for one in group]
    return Summary(
        row=first.row,
        contender=first.contender,
        runs=len(group),
        work=first.work,
        figure=median(figures),
        least=min(figures),
        most=max(figures),
        client_cpu=median(one.client_cpu / one.work for one in group) * unit,
        server_cpu=median(one.server_cpu / one.work for one in group) * unit,
        client_packet=median(one.client_cpu / one.packets for one in group) * 1e6 if counted else 0,
        server_packet=median(one.server_cpu / one.packets for one in group) * 1e6 if counted else 0,
        middle=median(one.middle for one in group),
        lost=sum(one.lost for one in group) / sum(one.work for one in group),
    )


class Figures:
    """The summaries by row and stack."""

    def __init__(self, summaries: Sequence[Summary]) -> None:
        self._found = {(one.row, one.contender): one for one in summaries}

    def get(self, row: str, contender: str) -> Summary | None:
        """One of them; None where there was no run."""
        return self._found.get((row, contender))

    def ratio(self, row: str, ours: str, theirs: str, their_row: str = "") -> float | None:
        """Our figure over theirs; None where one is missing."""
        left, right = self.get(row, ours), self.get(their_row or row, theirs)
        if left is None or right is None or not right.figure:
            return None
        return left.figure / right.figure
