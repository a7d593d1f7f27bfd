"""Builds one :class:`Trace` from the events of a log, one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, final

from ropewalk.lab.trace.clock import TraceClock
from ropewalk.lab.trace.handshake import HandshakeFacts
from ropewalk.lab.trace.model import Mark, Series, Trace
from ropewalk.lab.trace.names import event_name, number_space
from ropewalk.lab.trace.oddities import Oddities
from ropewalk.lab.trace.packets import PacketLog
from ropewalk.lab.trace.recovery import RecoveryLog, path_id
from ropewalk.lab.trace.values import integer, items, mapping, text

#: Different names of events that are told apart, and marks that are kept.
_MOST_NAMES: Final = 500
_MOST_MARKS: Final = 10_000

Fields = dict[str, object]


@final
class TraceBuilder:
    """Takes heads and events; :meth:`build` gives the trace."""

    def __init__(self, serialization: str, oddities: Oddities) -> None:
        self._serialization = serialization
        self._oddities = oddities
        self._clock = TraceClock()
        self._head: Fields = {}
        self._trace: Fields = {}
        self._handshake = HandshakeFacts()
        self._recovery = RecoveryLog()
        self._packets = PacketLog(self._recovery, self._handshake, oddities)
        self._marks: list[Mark] = []
        self._dropped: dict[str, int] = {}
        self._events: dict[str, int] = {}
        self._start = math.nan
        self._end = math.nan
        self._latest = -math.inf
        self._handlers: dict[str, Callable[[float, Fields, Fields], None]] = {
            "packet_sent": self._packet_sent,
            "packet_received": self._packet_received,
            "packets_acked": self._packets_acked,
            "packet_lost": self._packet_lost,
            "spurious_loss": self._spurious_loss,
            "packet_dropped": self._packet_dropped,
            "recovery_metrics_updated": self._metrics,
            "congestion_state_updated": self._congestion_state,
            "loss_timer_updated": self._timer,
            "timer_updated": self._timer,
            "connection_state_updated": self._state,
            "connection_started": self._started,
            "connection_closed": self._closed,
            "version_information": self._version,
            "alpn_information": self._alpn,
            "parameters_set": self._parameters,
            "key_updated": self._key_updated,
            "mtu_updated": self._mtu,
            "tuple_assigned": self._tuple,
            "migration_state_updated": self._migration,
            "ecn_state_updated": self._ecn,
            "http3:frame_created": self._http_frame,
            "http3:frame_parsed": self._http_frame,
            "simulation:marker": self._marker,
        }

    def read_head(self, head: Fields, known: Fields) -> None:
        """Begin: the fields before the events, and those known to come behind them."""
        self._head = {key: value for key, value in head.items() if key != "trace"}
        self._trace = {**mapping(head.get("trace")), **known}
        self._clock.read_head(self._trace)

    def read_late_head(self, fields: Fields) -> bool:
        """Fields behind the events; False if the times must be read again knowing them."""
        self._trace = {**self._trace, **fields}
        return self._clock.read_head(self._trace)

    def read_event(self, event: Fields) -> None:
        """Take in one event."""
        name = text(event.get("name"), 80)
        if not name and isinstance(event.get("type"), str):
            name = f"{text(event.get('category'), 40)}:{text(event.get('type'), 40)}"
        time = self._clock.read(event)
        if not name or time is None:
            self._oddities.count("events without a name or a time")
            return
        if name not in self._events and len(self._events) >= _MOST_NAMES:
            name = "other"
        self._events[name] = self._events.get(name, 0) + 1
        if time < self._latest:
            self._oddities.count("events earlier than the one before")
        self._latest = time
        self._start = time if math.isnan(self._start) else min(self._start, time)
        self._end = time if math.isnan(self._end) else max(self._end, time)
        handler = self._handlers.get(event_name(name))
        if handler is not None:
            handler(time, mapping(event.get("data")), event)

    def build(self, name: str) -> Trace:
        """The trace as it stands."""
        vantage_point = mapping(self._trace.get("vantage_point"))
        side = text(vantage_point.get("type"), 20)
        common = mapping(self._trace.get("common_fields"))
        group = common.get("group_id") or common.get("ODCID") or common.get("odcid")
        self._packets.finish()
        handshake = self._handshake
        return Trace(
            name=name,
            title=text(self._trace.get("title")) or text(self._head.get("title")),
            vantage_point=side if side in ("client", "server", "network") else "unknown",
            implementation=self._implementation(text(vantage_point.get("name"), 60)),
            group=text(group, 80) or handshake.original_dcid,
            format=self._format(),
            wall_clock=self._clock.wall_clock,
            start=0.0 if math.isnan(self._start) else self._start,
            end=0.0 if math.isnan(self._end) else self._end,
            version=handshake.version,
            alpn=handshake.alpn(),
            parameters=handshake.parameters,
            packets=self._packets.table,
            paths=self._recovery.paths(),
            acknowledged_rtt=self._packets.acknowledged_rtt or Series(),
            streams=self._packets.streams(),
            resent_bytes=self._packets.resent_bytes(),
            marks=tuple(sorted(self._marks + handshake.marks, key=lambda mark: mark.time)),
            close=self._packets.close,
            handshake_complete=handshake.complete_time(side),
            probe_timeouts=self._recovery.probe_timeouts,
            reported_spurious=self._recovery.reported_spurious,
            dropped=self._dropped,
            events=self._events,
            oddities=self._oddities.counts,
        )

    def _implementation(self, vantage_name: str) -> str:
        """Who wrote the log, if it says so: quic-go does it in the title."""
        name = vantage_name
        title = text(self._head.get("title"), 60)
        if not name and title.endswith(" qlog"):
            name = title.removesuffix(" qlog")
        version = text(self._head.get("code_version"), 30)
        return f"{name} {version}".strip()

    def _format(self) -> str:
        version = text(self._head.get("qlog_version"), 20)
        schemas = [text(each, 80) for each in items(self._trace.get("event_schemas"))[:8]]
        known = [schema.rpartition(":")[2] for schema in schemas if schema]
        if known:
            return f"{self._serialization}, {', '.join(known)}"
        return f"{self._serialization}, qlog {version}" if version else self._serialization

    def _mark(self, time: float, kind: str, what: str) -> None:
        if len(self._marks) < _MOST_MARKS:
            self._marks.append(Mark(time, kind, what))
        else:
            self._oddities.count("state changes beyond the first ten thousand, not kept")

    # -- packets

    def _packet_sent(self, time: float, data: Fields, event: Fields) -> None:
        self._packets.packet(time, data, event, sent=True)

    def _packet_received(self, time: float, data: Fields, event: Fields) -> None:
        self._packets.packet(time, data, event, sent=False)

    def _packets_acked(self, time: float, data: Fields, event: Fields) -> None:
        space = number_space(data.get("packet_number_space"))
        path = path_id(data, event)
        for each in items(data.get("packet_numbers")):
            number = integer(each)
            if number is not None:
                self._packets.acknowledged(time, space, path, number, number)

    def _packet_lost(self, time: float, data: Fields, event: Fields) -> None:
        self._packets.lost(time, data, event)

    def _spurious_loss(self, time: float, data: Fields, event: Fields) -> None:
        self._recovery.reported_spurious += 1

    def _packet_dropped(self, time: float, data: Fields, event: Fields) -> None:
        trigger = text(data.get("trigger"), 40) or "not told"
        if trigger not in self._dropped and len(self._dropped) >= _MOST_NAMES:
            trigger = "other"
        self._dropped[trigger] = self._dropped.get(trigger, 0) + 1

    # -- recovery

    def _metrics(self, time: float, data: Fields, event: Fields) -> None:
        if self._recovery.metrics(time, data, event):
            self._mark(time, "probe timeout", f"probe timeout {text(data.get('pto_count'))}")

    def _timer(self, time: float, data: Fields, event: Fields) -> None:
        if data.get("event_type") == "expired" and data.get("timer_type") == "pto":
            self._recovery.timer_expired(time)
            self._mark(time, "probe timeout", "probe timer expired")

    def _congestion_state(self, time: float, data: Fields, event: Fields) -> None:
        self._mark(time, "congestion", f"congestion: {text(data.get('new'), 60)}")

    def _mtu(self, time: float, data: Fields, event: Fields) -> None:
        self._mark(time, "mtu", f"datagrams of {text(data.get('new'), 20)} bytes")

    def _ecn(self, time: float, data: Fields, event: Fields) -> None:
        self._mark(time, "ecn", f"ECN: {text(data.get('new'), 40)}")

    # -- the connection

    def _started(self, time: float, data: Fields, event: Fields) -> None:
        self._mark(time, "connection", "started")

    def _state(self, time: float, data: Fields, event: Fields) -> None:
        state = text(data.get("new"), 60)
        self._handshake.state(time, state)
        self._mark(time, "state", state.replace("_", " "))

    def _closed(self, time: float, data: Fields, event: Fields) -> None:
        self._packets.closed(time, data)

    def _version(self, time: float, data: Fields, event: Fields) -> None:
        self._handshake.read_version(data)

    def _alpn(self, time: float, data: Fields, event: Fields) -> None:
        self._handshake.read_alpn(data)

    def _parameters(self, time: float, data: Fields, event: Fields) -> None:
        self._handshake.read_parameters(data)

    def _key_updated(self, time: float, data: Fields, event: Fields) -> None:
        self._handshake.key_updated(time, data)

    def _tuple(self, time: float, data: Fields, event: Fields) -> None:
        name = text(data.get("tuple_id"), 40) or text(data.get("path_id"), 40)
        remote = _address(data.get("tuple_remote") or data.get("path_remote"))
        self._mark(time, "route", " ".join(part for part in ("route", name, remote) if part))

    def _migration(self, time: float, data: Fields, event: Fields) -> None:
        self._mark(time, "route", f"migration: {text(data.get('new'), 60).replace('_', ' ')}")

    def _http_frame(self, time: float, data: Fields, event: Fields) -> None:
        self._packets.http_frame(data)

    def _marker(self, time: float, data: Fields, event: Fields) -> None:
        self._mark(time, "scenario", text(data.get("message")) or text(data.get("type")))


def _address(value: object) -> str:
    """IP address and port out of an endpoint's fields, which have had two shapes."""
    fields = mapping(value)
    for suffix in ("v4", "v6"):
        inner = mapping(fields.get(f"address_{suffix}"))
        ip = text(fields.get(f"ip_{suffix}") or inner.get("ip"), 40)
        port = text(fields.get(f"port_{suffix}") or inner.get("port"), 6)
        if ip:
            host = f"[{ip}]" if ":" in ip else ip
            return f"to {host}:{port}" if port else f"to {host}"
    return ""
