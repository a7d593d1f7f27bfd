"""Laws that hold at every step of a run, whatever the links do.

An oracle sees datagrams as they leave and arrive, events as they are taken, and each host
after it was driven. It reads public attributes only, and raises :class:`Violation` with the
host, the virtual time and the values that broke the law. What can be said of plaintext
packets is in :mod:`ropewalk.sim.witness`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.events import ConnectionClosed, ConnectionClosing, Event
from ropewalk.quic.wire.header import PACKET_HANDSHAKE, parse_long_header

if TYPE_CHECKING:
    from ropewalk.quic.connection import Connection
    from ropewalk.sim.network import Host


class Violation(AssertionError):
    """A law of the transport was broken. Always a bug, never the network's doing."""


class Oracle:
    """Watches a whole simulated network. Every hook is optional."""

    def on_send(self, host: Host, datagram: bytes, local: int, remote: Address) -> None:
        """A host sends a datagram; no link has touched it yet."""

    def on_receive(self, host: Host, datagram: bytes, local: int, remote: Address) -> None:
        """A datagram, damaged or not, is about to be handed to a host's endpoint."""

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        """The application is about to be told of an event."""

    def before_timeout(self, host: Host) -> None:
        """The endpoint's deadline has come."""

    def after_step(self, host: Host) -> None:
        """A host has taken in, served events, and sent all it would."""


@final
class PayloadCap(Oracle):
    """No UDP payload is larger than what the host's configuration allows."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.largest = 0

    def on_send(self, host: Host, datagram: bytes, local: int, remote: Address) -> None:
        self.largest = max(self.largest, len(datagram))
        if len(datagram) > self.limit:
            raise Violation(
                f"{host.name} at {host.now:.6f} s: a datagram of {len(datagram)} bytes, "
                f"the cap is {self.limit}"
            )


@final
class Amplification(Oracle):
    """RFC 9000 8.1: a server sends at most three times what it received from an address
    until a packet under Handshake keys came from there."""

    def __init__(self) -> None:
        self._received: dict[tuple[str, Address], int] = {}
        self._sent: dict[tuple[str, Address], int] = {}
        self._validated: dict[tuple[str, Address], bool] = {}
        #: the largest ratio seen before validation
        self.largest_ratio = 0.0

    def on_receive(self, host: Host, datagram: bytes, local: int, remote: Address) -> None:
        if not host.accepts:
            return
        key = (host.name, remote)
        self._received[key] = self._received.get(key, 0) + len(datagram)
        if key not in self._validated and _has_handshake_packet(datagram):
            self._validated[key] = True

    def on_send(self, host: Host, datagram: bytes, local: int, remote: Address) -> None:
        key = (host.name, remote)
        if not host.accepts or key in self._validated:
            return
        sent = self._sent.get(key, 0) + len(datagram)
        self._sent[key] = sent
        received = self._received.get(key, 0)
        if sent > 3 * received:
            raise Violation(
                f"{host.name} at {host.now:.6f} s: {sent} bytes to {remote}, whose address "
                f"is not validated and from which {received} came (RFC 9000 8.1)"
            )
        self.largest_ratio = max(self.largest_ratio, sent / received)


def _has_handshake_packet(datagram: bytes) -> bool:
    start = 0
    while start < len(datagram) and datagram[start] & 0x80:
        header = parse_long_header(datagram, start, len(datagram))
        if header is None:
            return False
        if header.packet_type == PACKET_HANDSHAKE:
            return True
        start = int(header.end)
    return False


@final
class Deadlines(Oracle):
    """A timeout that was served is not due again: no timer fires twice in the past.

    One successor at the same instant is in order: when a loss timer finds that a packet is
    lost, the probe timeout of what remains may have been due before (RFC 9002 A.9).
    """

    def __init__(self) -> None:
        self._serving: dict[str, bool] = {}
        #: instant of the last timeout of each host, and how many were served at it
        self._served: dict[str, tuple[float, int]] = {}

    def before_timeout(self, host: Host) -> None:
        self._serving[host.name] = True

    def after_step(self, host: Host) -> None:
        if not self._serving.pop(host.name, False):
            return
        now = host.now
        instant, count = self._served.get(host.name, (now, 0))
        count = count + 1 if instant == now else 1
        self._served[host.name] = (now, count)
        deadline = host.endpoint.deadline()
        if math.isnan(deadline) or (deadline <= now and count > 1):
            raise Violation(
                f"{host.name} at {now:.9f} s: {count} timeouts were served at this instant, and "
                f"the next one is due at {deadline:.9f}, which is past already"
            )


@final
class Congestion(Oracle):
    """Bytes in flight never fall below zero, the congestion window never below two
    datagrams (RFC 9002 7.2), and what a path counts only grows."""

    def __init__(self) -> None:
        self._counted: dict[tuple[int, int], tuple[int, ...]] = {}

    def after_step(self, host: Host) -> None:
        for connection in host.connections:
            if connection.closed:
                continue
            for stats in connection.path_stats():
                where = f"{host.name} at {host.now:.6f} s, path {stats.path_id}"
                if stats.bytes_in_flight < 0:
                    raise Violation(f"{where}: {stats.bytes_in_flight} bytes in flight")
                if stats.congestion_window < 2 * stats.max_datagram_size:
                    raise Violation(
                        f"{where}: a congestion window of {stats.congestion_window} bytes is "
                        f"less than two datagrams of {stats.max_datagram_size}"
                    )
                counted = (
                    stats.packets_sent,
                    stats.packets_received,
                    stats.packets_lost,
                    stats.bytes_sent,
                    stats.bytes_received,
                )
                key = (id(connection), stats.path_id)
                before = self._counted.get(key, counted)
                if any(new < old for new, old in zip(counted, before, strict=True)):
                    raise Violation(f"{where}: a total fell, from {before} to {counted}")
                self._counted[key] = counted


@final
class Endings(Oracle):
    """A connection ends once: closing, then closed within ten virtual seconds or three of
    its own probe timeouts, then silence. Closing again changes nothing."""

    def __init__(self, patience: float = 10.0) -> None:
        self.patience = patience
        self._closing: dict[int, float] = {}
        self._closed: dict[int, float] = {}

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        key = id(connection)
        where = f"{host.name} at {host.now:.6f} s"
        if key in self._closed:
            raise Violation(f"{where}: {event} after the connection was closed")
        if isinstance(event, ConnectionClosing):
            if key in self._closing:
                raise Violation(f"{where}: the connection began to close twice")
            self._closing[key] = host.now
        elif isinstance(event, ConnectionClosed):
            self._closed[key] = host.now
            if not connection.closed:
                raise Violation(f"{where}: told closed, but the connection says it is not")

    def after_step(self, host: Host) -> None:
        for connection in host.connections:
            key = id(connection)
            since = self._closing.get(key)
            if since is None:
                continue
            if key in self._closed:
                self._close_again(host, connection)
            elif host.now > since + self._longest(connection):
                raise Violation(
                    f"{host.name} at {host.now:.6f} s: closing since {since:.6f} s and not "
                    "closed yet (RFC 9000 10.2)"
                )

    def _longest(self, connection: Connection) -> float:
        longest = self.patience
        for stats in connection.path_stats():
            longest = max(longest, 4 * 3 * (stats.smoothed_rtt + 1.0))
        return longest

    def _close_again(self, host: Host, connection: Connection) -> None:
        error = connection.close_error
        connection.close(0xDEAD, "closed twice", host.now)
        if connection.close_error is not error or not connection.closed or connection.events():
            raise Violation(f"{host.name} at {host.now:.6f} s: closing twice is not idempotent")


@final
class StreamBooks(Oracle):
    """Streams opened = closed + reset + live."""

    def after_step(self, host: Host) -> None:
        for connection in host.connections:
            streams = connection.state.streams
            ended = streams.closed() + streams.reset_count()
            if streams.opened() != ended + streams.live():
                raise Violation(
                    f"{host.name} at {host.now:.6f} s: {streams.opened()} streams opened, but "
                    f"{streams.closed()} closed, {streams.reset_count()} reset and "
                    f"{streams.live()} live"
                )


def all_oracles(payload_cap: int) -> list[Oracle]:
    """A fresh set of the oracles of this module."""
    return [
        PayloadCap(payload_cap),
        Amplification(),
        Deadlines(),
        Congestion(),
        StreamBooks(),
        Endings(),
    ]
