"""What recovery knows about one route (one 4-tuple): RTT, window, pacing, delivery rate."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.recovery.pacer import MAX_BURST, Pacer
from ropewalk.quic.recovery.rtt import RttEstimator
from ropewalk.quic.recovery.sampler import DeliverySampler
from ropewalk.quic.types.congestion import CongestionController

INFINITY: Final = float("inf")

#: The window leaves at this multiple of window / smoothed RTT (RFC 9002 7.7 recommends
#: 1.25). It serves slow start as well: sending at 1.25 windows a round while the window
#: grows with every ACK multiplies the window by 1.96 a round, against 2 without pacing.
PACING_GAIN: Final = 1.25
#: A probe timeout is never backed off beyond this (RFC 6298 2.5 asks for 60 s or more).
MAX_PROBE_TIMEOUT: Final = 60.0
_SHORTEST_RTT: Final = 1e-6


@final
class RouteRecovery:
    """Recovery state of one route; shared by all packet-number spaces that send on it.

    Totals of bytes that counted in flight always satisfy ``bytes_sent = bytes_acked +
    bytes_lost + bytes_discarded + bytes_in_flight``; ``bytes_spurious`` is the part of
    ``bytes_lost`` that arrived after all.
    """

    def __init__(
        self, controller: CongestionController, max_datagram_size: i64, initial_rtt: float
    ) -> None:
        self.controller = controller
        self.max_datagram_size: i64 = max_datagram_size
        #: RFC 9002 7.7: no burst beyond the initial window before the RTT is known.
        self.initial_window: i64 = controller.congestion_window
        self.rtt = RttEstimator(initial_rtt)
        self.pacer = Pacer()
        self.sampler = DeliverySampler()
        self.bytes_in_flight: i64 = 0
        #: Consecutive probe timeouts without an acknowledgement (RFC 9002 6.2.1).
        self.pto_count: i64 = 0
        #: Whether packets leave with an ECT mark, so that the peer's CE counts mean something.
        self.sends_ect = False

        self.packets_sent: i64 = 0
        self.packets_lost: i64 = 0
        self.bytes_sent: i64 = 0
        self.bytes_acked: i64 = 0
        self.bytes_lost: i64 = 0
        self.bytes_discarded: i64 = 0
        self.packets_spurious: i64 = 0
        self.bytes_spurious: i64 = 0

        #: What an observer was told last.
        self.told_phase = ""
        self.told_samples: i64 = 0

        # Scratch of the ACK that is being processed.
        self.touched = False

    def set_max_datagram_size(self, size: i64) -> None:
        """The route carries datagrams of another size from now on."""
        self.max_datagram_size = size
        self.controller.on_mtu(size)

    def probe_timeout(self, max_ack_delay: float) -> float:
        """PTO period in seconds without backoff (RFC 9002 6.2.1); ``max_ack_delay`` is 0.0
        for Initial and Handshake packets."""
        return self.rtt.probe_timeout() + max_ack_delay

    def backed_off_probe_timeout(self, max_ack_delay: float) -> float:
        """PTO period doubled for each consecutive timeout, at most ``MAX_PROBE_TIMEOUT``
        unless a single period is longer than that."""
        period = self.rtt.probe_timeout() + max_ack_delay
        longest = max(period, MAX_PROBE_TIMEOUT)
        count = self.pto_count
        while count > 0 and period < longest:
            period *= 2.0
            count -= 1
        return min(period, longest)

    def window_room(self) -> i64:
        """Whole datagrams that the congestion window still takes, in bytes."""
        room = self.window_bytes()
        return room - room % self.max_datagram_size

    def window_bytes(self) -> i64:
        """What the congestion window still takes, in bytes."""
        return max(0, self.controller.congestion_window - self.bytes_in_flight)

    def pacing_rate(self) -> float:
        """Bytes per second; 0.0 as long as no RTT sample allows to tell."""
        rate = self.controller.pacing_rate
        if rate <= 0.0 and self.rtt.has_sample:
            window = float(self.controller.congestion_window)
            rate = PACING_GAIN * window / max(self.rtt.smoothed, _SHORTEST_RTT)
        return rate

    def can_send(self, now: float) -> i64:
        """Bytes that window and pacer allow now, in whole datagrams; 0 = not now."""
        room = self.window_room()
        if room == 0:
            return 0
        rate = self.pacing_rate()
        if rate <= 0.0:
            return min(room, self.initial_window)
        self.pacer.configure(now, rate, self.max_datagram_size)
        allowed = self.pacer.allowance(room)
        if allowed == 0:
            return 0
        return max(allowed - allowed % self.max_datagram_size, self.max_datagram_size)

    def next_send_time(self, now: float) -> float:
        """When the pacer lets the next burst go: ``now`` if at once, infinity while the
        window, not the pacer, holds it back."""
        room = self.window_room()
        if room == 0:
            return INFINITY
        rate = self.pacing_rate()
        if rate <= 0.0:
            return now
        self.pacer.configure(now, rate, self.max_datagram_size)
        return now + self.pacer.time_until(room)

    def burst_limit(self) -> i64:
        """Bytes that one burst may carry: a millisecond's worth of the pacing rate, at least
        two datagrams and at most 64 KiB; before the first RTT sample the initial window."""
        rate = self.pacing_rate()
        if rate <= 0.0:
            limit = self.initial_window
            return min(limit, MAX_BURST)
        wanted = i64(min(rate * 0.001, float(MAX_BURST)))
        if not self.rtt.has_sample and wanted > self.initial_window:
            wanted = self.initial_window
        floor: i64 = 2 * self.max_datagram_size
        return max(wanted, floor)

    def on_app_limited(self, now: float) -> None:
        """Nothing is left to send although window and pacer would take more. Call it each
        time a transmit round ends that way; it costs little."""
        if self.bytes_in_flight < self.controller.congestion_window:
            self.sampler.mark_app_limited(self.bytes_in_flight)
            self.controller.on_app_limited(now, self.bytes_in_flight)
