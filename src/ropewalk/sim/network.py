"""Simulated hosts, each with one sans-IO endpoint, joined by links in virtual time."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Sequence
from typing import final

from ropewalk.quic.connection import Connection
from ropewalk.quic.endpoint import Endpoint, Incoming
from ropewalk.quic.endpoint.connection_ids import RandomConnectionIds
from ropewalk.quic.endpoint.token_keys import RootTokenKeys
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import EndpointConfiguration
from ropewalk.quic.types.datagrams import Burst
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.quic.types.events import Event
from ropewalk.sim.batching import Coalescing, Received, gather
from ropewalk.sim.clock import Timer, VirtualClock
from ropewalk.sim.identity import EPOCH, seeded_entropy
from ropewalk.sim.link import Link, LinkProfile
from ropewalk.sim.oracles import Oracle, Violation

#: Bursts of one host at one instant; more means that ``transmit`` never comes to an end.
MAX_BURSTS = 100_000


class Application:
    """What runs on a host. Every hook may use the connection; the host sends afterwards."""

    def on_incoming(self, host: Host, incoming: Incoming) -> None:
        """A client knocks. Unless overridden it is ignored."""
        incoming.ignore()

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        """A connection has something to tell."""


@final
class Host:
    """One machine: an endpoint, its interfaces, an application."""

    def __init__(
        self,
        network: Network,
        name: str,
        endpoint: Endpoint,
        application: Application,
        coalescing: Coalescing,
        accepts: bool,
    ) -> None:
        self.network = network
        self.name = name
        self.endpoint = endpoint
        self.application = application
        self.coalescing = coalescing
        #: whether it takes new connections from the network
        self.accepts = accepts
        #: interfaces by their number ("local" of the contract)
        self.addresses: list[Address] = []
        #: every connection that was opened or accepted here, also those that are gone
        self.connections: list[Connection] = []
        self.bursts_sent = 0
        self.datagrams_sent = 0
        self.buffers_received = 0
        self.datagrams_received = 0
        self.timeouts = 0
        self._waiting: list[Received] = []
        self._delivery: Timer | None = None
        self._wakeup: Timer | None = None
        self._driving = False

    @property
    def now(self) -> float:
        """The virtual time."""
        return self.network.clock.now

    def track(self, connection: Connection) -> Connection:
        """Have the oracles watch a connection that the application accepted or opened."""
        self.connections.append(connection)
        return connection

    def act(self, action: Callable[[], None]) -> None:
        """Run application code now and send what it caused."""
        action()
        self.drive()

    # -- what comes in

    def arrive(self, item: Received) -> None:
        """A datagram reached an interface; it is handed up after the coalescing window."""
        self._waiting.append(item)
        if self._delivery is None:
            self._delivery = self.network.clock.after(self.coalescing.window, self._deliver)

    def _deliver(self) -> None:
        self._delivery = None
        waiting = self._waiting
        self._waiting = []
        for item in waiting:
            for oracle in self.network.oracles:
                oracle.on_receive(self, item.data, item.local, item.remote)
        buffers = gather(waiting, self.coalescing)
        self.buffers_received += len(buffers)
        self.datagrams_received += len(waiting)
        for buffer in buffers:
            self.endpoint.receive(buffer, self.now)
        self.drive()

    # -- what goes out

    def drive(self) -> None:
        """Serve events, send all bursts, plan the next timeout, ask the oracles."""
        if self._driving:  # an application hook called act(): the outer drive goes on
            return
        self._driving = True
        try:
            self._serve_and_send()
        finally:
            self._driving = False
        for fault in self.endpoint.take_faults():
            raise fault
        for oracle in self.network.oracles:
            oracle.after_step(self)
        self._plan_timeout()

    def _serve_and_send(self) -> None:
        for _ in range(MAX_BURSTS):
            for incoming in self.endpoint.incoming():
                self.application.on_incoming(self, incoming)
            eventful = self.endpoint.eventful()
            for connection in eventful:
                for event in connection.events():
                    for oracle in self.network.oracles:
                        oracle.on_event(self, connection, event)
                    self.application.on_event(self, connection, event)
                self.endpoint.touch(connection)
            burst = self.endpoint.transmit(self.now)
            if burst is not None:
                self._send(burst)
            elif not eventful:
                return
        raise Violation(f"{self.name}: {MAX_BURSTS} bursts at {self.now} s and still no end")

    def _send(self, burst: Burst) -> None:
        if burst.segment_size <= 0 or not burst.data:
            raise Violation(
                f"{self.name}: a burst of {len(burst.data)} bytes in segments of "
                f"{burst.segment_size} cannot be sent"
            )
        self.bursts_sent += 1
        for start in range(0, len(burst.data), burst.segment_size):
            datagram = burst.data[start : start + burst.segment_size]
            self.datagrams_sent += 1
            for oracle in self.network.oracles:
                oracle.on_send(self, datagram, burst.local, burst.remote)
            self.network.carry(self, burst.local, burst.remote, datagram, burst.ecn)

    # -- time

    def _plan_timeout(self) -> None:
        deadline = self.endpoint.deadline()
        wakeup = self._wakeup
        if wakeup is not None:
            if wakeup.pending and wakeup.when == max(deadline, self.now):
                return
            wakeup.cancel()
            self._wakeup = None
        if deadline != math.inf:
            self._wakeup = self.network.clock.at(deadline, self._timeout)

    def _timeout(self) -> None:
        self._wakeup = None
        self.timeouts += 1
        for oracle in self.network.oracles:
            oracle.before_timeout(self)
        self.endpoint.on_timeout(self.now)
        self.drive()


@final
class Network:
    """Hosts and the links between their addresses, all from one seed.

    ``trace`` is a running BLAKE2b over time, ends, marks and bytes of everything sent and
    everything that arrives: two runs are the same exactly when it is.
    """

    def __init__(self, seed: int, oracles: Sequence[Oracle] = ()) -> None:
        self.seed = seed
        self.clock = VirtualClock()
        self.oracles = list(oracles)
        self.hosts: list[Host] = []
        self.links: dict[tuple[Address, Address], Link] = {}
        self._owners: dict[Address, tuple[Host, int]] = {}
        self._trace = hashlib.blake2b(digest_size=32)
        #: datagrams to an address that no link leads to
        self.unroutable = 0

    def wall_clock(self) -> float:
        """Virtual time as seconds since 1970."""
        return EPOCH + self.clock.now

    def add_host(
        self,
        name: str,
        application: Application,
        addresses: Sequence[Address],
        *,
        accept: bool = False,
        coalescing: Coalescing | None = None,
    ) -> Host:
        """A host with a new endpoint; its interfaces are numbered in the order given."""
        entropy = seeded_entropy(f"{self.seed}/{name}")
        endpoint = Endpoint(
            EndpointConfiguration(
                entropy=entropy,
                wall_clock=self.wall_clock,
                connection_ids=RandomConnectionIds(entropy),
                token_keys=RootTokenKeys(entropy(32), entropy),
                accept=accept,
            )
        )
        host = Host(self, name, endpoint, application, coalescing or Coalescing(), accept)
        for address in addresses:
            if address in self._owners:
                raise ConfigurationError(f"two hosts have the address {address}")
            self._owners[address] = (host, len(host.addresses))
            host.addresses.append(address)
        self.hosts.append(host)
        return host

    def join(
        self, one: Address, other: Address, forward: LinkProfile, backward: LinkProfile
    ) -> tuple[Link, Link]:
        """Links in both directions between two addresses, ``forward`` from ``one``."""
        there = Link(forward, f"link/{self.seed}/{one}/{other}")
        back = Link(backward, f"link/{self.seed}/{other}/{one}")
        self.links[(one, other)] = there
        self.links[(other, one)] = back
        return there, back

    def carry(self, host: Host, local: int, remote: Address, data: bytes, ecn: int) -> None:
        """Take a datagram from a host's interface to wherever its link leads."""
        source = host.addresses[local]
        now = self.clock.now
        self._note(now, source, remote, ecn, data)
        link = self.links.get((source, remote))
        if link is None:
            self.unroutable += 1
            return
        for arrival in link.send(data, ecn, now):
            self._plan_arrival(arrival.time, source, remote, arrival.data, arrival.ecn)

    def _plan_arrival(
        self, time: float, source: Address, destination: Address, data: bytes, ecn: int
    ) -> None:
        owner, local = self._owners[destination]

        def arrive() -> None:
            self._note(time, destination, source, ecn, data)
            owner.arrive(Received(data, ecn, local, destination.ip, source))

        self.clock.at(time, arrive)

    def _note(self, time: float, here: Address, there: Address, ecn: int, data: bytes) -> None:
        line = f"{here}>{there}".encode()
        self._trace.update(struct.pack("!dIBH", time, len(data), ecn, len(line)))
        self._trace.update(line)
        self._trace.update(data)

    def trace(self) -> str:
        """The hash of all traffic so far, in hexadecimal."""
        return self._trace.hexdigest()
