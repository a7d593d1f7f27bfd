"""Connection IDs are issued, used and retired by the rules (RFC 9000 5.1, 19.15, 19.16)."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import Check
from ropewalk.lab.hostile.checks.connection_ids import CHECKS
from tests.lab.hostile.playing import play


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_victim_keeps_the_rules_of_connection_ids(check: Check) -> None:
    play(check)
