"""The interface through which a connection is watched. A leaf: it imports nothing of ours."""

from __future__ import annotations

from mypy_extensions import i64, mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Observer:
    """Receives what a connection does. Every hook is optional and must not call back.

    A connection without an observer makes no call at all. ``level`` is an encryption level
    of :mod:`ropewalk.quic.types.handshake`, times are seconds on the core's clock.
    """

    def packet_sent(
        self, now: float, level: i64, path_id: i64, packet_number: i64, size: i64, payload: bytes
    ) -> None:
        """A packet was sealed; ``payload`` is its plaintext, ``size`` the bytes on the wire."""

    def packet_received(
        self, now: float, level: i64, path_id: i64, packet_number: i64, size: i64, payload: bytes
    ) -> None:
        """A packet was authenticated and is about to be processed."""

    def packet_dropped(self, now: float, reason: str, size: i64) -> None:
        """Something arrived that is not processed; ``reason`` is a stable short word."""

    def packets_lost(self, now: float, level: i64, path_id: i64, packet_numbers: list[int]) -> None:
        """Packets were declared lost."""

    def state_changed(self, now: float, old: str, new: str) -> None:
        """The connection moved from one state to another."""

    def metrics(
        self,
        now: float,
        path_id: i64,
        congestion_window: i64,
        bytes_in_flight: i64,
        smoothed_rtt: float,
    ) -> None:
        """The congestion state after an ACK."""
