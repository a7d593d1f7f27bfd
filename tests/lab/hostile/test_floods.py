"""Whatever a peer can make grow has a bound."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import Check
from ropewalk.lab.hostile.checks.floods import CHECKS
from tests.lab.hostile.playing import play


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_victim_stays_within_bounds(check: Check) -> None:
    play(check)
