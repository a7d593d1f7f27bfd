"""Moves a known number of bytes between two simulated hosts and reports what happened."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

from ropewalk.quic.connection import Connection
from ropewalk.quic.endpoint import Incoming
from ropewalk.quic.handshake.credentials import StaticCredentials
from ropewalk.quic.path.stats import PathStats
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import Configuration, PinnedKey
from ropewalk.quic.types.errors import ConnectionLost
from ropewalk.quic.types.events import (
    ConnectionClosed,
    Event,
    HandshakeComplete,
    StreamOpened,
    StreamReadable,
    StreamsAvailable,
    StreamWritable,
)
from ropewalk.sim.batching import Coalescing
from ropewalk.sim.identity import EPOCH, seeded_entropy, seeded_identity
from ropewalk.sim.link import LinkCounters, LinkProfile
from ropewalk.sim.network import Application, Host, Network
from ropewalk.sim.oracles import Amplification, Oracle, all_oracles
from ropewalk.sim.witness import Auditor, Witness

#: The application protocol of a simulated transfer.
ALPN = "transfer.sim"
CLIENT = Address("192.0.2.1", 50000)
SERVER = Address("192.0.2.2", 443)

_REQUEST = struct.Struct("!QQ")  # bytes wanted, bytes that follow
_READ_LIMIT = 1 << 18


class TransferFailed(Exception):
    """The bytes did not get across: the connection was lost, or time ran out."""


@dataclass(frozen=True, kw_only=True)
class TransferPlan:
    """What to move, over what, and for how long to try (virtual seconds).

    ``download`` bytes go from server to client and ``upload`` bytes the other way, each
    divided over ``streams`` bidirectional streams. ``chunk`` is what the application
    writes in one call. ``settings`` are replaced in both sides' configurations.
    """

    seed: int
    forward: LinkProfile = field(default_factory=LinkProfile)
    backward: LinkProfile = field(default_factory=LinkProfile)
    download: int = 0
    upload: int = 0
    streams: int = 1
    chunk: int = 1 << 18
    coalescing: Coalescing = field(default_factory=Coalescing)
    settings: dict[str, object] = field(default_factory=dict)
    time_limit: float = 3600.0
    #: check every plaintext packet as well (:mod:`ropewalk.sim.witness`)
    witness: bool = True
    oracles: Sequence[Oracle] | None = None


@dataclass(frozen=True, kw_only=True)
class TransferResult:
    """What happened. Times in virtual seconds since the client began to connect."""

    #: SHA-256 over all streams in the order of their numbers, as sent and as received
    download_sent: str
    download_received: str
    upload_sent: str
    upload_received: str
    bytes_received: int
    handshake_time: float
    duration: float
    closed_time: float
    trace: str
    client: PathStats
    server: PathStats
    forward: LinkCounters
    backward: LinkCounters
    client_error: ConnectionLost | None
    server_error: ConnectionLost | None

    @property
    def intact(self) -> bool:
        """Whether every byte arrived, in order, in both directions."""
        return (
            self.download_sent == self.download_received
            and self.upload_sent == self.upload_received
        )


def pattern(seed: int, stream: int, direction: str, size: int) -> bytes:
    """The bytes that a stream of a transfer carries."""
    source = random.Random(f"{seed}/{stream}/{direction}")  # noqa: S311 - it has to repeat
    return source.randbytes(size)


def share(total: int, streams: int, index: int) -> int:
    """How many of ``total`` bytes the stream with this index carries."""
    return total // streams + (1 if index < total % streams else 0)


@final
class _Sender:
    """Writes one stream's bytes as fast as it takes them."""

    def __init__(self, stream_id: int, data: bytes, chunk: int) -> None:
        self.stream_id = stream_id
        self.data = data
        self.chunk = chunk
        self.position = 0
        self.finished = False
        #: keep the stream open until this is true, though everything is written
        self.may_finish = True

    def go_on(self, connection: Connection) -> None:
        while self.position < len(self.data):
            piece = self.data[self.position : self.position + self.chunk]
            accepted = connection.write(self.stream_id, piece)
            self.position += accepted
            if accepted < len(piece):
                return
        if self.may_finish and not self.finished:
            self.finished = True
            connection.finish(self.stream_id)


@final
class _Client(Application):
    def __init__(self, plan: TransferPlan) -> None:
        self.plan = plan
        self.senders: dict[int, _Sender] = {}
        self.received: dict[int, list[bytes]] = {}
        self.ended = 0
        self.handshake_time = -1.0
        self.done_time = -1.0
        self.closed_time = -1.0

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        if isinstance(event, HandshakeComplete):
            self.handshake_time = host.now
            self._open(connection)
        elif isinstance(event, StreamsAvailable):
            self._open(connection)
        elif isinstance(event, StreamWritable):
            self.senders[event.stream_id].go_on(connection)
        elif isinstance(event, StreamReadable):
            self._read(host, connection, event.stream_id)
        elif isinstance(event, ConnectionClosed):
            self.closed_time = host.now

    def _open(self, connection: Connection) -> None:
        plan = self.plan
        while len(self.senders) < plan.streams:
            stream_id = connection.open_stream()
            if stream_id is None:
                return
            index = len(self.senders)
            up = share(plan.upload, plan.streams, index)
            request = _REQUEST.pack(share(plan.download, plan.streams, index), up)
            data = request + pattern(plan.seed, index, "up", up)
            sender = _Sender(stream_id, data, plan.chunk)
            self.senders[stream_id] = sender
            self.received[stream_id] = []
            sender.go_on(connection)

    def _read(self, host: Host, connection: Connection, stream_id: int) -> None:
        while True:
            data, end = connection.read(stream_id, _READ_LIMIT)
            if data:
                self.received[stream_id].append(data)
            if end:
                self.ended += 1
                break
            if not data:
                break
        if self.ended == self.plan.streams and self.done_time < 0.0:
            self.done_time = host.now
            connection.close(0, "done", host.now)


@final
class _Answer:
    """The server's side of one stream."""

    def __init__(self) -> None:
        self.request = b""
        self.received: list[bytes] = []
        self.sender: _Sender | None = None


@final
class _Server(Application):
    def __init__(self, plan: TransferPlan, network: Network, config: Configuration) -> None:
        self.plan = plan
        self.network = network
        self.config = config
        self.witness: Witness | None = None
        self.auditor: Auditor | None = None
        self.connection: Connection | None = None
        self.answers: dict[int, _Answer] = {}

    def on_incoming(self, host: Host, incoming: Incoming) -> None:
        if self.connection is not None:
            # A duplicate of the first flight that came after all is not a second client.
            incoming.ignore()
            return
        self.connection = host.track(incoming.accept(self.config, host.now))
        if self.witness is not None and self.auditor is not None:
            self.witness.watch(self.auditor, host, self.connection)

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        if isinstance(event, StreamOpened):
            self.answers[event.stream_id] = _Answer()
        elif isinstance(event, StreamReadable):
            self._read(connection, event.stream_id)
        elif isinstance(event, StreamWritable):
            sender = self.answers[event.stream_id].sender
            if sender is not None:
                sender.go_on(connection)

    def _read(self, connection: Connection, stream_id: int) -> None:
        answer = self.answers[stream_id]
        while True:
            data, end = connection.read(stream_id, _READ_LIMIT)
            if data:
                self._take(connection, stream_id, answer, data)
            if end and answer.sender is not None:
                # The end of the answer tells the client that the whole upload arrived.
                answer.sender.may_finish = True
                answer.sender.go_on(connection)
            if end or not data:
                return

    def _take(self, connection: Connection, stream_id: int, answer: _Answer, data: bytes) -> None:
        if answer.sender is not None:
            answer.received.append(data)
            return
        answer.request += data
        if len(answer.request) < _REQUEST.size:
            return
        wanted, _ = _REQUEST.unpack_from(answer.request)
        answer.received.append(answer.request[_REQUEST.size :])
        content = pattern(self.plan.seed, stream_id // 4, "down", wanted)
        answer.sender = _Sender(stream_id, content, self.plan.chunk)
        answer.sender.may_finish = False
        answer.sender.go_on(connection)


@final
class Transfer:
    """One planned transfer: the network, both hosts, and :meth:`run`."""

    def __init__(self, plan: TransferPlan) -> None:
        self.plan = plan
        base = client_configuration(plan)
        oracles = plan.oracles
        if oracles is None:
            oracles = all_oracles(base.max_udp_payload)
        self.network = Network(plan.seed, oracles)
        base = replace(base, wall_clock=self.network.wall_clock)
        serving = server_configuration(plan, base)
        self.client_app = _Client(plan)
        self.server_app = _Server(plan, self.network, serving)
        client_witness: Witness | None = None
        if plan.witness:
            client_witness = Witness("client", True, serving)
            self.server_app.witness = Witness("server", False, base)
            base = replace(base, observer=client_witness)
            self.server_app.config = replace(serving, observer=self.server_app.witness)
            # An answered challenge proves an address, and only the witness sees one.
            auditor = Auditor(
                next((one for one in self.network.oracles if isinstance(one, Amplification)), None)
            )
            self.server_app.auditor = auditor
            self.network.oracles.append(auditor)
        self.client_host = self.network.add_host(
            "client", self.client_app, [CLIENT], coalescing=plan.coalescing
        )
        self.server_host = self.network.add_host(
            "server", self.server_app, [SERVER], accept=True, coalescing=plan.coalescing
        )
        self.forward, self.backward = self.network.join(CLIENT, SERVER, plan.forward, plan.backward)
        self.connection = self.client_host.track(
            self.client_host.endpoint.open(base, SERVER, 0, self.network.clock.now)
        )
        if client_witness is not None and self.server_app.auditor is not None:
            client_witness.watch(self.server_app.auditor, self.client_host, self.connection)

    def run(self) -> TransferResult:
        """Move everything, close, and wait until both sides are closed.

        Raises ``TransferFailed`` when the connection is lost or the plan's time is over,
        and :class:`~ropewalk.sim.oracles.Violation` when a law was broken on the way.
        """
        clock = self.network.clock
        self.client_host.drive()
        clock.run_until(self.plan.time_limit, self._over)
        if self.client_app.done_time < 0.0:
            raise TransferFailed(self._why())
        client = self.connection.path_stats()[0]
        peer = self.server_app.connection
        if peer is None:
            raise TransferFailed("the server never accepted, and yet the client is done")
        server = peer.path_stats()[0]
        clock.run_until(clock.now + self.plan.time_limit, lambda: self._closed(peer))
        if not self._closed(peer):
            raise TransferFailed(
                f"the bytes arrived, but client closed is {self.connection.closed} and "
                f"server closed is {peer.closed} at {clock.now:.3f} s"
            )
        return self._result(client, server, peer)

    def _over(self) -> bool:
        peer = self.server_app.connection
        return (
            self.client_app.done_time >= 0.0
            or self.connection.closed
            or (peer is not None and peer.closed)
        )

    def _closed(self, peer: Connection) -> bool:
        return self.connection.closed and peer.closed

    def _why(self) -> str:
        peer = self.server_app.connection
        received = sum(
            len(piece) for pieces in self.client_app.received.values() for piece in pieces
        )
        return (
            f"seed {self.plan.seed}: at {self.network.clock.now:.3f} s the client has "
            f"{received} of {self.plan.download} bytes and {self.client_app.ended} of "
            f"{self.plan.streams} streams; client error {self.connection.close_error!r}, "
            f"server error {None if peer is None else peer.close_error!r}, next thing at "
            f"{self.network.clock.next_time()}"
        )

    def _result(self, client: PathStats, server: PathStats, peer: Connection) -> TransferResult:
        plan = self.plan
        down_sent, up_sent = hashlib.sha256(), hashlib.sha256()
        down_received, up_received = hashlib.sha256(), hashlib.sha256()
        total = 0
        for index in range(plan.streams):
            stream_id = 4 * index
            size = share(plan.download, plan.streams, index)
            down_sent.update(pattern(plan.seed, index, "down", size))
            size = share(plan.upload, plan.streams, index)
            up_sent.update(pattern(plan.seed, index, "up", size))
            for piece in self.client_app.received[stream_id]:
                down_received.update(piece)
                total += len(piece)
            for piece in self.server_app.answers[stream_id].received:
                up_received.update(piece)
                total += len(piece)
        return TransferResult(
            download_sent=down_sent.hexdigest(),
            download_received=down_received.hexdigest(),
            upload_sent=up_sent.hexdigest(),
            upload_received=up_received.hexdigest(),
            bytes_received=total,
            handshake_time=self.client_app.handshake_time,
            duration=self.client_app.done_time,
            closed_time=self.client_app.closed_time,
            trace=self.network.trace(),
            client=client,
            server=server,
            forward=self.forward.counters,
            backward=self.backward.counters,
            client_error=self.connection.close_error,
            server_error=peer.close_error,
        )


def client_configuration(plan: TransferPlan) -> Configuration:
    """The client's settings: X25519 alone, because ML-KEM cannot be seeded."""
    identity = seeded_identity(plan.seed)
    base = Configuration(
        entropy=seeded_entropy(f"{plan.seed}/client-tls"),
        wall_clock=lambda: EPOCH,
        alpn=(ALPN,),
        server_name="server.sim",
        verification=PinnedKey((identity.spki_sha256,)),
        groups=("X25519",),
        key_shares=("X25519",),
        deterministic_signing=True,
    )
    return replace(base, **plan.settings)  # type: ignore[arg-type]  # settings by name


def server_configuration(plan: TransferPlan, base: Configuration) -> Configuration:
    """The server's settings: the client's, with a credential of its own."""
    identity = seeded_identity(plan.seed)
    return replace(
        base,
        entropy=seeded_entropy(f"{plan.seed}/server-tls"),
        server_name=None,
        credentials=StaticCredentials(identity.credential),
    )


def run_transfer(plan: TransferPlan) -> TransferResult:
    """Plan in, result out; see :class:`Transfer`."""
    return Transfer(plan).run()
