"""TLS messages in QUIC (RFC 9001 4, 6, 8)."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import Check
from ropewalk.lab.hostile.checks.tls import CHECKS
from tests.lab.hostile.playing import play


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_victim_checks_tls_messages(check: Check) -> None:
    play(check)
