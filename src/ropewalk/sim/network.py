"""The simulated network: who has which address, and which elements lie between them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.endpoint import Endpoint
from ropewalk.quic.endpoint.connection_ids import RandomConnectionIds
from ropewalk.quic.endpoint.token_keys import RootTokenKeys
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import EndpointConfiguration
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.batching import Coalescing, Received
from ropewalk.sim.clock import VirtualClock
from ropewalk.sim.element import Element, Packet
from ropewalk.sim.host import Application, Host
from ropewalk.sim.identity import EPOCH, seeded_entropy
from ropewalk.sim.interface import Attachment, Interface
from ropewalk.sim.link import Link, LinkProfile
from ropewalk.sim.oracles import Oracle

__all__ = ["Application", "Attachment", "Host", "Network"]

#: A line of the trace about a datagram that was sent (time, number, size, ECN) or arrived
#: (time, number, size, ECN, whether the data is as it was sent).
_SENT: Final = struct.Struct("!dQIB")
_ARRIVED: Final = struct.Struct("!dQIB?")


@final
class Network:
    """Hosts and what lies between their addresses, all from one seed.

    ``trace`` is a running BLAKE2b over time, ends, marks and bytes of everything sent and
    everything that arrives: two runs are the same exactly when it is.
    """

    def __init__(self, seed: int, oracles: Sequence[Oracle] = ()) -> None:
        self.seed = seed
        self.clock = VirtualClock()
        self.oracles = list(oracles)
        self.hosts: list[Host] = []
        #: datagrams that reached an address which somebody has
        self.delivered: i64 = 0
        #: datagrams between addresses that no route joins
        self.unroutable = 0
        #: datagrams that reached the end of a route where nobody has their address
        self.undeliverable = 0
        self._owners: dict[Address, Interface] = {}
        #: the elements between a source and a destination IP address, and the exit
        self._routes: dict[tuple[str, str], list[Element]] = {}
        self._exit = _Exit(self)
        self._sent: i64 = 0
        self._digest = hashlib.blake2b(digest_size=32)
        self._labels: dict[tuple[Address, Address], bytes] = {}

    def wall_clock(self) -> float:
        """Virtual time as seconds since 1970."""
        return EPOCH + self.clock.now

    # -- who is there

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
            self.add_interface(host, address)
        self.hosts.append(host)
        return host

    def add_interface(self, host: Host, address: Address) -> int:
        """Another interface for a host. Returns its number ("local" of the contract)."""
        if address in self._owners:
            raise ConfigurationError(f"two hosts have the address {address}")
        interface = host.add_interface(address)
        self._owners[address] = interface
        return interface.local

    def attach(self, address: Address, deliver: Callable[[Received], None]) -> Attachment:
        """An address that is owned by a callback instead of a host.

        ``deliver`` gets every datagram that arrives there, at the time it arrives. Raises
        ``ConfigurationError`` when somebody has the address.
        """
        if address in self._owners:
            raise ConfigurationError(f"two hosts have the address {address}")
        attachment = Attachment(self, address, deliver)
        self._owners[address] = attachment
        return attachment

    def release(self, address: Address) -> None:
        """Let go of an address; what still arrives there is undeliverable."""
        self._owners.pop(address, None)

    # -- what lies between

    def link(self, profile: LinkProfile, name: str) -> Link:
        """A link whose chances follow from the network's seed and ``name``."""
        return Link(profile, f"link/{self.seed}/{name}")

    def join(
        self, one: Address, other: Address, forward: LinkProfile, backward: LinkProfile
    ) -> tuple[Link, Link]:
        """A link in each direction between the hosts of two addresses, ``forward`` from
        ``one``."""
        there = self.link(forward, f"{one}/{other}")
        back = self.link(backward, f"{other}/{one}")
        self.route(one.ip, other.ip, [there])
        self.route(other.ip, one.ip, [back])
        return there, back

    def route(self, source_ip: str, destination_ip: str, elements: Sequence[Element]) -> None:
        """What a datagram from one IP address to another passes, in this order.

        An element that stands on several routes is shared by them: a link of several flows is
        their common bottleneck. Another route between the same addresses takes the place of
        the first for what is sent from then on.
        """
        for element in elements:
            element.clock = self.clock
        self._routes[source_ip, destination_ip] = [*elements, self._exit]

    def carry(self, source: Address, destination: Address, data: bytes, ecn: int) -> None:
        """Take a datagram from an address along its route."""
        now = self.clock.now
        self._sent += 1
        label = self._label(source, destination)
        self._digest.update(_SENT.pack(now, self._sent, len(data), ecn) + label)
        self._digest.update(data)
        elements = self._routes.get((source.ip, destination.ip))
        if elements is None:
            self.unroutable += 1
        else:
            Packet(source, destination, data, ecn, self._sent, elements).enter(now)

    def arrive(self, packet: Packet, now: float) -> None:
        """A packet has come to the end of its route."""
        interface = self._owners.get(packet.destination)
        if interface is None:
            self.undeliverable += 1
            return
        self.delivered += 1
        data = packet.data
        label = self._label(packet.destination, packet.source)
        intact = data is packet.original
        line = _ARRIVED.pack(now, packet.number, len(data), packet.ecn, intact) + label
        # What arrives as it was sent is told by its number.
        self._digest.update(line if intact else line + data)
        interface.arrive(packet)

    # -- what happened

    def trace(self) -> str:
        """The hash of all traffic so far, in hexadecimal."""
        return self._digest.hexdigest()

    def _label(self, here: Address, there: Address) -> bytes:
        ends = (here, there)
        label = self._labels.get(ends)
        if label is None:
            label = self._labels[ends] = f"{here}>{there}\n".encode()
        return label


@final
class _Exit(Element):
    """The end of every route."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def accept(self, packet: Packet, now: float) -> None:
        self._network.arrive(packet, now)
