"""Closing, draining, stateless resets (RFC 9000 10)."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import Check
from ropewalk.lab.hostile.checks.termination import CHECKS
from tests.lab.hostile.playing import play


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_victim_ends_connections_properly(check: Check) -> None:
    play(check)
