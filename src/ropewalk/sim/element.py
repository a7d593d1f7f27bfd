"""Packets, and the elements of a route that they pass one after the other."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64, mypyc_attr

from ropewalk.quic.types.address import Address
from ropewalk.sim.clock import Occurrence, VirtualClock
from ropewalk.sim.fate import Fate

#: Bytes of an IPv4 and a UDP header: they take time on the wire but are not UDP payload.
HEADER_BYTES: Final = 28


@final
class Packet(Occurrence):
    """A datagram on its way. As an occurrence it is the end of its stay in an element.

    Elements may change ``source``, ``destination``, ``data`` and ``ecn``. ``number`` counts
    the datagrams of a network in the order of sending; a duplicate has its original's.
    """

    def __init__(
        self,
        source: Address,
        destination: Address,
        data: bytes,
        ecn: i64,
        number: i64,
        elements: list[Element],
    ) -> None:
        super().__init__()
        self.source = source
        self.destination = destination
        self.data = data
        self.ecn: i64 = ecn
        self.number: i64 = number
        #: the data as it was sent, to tell what was damaged
        self.original = data
        #: when it entered the queue in which it waits
        self.queued_at = 0.0
        #: what the link in whose queue it waits will do to it
        self.fate: Fate | None = None
        self._elements = elements
        self._hop: i64 = 0
        self._holder = elements[0]

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return len(self.data) + HEADER_BYTES

    def enter(self, now: float) -> None:
        """Begin the way at the first element."""
        self._elements[0].accept(self, now)

    def move_on(self, now: float) -> None:
        """Leave the present element and enter the next one of the route."""
        self._hop += 1
        self._elements[self._hop].accept(self, now)

    def twin(self) -> Packet:
        """Another packet of the same content at the same place."""
        twin = Packet(
            self.source, self.destination, self.data, self.ecn, self.number, self._elements
        )
        twin.original = self.original
        twin._hop = self._hop
        return twin

    def stay(self, holder: Element) -> None:
        """Note which element is to be told when the packet's time has come."""
        self._holder = holder

    def happen(self) -> None:
        """Its stay is over."""
        self._holder.release(self, self.when)


@mypyc_attr(allow_interpreted_subclasses=True)
class Element:
    """Something on a route that packets pass: a link, a NAT, a middlebox, or your own.

    A subclass overrides :meth:`accept`, which passes the packet on (``packet.move_on(now)``),
    keeps it for a while (:meth:`hold`), or drops it by doing neither. The same element may
    stand on several routes. ``clock`` is the network's from the moment a route is laid.
    """

    def __init__(self) -> None:
        self.clock = VirtualClock()

    def accept(self, packet: Packet, now: float) -> None:
        """A packet arrives. Unless overridden it passes."""
        packet.move_on(now)

    def hold(self, packet: Packet, until: float) -> None:
        """Keep a packet up to a time (now or later); then :meth:`release` is called."""
        packet.stay(self)
        self.clock.schedule(packet, until)

    def release(self, packet: Packet, now: float) -> None:
        """The time of a held packet has come. Unless overridden it moves on."""
        packet.move_on(now)
