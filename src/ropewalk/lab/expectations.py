"""Judges a run by what its scenario expects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from ropewalk.lab.expected import (
    FLOW_FIGURES,
    LINK_FIGURES,
    Bound,
    Closed,
    Expectation,
    Fair,
    Intact,
    StreamsEnded,
)
from ropewalk.lab.outcome import Breach, FlowResult
from ropewalk.lab.traffic.client import message_count
from ropewalk.lab.traffic.records import ConnectionRecord, FlowRecord
from ropewalk.quic.connection import Connection
from ropewalk.quic.types.errors import (
    ApplicationError,
    ConfigurationError,
    ConnectionRefused,
    HandshakeError,
    HandshakeTimeout,
    IdleTimeout,
    StatelessReset,
    TransportError,
    VersionMismatch,
)
from ropewalk.sim.element import HEADER_BYTES
from ropewalk.sim.link import Link

#: What can end a connection.
_ERRORS: Final = tuple(
    kind.__name__
    for kind in (
        ApplicationError,
        TransportError,
        HandshakeError,
        IdleTimeout,
        HandshakeTimeout,
        ConnectionRefused,
        VersionMismatch,
        StatelessReset,
    )
)


def flow_result(flow: FlowRecord, connection: ConnectionRecord, end: float) -> FlowResult:
    """All figures of a flow."""
    errors = [connection.error(side) for side in ("client", "server")]
    return FlowResult(
        name=flow.spec.name,
        congestion=_controller(connection),
        intact=not flow.shortfall and flow.finished >= 0.0,
        figures=_figures(flow, connection, end),
        client_error="" if errors[0] is None else f"{type(errors[0]).__name__}: {errors[0]}",
        server_error="" if errors[1] is None else f"{type(errors[1]).__name__}: {errors[1]}",
    )


def _controller(connection: ConnectionRecord) -> str:
    if connection.client is None:
        return ""
    return connection.client.state.path.active.recovery.controller.name


def _since(start: float, moment: float) -> float:
    return moment - start if moment >= 0.0 and start >= 0.0 else -1.0


def _figures(flow: FlowRecord, connection: ConnectionRecord, end: float) -> dict[str, float]:
    latencies = sorted(flow.latencies)
    due = message_count(flow.spec) if flow.spec.kind in ("messages", "datagrams") else 0
    ends = [one for one in (connection.client, connection.server) if one is not None]
    counters = [one.counters for one in ends]
    client_timeouts = _probe_timeouts(connection.client)
    server_timeouts = _probe_timeouts(connection.server)
    return {
        "handshake_time": _since(connection.opened, connection.handshake_done),
        "completion_time": _since(connection.opened, flow.finished),
        "closed_time": _since(connection.opened, connection.client_closed),
        "goodput": flow.goodput(end),
        "received": flow.received,
        "streams_complete": flow.complete,
        "latency_p50": percentile(latencies, 50),
        "latency_p95": percentile(latencies, 95),
        "latency_p99": percentile(latencies, 99),
        "latency_max": latencies[-1] if latencies else -1.0,
        "delivered_share": len(latencies) / due if due else -1.0,
        "packets_sent": sum(int(one.packets_sent) for one in counters),
        "packets_lost": sum(int(one.packets_lost) for one in counters),
        "spurious_losses": sum(
            int(one.state.path.active.recovery.packets_spurious) for one in ends
        ),
        "probe_timeouts": client_timeouts + server_timeouts,
        "key_updates": max((int(one.key_updates) for one in counters), default=0),
        "client_probe_timeouts": client_timeouts,
        "server_probe_timeouts": server_timeouts,
        "routes": len(connection.remotes),
    }


def _probe_timeouts(connection: Connection | None) -> int:
    return 0 if connection is None else int(connection.counters.probe_timeouts)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent do not exceed; -1 of nothing."""
    if not ordered:
        return -1.0
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def link_figures(
    link: Link, before: tuple[int, int], after: tuple[int, int], seconds: float
) -> dict[str, float]:
    """All figures of a direction of a link. ``before`` and ``after`` are what it had delivered
    (packets and bytes) at both ends of the span of ``seconds`` over which its use counts."""
    counters = link.counters
    packets, size = after[0] - before[0], after[1] - before[1]
    rate = link.profile.rate if link.profile.trace is None else link.profile.trace.mean_rate
    carried = size + HEADER_BYTES * packets
    return {
        "use": carried / (rate * seconds) if seconds > 0.0 and math.isfinite(rate) else 0.0,
        "payload_rate": size / seconds if seconds > 0.0 else 0.0,
        "dropped": counters.dropped,
        "dropped_queue": counters.dropped_queue,
        "dropped_mtu": counters.dropped_mtu,
        "delivered": counters.delivered,
        "largest_queue": counters.largest_queue,
    }


def jain_index(values: Sequence[float]) -> float:
    """Jain's fairness index: 1 when all are equal, 1/n when one has everything."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 0.0


def unmet(
    expectations: Sequence[Expectation],
    flows: Sequence[FlowResult],
    records: Mapping[str, FlowRecord],
    connections: Mapping[str, ConnectionRecord],
    links: Mapping[str, Mapping[str, float]],
    now: float,
) -> list[Breach]:
    """The expectations that were not met; all have passed :func:`check_expectations`."""
    results = {flow.name: flow for flow in flows}
    found: list[Breach] = []

    def breach(word: str, where: str, text: str) -> None:
        found.append(Breach(id=f"expect.{word}", host=where, virtual_time=now, text=text))

    for one in expectations:
        if isinstance(one, Intact):
            for name in _named(results, one.flow):
                if not results[name].intact:
                    breach("intact", name, records[name].shortfall or "it did not finish in time")
        elif isinstance(one, Closed):
            for name in _named(results, one.flow):
                text = _not_closed(one, connections[name])
                if text:
                    breach("closed", name, text)
        elif isinstance(one, StreamsEnded):
            text = _streams_differ(one, records[_named(results, one.flow)[0]])
            if text:
                breach("streams_ended", one.flow, text)
        elif isinstance(one, Bound):
            for where, value in _values(one, results, links):
                if not one.least <= value <= one.most:
                    breach("bound", where, f"{one.figure} is {value:.6g}; {_bounds(one)}")
        elif isinstance(one, Fair):
            names = one.flows or tuple(results)
            shares = [results[name].figures["goodput"] for name in names]
            index = jain_index(shares)
            if index < one.least:
                breach("fair", ", ".join(names), f"Jain's index is {index:.4f}, below {one.least}")
    return found


def check_expectations(
    expectations: Sequence[Expectation], flows: Sequence[str], links: Sequence[str]
) -> None:
    """Raises ``ConfigurationError`` for flows, links, figures and errors that there are not."""
    for index, one in enumerate(expectations):
        where = f"expect[{index}]"
        if isinstance(one, Fair):
            for flow in one.flows:
                _check_known(f"{where}.flows", "flow", flow, flows)
        elif isinstance(one, (Intact, Closed, StreamsEnded, Bound)) and one.flow:
            _check_known(f"{where}.flow", "flow", one.flow, flows)
        if isinstance(one, StreamsEnded) and not one.flow:
            raise ConfigurationError(f"{where}.flow is empty; there are {', '.join(flows)}")
        if isinstance(one, Closed):
            _check_known(f"{where}.error", "error", one.error, _ERRORS)
        if isinstance(one, Bound):
            if one.link:
                _check_known(f"{where}.link", "link", one.link, links)
            figures = LINK_FIGURES if one.link else FLOW_FIGURES
            _check_known(f"{where}.figure", "figure", one.figure, list(figures))


def _check_known(where: str, what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        there_are = ", ".join(known) or "none"
        raise ConfigurationError(f"{where}: there is no {what} {name!r}; there are {there_are}")


def _named(results: Mapping[str, FlowResult], name: str) -> list[str]:
    return [name] if name else list(results)


def _not_closed(expected: Closed, connection: ConnectionRecord) -> str:
    _, quic = connection.end(expected.side)
    if quic is None:
        return f"the {expected.side} never had a connection"
    error = connection.error(expected.side)
    if not quic.closed:
        return f"the {expected.side} is not closed"
    code = getattr(error, "code", -1)
    right_code = expected.code in (-1, code)
    if type(error).__name__ != expected.error or not right_code:
        wanted = expected.error if expected.code < 0 else f"{expected.error} {expected.code}"
        return f"the {expected.side} closed with {error!r}, not {wanted}"
    return ""


def _streams_differ(expected: StreamsEnded, flow: FlowRecord) -> str:
    for word, wanted, got in (
        ("complete", expected.complete, flow.complete),
        ("reset", expected.reset, flow.reset),
        ("stopped", expected.stopped, flow.stopped),
    ):
        if wanted not in (-1, got):
            return f"{got} streams are {word}, not {wanted}"
    return ""


def _values(
    bound: Bound, results: Mapping[str, FlowResult], links: Mapping[str, Mapping[str, float]]
) -> list[tuple[str, float]]:
    if bound.link:
        return [(bound.link, links[bound.link][bound.figure])]
    return [(name, results[name].figures[bound.figure]) for name in _named(results, bound.flow)]


def _bounds(bound: Bound) -> str:
    if math.isinf(bound.least):
        return f"at most {bound.most:g} is expected"
    if math.isinf(bound.most):
        return f"at least {bound.least:g} is expected"
    return f"{bound.least:g} to {bound.most:g} is expected"
