"""A network address translator, which may forget or change its mind at the worst moment."""

from __future__ import annotations

import math
from typing import Final, final

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.element import Element, Packet

_LAST_PORT: Final = 65535


@final
class NatCounters:
    """What became of the packets."""

    def __init__(self) -> None:
        self.outbound = 0
        self.inbound = 0
        #: inbound to a port or address that no mapping has (any more)
        self.dropped_unmapped = 0
        #: inbound from somebody to whom nothing was sent
        self.dropped_filtered = 0
        self.mappings = 0


@final
class _Mapping:
    """An outside address that stands for an inside one."""

    def __init__(self, inside: Address, outside: Address, now: float) -> None:
        self.inside = inside
        self.outside = outside
        self.used_at = now
        #: remote addresses to which something was sent through it
        self.remotes: dict[Address, bool] = {}


@final
class Nat(Element):
    """Stands on the route from the inside to the outside, and on the one back.

    What comes from the inside leaves with ``outside_ip`` and a port that is the mapping's;
    what comes to that address goes to the inside address that has the mapping. A mapping
    ends when nothing has left through it for ``timeout`` seconds (RFC 4787 4.3 asks for two
    minutes or more; many give UDP 30 s). Ports count up from ``first_port``, none is used
    twice.

    ``symmetric``: another mapping for every remote address (address- and port-dependent
    mapping, RFC 4787 4.1) instead of one for all. ``filtering``: only remote addresses and
    ports to which the mapping has sent may answer (RFC 4787 5).
    """

    def __init__(
        self,
        outside_ip: str,
        *,
        timeout: float = 120.0,
        first_port: int = 40000,
        symmetric: bool = False,
        filtering: bool = True,
    ) -> None:
        super().__init__()
        if not timeout > 0.0 or math.isnan(timeout):
            raise ConfigurationError("a NAT's timeout must be positive (seconds)")
        if not 1 <= first_port <= _LAST_PORT:
            raise ConfigurationError("a NAT's first_port must lie between 1 and 65535")
        self.outside_ip = outside_ip
        self.counters = NatCounters()
        self._timeout = timeout
        self._next_port = first_port
        self._symmetric = symmetric
        self._filtering = filtering
        self._by_inside: dict[tuple[Address, Address | None], _Mapping] = {}
        self._by_outside: dict[Address, _Mapping] = {}
        #: every address it ever had on the outside
        self._outside_ips: dict[str, bool] = {outside_ip: True}

    def rebind_port(self) -> None:
        """Forget all mappings, as after a restart: what leaves next gets a new port."""
        self._by_inside.clear()
        self._by_outside.clear()

    def rebind_address(self, outside_ip: str) -> None:
        """Get another address on the outside; all mappings are gone with the old one.

        The route back must lead through here from the new address as well
        (:meth:`~ropewalk.sim.network.Network.route`).
        """
        self.rebind_port()
        self.outside_ip = outside_ip
        self._outside_ips[outside_ip] = True

    def outside_of(self, inside: Address, remote: Address | None = None) -> Address | None:
        """Where an inside address is seen now; ``remote`` counts for a symmetric NAT only."""
        mapping = self._by_inside.get((inside, remote if self._symmetric else None))
        return None if mapping is None else mapping.outside

    def accept(self, packet: Packet, now: float) -> None:
        """Translate, or drop."""
        if packet.destination.ip in self._outside_ips:
            self._inward(packet, now)
        else:
            self._outward(packet, now)

    def _outward(self, packet: Packet, now: float) -> None:
        remote = packet.destination
        key = (packet.source, remote if self._symmetric else None)
        mapping = self._by_inside.get(key)
        if mapping is None or now - mapping.used_at > self._timeout:
            if mapping is not None:
                del self._by_outside[mapping.outside]
            mapping = self._new_mapping(packet.source, now)
            self._by_inside[key] = mapping
            self._by_outside[mapping.outside] = mapping
        mapping.used_at = now
        mapping.remotes[remote] = True
        packet.source = mapping.outside
        self.counters.outbound += 1
        packet.move_on(now)

    def _new_mapping(self, inside: Address, now: float) -> _Mapping:
        if self._next_port > _LAST_PORT:
            raise ConfigurationError(f"the NAT {self.outside_ip} has no port left")
        outside = Address(self.outside_ip, self._next_port)
        self._next_port += 1
        self.counters.mappings += 1
        return _Mapping(inside, outside, now)

    def _inward(self, packet: Packet, now: float) -> None:
        mapping = self._by_outside.get(packet.destination)
        if mapping is None or now - mapping.used_at > self._timeout:
            self.counters.dropped_unmapped += 1
        elif self._filtering and packet.source not in mapping.remotes:
            self.counters.dropped_filtered += 1
        else:
            self.counters.inbound += 1
            packet.destination = mapping.inside
            packet.move_on(now)
