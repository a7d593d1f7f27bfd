"""Laws that hold at every step of a run, whatever the links do.

An oracle sees datagrams as they leave and arrive, events as they are taken, and each host
after it was driven. It reads public attributes only, and raises
:class:`~ropewalk.sim.invariants.Violation`. What can be said of one connection and its
plaintext packets is in :mod:`ropewalk.sim.witness`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

from mypy_extensions import i64, mypyc_attr

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.events import ConnectionClosed, ConnectionClosing, Event
from ropewalk.quic.wire.header import (
    PACKET_HANDSHAKE,
    PACKET_INITIAL,
    PACKET_RETRY,
    parse_long_header,
)
from ropewalk.sim.invariants import Violation

if TYPE_CHECKING:
    from ropewalk.quic.connection import Connection
    from ropewalk.sim.network import Host


@mypyc_attr(allow_interpreted_subclasses=True)
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

    def finish(self, hosts: list[Host]) -> None:
        """The run is over."""


@final
class PayloadCap(Oracle):
    """No UDP payload is larger than what the hosts' configurations allow."""

    def __init__(self, limit: int) -> None:
        self.limit: i64 = limit
        self.largest: i64 = 0

    def on_send(self, host: Host, datagram: bytes, local: int, remote: Address) -> None:
        size: i64 = len(datagram)
        if size <= self.largest:
            return
        self.largest = size
        if size > self.limit:
            raise Violation(
                "inv.quic.payload_cap",
                host.name,
                host.now,
                f"a datagram of {size} bytes, the cap is {self.limit}",
            )


@final
class _Heard:
    """What came from an address, and what was sent there."""

    __slots__ = ("received", "sent", "tokens", "validated")

    def __init__(self) -> None:
        self.received: i64 = 0
        self.sent: i64 = 0
        self.validated = False
        #: of the Retries that were sent there: a client follows one, and not always the last
        self.tokens: list[bytes] = []


@final
class Amplification(Oracle):
    """RFC 9000 8.1: a server sends at most three times what it received from an address until
    that is proven: by a packet under Handshake keys, the token of a Retry, or an answered
    PATH_CHALLENGE (which the witness tells)."""

    def __init__(self) -> None:
        self._hosts: dict[str, dict[Address, _Heard]] = {}
        #: the largest ratio seen before validation
        self.largest_ratio = 0.0

    def on_receive(self, host: Host, datagram: bytes, local: int, remote: Address) -> None:
        if not host.accepts:
            return
        heard = self._heard(host.name, remote)
        if heard.validated:
            return
        heard.received += len(datagram)
        if datagram[0:1] >= b"\x80" and _proves_address(datagram, heard.tokens):
            heard.validated = True

    def on_send(self, host: Host, datagram: bytes, local: int, remote: Address) -> None:
        if not host.accepts:
            return
        heard = self._heard(host.name, remote)
        if heard.validated:
            return
        heard.sent += len(datagram)
        if heard.sent > 3 * heard.received:
            raise Violation(
                "inv.quic.amplification",
                host.name,
                host.now,
                f"{heard.sent} bytes to {remote}, whose address is not validated and from "
                f"which {heard.received} came (RFC 9000 8.1)",
            )
        self.largest_ratio = max(self.largest_ratio, float(heard.sent) / float(heard.received))
        if datagram[0] >= 0x80:
            header = parse_long_header(datagram, 0, len(datagram))
            if header is not None and header.packet_type == PACKET_RETRY:
                heard.tokens.append(header.retry_token)

    def trust(self, host: str, remote: Address) -> None:
        """The peer at this address answered a challenge (8.2), or came with a good token."""
        self._heard(host, remote).validated = True

    def _heard(self, host: str, remote: Address) -> _Heard:
        addresses = self._hosts.get(host)
        if addresses is None:
            addresses = {}
            self._hosts[host] = addresses
        heard = addresses.get(remote)
        if heard is None:
            heard = _Heard()
            addresses[remote] = heard
        return heard


def _proves_address(datagram: bytes, tokens: list[bytes]) -> bool:
    start: i64 = 0
    while start < len(datagram) and datagram[start] >= 0x80:
        header = parse_long_header(datagram, start, len(datagram))
        if header is None:
            return False
        if header.packet_type == PACKET_HANDSHAKE:
            return True
        if header.packet_type == PACKET_INITIAL and header.token in tokens:
            return True
        start = header.end
    return False


@final
class _Served:
    """The timeouts of one host."""

    __slots__ = ("count", "instant", "serving")

    def __init__(self) -> None:
        self.serving = False
        self.instant = -1.0
        self.count: i64 = 0


@final
class Deadlines(Oracle):
    """A timeout that was served is not due again: no timer fires twice in the past.

    One successor at the same instant is in order: when a loss timer finds that a packet is
    lost, the probe timeout of what remains may have been due before (RFC 9002 A.9).
    """

    def __init__(self) -> None:
        self._served: dict[str, _Served] = {}

    def before_timeout(self, host: Host) -> None:
        served = self._served.get(host.name)
        if served is None:
            served = _Served()
            self._served[host.name] = served
        served.serving = True

    def after_step(self, host: Host) -> None:
        served = self._served.get(host.name)
        if served is None or not served.serving:
            return
        served.serving = False
        now = host.now
        if served.instant == now:
            served.count += 1
        else:
            served.instant = now
            served.count = 1
        deadline = host.endpoint.deadline()
        if math.isnan(deadline) or (deadline <= now and served.count > 1):
            raise Violation(
                "inv.quic.deadlines",
                host.name,
                now,
                f"{served.count} timeouts were served at this instant, and the next one is due "
                f"at {deadline:.9f}, which is past already",
            )


@final
class _Ending:
    """How far a connection's end has come."""

    __slots__ = ("closed", "connection", "host", "patience", "since")

    def __init__(self, host: Host, connection: Connection, since: float, patience: float) -> None:
        self.host = host
        self.connection = connection
        self.since = since
        self.patience = patience
        self.closed = False


@final
class Endings(Oracle):
    """A connection ends once: closing, then closed within ``patience`` seconds or three of
    its own probe timeouts, then silence. Closing again changes nothing."""

    def __init__(self, patience: float = 10.0) -> None:
        self.patience = patience
        self._endings: dict[int, _Ending] = {}
        #: those that began to close and are not closed yet
        self._open: list[_Ending] = []

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        ending = self._endings.get(id(connection))
        if ending is not None and ending.closed:
            raise Violation(
                "inv.quic.drain_to_closed",
                host.name,
                host.now,
                f"{event} after the connection was closed",
            )
        if isinstance(event, ConnectionClosing):
            if ending is not None:
                raise Violation(
                    "inv.quic.drain_to_closed",
                    host.name,
                    host.now,
                    "the connection began to close twice",
                )
            ending = _Ending(host, connection, host.now, self._patience(connection))
            self._endings[id(connection)] = ending
            self._open.append(ending)
        elif isinstance(event, ConnectionClosed):
            if not connection.closed:
                raise Violation(
                    "inv.quic.drain_to_closed",
                    host.name,
                    host.now,
                    "told closed, but the connection says it is not",
                )
            if ending is not None:
                ending.closed = True

    def after_step(self, host: Host) -> None:
        if not self._open:
            return
        still: list[_Ending] = []
        for ending in self._open:
            if ending.closed:
                self._close_again(ending)
            else:
                self._check_patience(ending, host.now)
                still.append(ending)
        self._open = still

    def finish(self, hosts: list[Host]) -> None:
        for ending in self._endings.values():
            if ending.closed:
                self._close_again(ending)
            else:
                self._check_patience(ending, ending.host.now)

    def _patience(self, connection: Connection) -> float:
        # Three probe timeouts (RFC 9000 10.2) as the connection counts them, and some more.
        return max(self.patience, 4.0 * connection.state.probe_timeout())

    def _check_patience(self, ending: _Ending, now: float) -> None:
        if now > ending.since + ending.patience:
            raise Violation(
                "inv.quic.drain_to_closed",
                ending.host.name,
                now,
                f"closing since {ending.since:.6f} s and not closed yet (RFC 9000 10.2)",
            )

    def _close_again(self, ending: _Ending) -> None:
        connection = ending.connection
        host = ending.host
        error = connection.close_error
        connection.close(0xDEAD, "closed twice", host.now)
        if connection.close_error is not error or not connection.closed or connection.events():
            raise Violation(
                "inv.quic.close_idempotent", host.name, host.now, "closing twice has an effect"
            )


def all_oracles(payload_cap: int) -> list[Oracle]:
    """A fresh set of the oracles of this module."""
    return [PayloadCap(payload_cap), Amplification(), Deadlines(), Endings()]
