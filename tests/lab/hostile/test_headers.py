"""Bent headers are dropped, or closed upon, as the RFC says."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import Check
from ropewalk.lab.hostile.checks.headers import CHECKS
from tests.lab.hostile.playing import play


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_victim_reads_headers_strictly(check: Check) -> None:
    play(check)
