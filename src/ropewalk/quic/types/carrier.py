"""The seams to the outside world, real or simulated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from mypy_extensions import mypyc_attr

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.datagrams import Burst, Datagrams


@dataclass(frozen=True)
class SendFailure:
    """A send that the system refused: what for, to whom, how large, and whether a smaller
    datagram could pass."""

    kind: str  # "refused" | "unreachable" | "too-large" | "other"
    remote: Address | None
    size: int
    detail: str


@mypyc_attr(allow_interpreted_subclasses=True)
class Carrier(ABC):
    """Moves batches of datagrams. Calls never block; readiness is the driver's business.

    ``mtu`` is the largest UDP payload it can carry, ``reliable`` tells that nothing is lost
    or reordered, ``ecn`` that marks are read and set, ``gso`` that a burst of many datagrams
    leaves in one call.
    """

    local: int
    mtu: int
    reliable: bool
    ecn: bool
    gso: bool

    @abstractmethod
    def send(self, burst: Burst) -> bool:
        """Send all of a burst. False: it would block, keep it and wait for writability.

        A refusal by the system is not raised; it is queued for :meth:`failures`.
        """

    @abstractmethod
    def receive(self, limit: int = 64) -> list[Datagrams]:
        """At most ``limit`` buffers that have arrived; empty when there are none."""

    @abstractmethod
    def failures(self) -> list[SendFailure]:
        """What the system refused since the last call."""

    @abstractmethod
    def address(self) -> Address:
        """The local address."""

    @abstractmethod
    async def readable(self) -> None:
        """Wait until :meth:`receive` has something."""

    @abstractmethod
    async def writable(self) -> None:
        """Wait until :meth:`send` can go on."""

    @abstractmethod
    def close(self) -> None:
        """Release what the system gave. Idempotent."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Resolver(ABC):
    """Turns names into addresses. Belongs to the network provider, so the lab has its own."""

    @abstractmethod
    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Addresses in the order of preference. Raises ``ConfigurationError`` for none."""


@mypyc_attr(allow_interpreted_subclasses=True)
class NetworkProvider(ABC):
    """Where carriers and addresses come from: the system's network, or a simulated one.

    One object may serve many endpoints. ``local`` is the number by which the driver knows
    the carrier.
    """

    @abstractmethod
    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Addresses of a host in order of preference. ``ConfigurationError`` for none."""

    @abstractmethod
    def connect(self, remote: Address, local: int) -> Carrier:
        """A carrier to one peer. ``ConnectionLost`` where no way leads there."""

    @abstractmethod
    def bind(self, ip: str, port: int, local: int) -> Carrier:
        """A carrier that hears everybody; ``""`` takes all addresses, port 0 a free port.

        ``ConfigurationError`` where the address is taken or not this machine's.
        """


@dataclass(frozen=True)
class LinkChange:
    """A local interface or address came, went, or changed."""

    interface: str
    what: str  # "added" | "removed" | "up" | "down" | "mtu"
    ip: str
    mtu: int


@mypyc_attr(allow_interpreted_subclasses=True)
class LinkMonitor(ABC):
    """Tells of changes of the local links."""

    @abstractmethod
    def changes(self) -> AsyncIterator[LinkChange]:
        """Changes as they happen; ends when the monitor is closed."""
