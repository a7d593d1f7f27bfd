"""Where sockets and addresses come from: the system's network, or a test's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ropewalk.net import SystemResolver, UdpCarrier
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import Carrier


class Network(ABC):
    """Provides carriers and name resolution. One object may serve many endpoints."""

    @abstractmethod
    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Addresses of a host in order of preference. ``ConfigurationError`` for none."""

    @abstractmethod
    def connect(self, remote: Address, local: int) -> Carrier:
        """A carrier to one peer, numbered ``local``. ``ConnectionLost`` without a route."""

    @abstractmethod
    def bind(self, ip: str, port: int, local: int) -> Carrier:
        """A carrier that hears everybody; ``""`` takes all addresses.

        ``ConfigurationError`` where the address is taken or not this machine's.
        """


class SystemNetwork(Network):
    """UDP sockets and the system's resolver."""

    def __init__(self) -> None:
        self._resolver = SystemResolver()

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        return await self._resolver.resolve(host, port)

    def connect(self, remote: Address, local: int) -> Carrier:
        return UdpCarrier.connect(remote, local=local)

    def bind(self, ip: str, port: int, local: int) -> Carrier:
        return UdpCarrier.bind(ip, port, local=local)
