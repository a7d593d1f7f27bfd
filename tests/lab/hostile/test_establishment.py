"""Version Negotiation, Retry and tokens are believed only where they may be."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import Check
from ropewalk.lab.hostile.checks.establishment import CHECKS
from tests.lab.hostile.playing import play


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_victim_establishes_connections_warily(check: Check) -> None:
    play(check)
