"""Builds a scenario's topology: hosts, links, boxes, and the routes through them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar, final

from ropewalk.lab.profiles import link_profiles
from ropewalk.lab.scenario import DropDatagrams, HostSpec, RouteSpec, Scenario
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.batching import Coalescing
from ropewalk.sim.element import Element, Packet
from ropewalk.sim.host import Application, Host
from ropewalk.sim.link import Link
from ropewalk.sim.middlebox import Middlebox
from ropewalk.sim.nat import Nat
from ropewalk.sim.network import Network

CLIENT_PORT: Final = 50000
SERVER_PORT: Final = 443

T = TypeVar("T")


@final
class Gate(Element):
    """Stands before a link and drops the datagrams that it is told to, by their number."""

    def __init__(self) -> None:
        super().__init__()
        self._rules: list[tuple[int, int, int]] = []
        self._seen: list[int] = []
        self.dropped = 0

    def drop(self, rule: DropDatagrams) -> None:
        """Drop by this rule; its count begins with the next datagram."""
        self._rules.append((rule.first, rule.last, rule.every))
        self._seen.append(0)

    def accept(self, packet: Packet, now: float) -> None:
        """Count, and let pass or drop."""
        lost = False
        for index, (first, last, every) in enumerate(self._rules):
            self._seen[index] += 1
            number = self._seen[index]
            if first <= number <= last and (number - first) % every == 0:
                lost = True
        if lost:
            self.dropped += 1
        else:
            packet.move_on(now)


@final
class Stage:
    """The network of one run. Links have the names "access.up" and "access.down"."""

    def __init__(
        self, scenario: Scenario, network: Network, applications: Mapping[str, Application]
    ) -> None:
        self.network = network
        self.hosts: dict[str, Host] = {}
        self.addresses: dict[str, list[Address]] = {}
        self.links: dict[str, Link] = {}
        self.nats: dict[str, Nat] = {}
        self.gates: dict[str, Gate] = {}
        self.middleboxes: dict[str, Middlebox] = {}
        #: the routes that lead through each NAT, for when its address changes
        self._behind: dict[str, list[tuple[str, list[Element]]]] = {}
        topology = scenario.topology
        for index, spec in enumerate(topology.hosts):
            self._add_host(spec, index, applications)
        gated = [
            f"{one.link}.{one.way}" for one in scenario.happenings if isinstance(one, DropDatagrams)
        ]
        for link in topology.links:
            up, down = link_profiles(link)
            for way, profile in (("up", up), ("down", down)):
                name = f"{link.name}.{way}"
                self.links[name] = network.link(profile, name)
                if name in gated:
                    self.gates[name] = Gate()
        for nat in topology.nats:
            self.check_outside(nat.name, nat.outside)
            self.nats[nat.name] = Nat(
                nat.outside,
                timeout=nat.timeout,
                symmetric=nat.symmetric,
                filtering=nat.filtering,
            )
        for box in topology.middleboxes:
            self.middleboxes[box.name] = Middlebox(
                drop_udp=box.drops_udp, largest=box.largest, ecn=box.ecn
            )
        for route in topology.routes or self._all_routes(scenario):
            self._lay(route)

    def link(self, name: str) -> Link:
        """A direction of a link. Raises ``ConfigurationError`` for an unknown name."""
        return _known(self.links, name, "link")

    def ways(self, link: str, way: str) -> list[str]:
        """The names of a link's directions that ``way`` means. Raises ``ConfigurationError`` for
        an unknown link."""
        if f"{link}.up" not in self.links:
            known = ", ".join(name.removesuffix(".up") for name in self.links if _goes_up(name))
            raise ConfigurationError(f"there is no link {link!r}; there are: {known or 'none'}")
        return [f"{link}.{one}" for one in ("up", "down") if way in ("both", one)]

    def host(self, name: str) -> Host:
        """A host by name. Raises ``ConfigurationError`` for an unknown one."""
        return _known(self.hosts, name, "host")

    def nat(self, name: str) -> Nat:
        """A NAT by name. Raises ``ConfigurationError`` for an unknown one."""
        return _known(self.nats, name, "NAT")

    def gate(self, link: str, way: str) -> Gate:
        """What drops datagrams before a direction of a link."""
        return _known(self.gates, f"{link}.{way}", "link")

    def rebind_address(self, nat: str, outside: str) -> None:
        """Give a NAT another outside address, to which the servers' routes lead, too."""
        self.nat(nat).rebind_address(outside)
        for server_ip, elements in self._behind.get(nat, []):
            self.network.route(server_ip, outside, elements)

    def address(self, name: str) -> Address:
        """The address of an interface: "client", or "client:1" for its second one."""
        host, colon, number = name.partition(":")
        _known(self.addresses, host, "host")
        if colon and not (number.isascii() and number.isdecimal() and len(number) < 6):
            raise ConfigurationError(
                f"{name!r} is no interface; write {host}, or {host}:1 for its second one"
            )
        index = int(number or 0)
        self.check_interface(host, index)
        return self.addresses[host][index]

    def check_interface(self, host: str, interface: int) -> None:
        """Raises ``ConfigurationError`` unless the host has that interface."""
        count = len(_known(self.addresses, host, "host"))
        if interface >= count:
            raise ConfigurationError(
                f"{host} has no interface {interface}; it has {count}, counted from 0 "
                "(one for each of its addresses)"
            )

    def check_outside(self, nat: str, outside: str) -> None:
        """Raises ``ConfigurationError`` when a NAT's outside address belongs to another."""
        for name, addresses in self.addresses.items():
            if any(address.ip == outside for address in addresses):
                raise ConfigurationError(f"NAT {nat}: outside is {outside}, which host {name} has")
        for name, other in self.nats.items():
            if name != nat and other.outside_ip == outside:
                raise ConfigurationError(f"NAT {nat}: outside is {outside}, which NAT {name} has")

    def _add_host(
        self, spec: HostSpec, index: int, applications: Mapping[str, Application]
    ) -> None:
        server = spec.role == "server"
        net = "203.0.113" if server else "192.0.2"
        ips = spec.addresses or (f"{net}.{index + 1}",)
        port = SERVER_PORT if server else CLIENT_PORT + index
        addresses = [Address(ip, port) for ip in ips]
        for name, others in self.addresses.items():
            for other in others:
                if other.ip in ips:
                    raise ConfigurationError(
                        f"host {spec.name}: an address is {other.ip}, which host {name} has"
                    )
        if len(dict.fromkeys(ips)) < len(ips):
            raise ConfigurationError(f"host {spec.name}: an address stands twice in addresses")
        self.addresses[spec.name] = addresses
        self.hosts[spec.name] = self.network.add_host(
            spec.name,
            applications[spec.name],
            addresses,
            accept=server,
            coalescing=Coalescing(window=spec.coalescing, segments=spec.segments),
        )

    def _all_routes(self, scenario: Scenario) -> list[RouteSpec]:
        """Every client's interface to every server's, through everything there is."""
        topology = scenario.topology
        via = (
            *(nat.name for nat in topology.nats),
            *(box.name for box in topology.middleboxes),
            *(link.name for link in topology.links),
        )
        clients = [
            f"{spec.name}:{index}"
            for spec in topology.hosts
            if spec.role == "client"
            for index in range(len(self.addresses[spec.name]))
        ]
        servers = [
            f"{spec.name}:{index}"
            for spec in topology.hosts
            if spec.role == "server"
            for index in range(len(self.addresses[spec.name]))
        ]
        return [
            RouteSpec(client=one, server=other, via=via) for one in clients for other in servers
        ]

    def _lay(self, route: RouteSpec) -> None:
        inside = self.address(route.client).ip
        server = self.address(route.server).ip
        there: list[Element] = []
        back: list[Element] = []
        nats: list[str] = []
        for name in route.via:
            if name in self.nats:
                nats.append(name)
            there += self._elements(name, "up")
            back = self._elements(name, "down") + back
        self.network.route(inside, server, there)
        self.network.route(server, self.nats[nats[-1]].outside_ip if nats else inside, back)
        for name in nats[-1:]:
            self._behind.setdefault(name, []).append((server, back))

    def _elements(self, name: str, way: str) -> list[Element]:
        if name in self.nats:
            return [self.nats[name]]
        if name in self.middleboxes:
            return [self.middleboxes[name]]
        if f"{name}.{way}" not in self.links:
            links = [one.removesuffix(".up") for one in self.links if _goes_up(one)]
            known = ", ".join((*links, *self.nats, *self.middleboxes)) or "none"
            raise ConfigurationError(
                f"routes: there is no link, NAT or middlebox {name!r}; there are: {known}"
            )
        link: list[Element] = [self.link(f"{name}.{way}")]
        gate = self.gates.get(f"{name}.{way}")
        return link if gate is None else [gate, *link]


def _goes_up(name: str) -> bool:
    return name.endswith(".up")


def _known(things: Mapping[str, T], name: str, what: str) -> T:
    if name not in things:
        known = ", ".join(things) or "none"
        raise ConfigurationError(f"there is no {what} {name!r}; there are: {known}")
    return things[name]
