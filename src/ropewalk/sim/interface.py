"""Who owns an address of the simulated network: a host, or a callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from ropewalk.quic.types.address import Address
from ropewalk.sim.batching import Received
from ropewalk.sim.element import Packet

if TYPE_CHECKING:
    from ropewalk.sim.network import Network


class Interface:
    """An address, and what becomes of the datagrams that arrive there.

    While it is not ``up`` it neither sends nor receives; ``dropped`` counts what that cost.
    """

    def __init__(self, network: Network, address: Address) -> None:
        self.network = network
        self.address = address
        self.up = True
        self.dropped = 0

    @final
    def send(self, remote: Address, data: bytes, ecn: int) -> None:
        """Send one datagram from this address."""
        if self.up:
            self.network.carry(self.address, remote, data, ecn)
        else:
            self.dropped += 1

    @final
    def arrive(self, packet: Packet) -> None:
        """A packet has come to the end of its route."""
        if self.up:
            self.take(packet)
        else:
            self.dropped += 1

    def take(self, packet: Packet) -> None:
        """Hand a datagram to the owner of the address."""
        raise NotImplementedError


@final
class Attachment(Interface):
    """An address that a callback owns; see :meth:`ropewalk.sim.network.Network.attach`."""

    def __init__(
        self, network: Network, address: Address, deliver: Callable[[Received], None]
    ) -> None:
        super().__init__(network, address)
        self._deliver: Callable[[Received], None] | None = deliver

    def take(self, packet: Packet) -> None:
        """Call the owner."""
        if self._deliver is not None:
            item = Received(packet.data, packet.ecn, 0, packet.destination.ip, packet.source)
            self._deliver(item)

    def detach(self) -> None:
        """Give the address back; what still arrives there is lost. May be called twice."""
        if self._deliver is not None:
            self._deliver = None
            self.network.release(self.address)
