"""Many connections on many sockets, behind one sans-IO object (RFC 9000 5)."""

from __future__ import annotations

from collections import deque
from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.connection.connection import Connection
from ropewalk.quic.connection.workspace import Workspace
from ropewalk.quic.endpoint.counters import EndpointCounters
from ropewalk.quic.endpoint.deadlines import Deadlines
from ropewalk.quic.endpoint.door import Door
from ropewalk.quic.endpoint.incoming import Doorkeeper, Incoming
from ropewalk.quic.endpoint.knock import Knock
from ropewalk.quic.endpoint.replies import Replies
from ropewalk.quic.endpoint.reset import SMALLEST_RESET, TOKEN_LENGTH, ResetTokens
from ropewalk.quic.endpoint.tokens import (
    TOKEN_RETRY,
    TokenCheck,
    make_new_token,
)
from ropewalk.quic.handshake.factory import make_handshake
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import Configuration, EndpointConfiguration
from ropewalk.quic.types.datagrams import Burst, Datagrams
from ropewalk.quic.types.error_codes import INTERNAL_ERROR
from ropewalk.quic.types.errors import ConfigurationError, StatelessReset, TransportError
from ropewalk.quic.types.local import (
    ADDED,
    BLOCKED,
    DOWN,
    REMOVED,
    SEND_FAILED,
    UP,
    WRITABLE,
    LocalChange,
)
from ropewalk.quic.wire.header import (
    PACKET_INITIAL,
    PACKET_UNKNOWN,
    PACKET_ZERO_RTT,
    LongHeader,
    destination_cid,
    parse_long_header,
)

#: RFC 9000 14.1: a datagram with a client's Initial has at least this size.
_SMALLEST_INITIAL: Final = 1200
#: The door's place among the owners of deadlines; connections count from 1.
_DOOR: Final = 0
#: While its socket is blocked, a connection is not woken more often than this, in seconds.
_BLOCKED_PAUSE: Final = 0.01
#: Faults kept until somebody asks for them.
_MAX_FAULTS: Final = 16
#: Draws for a connection ID that is not in use.
_ID_ATTEMPTS: Final = 64


@final
class _Entry:
    """A connection with what the endpoint's tables know of it."""

    def __init__(self, key: int, connection: Connection, first_cid: bytes) -> None:
        self.key = key
        self.connection = connection
        #: the client-chosen ID of its first packets. It stays in the table for the
        #: connection's life, so that a late copy of them does not knock again.
        self.first_cid = first_cid
        self.cids: list[bytes] = []
        self.tokens: list[bytes] = []
        self.ready = False
        self.touched = False
        self.reported = False
        self.half_open = True


@final
class Endpoint(Doorkeeper):
    """Demultiplexes datagrams to connections and gathers what they send.

    The driver calls ``receive``, ``on_local`` and ``on_timeout``, then ``transmit`` until it
    returns None, then waits for ``deadline`` or for its sockets.
    """

    def __init__(self, config: EndpointConfiguration) -> None:
        self._config = config
        self._workspace = Workspace()
        self._cid_length: i64 = config.connection_ids.length()
        self._entries: dict[int, _Entry] = {}
        self._by_connection: dict[Connection, _Entry] = {}
        self._by_cid: dict[bytes, _Entry] = {}
        self._next_key = 1
        self._half_open: i64 = 0
        self._incoming: list[Incoming] = []
        self._reset_tokens = ResetTokens(config.entropy)
        self._replies = Replies(config)
        self._ready: deque[_Entry] = deque()
        self._touched: list[_Entry] = []
        self._eventful: list[Connection] = []
        self._blocked: dict[int, bool] = {}
        self._faults: list[Exception] = []
        #: per blocked socket, the connections that wanted to send
        self._waiting: dict[int, dict[int, None]] = {}
        self._deadlines = Deadlines()
        self.counters = EndpointCounters()
        self._door = Door(config, self._replies, self.counters)

    # -- connections

    def open(self, config: Configuration, remote: Address, local: int, now: float) -> Connection:
        """Start a client connection from the driver's socket ``local``.

        Raises ``ConfigurationError`` when the endpoint has no room for another connection.
        """
        if len(self._entries) >= self._config.max_connections:
            raise ConfigurationError(
                f"the endpoint already has {len(self._entries)} connections, its limit; "
                "close some or raise max_connections"
            )
        source_cid = self._unused_cid()
        first = self._config.entropy(8)
        connection = Connection(
            config,
            True,
            make_handshake(config, True),
            local,
            "",
            remote,
            source_cid,
            first,
            first,
            None,
            b"",
            True,
            self._workspace,
            now,
        )
        self.counters.connections_opened += 1
        self._register(connection, source_cid, b"", now)
        return connection

    def connections(self) -> list[Connection]:
        """All connections that are not yet closed."""
        return [entry.connection for entry in self._entries.values()]

    def touch(self, connection: Connection) -> None:
        """The application did something to ``connection``: it may have something to send."""
        entry = self._by_connection.get(connection)
        if entry is not None:
            self._make_ready(entry)
            if connection.has_events():
                self._report(entry)

    def eventful(self) -> list[Connection]:
        """Connections that have got events since the last call."""
        if not self._eventful:
            return []
        taken = self._eventful
        self._eventful = []
        for connection in taken:
            entry = self._by_connection.get(connection)
            if entry is not None:
                entry.reported = False
        return taken

    def incoming(self) -> list[Incoming]:
        """Clients that asked for a connection since the last call."""
        taken = self._incoming
        self._incoming = []
        return taken

    # -- datagrams in

    def receive(self, datagrams: Datagrams, now: float) -> None:
        """Take one receive buffer. It may hold datagrams for several connections."""
        data = datagrams.data
        size: i64 = len(data)
        segment_size = datagrams.segment_size
        if segment_size <= 0:
            return
        cid_length = self._cid_length
        run_start: i64 = 0
        run_entry: _Entry | None = None
        run_cid = b""
        position: i64 = 0
        while position < size:
            end = min(size, position + segment_size)
            if data[position] & 0x80:
                entry = self._find_long(data, position, end)
                cid = b""
            else:
                cid = data[position + 1 : position + 1 + cid_length]
                if run_entry is not None and cid == run_cid:
                    position = end
                    continue
                entry = self._by_cid.get(cid)
            if run_entry is not None:
                self._deliver(run_entry, datagrams, run_start, position, now)
            run_start = position
            run_cid = cid
            run_entry = entry
            if entry is None:
                try:
                    self._unknown(datagrams, position, end, now)
                except Exception as fault:
                    self._note_fault(fault)
            elif not cid:
                # Long headers go one datagram at a time: their IDs may differ.
                self._deliver(entry, datagrams, position, end, now)
                run_entry = None
            position = end
        if run_entry is not None:
            self._deliver(run_entry, datagrams, run_start, size, now)
        for entry in self._touched:
            entry.touched = False
            try:
                entry.connection.end_of_batch(now)
            except Exception as fault:
                self._contain(entry, fault, now)
            self._after(entry, now)
        self._touched.clear()

    def _find_long(self, data: bytes, start: i64, stop: i64) -> _Entry | None:
        cid = destination_cid(data, start, stop, self._cid_length)
        return None if cid is None else self._by_cid.get(cid)

    def _deliver(
        self, entry: _Entry, datagrams: Datagrams, start: i64, stop: i64, now: float
    ) -> None:
        try:
            entry.connection.receive(datagrams, start, stop, now)
        except Exception as fault:
            self._contain(entry, fault, now)
        if not entry.touched:
            entry.touched = True
            self._touched.append(entry)

    def _unknown(self, datagrams: Datagrams, start: i64, stop: i64, now: float) -> None:
        """A datagram that belongs to no connection."""
        data = datagrams.data
        if self._is_reset(data, start, stop, now):
            return
        if not data[start] & 0x80:
            self._unknown_short(datagrams, start, stop, now)
            return
        header = parse_long_header(data, start, stop)
        if header is None or not self._config.accept or stop - start < _SMALLEST_INITIAL:
            self.counters.datagrams_dropped += 1
            return
        if header.packet_type == PACKET_UNKNOWN:
            self.counters.version_negotiations += 1
            self._replies.version_negotiation(header, datagrams, now)
            return
        if header.packet_type not in (PACKET_INITIAL, PACKET_ZERO_RTT):
            self.counters.datagrams_dropped += 1
            return
        one = Datagrams(
            data[start:stop],
            stop - start,
            datagrams.local,
            datagrams.local_ip,
            datagrams.remote,
            datagrams.ecn,
        )
        self._knock(header, one, now)

    def _is_reset(self, data: bytes, start: i64, stop: i64, now: float) -> bool:
        """Whether a datagram ends in a known reset token, whatever its header (10.3.1)."""
        if stop - start < SMALLEST_RESET:
            return False
        owner = self._reset_tokens.owner(data[stop - TOKEN_LENGTH : stop])
        if owner is None:
            return False
        entry = self._entries.get(owner)
        if entry is not None:
            entry.connection.on_reset(
                StatelessReset("the peer no longer knows this connection and has reset it"), now
            )
            self._after(entry, now)
        return True

    def _unknown_short(self, datagrams: Datagrams, start: i64, stop: i64, now: float) -> None:
        data = datagrams.data
        size = stop - start
        self.counters.datagrams_dropped += 1
        if data[start] & 0x40 and size > 1 + self._cid_length:
            self.counters.stateless_resets += 1
            cid = data[start + 1 : start + 1 + self._cid_length]
            self._replies.stateless_reset(cid, size, datagrams, now)

    # -- clients at the door

    def _knock(self, header: LongHeader, datagram: Datagrams, now: float) -> None:
        config = self._config
        waiting = self._door.waiting()
        full = (
            len(self._entries) + waiting >= config.max_connections
            or self._half_open + waiting >= config.max_half_open
        )
        knock = self._door.knock(header, datagram, full, now)
        if knock is not None:
            check = self._door.check(knock, now)
            if check is not None:
                self._incoming.append(Incoming(self, knock, check))
        self._deadlines.set(_DOOR, self._door.deadline())

    def accept_knock(
        self, knock: Knock, check: TokenCheck, config: Configuration, now: float
    ) -> Connection:
        """Make the connection that ``Incoming.accept`` asked for."""
        self._door.forget(knock)
        source_cid = self._unused_cid()
        retried = check.kind == TOKEN_RETRY
        connection = Connection(
            config,
            False,
            make_handshake(config, False),
            int(knock.local),
            knock.local_ip,
            knock.remote,
            source_cid,
            knock.source_cid,
            check.original_dcid if retried else knock.destination_cid,
            knock.destination_cid if retried else None,
            self._config.token_keys.reset_token(source_cid),
            check.valid,
            self._workspace,
            now,
        )
        connection.set_new_token(
            make_new_token(self._config.token_keys, knock.remote, self._config.wall_clock())
        )
        self.counters.connections_accepted += 1
        entry = self._register(connection, source_cid, knock.destination_cid, now)
        for datagram in knock.datagrams:
            connection.receive(datagram, 0, len(datagram.data), now)
        connection.end_of_batch(now)
        self._after(entry, now)
        return connection

    def retry_knock(self, knock: Knock, now: float) -> None:
        """Send the Retry that ``Incoming.retry`` asked for."""
        self._door.retry(knock, now)

    def refuse_knock(self, knock: Knock, now: float) -> None:
        """Send the refusal that ``Incoming.refuse`` asked for."""
        self._door.refuse(knock, now)

    def ignore_knock(self, knock: Knock) -> None:
        """Forget a client at the door."""
        self._door.forget(knock)

    # -- datagrams out

    def transmit(self, now: float) -> Burst | None:
        """The next burst of all: own replies first, then the ready connections in turn."""
        reply = self._replies.next()
        if reply is not None:
            return reply
        ready = self._ready
        while ready:
            entry = ready[0]
            ready.popleft()
            if int(entry.connection.local) in self._blocked:
                entry.ready = False
                self._waiting.setdefault(int(entry.connection.local), {})[entry.key] = None
                # Its timers run on, but what they want to send has to wait.
                self._after_transmit(entry, now, now + _BLOCKED_PAUSE)
                continue
            burst: Burst | None = None
            try:
                burst = entry.connection.transmit(now)
            except Exception as fault:
                self._contain(entry, fault, now)
            if burst is not None:
                ready.append(entry)
                return burst
            entry.ready = False
            self._after_transmit(entry, now, now)
        return None

    def on_local(self, local: int, what: LocalChange, now: float) -> None:
        """A socket or interface of the driver changed. A blocked one holds up only the
        connections that use it."""
        if what.kind in (BLOCKED, REMOVED, DOWN):
            self._blocked[local] = True
        elif what.kind in (WRITABLE, ADDED, UP):
            self._blocked.pop(local, None)
            # Not all connections: with thousands, and a socket that fills up time and again,
            # that would cost more than the sending.
            for key in self._waiting.pop(local, {}):
                waiting = self._entries.get(key)
                if waiting is not None:
                    self._make_ready(waiting)
        elif what.kind == SEND_FAILED:
            self._on_send_failed(local, what, now)

    def _on_send_failed(self, local: int, what: LocalChange, now: float) -> None:
        if what.failure not in ("refused", "too-large"):
            return
        for entry in list(self._entries.values()):
            connection = entry.connection
            if connection.local != local or what.remote not in (None, connection.remote):
                continue
            if what.failure == "refused":
                connection.on_refused("the system reports connection refused", now)
            else:
                connection.on_too_large(what.size, now)
            self._after(entry, now)

    # -- time

    def deadline(self) -> float:
        """When :meth:`on_timeout` is due, over all connections; inf for never."""
        return self._deadlines.earliest()

    def on_timeout(self, now: float) -> None:
        """Act on every timer that is due."""
        for key in self._deadlines.due(now):
            if key == _DOOR:
                self._door.expire(now)
                self._deadlines.set(_DOOR, self._door.deadline())
                continue
            entry = self._entries.get(key)
            if entry is not None:
                try:
                    entry.connection.on_timeout(now)
                except Exception as fault:
                    self._contain(entry, fault, now)
                self._after(entry, now)

    # -- faults of our own

    def take_faults(self) -> list[Exception]:
        """Exceptions that should not have been, since the last call: bugs, worth a report.

        Each cost one connection its life (INTERNAL_ERROR) and no other anything.
        """
        taken = self._faults
        self._faults = []
        return taken

    def _contain(self, entry: _Entry, fault: Exception, now: float) -> None:
        self._note_fault(fault)
        entry.connection.fail(TransportError(INTERNAL_ERROR, "an internal fault"), now)

    def _note_fault(self, fault: Exception) -> None:
        self.counters.internal_errors += 1
        if len(self._faults) < _MAX_FAULTS:
            self._faults.append(fault)

    # -- tables

    def _register(
        self, connection: Connection, source_cid: bytes, first_cid: bytes, now: float
    ) -> _Entry:
        entry = _Entry(self._next_key, connection, first_cid)
        self._next_key += 1
        self._entries[entry.key] = entry
        self._by_connection[connection] = entry
        self._half_open += 1
        entry.cids.append(source_cid)
        self._by_cid[source_cid] = entry
        if first_cid:
            self._by_cid[first_cid] = entry
        self._make_ready(entry)
        self._deadlines.set(entry.key, connection.deadline(now))
        return entry

    def _unused_cid(self) -> bytes:
        """An ID that no connection has. Raises ``ConfigurationError`` when none is found."""
        for _ in range(_ID_ATTEMPTS):
            cid = self._config.connection_ids.generate()
            if cid not in self._by_cid:
                return cid
        raise ConfigurationError(
            f"connection IDs of {self._cid_length} bytes are all in use; take longer ones"
        )

    def _make_ready(self, entry: _Entry) -> None:
        if not entry.ready:
            entry.ready = True
            self._ready.append(entry)

    def _report(self, entry: _Entry) -> None:
        if not entry.reported:
            entry.reported = True
            self._eventful.append(entry.connection)

    def _after(self, entry: _Entry, now: float) -> None:
        """Something happened to a connection: bring the tables up to date."""
        connection = entry.connection
        for cid in connection.take_retired_cids():
            entry.cids.remove(cid)
            self._by_cid.pop(cid, None)
        for token in connection.take_added_reset_tokens():
            self._reset_tokens.add(token, entry.key)
            entry.tokens.append(token)
        for token in connection.take_removed_reset_tokens():
            # After the new ones, for one batch may bring a token and take it back.
            entry.tokens.remove(token)
            if token not in entry.tokens:
                self._reset_tokens.discard(token, entry.key)
        if entry.half_open and connection.handshake_complete:
            entry.half_open = False
            self._half_open -= 1
        wanted = connection.wants_connection_ids()
        while wanted > 0:
            wanted -= 1
            cid = self._config.connection_ids.generate()
            if cid in self._by_cid:
                continue  # so short are the IDs; the next call tries again
            entry.cids.append(cid)
            self._by_cid[cid] = entry
            connection.issue_connection_id(cid, self._config.token_keys.reset_token(cid))
        if connection.has_events():
            self._report(entry)
        if connection.closed:
            self._forget(entry)
            return
        self._make_ready(entry)

    def _after_transmit(self, entry: _Entry, now: float, not_before: float) -> None:
        connection = entry.connection
        if connection.has_events():
            self._report(entry)
        if connection.closed:
            self._forget(entry)
            return
        self._deadlines.set(entry.key, max(connection.deadline(now), not_before))

    def _forget(self, entry: _Entry) -> None:
        if entry.key not in self._entries:
            return
        del self._entries[entry.key]
        del self._by_connection[entry.connection]
        for cid in entry.cids:
            self._by_cid.pop(cid, None)
        if entry.first_cid:
            self._by_cid.pop(entry.first_cid, None)
        for token in entry.tokens:
            self._reset_tokens.discard(token, entry.key)
        if entry.half_open:
            self._half_open -= 1
        self._deadlines.remove(entry.key)
        for keys in self._waiting.values():
            keys.pop(entry.key, None)
        self.counters.connections_closed += 1
