"""The laws that every simulated run must keep, by their IDs, and how a breach is told."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

#: ID → the law. Replay files and reports name them: an ID once given stays.
INVARIANTS: Final[dict[str, str]] = {
    "inv.quic.handshake_completes": "a handshake completes once, or the connection ends in time",
    "inv.quic.rtt_positive": "no RTT is negative, or longer than the connection is old",
    "inv.quic.bytes_in_flight_consistent": "what a route counts in flight is in flight",
    "inv.quic.sent_accounted": "sent = acknowledged + lost + discarded + in flight, per route",
    "inv.quic.late_ack_own_route": "an ACK feeds only the route its packets left on",
    "inv.quic.cwnd_never_below_minimum": "a window takes two datagrams (RFC 9002 7.2)",
    "inv.quic.pto_backoff_bounded": "probe timeouts come one by one, a minute apart at most",
    "inv.quic.loss_detection_monotonic": "a packet is lost once, for the reasons of RFC 9002 6.1",
    "inv.quic.stream_offsets_monotonic": "streams go on where they left off, and end once",
    "inv.quic.flow_control_respected": "no byte and no stream above the peer's limit",
    "inv.quic.limits_never_shrink": "an announced limit stays or rises (RFC 9000 4.1)",
    "inv.quic.streams_balance": "streams opened = closed + reset + live",
    "inv.quic.drain_to_closed": "what closes or drains is closed soon, and then silent",
    "inv.quic.close_idempotent": "closing again changes nothing",
    "inv.quic.amplification": "at most three times what came from an unproven address",
    "inv.quic.deadlines": "no timer fires twice in the past, no burst is without end",
    "inv.quic.payload_cap": "no UDP payload is larger than the configuration allows",
    "inv.quic.packet_numbers_rise": "packet numbers rise within a space (RFC 9000 12.3)",
    "inv.quic.processed_once": "no packet is processed twice (RFC 9000 12.3)",
    "inv.quic.acknowledgments_true": "only what was received is acknowledged, only what was sent",
    "inv.quic.frames_readable": "every packet holds frames that an independent reading knows",
    "inv.quic.delivered_as_written": "an application reads what the other one wrote",
    "inv.quic.everything_arrives": "what was written and not given up arrives",
    "inv.quic.datagrams_true": "no datagram is invented, changed or delivered twice",
    "inv.quic.events_true": "events say what is so",
    "inv.quic.calls_consistent": "calls succeed and fail as the state says that they must",
    "inv.quic.ending_has_reason": "no connection ends without a cause, or with another one",
    "inv.quic.nothing_left": "nothing is left of what was closed",
    "inv.quic.no_internal_error": "nothing raises what it should not",
    "inv.h3.settings_before_other_frames": "SETTINGS is the first frame of a control stream",
    "inv.h3.goaway_rejects_above_threshold": "no request from a GOAWAY's identifier on is served",
    "inv.h3.no_panic_on_invalid_input": "invalid input ends in an H3 error, nothing else",
    "inv.h3.request_state_machine_valid": "HEADERS, DATA, trailers come in this order and end once",
    "inv.h3.frame_roundtrip_identity": "a frame read and written again is the same bytes",
}


@mypyc_attr(native_class=False)  # mypyc has no native subclasses of AssertionError
class Violation(AssertionError):
    """A law was broken. Always a bug, never the network's doing."""

    def __init__(self, invariant_id: str, host: str, virtual_time: float, text: str) -> None:
        assert invariant_id in INVARIANTS, invariant_id
        super().__init__(invariant_id, host, virtual_time, text)
        self.invariant_id = invariant_id
        self.host = host
        self.virtual_time = virtual_time
        self.text = text

    def __str__(self) -> str:
        return f"{self.invariant_id}: {self.host} at {self.virtual_time:.6f} s: {self.text}"
