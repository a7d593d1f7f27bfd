"""What is known of each flow and connection of a run. Both ends write into the same records."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from ropewalk.lab.scenario import FlowSpec
from ropewalk.lab.traffic.content import Content
from ropewalk.quic.connection import Connection
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.errors import ConnectionLost
from ropewalk.sim.host import Host
from ropewalk.sim.witness import Witness


def act(host: Host, connection: Connection, action: Callable[[], None]) -> None:
    """Run application code that uses a connection, and send what it caused."""

    def act_and_touch() -> None:
        action()
        host.endpoint.touch(connection)

    host.act(act_and_touch)


def act_later(host: Host, connection: Connection, when: float, action: Callable[[], None]) -> None:
    """The same at a later time, unless the connection has ended by then."""

    def act_if_active() -> None:
        if connection.active:
            act(host, connection, action)

    host.network.clock.at(when, act_if_active)


@final
class FlowRecord:
    """One flow. Times are virtual; -1.0 means not yet."""

    def __init__(self, index: int, spec: FlowSpec, content: Content) -> None:
        self.index = index
        self.spec = spec
        self.content = content
        self.begun = -1.0
        self.finished = -1.0
        self.received = 0
        self.received_at_warmup = 0
        self.complete = 0
        self.reset = 0
        self.stopped = 0
        #: when each message, datagram or exchange was due, and how long it took
        self.sent_times: list[float] = []
        self.latencies: list[float] = []
        self.datagrams_received: dict[int, bool] = {}
        self.paused = {"client": False, "server": False}
        #: streams that had something to read while their reader was paused
        self.unread: dict[str, list[int]] = {"client": [], "server": []}
        #: the client's stream IDs in the order of opening
        self.streams: list[int] = []
        #: why not everything arrived, and whether it was for the end of the connection
        self.shortfall = ""
        self.lost = False

    @property
    def over(self) -> bool:
        """Nothing more will come of it."""
        return self.finished >= 0.0 or self.lost

    def lack(self, why: str) -> None:
        """Note the first reason why the flow is not intact."""
        if not self.shortfall:
            self.shortfall = why

    def goodput(self, end: float) -> float:
        """Application bytes per second after the warm-up."""
        start = self.begun + self.spec.warmup
        until = self.finished if self.finished >= 0.0 else end
        if self.begun < 0.0 or until <= start:
            return 0.0
        return (self.received - self.received_at_warmup) / (until - start)


@final
class ConnectionRecord:
    """One connection and the flows that run on it."""

    def __init__(self, index: int, flows: list[FlowRecord]) -> None:
        self.index = index
        self.flows = flows
        self.server_config: Configuration | None = None
        self.server_witness: Witness | None = None
        self.client_host: Host | None = None
        self.server_host: Host | None = None
        self.client: Connection | None = None
        self.server: Connection | None = None
        self.opened = -1.0
        self.handshake_done = -1.0
        self.client_closed = -1.0
        self.server_closed = -1.0
        #: to be planned once the client knows that the handshake is confirmed
        self.when_confirmed: list[Callable[[], None]] = []
        #: addresses of the client as the server saw them, in order
        self.remotes: list[str] = []

    @property
    def spec(self) -> FlowSpec:
        """The flow that opened the connection."""
        return self.flows[0].spec

    def end(self, side: str) -> tuple[Host | None, Connection | None]:
        """Host and connection of one side."""
        if side == "client":
            return self.client_host, self.client
        return self.server_host, self.server

    def error(self, side: str) -> ConnectionLost | None:
        """Why the connection ended on one side."""
        connection = self.client if side == "client" else self.server
        return None if connection is None else connection.close_error

    @property
    def closed(self) -> bool:
        """Both sides are closed, or never came to be."""
        if self.client is None:
            return False
        return self.client.closed and (self.server is None or self.server.closed)
