"""The client's side of flows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, final

from ropewalk.lab.scenario import FlowSpec
from ropewalk.lab.traffic.content import LARGEST_PIECE, salt_of
from ropewalk.lab.traffic.datagrams import DatagramFlow, take_datagrams
from ropewalk.lab.traffic.records import ConnectionRecord, FlowRecord, act_later
from ropewalk.lab.traffic.streams import ENDLESS, READ_LIMIT, Header, Receiver, Sender
from ropewalk.quic.connection import Connection
from ropewalk.quic.types.errors import StreamError, StreamReset
from ropewalk.quic.types.events import (
    ConnectionClosed,
    DatagramsReadable,
    Event,
    HandshakeComplete,
    HandshakeConfirmed,
    StreamReadable,
    StreamResetByPeer,
    StreamsAvailable,
    StreamStoppedByPeer,
    StreamWritable,
)
from ropewalk.sim.host import Application, Host

#: What a datagram may still need after its flow's last one was sent.
_GRACE: Final = 0.5


def share(total: int, parts: int, index: int) -> int:
    """How much of ``total`` the part with this index has when all are as equal as can be."""
    return total // parts + (1 if index < total % parts else 0)


def message_count(spec: FlowSpec) -> int:
    """How many messages or datagrams a flow has."""
    return spec.count or max(1, math.floor(spec.duration * spec.rate / spec.size))


@final
class _Exchange:
    """One stream: what goes up, what comes down."""

    def __init__(self, number: int, due: float, sender: Sender, receiver: Receiver) -> None:
        self.number = number
        self.due = due
        self.sender = sender
        self.receiver = receiver


@final
class ClientFlow:
    """Opens a flow's streams as its kind asks, and reads the answers."""

    def __init__(self, record: FlowRecord, owner: ClientConnection) -> None:
        self.record = record
        self.exchanges: dict[int, _Exchange] = {}
        self.datagrams: DatagramFlow | None = None
        self._owner = owner
        self._opened = 0
        self._active = 0
        spec = record.spec
        self._total = {"requests": spec.count or 1 << 40, "idle": 0}.get(spec.kind, 1)
        if spec.kind == "bulk":
            self._total = spec.streams

    def begin(self) -> None:
        """The flow's time has come, and the handshake is complete."""
        record, spec = self.record, self.record.spec
        now = self._owner.host.now
        record.begun = now
        if spec.warmup > 0.0:
            self._owner.at(now + spec.warmup, self._warm)
        if spec.duration > 0.0 and spec.kind not in ("messages", "datagrams"):
            self._owner.at(now + spec.duration, self._time_is_up)
        if spec.interval > 0.0:
            self._owner.at(now + spec.interval, self._next_due)
        self.open_more()

    def open_more(self) -> None:
        """Open what streams are due."""
        record, spec = self.record, self.record.spec
        if record.begun < 0.0 or record.over:
            return
        while self._opened < self._total and self._active < spec.streams:
            due = self._owner.host.now
            if spec.interval > 0.0:
                due = record.begun + self._opened * spec.interval
                if due > self._owner.host.now + 1e-9:
                    return
            stream_id = self._owner.connection.open_stream()
            if stream_id is None:
                return
            self._open(stream_id, due)

    def _open(self, stream_id: int, due: float) -> None:
        record = self.record
        number = self._opened
        self._opened += 1
        self._active += 1
        header = self._header(number)
        sender = Sender(
            self._owner.connection,
            stream_id,
            record.content,
            salt_of(record.index, number, downward=False),
            header.following,
            min(record.spec.chunk, LARGEST_PIECE),
            header.pack(),
        )
        receiver = Receiver(
            record.content,
            salt_of(record.index, number, downward=True),
            self._owner.host.name,
            f"flow {record.spec.name}, stream {stream_id}",
        )
        record.streams.append(stream_id)
        self.exchanges[stream_id] = _Exchange(number, due, sender, receiver)
        self._owner.flow_of[stream_id] = self
        if record.spec.kind == "messages" and record.spec.direction == "up":
            sender.released = 0
            self._owner.pace(record, sender)
        if record.spec.kind == "datagrams":
            self._begin_datagrams(sender)
        sender.go_on()

    def _header(self, number: int) -> Header:
        spec = self.record.spec
        wanted = (
            share(spec.download, spec.streams, number) if spec.kind == "bulk" else spec.download
        )
        following = share(spec.upload, spec.streams, number) if spec.kind == "bulk" else spec.upload
        interval = 0.0
        if spec.kind == "bulk" and spec.duration > 0.0:
            wanted = 0 if spec.direction == "up" else ENDLESS
            following = 0 if spec.direction == "down" else ENDLESS
        elif spec.kind in ("messages", "datagrams"):
            size = message_count(spec) * spec.size
            interval = spec.size / spec.rate
            wanted, following = (size, 0) if spec.direction == "down" else (0, size)
            if spec.kind == "datagrams":
                following = 0
        patient = spec.kind == "requests"
        return Header(self.record.index, number, wanted, following, interval, spec.size, patient)

    # -- what comes

    def read(self, stream_id: int) -> None:
        """A stream has something to read."""
        exchange = self.exchanges.get(stream_id)
        record = self.record
        if exchange is None or exchange.receiver.over:
            return
        if record.paused["client"]:
            record.unread["client"].append(stream_id)
            return
        receiver = exchange.receiver
        connection = self._owner.connection
        now = self._owner.host.now
        try:
            while True:
                data, end = connection.read(stream_id, READ_LIMIT)
                if data:
                    receiver.take(data, now)
                    record.received += len(data)
                    self._note_messages(receiver, now)
                if end:
                    record.complete += 1
                    self._end(exchange, "")
                    return
                if not data:
                    return
        except StreamReset:
            record.reset += 1
            self._end(exchange, f"stream {stream_id} was reset")
        except StreamError:
            self._end(exchange, f"stream {stream_id} was not read to its end")

    def stopped(self, stream_id: int) -> None:
        """The server no longer reads a stream."""
        exchange = self.exchanges.get(stream_id)
        if exchange is not None:
            exchange.sender.over = True
            self.record.stopped += 1
            self.record.lack(f"the server stopped reading stream {stream_id}")

    def give_up_reading(self, stream_id: int) -> None:
        """The client no longer reads a stream."""
        exchange = self.exchanges.get(stream_id)
        if exchange is not None and not exchange.receiver.over:
            self.record.stopped += 1
            self._end(exchange, f"the client stopped reading stream {stream_id}")

    def _note_messages(self, receiver: Receiver, now: float) -> None:
        record = self.record
        if record.spec.kind != "messages" or record.spec.direction != "down":
            return
        while (len(record.latencies) + 1) * record.spec.size <= receiver.received:
            record.latencies.append(now - record.sent_times[len(record.latencies)])

    def _end(self, exchange: _Exchange, lack: str) -> None:
        record = self.record
        header = self._header(exchange.number)
        exchange.receiver.over = True
        self._active -= 1
        if lack:
            record.lack(lack)
        elif exchange.receiver.received != header.wanted and record.spec.kind != "datagrams":
            record.lack(
                f"{exchange.receiver.received} of {header.wanted} bytes came, and then the end"
            )
        if record.spec.kind == "requests":
            record.latencies.append(self._owner.host.now - exchange.due)
        if record.spec.kind == "datagrams":
            self._owner.at(self._owner.host.now + _GRACE, self._finish)
            return
        if self._opened == self._total and self._active == 0:
            self._finish()
        else:
            self.open_more()

    # -- the clock

    def _next_due(self) -> None:
        if not self.record.over:
            self.open_more()
            if self._opened < self._total:
                self._owner.at(self._owner.host.now + self.record.spec.interval, self._next_due)

    def _warm(self) -> None:
        self.record.received_at_warmup = self.record.received

    def _time_is_up(self) -> None:
        self._finish()
        for stream_id, exchange in self.exchanges.items():
            if self._owner.connection.active and not self._owner.is_over():
                if not exchange.receiver.over:
                    self._owner.connection.stop(stream_id, 0)
                if not exchange.sender.over:
                    self._owner.connection.reset(stream_id, 0)

    def _finish(self) -> None:
        if not self.record.over:
            self.record.finished = self._owner.host.now
            self._owner.flow_finished()

    def _begin_datagrams(self, control: Sender) -> None:
        record = self.record
        if record.spec.direction == "up":
            control.may_finish = False
            self.datagrams = DatagramFlow(record, self._owner.host, self._owner.connection, control)
            self.datagrams.begin(message_count(record.spec))


@final
class ClientConnection:
    """One connection of a client, with the flows on it."""

    def __init__(self, record: ConnectionRecord, host: Host, connection: Connection) -> None:
        self.record = record
        self.host = host
        self.connection = connection
        self.flow_of: dict[int, ClientFlow] = {}
        self.flows = [ClientFlow(flow, self) for flow in record.flows]

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something later, unless the connection has ended by then."""
        act_later(self.host, self.connection, when, action)

    def pace(self, record: FlowRecord, sender: Sender) -> None:
        """Release one message after the other."""
        spec = record.spec
        release_messages(
            record,
            sender,
            message_count(spec),
            spec.size,
            spec.size / spec.rate,
            self.at,
            self.host.now,
        )

    def on_event(self, event: Event) -> None:
        """The connection tells something."""
        if isinstance(event, StreamReadable):
            self.flow_of[event.stream_id].read(event.stream_id)
        elif isinstance(event, StreamWritable):
            flow = self.flow_of[event.stream_id]
            flow.exchanges[event.stream_id].sender.go_on()
        elif isinstance(event, HandshakeComplete):
            self.record.handshake_done = self.host.now
            for flow in self.flows:
                start = self.record.opened + flow.record.spec.start - self.record.spec.start
                if start <= self.host.now:
                    flow.begin()
                else:
                    self.at(start, flow.begin)
        elif isinstance(event, HandshakeConfirmed):
            for plan in self.record.when_confirmed:
                plan()
        elif isinstance(event, StreamsAvailable):
            for flow in self.flows:
                flow.open_more()
        elif isinstance(event, StreamResetByPeer):
            self.flow_of[event.stream_id].read(event.stream_id)
        elif isinstance(event, StreamStoppedByPeer):
            self.flow_of[event.stream_id].stopped(event.stream_id)
        elif isinstance(event, DatagramsReadable):
            take_datagrams(self.connection, self.record, "down", self.host)
        elif isinstance(event, ConnectionClosed):
            self.record.client_closed = self.host.now
            for flow in self.flows:
                if not flow.record.over:
                    flow.record.lost = True
                    flow.record.lack(f"the connection was lost: {event.error}")

    def is_over(self) -> bool:
        """Whether all flows are."""
        return all(flow.record.over for flow in self.flows)

    def flow_finished(self) -> None:
        """One flow is done; the last one closes the connection."""
        if not self.is_over():
            return
        spec = self.record.spec
        host, connection = self.record.end(spec.closes)
        if host is None or connection is None:
            return
        if host is self.host:
            connection.close(spec.close_code, "done", host.now)
        else:
            there = host
            act_later(
                host,
                connection,
                host.now,
                lambda: connection.close(spec.close_code, "done", there.now),
            )


def release_messages(
    record: FlowRecord,
    sender: Sender,
    count: int,
    size: int,
    interval: float,
    at: Callable[[float, Callable[[], None]], None],
    start: float,
) -> None:
    """Release ``count`` messages of ``size`` bytes, ``interval`` apart, from now on."""

    def release() -> None:
        number = len(record.sent_times)
        record.sent_times.append(start + number * interval)
        sender.released = (number + 1) * size
        sender.go_on()
        if number + 1 < count and not sender.over:
            at(start + (number + 1) * interval, release)

    release()


@final
class ClientApplication(Application):
    """What runs on a client: its connections, found by the object."""

    def __init__(self) -> None:
        self.connections: dict[int, ClientConnection] = {}

    def add(self, record: ConnectionRecord, host: Host, connection: Connection) -> ClientConnection:
        """A connection that was just opened."""
        client = ClientConnection(record, host, connection)
        self.connections[id(connection)] = client
        return client

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        self.connections[id(connection)].on_event(event)
