"""Several observers in the place of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from mypy_extensions import i64

from ropewalk.observe.observer import Observer


@final
class Observers(Observer):
    """Hands everything to each of several observers, in their order."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._all = list(observers)

    def connection(
        self, now: float, is_client: bool, original_dcid: bytes, local: str, remote: str
    ) -> Observer:
        return Observers(
            [one.connection(now, is_client, original_dcid, local, remote) for one in self._all]
        )

    def packet_sent(
        self, now: float, level: i64, path_id: i64, packet_number: i64, size: i64, payload: bytes
    ) -> None:
        for one in self._all:
            one.packet_sent(now, level, path_id, packet_number, size, payload)

    def packet_received(
        self, now: float, level: i64, path_id: i64, packet_number: i64, size: i64, payload: bytes
    ) -> None:
        for one in self._all:
            one.packet_received(now, level, path_id, packet_number, size, payload)

    def packet_dropped(self, now: float, reason: str, size: i64) -> None:
        for one in self._all:
            one.packet_dropped(now, reason, size)

    def packet_buffered(self, now: float, size: i64) -> None:
        for one in self._all:
            one.packet_buffered(now, size)

    def retry_received(self, now: float, source_cid: bytes, token: bytes) -> None:
        for one in self._all:
            one.retry_received(now, source_cid, token)

    def packets_acked(
        self, now: float, level: i64, path_id: i64, packet_numbers: list[int]
    ) -> None:
        for one in self._all:
            one.packets_acked(now, level, path_id, packet_numbers)

    def packets_lost(
        self, now: float, level: i64, path_id: i64, packet_numbers: list[int], trigger: str
    ) -> None:
        for one in self._all:
            one.packets_lost(now, level, path_id, packet_numbers, trigger)

    def recovery_parameters(
        self,
        now: float,
        path_id: i64,
        initial_rtt: float,
        max_datagram_size: i64,
        initial_window: i64,
        controller: str,
    ) -> None:
        for one in self._all:
            one.recovery_parameters(
                now, path_id, initial_rtt, max_datagram_size, initial_window, controller
            )

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
        for one in self._all:
            one.metrics(
                now,
                path_id,
                congestion_window,
                bytes_in_flight,
                smoothed_rtt,
                latest_rtt,
                min_rtt,
                rtt_variation,
                slow_start_threshold,
                pacing_rate,
                probe_count,
            )

    def rtt_sample(self, now: float, path_id: i64, rtt: float) -> None:
        for one in self._all:
            one.rtt_sample(now, path_id, rtt)

    def congestion_state(self, now: float, path_id: i64, old: str, new: str) -> None:
        for one in self._all:
            one.congestion_state(now, path_id, old, new)

    def loss_timeout(self, now: float, level: i64, path_id: i64) -> None:
        for one in self._all:
            one.loss_timeout(now, level, path_id)

    def probe_timeout(self, now: float, level: i64, path_id: i64, count: i64) -> None:
        for one in self._all:
            one.probe_timeout(now, level, path_id, count)

    def mtu(self, now: float, path_id: i64, old: i64, new: i64) -> None:
        for one in self._all:
            one.mtu(now, path_id, old, new)

    def versions(self, now: float, ours: list[int], theirs: list[int], chosen: i64) -> None:
        for one in self._all:
            one.versions(now, ours, theirs, chosen)

    def alpn(self, now: float, ours: list[str], chosen: str) -> None:
        for one in self._all:
            one.alpn(now, ours, chosen)

    def parameters(
        self,
        now: float,
        from_peer: bool,
        values: dict[str, int | bytes],
        unknown: list[tuple[int, bytes]],
    ) -> None:
        for one in self._all:
            one.parameters(now, from_peer, values, unknown)

    def handshake_complete(self, now: float, cipher_suite: i64, group: str) -> None:
        for one in self._all:
            one.handshake_complete(now, cipher_suite, group)

    def handshake_confirmed(self, now: float) -> None:
        for one in self._all:
            one.handshake_confirmed(now)

    def key_updated(
        self, now: float, level: i64, sending: bool, generation: i64, trigger: str
    ) -> None:
        for one in self._all:
            one.key_updated(now, level, sending, generation, trigger)

    def key_discarded(
        self, now: float, level: i64, sending: bool, generation: i64, trigger: str
    ) -> None:
        for one in self._all:
            one.key_discarded(now, level, sending, generation, trigger)

    def connection_id(self, now: float, ours: bool, old: bytes, new: bytes) -> None:
        for one in self._all:
            one.connection_id(now, ours, old, new)

    def state_changed(self, now: float, old: str, new: str) -> None:
        for one in self._all:
            one.state_changed(now, old, new)

    def closed(
        self, now: float, cause: str, from_peer: bool, code: i64, frame_type: i64, reason: str
    ) -> None:
        for one in self._all:
            one.closed(now, cause, from_peer, code, frame_type, reason)

    def route(self, now: float, path_id: i64, change: str, local: str, remote: str) -> None:
        for one in self._all:
            one.route(now, path_id, change, local, remote)

    def stream_opened(self, now: float, stream_id: i64, from_peer: bool) -> None:
        for one in self._all:
            one.stream_opened(now, stream_id, from_peer)

    def stream_closed(self, now: float, stream_id: i64, was_reset: bool) -> None:
        for one in self._all:
            one.stream_closed(now, stream_id, was_reset)

    def stream_state(self, now: float, stream_id: i64, sending: bool, old: str, new: str) -> None:
        for one in self._all:
            one.stream_state(now, stream_id, sending, old, new)

    def stream_data(
        self, now: float, stream_id: i64, offset: i64, length: i64, sending: bool
    ) -> None:
        for one in self._all:
            one.stream_data(now, stream_id, offset, length, sending)

    def datagram_data(self, now: float, length: i64, sending: bool) -> None:
        for one in self._all:
            one.datagram_data(now, length, sending)

    def blocked(self, now: float, stream_id: i64, limit: i64, kind: str) -> None:
        for one in self._all:
            one.blocked(now, stream_id, limit, kind)

    def http3_parameters(self, now: float, from_peer: bool, values: dict[str, int]) -> None:
        for one in self._all:
            one.http3_parameters(now, from_peer, values)

    def http3_stream_type(
        self, now: float, from_peer: bool, stream_id: i64, stream_type: i64
    ) -> None:
        for one in self._all:
            one.http3_stream_type(now, from_peer, stream_id, stream_type)

    def http3_frame(
        self,
        now: float,
        sending: bool,
        stream_id: i64,
        frame_type: i64,
        length: i64,
        payload: bytes,
    ) -> None:
        for one in self._all:
            one.http3_frame(now, sending, stream_id, frame_type, length, payload)

    def http3_headers(
        self,
        now: float,
        sending: bool,
        stream_id: i64,
        length: i64,
        fields: list[tuple[bytes, bytes]],
    ) -> None:
        for one in self._all:
            one.http3_headers(now, sending, stream_id, length, fields)
