"""What a report shows beside its qlogs: values that the caller knows and no qlog tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A quantity over time that holds until its next value, such as the queue of a link.

    Series of one ``figure`` share a chart, one line for each ``where``. ``unit`` is ``bytes``,
    ``packets``, ``seconds``, ``bit/s`` or any other word. Times are seconds on the axis of the
    qlogs; ``limit`` is drawn as a line of its own (the size of the queue).
    """

    where: str
    figure: str
    unit: str
    times: Sequence[float]
    values: Sequence[float]
    limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Something that had to hold, whether it did, and what was found."""

    text: str
    holds: bool
    found: str = ""


@dataclass(frozen=True, kw_only=True)
class Happening:
    """A timed event of the scenario, such as a link that goes down."""

    time: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """The head of a report.

    ``origin`` is what is shown as 0 s, on the clock of the qlogs and of ``series`` and
    ``happenings``: when the run began. None takes the first event of the qlogs.
    ``facts`` are pairs of a name and a value (scenario, seed, build …), ``figures`` likewise
    for what came out; both are shown in their order. ``command`` is what repeats the run.
    """

    title: str
    about: str = ""
    facts: Sequence[tuple[str, str]] = ()
    command: str = ""
    figures: Sequence[tuple[str, str]] = ()
    expectations: Sequence[Expectation] = ()
    series: Sequence[Measured] = ()
    happenings: Sequence[Happening] = ()
    origin: float | None = None
