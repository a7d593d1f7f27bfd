"""qlog: what one connection does, as a stream of JSON records.

draft-ietf-quic-qlog-main-schema-14, -quic-events-13 and -h3-events-13.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from mypy_extensions import i64

from ropewalk.observe.observer import Observer
from ropewalk.observe.qlog_frames import PACKET_TYPES, PacketDescriber
from ropewalk.observe.qlog_http3 import (
    describe_frame,
    describe_headers,
    describe_settings,
    describe_stream_type,
)
from ropewalk.observe.qlog_metrics import Metrics
from ropewalk.observe.qlog_trace import Trace
from ropewalk.observe.qlog_values import (
    CIPHER_SUITES,
    DROP_TRIGGERS,
    MIGRATION_STATES,
    describe_close,
    describe_parameters,
    endpoint_info,
    key_type,
)

#: Importance of events (main schema, 5): which to write.
CORE: Final = 0
BASE: Final = 1
EXTRA: Final = 2

_SPACES: Final = (b"initial", b"application_data", b"handshake", b"application_data")
_DEFAULT_ACK_DELAY_EXPONENT: Final = 3


@final
class QlogWriter(Observer):
    """Writes one connection's trace, record by record, as JSON-SEQ (``.sqlog``).

    ``write`` takes bytes as they come, in pieces of some 32 kB or a second's worth; ``close``
    is called after the last; neither may raise. With ``contained`` the trace is one JSON
    document (``.qlog``), complete only then. ``importance`` says how much is written: ``CORE``,
    ``BASE`` or ``EXTRA``.

    Times are the core's clock in milliseconds, a monotonic one of unknown epoch, unless a
    ``wall_clock`` (seconds since 1970) fixes the beginning of the trace. Keys, tokens and
    reset tokens never appear, nor do the values of HTTP fields that carry credentials.

    Raises ``ValueError`` when it is given a second connection to watch.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        *,
        close: Callable[[], object] | None = None,
        contained: bool = False,
        importance: int = BASE,
        wall_clock: Callable[[], float] | None = None,
        title: str = "",
    ) -> None:
        self._trace = Trace(write, close, contained, wall_clock, title)
        self._importance: i64 = importance
        self._packets = PacketDescriber(self._trace.out)
        self._metrics = Metrics(self._trace)
        self._is_client = False
        self._state = ""
        self._send_exponent: i64 = _DEFAULT_ACK_DELAY_EXPONENT
        self._receive_exponent: i64 = _DEFAULT_ACK_DELAY_EXPONENT
        #: key updates of the send keys
        self._generation: i64 = 0
        #: four-tuples by their addresses; the first is "", which needs no mention
        self._tuples: dict[str, str] = {}

    def flush(self) -> None:
        """Write what waits."""
        self._trace.flush()

    def end(self) -> None:
        """The trace is complete. Called by itself when the connection is closed; again is
        harmless, and what comes later is dropped."""
        self._trace.end()

    # -- life

    def connection(
        self, now: float, is_client: bool, original_dcid: bytes, local: str, remote: str
    ) -> Observer:
        self._is_client = is_client
        self._trace.begin(now, is_client, original_dcid.hex())
        if self._importance >= BASE:
            ends = {"local": endpoint_info(local), "remote": endpoint_info(remote)}
            self._trace.event(now, "quic:connection_started", dict(ends))
        self._move(now, "attempted")
        return self

    def state_changed(self, now: float, old: str, new: str) -> None:
        self._move(now, new)
        if new == "closed":
            self.end()
        else:
            self._trace.hurry()

    def _move(self, now: float, state: str) -> None:
        if self._importance >= BASE:
            data: dict[str, object] = {"new": state}
            if self._state:
                data["old"] = self._state
            self._trace.event(now, "quic:connection_state_updated", data)
        self._state = state

    def closed(
        self, now: float, cause: str, from_peer: bool, code: i64, frame_type: i64, reason: str
    ) -> None:
        if self._importance >= BASE:
            data = describe_close(cause, from_peer, int(code), reason, self._packets.http3)
            self._trace.event(now, "quic:connection_closed", data)

    def connection_id(self, now: float, ours: bool, old: bytes, new: bytes) -> None:
        if self._importance >= BASE:
            data: dict[str, object] = {"initiator": "local" if ours else "remote"}
            if old:
                data["old"] = old.hex()
            if new:
                data["new"] = new.hex()
            self._trace.event(now, "quic:connection_id_updated", data)

    # -- handshake

    def versions(self, now: float, ours: list[int], theirs: list[int], chosen: i64) -> None:
        mine, others = ("client_versions", "server_versions")
        if not self._is_client:
            mine, others = others, mine
        data: dict[str, object] = {mine: [f"{version:08x}" for version in ours]}
        if theirs:
            offered = [f"{version:08x}" for version in theirs]
            header = {"packet_type": "version_negotiation"}
            received: dict[str, object] = {"header": header, "supported_versions": offered}
            self._trace.event(now, "quic:packet_received", received)
            data[others] = offered
        if chosen != 0:
            data["chosen_version"] = f"{int(chosen):08x}"
        self._trace.event(now, "quic:version_information", data)

    def alpn(self, now: float, ours: list[str], chosen: str) -> None:
        self._packets.http3 = chosen == "h3"
        mine = "client_alpns" if self._is_client else "server_alpns"
        data: dict[str, object] = {mine: [{"string_value": name} for name in ours]}
        if chosen:
            data["chosen_alpn"] = {"string_value": chosen}
        self._trace.event(now, "quic:alpn_information", data)

    def parameters(
        self,
        now: float,
        from_peer: bool,
        values: dict[str, int | bytes],
        unknown: list[tuple[int, bytes]],
    ) -> None:
        exponent = values.get("ack_delay_exponent")
        if isinstance(exponent, int):
            if from_peer:
                self._receive_exponent = exponent
            else:
                self._send_exponent = exponent
        self._trace.event(
            now, "quic:parameters_set", describe_parameters(from_peer, values, unknown)
        )

    def handshake_complete(self, now: float, cipher_suite: i64, group: str) -> None:
        name = CIPHER_SUITES.get(int(cipher_suite), f"0x{int(cipher_suite):04x}")
        self._trace.event(now, "quic:parameters_set", {"tls_cipher": name})
        self._move(now, "handshake_complete")

    def handshake_confirmed(self, now: float) -> None:
        self._move(now, "handshake_confirmed")

    def key_updated(
        self, now: float, level: i64, sending: bool, generation: i64, trigger: str
    ) -> None:
        if sending and level == 3:
            self._generation = generation
        if self._importance >= BASE:
            data = key_type(int(level), sending == self._is_client, int(generation), trigger)
            self._trace.event(now, "quic:key_updated", data)
        if level == 2 and self._state == "attempted":
            self._move(now, "handshake_started")

    def key_discarded(
        self, now: float, level: i64, sending: bool, generation: i64, trigger: str
    ) -> None:
        if self._importance >= BASE:
            data = key_type(int(level), sending == self._is_client, int(generation), trigger)
            self._trace.event(now, "quic:key_discarded", data)

    # -- packets

    def packet_sent(
        self, now: float, level: i64, path_id: i64, packet_number: i64, size: i64, payload: bytes
    ) -> None:
        self._trace.open_event(now, b',"name":"quic:packet_sent","data":{"header":{"packet_type":"')
        generation = self._generation if level == 3 else 0
        exponent = self._send_exponent if level == 3 else _DEFAULT_ACK_DELAY_EXPONENT
        self._packets.packet(level, packet_number, generation, size, payload, exponent)
        self._trace.close_event(now)

    def packet_received(
        self, now: float, level: i64, path_id: i64, packet_number: i64, size: i64, payload: bytes
    ) -> None:
        self._trace.open_event(
            now, b',"name":"quic:packet_received","data":{"header":{"packet_type":"'
        )
        exponent = self._receive_exponent if level == 3 else _DEFAULT_ACK_DELAY_EXPONENT
        self._packets.packet(level, packet_number, 0, size, payload, exponent)
        self._trace.close_event(now)

    def packet_dropped(self, now: float, reason: str, size: i64) -> None:
        if self._importance >= BASE:
            data: dict[str, object] = {
                "raw": {"length": int(size)},
                "details": {"reason": reason},
                "trigger": DROP_TRIGGERS.get(reason, "general"),
            }
            self._trace.event(now, "quic:packet_dropped", data)

    def packet_buffered(self, now: float, size: i64) -> None:
        if self._importance >= BASE:
            data: dict[str, object] = {
                "raw": {"length": int(size)},
                "trigger": "keys_unavailable",
            }
            self._trace.event(now, "quic:packet_buffered", data)

    def retry_received(self, now: float, source_cid: bytes, token: bytes) -> None:
        header: dict[str, object] = {
            "packet_type": "retry",
            "scil": len(source_cid),
            "scid": source_cid.hex(),
            "token": {"type": "retry", "raw": {"length": len(token)}},
        }
        self._trace.event(now, "quic:packet_received", {"header": header})

    def packets_acked(
        self, now: float, level: i64, path_id: i64, packet_numbers: list[int]
    ) -> None:
        if self._importance >= EXTRA:
            self._trace.open_event(
                now, b',"name":"quic:packets_acked","data":{"packet_number_space":"'
            )
            out = self._trace.out
            out.raw(_SPACES[level])
            out.raw(b'","packet_numbers":[')
            first = True
            for number in packet_numbers:
                if not first:
                    out.raw(b",")
                first = False
                out.number(number)
            out.raw(b"]}")
            self._trace.close_event(now)

    def packets_lost(
        self, now: float, level: i64, path_id: i64, packet_numbers: list[int], trigger: str
    ) -> None:
        out = self._trace.out
        for number in packet_numbers:
            self._trace.open_event(
                now, b',"name":"quic:packet_lost","data":{"header":{"packet_type":"'
            )
            out.raw(PACKET_TYPES[level])
            out.raw(b'","packet_number":')
            out.number(number)
            if trigger == "retry":
                out.raw(b"}}")
            else:
                out.raw(b'},"trigger":"')
                out.raw(trigger.encode())
                out.raw(b'"}')
            self._trace.close_event(now)

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
        if self._importance >= BASE:
            data: dict[str, object] = {
                "reordering_threshold": 3,
                "time_threshold": 1.125,
                "timer_granularity": 1,
                "initial_rtt": initial_rtt * 1000.0,
                "max_datagram_size": int(max_datagram_size),
                "initial_congestion_window": int(initial_window),
                "minimum_congestion_window": 2 * int(max_datagram_size),
                "persistent_congestion_threshold": 3,
            }
            self._trace.event(now, "quic:recovery_parameters_set", data)

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
        self._metrics.update(
            now,
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

    def congestion_state(self, now: float, path_id: i64, old: str, new: str) -> None:
        if self._importance >= BASE:
            data: dict[str, object] = {"new": new}
            if old:
                data["old"] = old
            self._trace.event(now, "quic:congestion_state_updated", data)

    def loss_timeout(self, now: float, level: i64, path_id: i64) -> None:
        self._timer(now, "loss_timeout", level)

    def probe_timeout(self, now: float, level: i64, path_id: i64, count: i64) -> None:
        self._timer(now, "pto", level)

    def _timer(self, now: float, timer: str, level: i64) -> None:
        if self._importance >= EXTRA:
            data: dict[str, object] = {
                "timer_type": timer,
                "packet_number_space": _SPACES[level].decode(),
                "event_type": "expired",
            }
            self._trace.event(now, "quic:timer_updated", data)

    def mtu(self, now: float, path_id: i64, old: i64, new: i64) -> None:
        if self._importance >= EXTRA:
            data: dict[str, object] = {"new": int(new)}
            if old > 0:
                data["old"] = int(old)
            self._trace.event(now, "quic:mtu_updated", data)

    # -- routes

    def route(self, now: float, path_id: i64, change: str, local: str, remote: str) -> None:
        key = f"{path_id} {local} {remote}"
        name = self._tuples.get(key)
        if name is None:
            name = str(len(self._tuples)) if self._tuples else ""
            self._tuples[key] = name
        ends = {"tuple_remote": endpoint_info(remote), "tuple_local": endpoint_info(local)}
        if change == "assigned":
            if self._importance >= BASE:
                self._trace.event(now, "quic:tuple_assigned", {"tuple_id": name, **ends})
            return
        migration = MIGRATION_STATES.get(change)
        if migration is not None:
            self._migration(now, {"new": migration, "tuple_id": name, **ends})
        if change == "migrated":
            self._trace.tuple_id = name.encode()
        elif change == "validated" and name and name.encode() == self._trace.tuple_id:
            self._migration(now, {"new": "migration_complete", "tuple_id": name})

    def _migration(self, now: float, data: dict[str, object]) -> None:
        if self._importance >= EXTRA:
            self._trace.event(now, "quic:migration_state_updated", data)

    # -- streams and datagrams

    def stream_opened(self, now: float, stream_id: i64, from_peer: bool) -> None:
        if self._importance < BASE:
            return
        both = stream_id & 2 == 0
        if both or not from_peer:
            self.stream_state(now, stream_id, True, "idle", "ready")
        if both or from_peer:
            self.stream_state(now, stream_id, False, "idle", "receive")

    def stream_state(self, now: float, stream_id: i64, sending: bool, old: str, new: str) -> None:
        if self._importance >= BASE:
            data: dict[str, object] = {
                "stream_id": int(stream_id),
                "stream_type": "unidirectional" if stream_id & 2 else "bidirectional",
                "old": old,
                "new": new,
                "stream_side": "sending" if sending else "receiving",
            }
            self._trace.event(now, "quic:stream_state_updated", data)

    def stream_data(
        self, now: float, stream_id: i64, offset: i64, length: i64, sending: bool
    ) -> None:
        if self._importance >= BASE:
            self._trace.open_event(now, b',"name":"quic:stream_data_moved","data":{"stream_id":')
            out = self._trace.out
            out.number(stream_id)
            out.raw(b',"offset":')
            out.number(offset)
            if sending:
                out.raw(b',"from":"application","to":"transport","raw":{"length":')
            else:
                out.raw(b',"from":"transport","to":"application","raw":{"length":')
            out.number(length)
            out.raw(b"}}")
            self._trace.close_event(now)

    def datagram_data(self, now: float, length: i64, sending: bool) -> None:
        if self._importance >= BASE:
            data: dict[str, object] = {
                "from": "application" if sending else "transport",
                "to": "transport" if sending else "application",
                "raw": {"length": int(length)},
            }
            self._trace.event(now, "quic:datagram_data_moved", data)

    def blocked(self, now: float, stream_id: i64, limit: i64, kind: str) -> None:
        if self._importance < EXTRA:
            return
        if kind == "stream":
            data: dict[str, object] = {
                "new": "blocked",
                "stream_id": int(stream_id),
                "reason": "stream_flow_control",
            }
            self._trace.event(now, "quic:stream_data_blocked_updated", data)
        else:
            reason = "stream_id" if kind == "stream_limit" else "connection_flow_control"
            self._trace.event(
                now, "quic:connection_data_blocked_updated", {"new": "blocked", "reason": reason}
            )

    # -- HTTP/3

    def http3_parameters(self, now: float, from_peer: bool, values: dict[str, int]) -> None:
        if self._importance >= BASE:
            self._trace.event(now, "http3:parameters_set", describe_settings(from_peer, values))

    def http3_stream_type(
        self, now: float, from_peer: bool, stream_id: i64, stream_type: i64
    ) -> None:
        if self._importance >= BASE:
            data = describe_stream_type(from_peer, int(stream_id), int(stream_type))
            self._trace.event(now, "http3:stream_type_set", data)

    def http3_frame(
        self,
        now: float,
        sending: bool,
        stream_id: i64,
        frame_type: i64,
        length: i64,
        payload: bytes,
    ) -> None:
        frame = describe_frame(int(frame_type), int(length), payload)
        self._http3(now, sending, stream_id, frame)

    def http3_headers(
        self,
        now: float,
        sending: bool,
        stream_id: i64,
        length: i64,
        fields: list[tuple[bytes, bytes]],
    ) -> None:
        self._http3(now, sending, stream_id, describe_headers(int(length), fields))

    def _http3(self, now: float, sending: bool, stream_id: i64, frame: dict[str, object]) -> None:
        name = "http3:frame_created" if sending else "http3:frame_parsed"
        self._trace.event(now, name, {"stream_id": int(stream_id), "frame": frame})
