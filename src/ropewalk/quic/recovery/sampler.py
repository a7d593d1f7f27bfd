"""Delivery-rate estimation (draft-ietf-ccwg-bbr 4.1, draft-cheng-iccrg-delivery-rate-estimation).

The sampler holds the connection-wide variables (C.*) of one route. The packet's own
snapshot (P.*) lies in its ledger slot, copied there when it is sent.
"""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from ropewalk.quic.types.congestion import RateSample


@final
class DeliverySampler:
    """Turns acknowledged packets into one :class:`RateSample` an ACK. Bytes and seconds."""

    def __init__(self) -> None:
        #: Bytes delivered so far on the route, and when the count last rose.
        self.delivered: i64 = 0
        self.delivered_time = 0.0
        #: Send time of the packet that began the current send window.
        self.first_sent_time = 0.0
        #: Count of ``delivered`` at which the application-limited phase is over; 0 = none.
        self.app_limited_until: i64 = 0
        self.sample = RateSample()

    def mark_app_limited(self, bytes_in_flight: i64) -> None:
        """Everything in flight, and what follows until it is delivered, was not held back
        by the network."""
        self.app_limited_until = max(self.delivered + bytes_in_flight, 1)

    def restart(self, now: float) -> None:
        """A packet enters an empty pipe: both clocks start with it."""
        self.first_sent_time = now
        self.delivered_time = now

    def begin_sample(self) -> RateSample:
        """Empty the sample for the next ACK."""
        sample = self.sample
        sample.delivery_rate = 0.0
        sample.interval = 0.0
        sample.acked = 0
        sample.lost = 0
        sample.delivered = 0
        sample.prior_delivered = 0
        sample.prior_in_flight = 0
        sample.tx_in_flight = 0
        sample.app_limited = False
        sample.rtt = -1.0
        sample.largest_acked = -1
        sample.largest_sent_time = 0.0
        return sample

    def take_newest(
        self,
        time_sent: float,
        first_sent_time: float,
        prior_delivered: i64,
        prior_time: float,
        min_rtt: float,
        now: float,
    ) -> None:
        """Compute the rate from the newest packet that the ACK acknowledged.

        ``delivered`` already counts all packets of this ACK. The interval is the longer of
        the time the packets took to leave and the time their ACKs took to come, so that
        neither compressed ACKs nor bursts can inflate the rate.
        """
        sample = self.sample
        self.delivered_time = now
        self.first_sent_time = time_sent
        if 0 < self.app_limited_until < self.delivered:
            self.app_limited_until = 0
        sample.prior_delivered = prior_delivered
        sample.delivered = self.delivered - prior_delivered
        interval = max(time_sent - first_sent_time, now - prior_time)
        sample.interval = interval
        # A shorter interval than the path's own delay comes from reordered ACKs.
        if interval > 0 and interval >= min_rtt:
            sample.delivery_rate = float(sample.delivered) / interval
