"""What tests of the simulated network share: two ends without a transport, and a line."""

from ropewalk.quic.types.address import Address
from ropewalk.sim.element import Element, Packet
from ropewalk.sim.link import HEADER_BYTES, Link
from ropewalk.sim.network import Network

ONE, OTHER = Address("192.0.2.1", 1000), Address("192.0.2.2", 2000)
THIRD, FOURTH = Address("198.51.100.3", 3000), Address("198.51.100.4", 4000)


class End:
    """An address, and what arrived there: (time, datagram)."""

    def __init__(self, network, address):
        self.network = network
        self.address = address
        self.arrived = []
        self.attachment = network.attach(address, self._take)

    def _take(self, item):
        self.arrived.append((self.network.clock.now, item))

    def send(self, remote, data=b"x", ecn=0, at=None):
        """Send now, or at a later virtual time."""
        if at is None:
            self.attachment.send(remote, data, ecn)
        else:
            self.network.clock.at(at, lambda: self.attachment.send(remote, data, ecn))

    @property
    def times(self):
        return [time for time, _ in self.arrived]

    @property
    def datagrams(self):
        return [item.data for _, item in self.arrived]

    @property
    def marks(self):
        return [item.ecn for _, item in self.arrived]


class Line:
    """A sender and a receiver, and elements between them."""

    def __init__(self, *elements, seed=1):
        self.network = Network(seed)
        self.clock = self.network.clock
        self.sender = End(self.network, ONE)
        self.receiver = End(self.network, OTHER)
        self.network.route(ONE.ip, OTHER.ip, elements)

    def send(self, *sizes, ecn=0, at=None):
        """Datagrams of these sizes, each beginning with its number."""
        for number, size in enumerate(sizes):
            self.sender.send(OTHER, number.to_bytes(2, "big").ljust(size, b"\0"), ecn, at)

    def stream(self, rate, size, start, end, ecn=0):
        """One datagram of ``size`` after the other at ``rate`` (bytes on the wire a second)."""
        spacing = (size + HEADER_BYTES) / rate
        for number in range(round((end - start) / spacing)):
            self.sender.send(OTHER, bytes(size), ecn, start + number * spacing)

    def run(self, until=1000.0):
        self.clock.run_until(until)
        return self.receiver


def line_of(profile, seed=1):
    """A line that is one link, and the link."""
    link = Link(profile, seed)
    return Line(link), link


def balance(counters):
    """The law of the books."""
    inward = counters.offered + counters.duplicated
    return inward == counters.delivered + counters.dropped + counters.in_transit


def packet(size=1000, mark=0, source=ONE, destination=OTHER):
    """A packet on its way to nowhere, for a queue that is on no link."""
    return Packet(source, destination, bytes(size - HEADER_BYTES), mark, 1, [Element()])
