"""Nobody is flooded, and a connection moves only with its peer (RFC 9000 8, 9)."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import Check
from ropewalk.lab.hostile.checks.addresses import CHECKS
from tests.lab.hostile.playing import play


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_victim_guards_addresses(check: Check) -> None:
    play(check)
