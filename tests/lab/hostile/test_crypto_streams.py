"""CRYPTO data ends where its level ends, and is held within bounds."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import Check
from ropewalk.lab.hostile.checks.crypto_streams import CHECKS
from tests.lab.hostile.playing import play


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_victim_keeps_the_rules_of_crypto_data(check: Check) -> None:
    play(check)
