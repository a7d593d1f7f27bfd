"""The real network: UDP sockets with batches, and name resolution."""

from __future__ import annotations

from ropewalk.net.resolver import SystemResolver
from ropewalk.net.sockets import BufferWarning
from ropewalk.net.udp import UdpCarrier

__all__ = ["BufferWarning", "SystemResolver", "UdpCarrier"]
