"""Keeps its own books on every plaintext packet of one connection, and compares.

The witness knows nothing of the sent ledger, the streams or the flow control: it reads what
was sealed and opened (:mod:`ropewalk.observe.frames`) and draws its own conclusions. The
``Auditor`` compares them with what the connection says of itself, after every step in
which something happened to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64

from ropewalk.observe.frames import (
    ACK,
    CONNECTION_CLOSE,
    CONNECTION_CLOSE_APPLICATION,
    MAX_DATA,
    MAX_STREAMS_UNI,
    NEW_CONNECTION_ID,
    PADDING,
    PATH_CHALLENGE,
    PATH_RESPONSE,
    STREAM,
    FrameReader,
    Unreadable,
)
from ropewalk.observe.observer import Observer
from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.events import Event, HandshakeComplete
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.sim.books import RouteBooks, Sent, SpaceBooks
from ropewalk.sim.invariants import Violation
from ropewalk.sim.oracles import Amplification, Oracle
from ropewalk.sim.route_audit import ROUNDING, audit_probes, audit_rtt, audit_sent, audit_window
from ropewalk.sim.stream_books import StreamBooks

if TYPE_CHECKING:
    from ropewalk.quic.connection import Connection
    from ropewalk.sim.network import Host

#: kPacketThreshold, kTimeThreshold and kGranularity (RFC 9002 6.1).
_PACKET_THRESHOLD: Final = 3
_TIME_THRESHOLD: Final = 1.125
_GRANULARITY: Final = 0.001


@final
class Witness(Observer):
    """The observer of one connection. ``peer`` is the configuration of the other side, whose
    windows bound what may be sent."""

    def __init__(self, name: str, is_client: bool, peer: Configuration) -> None:
        self.name = name
        self.packets_sent: i64 = 0
        self.packets_received: i64 = 0
        self.auditor: Auditor | None = None
        self._reader = FrameReader()
        self._initial = SpaceBooks()
        self._handshake = SpaceBooks()
        self._application = SpaceBooks()
        #: packets whose burst has not left yet
        self.unsent: list[Sent] = []
        #: challenges whose burst has not left yet, and where the others went
        self._new_challenges: list[bytes] = []
        self._challenges: dict[bytes, Address] = {}
        self._routes: list[RouteBooks] = []
        self._streams = StreamBooks(name, is_client, peer)
        self._dirty = False
        self._host: Host | None = None
        self._connection: Connection | None = None
        self._born = 0.0
        self._handshake_timeout = 0.0
        self._complete = False
        self._told_complete = False
        self._early_settled = False
        self._streams_opened: i64 = 0

    def watch(self, auditor: Auditor, host: Host, connection: Connection) -> None:
        """Have the auditor compare the books with this connection."""
        self.auditor = auditor
        self._host = host
        self._connection = connection
        self._born = host.now
        self._handshake_timeout = connection.state.config.handshake_timeout
        auditor.add(self)
        self._mark()

    def watches(self, connection: Connection) -> bool:
        """Whether these are the books of that connection."""
        return self._connection is connection

    # -- hooks

    def packet_sent(
        self, now: float, level: i64, path_id: i64, packet_number: i64, size: i64, payload: bytes
    ) -> None:
        self.packets_sent += 1
        self._mark()
        space = self._space(level)
        if packet_number <= space.last_sent:
            self._broken(
                "inv.quic.packet_numbers_rise",
                now,
                f"packet {packet_number} was sent after {space.last_sent}",
            )
        space.last_sent = packet_number
        in_flight = False
        probing = True
        reader = self._reader
        reader.reset(payload)
        while self._next_frame(now, "sent"):
            kind = reader.kind
            if kind == STREAM:
                in_flight = True
                probing = False
                self._streams.on_stream_sent(now, reader)
            elif kind == ACK:
                probing = False
                self._on_ack_sent(now, space, reader.ranges)
            elif kind == PADDING:
                in_flight = True
            elif kind != CONNECTION_CLOSE and kind != CONNECTION_CLOSE_APPLICATION:
                in_flight = True
                if kind == PATH_CHALLENGE:
                    self._new_challenges.append(payload[reader.data : reader.data + reader.length])
                elif kind != PATH_RESPONSE and kind != NEW_CONNECTION_ID:
                    probing = False
                    self._streams.on_control_sent(now, reader)
        if in_flight:
            packet = Sent(now, size, probing)
            space.add(packet_number, packet)
            self.unsent.append(packet)

    def packet_received(
        self, now: float, level: i64, path_id: i64, packet_number: i64, size: i64, payload: bytes
    ) -> None:
        self.packets_received += 1
        self._mark()
        space = self._space(level)
        if not space.received.add(packet_number):
            self._broken(
                "inv.quic.processed_once", now, f"packet {packet_number} is processed twice"
            )
        reader = self._reader
        reader.reset(payload)
        while self._next_frame(now, "received"):
            kind = reader.kind
            if kind == STREAM:
                continue
            if kind == ACK:
                self._on_ack_received(now, space, reader.ranges)
            elif kind == PATH_RESPONSE:
                self._on_path_response(payload[reader.data : reader.data + reader.length])
            elif MAX_DATA <= kind <= MAX_STREAMS_UNI:
                self._streams.on_control_received(reader)

    def packets_lost(
        self, now: float, level: i64, path_id: i64, packet_numbers: list[int], trigger: str
    ) -> None:
        self._mark()
        space = self._space(level)
        for number in packet_numbers:
            packet = space.packets.get(number)
            if packet is None or packet.lost or packet.exempt:
                self._broken(
                    "inv.quic.loss_detection_monotonic",
                    now,
                    f"packet {number} is declared lost, but it is not in flight",
                )
                return
            if trigger == "retry":
                space.void(number, packet)
            else:
                self._check_loss(now, space, number, packet)
                space.lose(number, packet)

    def probe_timeout(self, now: float, level: i64, path_id: i64, count: i64) -> None:
        self._mark()

    def state_changed(self, now: float, old: str, new: str) -> None:
        self._mark()

    # -- packets

    def left(self, local: int, remote: Address) -> None:
        """What was sealed since the last call left in a burst on this route."""
        connection = self._connection
        if connection is None:
            return
        path = connection.state.path
        route = path.route_of(local, remote)
        for challenge in self._new_challenges:
            self._challenges[challenge] = remote
        self._new_challenges.clear()
        if route is not None:
            books = self._books(route.recovery)
            for packet in self.unsent:
                packet.route = books
                if packet.probing and route is path.fallback:
                    # It asks after a route that the peer may have left (9.4).
                    self._application.exempt(packet)
                    continue
                books.bytes_sent += packet.size
                books.touched = True
        self.unsent.clear()

    def _on_ack_received(self, now: float, space: SpaceBooks, ranges: list[int]) -> None:
        largest: i64 = ranges[0]
        if largest > space.last_sent:
            self._broken(
                "inv.quic.acknowledgments_true",
                now,
                f"the peer acknowledges packet {largest}, {space.last_sent} is last",
            )
        if largest > space.largest_acked:
            space.largest_acked = largest
        news = space.news(ranges)
        index: i64 = 0
        while index < len(news):
            number: i64 = news[index + 1]
            high: i64 = news[index]
            while number <= high:
                space.ack(number)
                number += 1
            index += 2

    def _on_ack_sent(self, now: float, space: SpaceBooks, ranges: list[int]) -> None:
        index: i64 = 0
        while index < len(ranges):
            if not space.received.covers(ranges[index + 1], ranges[index]):
                self._broken(
                    "inv.quic.acknowledgments_true",
                    now,
                    f"packets {ranges[index + 1]} to {ranges[index]} are acknowledged, but "
                    "some never came",
                )
            index += 2

    def _check_loss(self, now: float, space: SpaceBooks, number: i64, packet: Sent) -> None:
        """RFC 9002 6.1: lost is what lies too far, or too long, behind an acknowledged one."""
        if space.largest_acked - number >= _PACKET_THRESHOLD:
            return
        route = packet.route
        late = False
        if route is not None and number < space.largest_acked:
            rtt = route.recovery.rtt
            longest = max(rtt.smoothed, rtt.latest)
            wait = max(_TIME_THRESHOLD * longest, _GRANULARITY)
            late = now - packet.time >= wait - ROUNDING
        if not late:
            self._broken(
                "inv.quic.loss_detection_monotonic",
                now,
                f"packet {number}, sent {now - packet.time:.6f} s ago, is declared lost, but "
                f"{space.largest_acked} is the largest acknowledged",
            )

    def _on_path_response(self, data: bytes) -> None:
        remote = self._challenges.get(data)
        auditor, host = self.auditor, self._host
        if remote is None or auditor is None or host is None:
            return
        if auditor.amplification is not None:
            auditor.amplification.trust(host.name, remote)

    # -- comparison

    def audit(self) -> None:
        """Compare with what the connection says of itself."""
        self._dirty = False
        connection, host = self._connection, self._host
        if connection is None or host is None or connection.closed:
            return
        now = host.now
        state = connection.state
        self._audit_handshake(connection, now)
        streams = state.streams
        opened: i64 = streams.opened()
        if opened != streams.closed() + streams.reset_count() + streams.live() or (
            opened < self._streams_opened
        ):
            self._broken(
                "inv.quic.streams_balance",
                now,
                f"{opened} streams opened, {self._streams_opened} before; {streams.closed()} "
                f"closed, {streams.reset_count()} reset and {streams.live()} live",
            )
        self._streams_opened = opened
        if connection.close_error is not None:
            return
        self._books(state.path.active.recovery)
        for books in self._routes:
            audit_window(books, self.name, now)
            audit_rtt(books, self.name, now, self._born)
            audit_probes(books, self.name, now)
        for books in self._routes:
            if self._early_settled:
                audit_sent(books, self._application, self.name, now)
            books.touched = False
            books.acked_since = False

    def finish(self) -> None:
        """The run is over: what must have happened by now?"""
        self.audit()
        connection, host = self._connection, self._host
        if connection is not None and host is not None and not connection.closed:
            self._check_handshake_time(connection, host.now)

    def _audit_handshake(self, connection: Connection, now: float) -> None:
        complete = connection.handshake_complete
        confirmed = connection.handshake_confirmed
        if (self._complete and not complete) or (confirmed and not complete):
            self._broken(
                "inv.quic.handshake_completes",
                now,
                f"complete is {complete} and confirmed {confirmed}; it was {self._complete}",
            )
        self._complete = complete
        if not complete:
            self._check_handshake_time(connection, now)
        elif confirmed and not self._early_settled:
            # The handshake spaces vanish at confirmation, with what was in flight there.
            self._early_settled = True
            self._initial.discard()
            self._handshake.discard()

    def _check_handshake_time(self, connection: Connection, now: float) -> None:
        if (
            not connection.handshake_complete
            and connection.active
            and now > self._born + self._handshake_timeout + ROUNDING
        ):
            self._broken(
                "inv.quic.handshake_completes",
                now,
                f"the handshake is not complete {now - self._born:.6f} s after it began, and the "
                f"connection lives; its time is {self._handshake_timeout} s",
            )

    def on_handshake_complete(self) -> None:
        """The application is told that the handshake is complete."""
        host = self._host
        if self._told_complete and host is not None:
            self._broken("inv.quic.handshake_completes", host.now, "it was told twice")
        self._told_complete = True

    # -- within

    def _mark(self) -> None:
        if not self._dirty and self.auditor is not None:
            self._dirty = True
            self.auditor.dirty.append(self)

    def _books(self, recovery: RouteRecovery) -> RouteBooks:
        for books in self._routes:
            if books.recovery is recovery:
                return books
        books = RouteBooks(recovery)
        self._routes.append(books)
        return books

    def _space(self, level: i64) -> SpaceBooks:
        if level == ONE_RTT:
            return self._application
        if level == INITIAL:
            return self._initial
        assert level == HANDSHAKE, level
        return self._handshake

    def _next_frame(self, now: float, what: str) -> bool:
        reader = self._reader
        try:
            more = reader.read()
        except Unreadable as error:
            self._broken("inv.quic.frames_readable", now, f"a payload that was {what}: {error}")
            return False
        if not more and reader.position == 0:
            self._broken(
                "inv.quic.frames_readable",
                now,
                f"a packet that was {what} has no frames (RFC 9000 12.4)",
            )
        return more

    def _broken(self, invariant_id: str, now: float, what: str) -> None:
        raise Violation(invariant_id, self.name, now, what)


@final
class Auditor(Oracle):
    """Has witnesses compare their books after every step in which something happened to
    them, and tells them on which route packets left."""

    def __init__(self, amplification: Amplification | None = None) -> None:
        self.amplification = amplification
        self.witnesses: list[Witness] = []
        #: those that something happened to in this step
        self.dirty: list[Witness] = []

    def add(self, witness: Witness) -> None:
        """Called by the witness."""
        self.witnesses.append(witness)

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        if isinstance(event, HandshakeComplete):
            for witness in self.witnesses:
                if witness.watches(connection):
                    witness.on_handshake_complete()

    def on_send(self, host: Host, datagram: bytes, local: int, remote: Address) -> None:
        for witness in self.dirty:
            if witness.unsent:
                witness.left(local, remote)

    def after_step(self, host: Host) -> None:
        if not self.dirty:
            return
        dirty = self.dirty
        self.dirty = []
        for witness in dirty:
            witness.audit()

    def finish(self, hosts: list[Host]) -> None:
        for witness in self.witnesses:
            witness.finish()
