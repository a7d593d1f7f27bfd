"""What lies between both hosts: two links, a NAT, and somebody who meddles with datagrams."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from ropewalk.quic.types.address import Address
from ropewalk.sim.batching import Received
from ropewalk.sim.element import Element, Packet
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.nat import Nat
from ropewalk.sim.network import Network

#: Direction of a datagram; also the number of the side that sends it.
TO_SERVER, TO_CLIENT = 0, 1

#: The client's own address, behind its NAT, and the server's.
INSIDE: Final = Address("10.0.0.2", 50000)
SERVER: Final = Address("192.0.2.2", 443)
#: Where a copy comes from that somebody else sent.
ELSEWHERE: Final = Address("203.0.113.66", 6666)

CLEAN: Final = LinkProfile(rate=2_000_000.0, delay=0.01, queue_packets=500)
#: What :meth:`Wire.become` can make of a link.
PROFILES: Final = (
    CLEAN,
    LinkProfile(rate=100_000.0, delay=0.02, queue_packets=8),
    LinkProfile(rate=2_000_000.0, delay=0.01, loss=0.1),
    LinkProfile(rate=2_000_000.0, delay=0.01, loss=0.4),
    LinkProfile(rate=1_000_000.0, delay=0.3, loss=0.01, jitter=0.05),
    LinkProfile(
        rate=2_000_000.0,
        delay=0.005,
        reordering=0.3,
        reordering_delay=0.02,
        duplication=0.2,
        jitter=0.005,
    ),
    LinkProfile(rate=2_000_000.0, delay=0.01, corruption=0.2),
    LinkProfile(delay=0.0001),
)

#: Datagrams of each direction that can be sent once more.
_REMEMBERED: Final = 300
_NEVER: Final = 1e9


@dataclass(frozen=True)
class Fate:
    """What happens to one datagram before its link takes it. ``delay`` in seconds."""

    kind: str  # "drop" | "duplicate" | "delay" | "corrupt" | "truncate"
    where: int = 0
    delay: float = 0.0


class Meddler(Element):
    """Stands where one side's datagrams leave: its socket, and whatever lies in ambush there."""

    def __init__(self) -> None:
        super().__init__()
        #: fates of the next datagrams
        self.fates: deque[Fate] = deque()
        self.history: deque[Packet] = deque(maxlen=_REMEMBERED)
        #: what a blocked socket holds, as a driver does; None while it is writable
        self.held: list[Packet] | None = None
        self.passed = 0

    def block(self) -> None:
        """From now on the socket takes nothing."""
        if self.held is None:
            self.held = []

    def unblock(self, now: float) -> None:
        """The socket is writable again and takes what was held."""
        held = self.held or []
        self.held = None
        for packet in held:
            self.accept(packet, now)

    def accept(self, packet: Packet, now: float) -> None:
        """A datagram is sent."""
        if self.held is not None:
            self.held.append(packet)
            return
        self.passed += 1
        self.history.append(packet.twin())
        if self.fates:
            self.meddle(packet, self.fates.popleft(), now)
        else:
            packet.move_on(now)

    def meddle(self, packet: Packet, fate: Fate, now: float) -> None:
        """Let a datagram meet its fate."""
        place = fate.where % len(packet.data)
        match fate.kind:
            case "drop":
                return
            case "duplicate":
                self.hold(packet.twin(), now + fate.delay)
            case "delay":
                self.hold(packet, now + fate.delay)
                return
            case "corrupt":
                flipped = bytes([packet.data[place] ^ 1 << fate.where % 8])
                packet.data = packet.data[:place] + flipped + packet.data[place + 1 :]
            case "truncate":
                packet.data = packet.data[: max(1, place)]
        packet.move_on(now)


class Wire:
    """Lays the routes between both hosts, and bends them as the rules ask.

    The server knows the client by the NAT's address, which :meth:`rebind` changes: what is
    sent to a former one is lost.
    """

    def __init__(self, network: Network, meddler: type[Meddler] = Meddler) -> None:
        self.network = network
        self.meddlers = (meddler(), meddler())
        self.links = (network.link(CLEAN, "to-server"), network.link(CLEAN, "to-client"))
        self.nat = Nat("198.51.100.1", timeout=_NEVER)
        self.rebound = 0
        #: somebody else sent a copy of a datagram
        self.spoofed = False
        self._stranger = network.attach(ELSEWHERE, _ignore)
        network.route(INSIDE.ip, SERVER.ip, [self.meddlers[0], self.nat, self.links[0]])
        network.route(ELSEWHERE.ip, SERVER.ip, [self.links[0]])
        network.route(ELSEWHERE.ip, INSIDE.ip, [self.links[1]])
        self._lay_way_back()

    def _lay_way_back(self) -> None:
        way = [self.meddlers[1], self.links[1], self.nat]
        self.network.route(SERVER.ip, self.nat.outside_ip, way)

    def become(self, direction: int, profile: LinkProfile) -> None:
        """Make another kind of link of one direction."""
        self.links[direction].set_profile(profile)

    def rebind(self, new_host: bool) -> None:
        """The NAT forgets its mapping and makes another, with another address if it must."""
        self.rebound += 1
        if new_host:
            self.nat.rebind_address(f"198.51.100.{1 + self.rebound}")
            self._lay_way_back()
        else:
            self.nat.rebind_port()

    def replay(self, direction: int, pick: int, spoofed: bool) -> None:
        """Send an old datagram again, lost ones too; ``spoofed``: from somebody else."""
        history = self.meddlers[direction].history
        if not history:
            return
        old = history[pick % len(history)]
        if spoofed:
            self.spoofed = True
            self._stranger.send(INSIDE if direction == TO_CLIENT else SERVER, old.data, 0)
            return
        again = old.twin()
        if direction == TO_CLIENT:
            again.destination = self.nat.outside_of(INSIDE) or again.destination
        again.move_on(self.network.clock.now)

    def heal(self) -> None:
        """From now on everything arrives."""
        for meddler, link in zip(self.meddlers, self.links, strict=True):
            meddler.fates.clear()
            link.up = True
            link.set_profile(CLEAN)

    def passed(self) -> int:
        """How many datagrams both sides have sent."""
        return sum(meddler.passed for meddler in self.meddlers)


def _ignore(item: Received) -> None:
    """Nobody listens."""
