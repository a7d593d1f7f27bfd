"""Streams, their limits and their ends (RFC 9000 2 to 4)."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import Check
from ropewalk.lab.hostile.checks.streams import CHECKS
from tests.lab.hostile.playing import play


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_victim_keeps_the_rules_of_streams(check: Check) -> None:
    play(check)
