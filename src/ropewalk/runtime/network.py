"""The network that connections use unless they are given another one."""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.net import SystemResolver, UdpCarrier
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import Carrier, NetworkProvider


class SystemNetwork(NetworkProvider):
    """UDP sockets and the system's resolver."""

    def __init__(self) -> None:
        self._resolver = SystemResolver()

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        return await self._resolver.resolve(host, port)

    def connect(self, remote: Address, local: int) -> Carrier:
        return UdpCarrier.connect(remote, local=local)

    def bind(self, ip: str, port: int, local: int) -> Carrier:
        return UdpCarrier.bind(ip, port, local=local)
