"""The system's name resolution."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import anyio

from ropewalk.net.sockets import family_of, plain_ip
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import Resolver
from ropewalk.quic.types.errors import ConfigurationError


class SystemResolver(Resolver):
    """Asks the system, in a worker thread; IP addresses are taken as they are.

    The order is the system's (RFC 6724). Cancelling leaves the thread to end by itself.
    """

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """All addresses of a host, each once. Raises ``ConfigurationError`` for none.

        Port 0 passes: it means any port to who will listen there.
        """
        if not 0 <= port <= 65535:
            raise ConfigurationError(f"port {port} does not exist; ports run from 1 to 65535")
        address, _, zone = host.partition("%")
        if not zone:
            try:
                family_of(address)
            except ConfigurationError:
                pass
            else:
                await anyio.lowlevel.checkpoint()
                return (Address(address, port),)
        try:
            answers = await anyio.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigurationError(
                f"the name {host!r} was not resolved: {why}; check its spelling and the DNS"
            ) from error
        found: dict[Address, None] = {}
        for family, _, _, _, theirs in answers:
            if family == socket.AF_INET6 and len(theirs) == 4:
                found.setdefault(Address(plain_ip(theirs[0]), port, theirs[3]))
            elif family == socket.AF_INET:
                found.setdefault(Address(theirs[0], port))
        if not found:
            raise ConfigurationError(f"the name {host!r} has no IPv4 or IPv6 address")
        return tuple(found)
