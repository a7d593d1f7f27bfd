"""Malformed and misplaced frames close the connection with the RFC's code."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import Check
from ropewalk.lab.hostile.checks.frames import CHECKS
from tests.lab.hostile.playing import play


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_victim_refuses_bad_frames(check: Check) -> None:
    play(check)
