"""Cancellation injection: cancel a program at each of its await points, and see what is left.

:func:`sweep` records where the tasks under test of a scenario give way to others, then runs it
again for each such point, cancelling there, and checks the laws of
:data:`CANCELLATION_INVARIANTS` after each run. Everything runs in virtual time from one seed,
so a breach comes with the call that shows it again.
"""

from __future__ import annotations

from ropewalk.lab.cancellation.obligations import CANCELLATION_INVARIANTS
from ropewalk.lab.cancellation.scenarios import SCENARIOS
from ropewalk.lab.cancellation.strategies import (
    AllPoints,
    EveryNth,
    FirstN,
    Never,
    Probabilistic,
    RandomSample,
    SpecificPoints,
    Strategy,
)
from ropewalk.lab.cancellation.sweeping import (
    Breach,
    CancellationScenario,
    Report,
    ScenarioFailed,
    sweep,
)
from ropewalk.lab.cancellation.trial import AwaitPoint, Stroke, Transfer, Trial

__all__ = [
    "CANCELLATION_INVARIANTS",
    "SCENARIOS",
    "AllPoints",
    "AwaitPoint",
    "Breach",
    "CancellationScenario",
    "EveryNth",
    "FirstN",
    "Never",
    "Probabilistic",
    "RandomSample",
    "Report",
    "ScenarioFailed",
    "SpecificPoints",
    "Strategy",
    "Stroke",
    "Transfer",
    "Trial",
    "sweep",
]
