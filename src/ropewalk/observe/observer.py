"""The interface through which a connection is watched. A leaf: it imports nothing of ours."""

from __future__ import annotations

from mypy_extensions import i64, mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Observer:
    """Receives what connections do. Every hook is optional and must not call back.

    A connection without an observer makes no call at all. ``now`` is the core's clock in
    seconds; what an application's call causes bears the time of the last call that brought
    one. ``level`` is an encryption level of :mod:`ropewalk.quic.types.handshake` (0 Initial,
    1 0-RTT, 2 Handshake, 3 1-RTT). Sizes are bytes, other times seconds. Texts that stand for
    a choice are listed at their hook and stay as they are.
    """

    def connection(
        self, now: float, is_client: bool, original_dcid: bytes, local: str, remote: str
    ) -> Observer:
        """A connection comes to be; returns who watches this one from now on.

        ``original_dcid`` is the destination ID of the client's first packet, by which both
        ends can name the connection. Addresses read ``192.0.2.1:443`` or
        ``[2001:db8::1]:443``; ``local`` has no port and is "" while the system chooses.
        """
        return self

    # -- packets

    def packet_sent(
        self, now: float, level: i64, path_id: i64, packet_number: i64, size: i64, payload: bytes
    ) -> None:
        """A packet was sealed; ``payload`` is its plaintext, ``size`` the bytes on the wire."""

    def packet_received(
        self, now: float, level: i64, path_id: i64, packet_number: i64, size: i64, payload: bytes
    ) -> None:
        """A packet was authenticated, is new, and is about to be processed."""

    def packet_dropped(self, now: float, reason: str, size: i64) -> None:
        """Something arrived that is not processed; ``reason`` is a stable short phrase, such
        as "not authentic", "duplicate" or "no keys"."""

    def packet_buffered(self, now: float, size: i64) -> None:
        """A packet arrived before its keys; it waits for them."""

    def retry_received(self, now: float, source_cid: bytes, token: bytes) -> None:
        """A client took up a Retry (RFC 9000 17.2.5)."""

    def packets_acked(
        self, now: float, level: i64, path_id: i64, packet_numbers: list[int]
    ) -> None:
        """Packets were acknowledged for the first time, in ascending order."""

    def packets_lost(
        self, now: float, level: i64, path_id: i64, packet_numbers: list[int], trigger: str
    ) -> None:
        """Packets were declared lost: "reordering_threshold", "time_threshold" (RFC 9002 6.1),
        or "retry" for what a Retry made void."""

    # -- recovery

    def recovery_parameters(
        self,
        now: float,
        path_id: i64,
        initial_rtt: float,
        max_datagram_size: i64,
        initial_window: i64,
        controller: str,
    ) -> None:
        """What recovery of a route begins with."""

    def metrics(
        self,
        now: float,
        path_id: i64,
        congestion_window: i64,
        bytes_in_flight: i64,
        smoothed_rtt: float,
        latest_rtt: float,
        min_rtt: float,
        rtt_variation: float,
        slow_start_threshold: i64,
        pacing_rate: float,
        probe_count: i64,
    ) -> None:
        """The state of recovery after an ACK or a loss timer.

        Without an RTT sample ``latest_rtt`` and ``min_rtt`` are 0.0. The threshold is -1 as
        long as there is none. ``pacing_rate`` is bytes per second, 0.0 while nothing is paced.
        ``probe_count`` counts consecutive probe timeouts.
        """

    def rtt_sample(self, now: float, path_id: i64, rtt: float) -> None:
        """An ACK gave a round-trip time; comes before the :meth:`metrics` that include it."""

    def congestion_state(self, now: float, path_id: i64, old: str, new: str) -> None:
        """The congestion controller moved on, as it names its states: "slow_start",
        "conservative_slow_start", "congestion_avoidance", "recovery" or its own. ``old`` is ""
        at first."""

    def loss_timeout(self, now: float, level: i64, path_id: i64) -> None:
        """The timer of the time threshold ran out (RFC 9002 6.1.2)."""

    def probe_timeout(self, now: float, level: i64, path_id: i64, count: i64) -> None:
        """A probe timeout, the ``count``-th in a row (RFC 9002 6.2)."""

    def mtu(self, now: float, path_id: i64, old: i64, new: i64) -> None:
        """The largest datagram of a route changed; ``old`` is 0 at first."""

    # -- handshake

    def versions(self, now: float, ours: list[int], theirs: list[int], chosen: i64) -> None:
        """Versions on offer by either side, as far as known; ``chosen`` is 0 when none fits."""

    def alpn(self, now: float, ours: list[str], chosen: str) -> None:
        """The application protocol was agreed on, out of those that we offer."""

    def parameters(
        self,
        now: float,
        from_peer: bool,
        values: dict[str, int | bytes],
        unknown: list[tuple[int, bytes]],
    ) -> None:
        """Transport parameters, ours or the peer's, by the names of RFC 9000 18.2. Times are
        milliseconds, a flag is present as 1, reset tokens are left out."""

    def handshake_complete(self, now: float, cipher_suite: i64, group: str) -> None:
        """Keys are agreed and the peer is authenticated. ``cipher_suite`` is TLS's number."""

    def handshake_confirmed(self, now: float) -> None:
        """Both sides are known to have completed the handshake (RFC 9001 4.1.2)."""

    def key_updated(
        self, now: float, level: i64, sending: bool, generation: i64, trigger: str
    ) -> None:
        """Keys were taken up: "tls", "local_update" or "remote_update". ``generation`` counts
        key updates and is 0 but for 1-RTT."""

    def key_discarded(
        self, now: float, level: i64, sending: bool, generation: i64, trigger: str
    ) -> None:
        """Keys were dropped; words as for :meth:`key_updated`."""

    # -- life

    def connection_id(self, now: float, ours: bool, old: bytes, new: bytes) -> None:
        """An ID came, left or changed: ours to be addressed with, or the peer's that packets
        go to. b"" stands for none."""

    def state_changed(self, now: float, old: str, new: str) -> None:
        """The connection moved on: "active", "closing", "draining", "closed"."""

    def closed(
        self, now: float, cause: str, from_peer: bool, code: i64, frame_type: i64, reason: str
    ) -> None:
        """It is known why the connection ends; once, before its state changes.

        ``cause``: "application" or "transport" (with CONNECTION_CLOSE and its ``code``),
        "idle_timeout", "handshake_timeout", "refused", "version_mismatch",
        "stateless_reset". TLS alerts are transport codes from 0x100. ``code`` is -1 where
        there is none.
        """

    # -- routes

    def route(self, now: float, path_id: i64, change: str, local: str, remote: str) -> None:
        """A route of a path: "assigned" (packets may use it), "probing" (its validation
        begins), "validated", "migrated" (it is the active one now), "failed" (not validated in
        time), "dropped". Addresses as for :meth:`connection`."""

    # -- streams and datagrams

    def stream_opened(self, now: float, stream_id: i64, from_peer: bool) -> None:
        """A stream came to be."""

    def stream_closed(self, now: float, stream_id: i64, was_reset: bool) -> None:
        """Both parts of a stream are done; it is forgotten."""

    def stream_state(self, now: float, stream_id: i64, sending: bool, old: str, new: str) -> None:
        """A part of a stream moved on (RFC 9000 3): "ready", "send", "data_sent", "reset_sent";
        "receive", "size_known", "data_read", "reset_read"; "data_received" and
        "reset_received" on both sides."""

    def stream_data(
        self, now: float, stream_id: i64, offset: i64, length: i64, sending: bool
    ) -> None:
        """The application handed bytes to a stream (``sending``) or took them from it."""

    def datagram_data(self, now: float, length: i64, sending: bool) -> None:
        """The application handed over a datagram or took one."""

    def blocked(self, now: float, stream_id: i64, limit: i64, kind: str) -> None:
        """Data waits for the peer's credit, and the peer is told: "stream", "connection" or
        "stream_limit" (where ``stream_id`` is -1)."""

    # -- HTTP/3

    def http3_parameters(self, now: float, from_peer: bool, values: dict[str, int]) -> None:
        """Settings, ours or the peer's, by the names of RFC 9114 and 9204 in lower case."""

    def http3_stream_type(
        self, now: float, from_peer: bool, stream_id: i64, stream_type: i64
    ) -> None:
        """A stream's type is known; ``from_peer`` tells who opened it. -1 is a request, others
        are the numbers of unidirectional types (RFC 9114 6.2)."""

    def http3_frame(
        self,
        now: float,
        sending: bool,
        stream_id: i64,
        frame_type: i64,
        length: i64,
        payload: bytes,
    ) -> None:
        """A frame was written or its header read. ``length`` is its payload's; ``payload`` holds
        it for SETTINGS and frames of one number, and is b"" for others."""

    def http3_headers(
        self,
        now: float,
        sending: bool,
        stream_id: i64,
        length: i64,
        fields: list[tuple[bytes, bytes]],
    ) -> None:
        """A HEADERS frame was written or decoded; ``length`` is that of its encoded payload."""
