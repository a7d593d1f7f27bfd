"""Keys are updated in order and not worn out (RFC 9001 6)."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import Check
from ropewalk.lab.hostile.checks.keys import CHECKS
from tests.lab.hostile.playing import play


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_victim_guards_its_keys(check: Check) -> None:
    play(check)
