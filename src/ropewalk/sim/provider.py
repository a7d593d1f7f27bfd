"""The network as one simulated machine sees it: its addresses, and names it can resolve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Final, final

from anyio.lowlevel import checkpoint

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import NetworkProvider
from ropewalk.quic.types.errors import ConfigurationError, ConnectionLost
from ropewalk.sim.batching import Coalescing
from ropewalk.sim.carrier import CarrierWatch, SimCarrier
from ropewalk.sim.network import Network

#: RFC 6335 6: the dynamic ports begin here.
_FIRST_DYNAMIC_PORT: Final = 49152


@final
class SimulatedNetwork(NetworkProvider):
    """A provider for ``connect(..., network=)`` and ``serve(..., network=)``.

    ``ips`` are the machine's addresses, the first of each family being where it sends from.
    ``names`` says what it can resolve: IP addresses in order of preference. The network's
    clock must follow the event loop (:func:`ropewalk.sim.pump.follow_loop`). ``watch`` sees
    what its carriers send and receive.
    """

    def __init__(
        self,
        network: Network,
        ips: Sequence[str],
        names: Mapping[str, Sequence[str]] | None = None,
        *,
        mtu: int = 65507,
        ecn: bool = True,
        coalescing: Coalescing | None = None,
        watch: CarrierWatch | None = None,
    ) -> None:
        if not ips:
            raise ConfigurationError("a simulated machine needs at least one IP address")
        self.network = network
        self.ips = tuple(ips)
        self.names = dict(names or {})
        #: carriers that are not closed, in the order of their making
        self.carriers: list[SimCarrier] = []
        self._mtu = mtu
        self._ecn = ecn
        self._coalescing = coalescing
        self._watch = watch
        self._next_port = _FIRST_DYNAMIC_PORT

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """As the machine's ``names`` say; an IP address stands for itself."""
        await checkpoint()
        if host in self.names:
            return tuple(Address(ip, port) for ip in self.names[host])
        if _is_ip(host):
            return (Address(host, port),)
        raise ConfigurationError(
            f"the simulated machine at {self.ips[0]} does not know the name {host!r}; it knows "
            + (", ".join(sorted(self.names)) or "none")
        )

    def connect(self, remote: Address, local: int) -> SimCarrier:
        """A carrier on a port of its own that hears one peer."""
        for ip in self.ips:
            if (":" in ip) == (":" in remote.ip):
                return self._open(local, [Address(ip, self._free_port())], remote)
        raise ConnectionLost(
            f"no way leads to {remote}: the simulated machine has only {', '.join(self.ips)}"
        )

    def bind(self, ip: str, port: int, local: int) -> SimCarrier:
        """A carrier that hears everybody, on one address of the machine or on all."""
        if ip and ip not in self.ips:
            raise ConfigurationError(
                f"cannot listen at {ip}: the simulated machine has {', '.join(self.ips)}"
            )
        chosen = port or self._free_port()
        return self._open(local, [Address(each, chosen) for each in ((ip,) if ip else self.ips)])

    def _open(
        self, local: int, addresses: Sequence[Address], remote: Address | None = None
    ) -> SimCarrier:
        carrier = SimCarrier(
            self.network,
            local,
            addresses,
            remote=remote,
            mtu=self._mtu,
            ecn=self._ecn,
            coalescing=self._coalescing,
            on_close=self.carriers.remove,
            watch=self._watch,
        )
        self.carriers.append(carrier)
        return carrier

    def _free_port(self) -> int:
        port = self._next_port
        self._next_port += 1
        return port


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
