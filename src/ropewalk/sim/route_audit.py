"""Compares the books on a route with what its recovery says of itself."""

from __future__ import annotations

import math
from typing import Final

from mypy_extensions import i64

from ropewalk.sim.books import RouteBooks, SpaceBooks
from ropewalk.sim.invariants import Violation

#: A probe timeout is backed off to this at most, unless one period is longer.
_LONGEST_PROBE_TIMEOUT: Final = 60.0
#: What a peer may promise as its max_ack_delay (RFC 9000 18.2).
_LONGEST_ACK_DELAY: Final = 16.384
#: What two ways of adding up the same floats may differ by.
ROUNDING: Final = 1e-6


def audit_window(books: RouteBooks, name: str, now: float) -> None:
    """The window takes two datagrams, and grows only by ACKs of its route's packets."""
    recovery = books.recovery
    window: i64 = recovery.controller.congestion_window
    if window < 2 * recovery.max_datagram_size:
        raise Violation(
            "inv.quic.cwnd_never_below_minimum",
            name,
            now,
            f"a congestion window of {window} bytes is less than two datagrams of "
            f"{recovery.max_datagram_size}",
        )
    if window > books.congestion_window and not books.acked_since:
        raise Violation(
            "inv.quic.late_ack_own_route",
            name,
            now,
            f"the window of a route grew from {books.congestion_window} to {window}, but no "
            "packet that left on it was acknowledged",
        )
    books.congestion_window = window


def audit_rtt(books: RouteBooks, name: str, now: float, born: float) -> None:
    """No RTT is impossible, and it changes only by ACKs of its route's packets; ``born`` is when
    the connection began."""
    rtt = books.recovery.rtt
    age = now - born + ROUNDING
    lowest = min(rtt.smoothed, rtt.latest, rtt.minimum, rtt.variation)
    if not (lowest >= 0.0) or not math.isfinite(rtt.smoothed) or rtt.latest > age:
        raise Violation(
            "inv.quic.rtt_positive",
            name,
            now,
            f"RTT smoothed {rtt.smoothed}, latest {rtt.latest}, minimum {rtt.minimum}, "
            f"variation {rtt.variation}; the connection is {age:.6f} s old",
        )
    if rtt.smoothed != books.smoothed_rtt and not books.acked_since:
        raise Violation(
            "inv.quic.late_ack_own_route",
            name,
            now,
            f"the smoothed RTT of a route went from {books.smoothed_rtt} to {rtt.smoothed}, "
            "but no packet that left on it was acknowledged",
        )
    books.smoothed_rtt = rtt.smoothed


def audit_probes(books: RouteBooks, name: str, now: float) -> None:
    """Probe timeouts come one by one, and a minute apart at most."""
    recovery = books.recovery
    count = recovery.pto_count
    before = books.probe_count
    books.probe_count = count
    if count <= before:
        return
    period = recovery.backed_off_probe_timeout(_LONGEST_ACK_DELAY)
    single = recovery.rtt.probe_timeout() + _LONGEST_ACK_DELAY
    if count > before + 1 or period > max(single, _LONGEST_PROBE_TIMEOUT):
        raise Violation(
            "inv.quic.pto_backoff_bounded",
            name,
            now,
            f"probe timeouts in a row went from {before} to {count}; the next is "
            f"{period:.3f} s away, a single period is {single:.3f} s",
        )


def audit_sent(books: RouteBooks, space: SpaceBooks, name: str, now: float) -> None:
    """What left on the route is acknowledged, lost, discarded or in flight, to the byte."""
    recovery = books.recovery
    if recovery.bytes_in_flight != books.in_flight():
        raise Violation(
            "inv.quic.bytes_in_flight_consistent",
            name,
            now,
            f"the route counts {recovery.bytes_in_flight} bytes in flight; of "
            f"{books.bytes_sent} sent {books.bytes_acked} are acknowledged, "
            f"{books.bytes_lost} lost, {books.bytes_discarded} discarded and "
            f"{books.in_flight()} in flight",
        )
    if not books.touched:
        return
    if (
        recovery.bytes_sent != books.bytes_sent
        or recovery.bytes_acked != books.bytes_acked
        or recovery.bytes_lost != books.bytes_lost
        or space.sent != space.acked + space.lost + space.in_flight
    ):
        raise Violation(
            "inv.quic.sent_accounted",
            name,
            now,
            f"the route counts {recovery.bytes_sent} bytes sent, {recovery.bytes_acked} "
            f"acknowledged, {recovery.bytes_lost} lost; it is {books.bytes_sent}, "
            f"{books.bytes_acked} and {books.bytes_lost}",
        )
