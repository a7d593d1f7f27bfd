"""Plays one check of the table, and says what went wrong."""

from __future__ import annotations

from ropewalk.lab.hostile import Check, run_check


def play(check: Check) -> None:
    """Fail unless the victim does what the check asks for."""
    result = run_check(check)
    assert result.passed, (
        f"{check.section}: {check.about}\n  expected: {result.expected}\n  seen:     {result.seen}"
    )
