"""Exceptions of a run as breaches of its outcome."""

from __future__ import annotations

import traceback

from ropewalk.lab.outcome import Breach
from ropewalk.sim.invariants import Violation


def as_breach(error: Violation) -> Breach:
    """A broken invariant, as outcomes tell it."""
    return Breach(
        id=error.invariant_id,
        host=error.host,
        virtual_time=error.virtual_time,
        text=error.text,
    )


def internal_error(error: Exception, now: float) -> Breach:
    """An exception that nobody should have raised."""
    places = traceback.extract_tb(error.__traceback__)
    where = f" ({places[-1].name}, line {places[-1].lineno})" if places else ""
    in_http3 = any("/ropewalk/http3/" in place.filename for place in places)
    return Breach(
        id="inv.h3.no_panic_on_invalid_input" if in_http3 else "inv.quic.no_internal_error",
        host="?",
        virtual_time=now,
        text=f"{type(error).__name__}: {error}{where}",
    )
