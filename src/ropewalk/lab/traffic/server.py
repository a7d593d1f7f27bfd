"""The server's side of flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from ropewalk.lab.traffic.client import message_count, release_messages
from ropewalk.lab.traffic.content import LARGEST_PIECE, salt_of
from ropewalk.lab.traffic.datagrams import DatagramFlow, take_datagrams
from ropewalk.lab.traffic.records import ConnectionRecord, FlowRecord, act_later
from ropewalk.lab.traffic.streams import HEADER, READ_LIMIT, Header, Receiver, Sender
from ropewalk.quic.connection import Connection
from ropewalk.quic.endpoint import Incoming
from ropewalk.quic.types.errors import StreamError
from ropewalk.quic.types.events import (
    ConnectionClosed,
    DatagramsReadable,
    Event,
    PathMigrated,
    StreamOpened,
    StreamReadable,
    StreamResetByPeer,
    StreamStoppedByPeer,
    StreamWritable,
)
from ropewalk.sim.host import Application, Host
from ropewalk.sim.watching import Watchers


@final
class _ServerStream:
    """One stream that a client opened."""

    def __init__(self) -> None:
        self.head = b""
        self.flow: FlowRecord | None = None
        self.header: Header | None = None
        self.receiver: Receiver | None = None
        self.sender: Sender | None = None
        self.ended = False


@final
class ServerConnection:
    """One connection of a server."""

    def __init__(self, record: ConnectionRecord, host: Host, connection: Connection) -> None:
        self.record = record
        self.host = host
        self.connection = connection
        self.streams: dict[int, _ServerStream] = {}

    def on_event(self, event: Event) -> None:
        """The connection tells something."""
        if isinstance(event, StreamReadable):
            self.read(event.stream_id)
        elif isinstance(event, StreamWritable):
            sender = self.streams[event.stream_id].sender
            if sender is not None:
                sender.go_on()
        elif isinstance(event, StreamOpened):
            self.streams[event.stream_id] = _ServerStream()
        elif isinstance(event, StreamResetByPeer):
            self.read(event.stream_id)
        elif isinstance(event, StreamStoppedByPeer):
            sender = self.streams[event.stream_id].sender
            if sender is not None:
                sender.over = True
        elif isinstance(event, DatagramsReadable):
            take_datagrams(self.connection, self.record, "up", self.host)
        elif isinstance(event, PathMigrated):
            self.record.remotes.append(str(event.remote))
        elif isinstance(event, ConnectionClosed):
            self.record.server_closed = self.host.now

    def read(self, stream_id: int) -> None:
        """A stream has something to read."""
        stream = self.streams[stream_id]
        flow = stream.flow
        if flow is not None and flow.paused["server"]:
            flow.unread["server"].append(stream_id)
            return
        try:
            while not stream.ended:
                data, stream.ended = self.connection.read(stream_id, READ_LIMIT)
                if data:
                    self._take(stream_id, stream, data)
                elif not stream.ended:
                    return
        except StreamError:
            stream.ended = True
            if flow is not None:
                flow.lack(f"the server could not read stream {stream_id} to its end")
        self._at_end(stream_id, stream)

    def give_up_reading(self, stream_id: int) -> None:
        """The server no longer reads a stream; its answer comes to its end all the same."""
        stream = self.streams.get(stream_id)
        if stream is not None and not stream.ended:
            stream.ended = True
            self._at_end(stream_id, stream)

    def _take(self, stream_id: int, stream: _ServerStream, data: bytes) -> None:
        if stream.receiver is None:
            stream.head += data
            if len(stream.head) < HEADER.size:
                return
            data = stream.head[HEADER.size :]
            self._begin(stream_id, stream, Header.unpack(stream.head))
        receiver, flow = stream.receiver, stream.flow
        if data and receiver is not None and flow is not None:
            receiver.take(data, self.host.now)
            flow.received += len(data)
            if flow.spec.kind == "messages":
                while (len(flow.latencies) + 1) * flow.spec.size <= receiver.received:
                    flow.latencies.append(self.host.now - flow.sent_times[len(flow.latencies)])

    def _begin(self, stream_id: int, stream: _ServerStream, header: Header) -> None:
        """The header is there: prepare the answer."""
        flow = next(one for one in self.record.flows if one.index == header.flow)
        stream.flow = flow
        stream.header = header
        stream.receiver = Receiver(
            flow.content,
            salt_of(header.flow, header.number, downward=False),
            self.host.name,
            f"flow {flow.spec.name}, stream {stream_id}",
        )
        datagrams = flow.spec.kind == "datagrams"
        sender = Sender(
            self.connection,
            stream_id,
            flow.content,
            salt_of(header.flow, header.number, downward=True),
            0 if datagrams else header.wanted,
            min(flow.spec.chunk, LARGEST_PIECE),
        )
        sender.may_finish = False
        stream.sender = sender
        if datagrams and header.wanted:
            DatagramFlow(flow, self.host, self.connection, sender).begin(message_count(flow.spec))
        elif header.interval > 0.0 and header.wanted:
            sender.released = 0
            release_messages(
                flow,
                sender,
                message_count(flow.spec),
                header.size,
                header.interval,
                self._later,
                self.host.now,
            )
        elif not header.patient:
            sender.go_on()

    def _at_end(self, stream_id: int, stream: _ServerStream) -> None:
        """The request is whole, or will never be: the answer may end, too."""
        flow, header, receiver, sender = stream.flow, stream.header, stream.receiver, stream.sender
        if flow is None or header is None or receiver is None or sender is None:
            return
        if receiver.received != header.following and not receiver.over:
            flow.lack(f"{receiver.received} of {header.following} bytes went up")
        receiver.over = True
        if flow.spec.kind == "datagrams" and header.wanted:
            return  # the end tells that all datagrams are out
        sender.may_finish = True
        sender.go_on()

    def _later(self, when: float, action: Callable[[], None]) -> None:
        act_later(self.host, self.connection, when, action)


@final
class ServerApplication(Application):
    """What runs on a server. A client tells by the server name which connection it is."""

    def __init__(self, watchers: Watchers, retry: bool) -> None:
        self.expected: dict[str, ConnectionRecord] = {}
        self.connections: dict[int, ServerConnection] = {}
        self._watchers = watchers
        self._retry = retry

    def on_incoming(self, host: Host, incoming: Incoming) -> None:
        record = self.expected.get(incoming.server_name or "")
        if record is None or record.server is not None or record.server_config is None:
            # Late copies of a first flight are no second client.
            incoming.ignore()
            return
        if self._retry and not incoming.token_valid:
            incoming.retry(host.now)
            return
        connection = host.track(incoming.accept(record.server_config, host.now))
        record.server = connection
        record.remotes.append(str(connection.remote))
        self.connections[id(connection)] = ServerConnection(record, host, connection)
        if record.server_witness is not None:
            self._watchers.watch(record.server_witness, host, connection)

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        self.connections[id(connection)].on_event(event)
