"""Handshakes that never end are given up, and hold little meanwhile."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import Check
from ropewalk.lab.hostile.checks.slow_handshakes import CHECKS
from tests.lab.hostile.playing import play


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_victim_gives_slow_handshakes_up(check: Check) -> None:
    play(check)
