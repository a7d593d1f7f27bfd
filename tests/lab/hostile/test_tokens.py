"""Tokens prove an address once, in time, and nothing else (RFC 9000 8.1)."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import Check
from ropewalk.lab.hostile.checks.tokens import CHECKS
from tests.lab.hostile.playing import play


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_victim_weighs_tokens(check: Check) -> None:
    play(check)
