"""Control messages beside a batch: segment size, ECN mark and local address.

Everything here is looked up per batch in small capped tables, so that the usual batch makes
no new objects but its own.
"""

from __future__ import annotations

import socket
import struct
from typing import Final, TypeAlias

from ropewalk.net.sockets import (
    IP_PKTINFO,
    IP_TOS,
    IPV6_PKTINFO,
    IPV6_TCLASS,
    MAPPED,
    SOL_UDP,
    UDP_GRO,
    UDP_SEGMENT,
    plain_ip,
    socket_address,
)
from ropewalk.quic.types.address import Address

ControlMessages: TypeAlias = list[tuple[int, int, bytes]]
SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

#: Room for segment size, mark and local address of one received batch, for both families.
RECEIVE_SPACE: Final = (
    socket.CMSG_SPACE(4) * 3 + socket.CMSG_SPACE(12) + socket.CMSG_SPACE(20)
    if hasattr(socket, "CMSG_SPACE")
    else 0
)

#: Peers come and go by the million; a table that is full starts afresh.
TABLE_LIMIT: Final = 4096

_V4: Final = int(socket.IPPROTO_IP)
_V6: Final = int(socket.IPPROTO_IPV6)
_NATIVE_INT: Final = struct.Struct("=i")


class AddressTable:
    """Translates between the system's addresses and ours, for one socket."""

    def __init__(self, family: int, limit: int = TABLE_LIMIT) -> None:
        self._family = family
        self._limit = limit
        self._ours: dict[SocketAddress, Address] = {}
        self._theirs: dict[Address, SocketAddress] = {}

    def address(self, theirs: SocketAddress) -> Address:
        """Our value for what the system reports; the same object for the same peer."""
        known = self._ours.get(theirs)
        if known is not None:
            return known
        scope = theirs[3] if len(theirs) == 4 else 0
        made = Address(plain_ip(theirs[0]), theirs[1], scope)
        if len(self._ours) >= self._limit:
            self._ours.clear()
        self._ours[theirs] = made
        return made

    def socket_address(self, ours: Address) -> SocketAddress:
        """The system's form. Raises ``OSError`` for the other family or no IP address."""
        known = self._theirs.get(ours)
        if known is not None:
            return known
        made = socket_address(ours, self._family)
        if len(self._theirs) >= self._limit:
            self._theirs.clear()
        self._theirs[ours] = made
        return made


class OutgoingMessages:
    """Control messages for sending, by what they say."""

    def __init__(self, limit: int = TABLE_LIMIT) -> None:
        self._limit = limit
        self._made: dict[tuple[int, int, str, bool], ControlMessages] = {}

    def get(self, segment_size: int, ecn: int, local_ip: str, six: bool) -> ControlMessages:
        """``segment_size`` 0: one datagram. ``six``: the destination is IPv6."""
        key = (segment_size, ecn, local_ip, six)
        known = self._made.get(key)
        if known is not None:
            return known
        made: ControlMessages = []
        if segment_size:
            made.append((SOL_UDP, UDP_SEGMENT, struct.pack("=H", segment_size)))
        if ecn:
            level, option = (_V6, IPV6_TCLASS) if six else (_V4, IP_TOS)
            made.append((level, option, _NATIVE_INT.pack(ecn)))
        if local_ip:
            made.append(_source(local_ip))
        if len(self._made) >= self._limit:
            self._made.clear()
        self._made[key] = made
        return made


class IncomingMessages:
    """Reads the control messages of received batches."""

    def __init__(self, default_ip: str, limit: int = TABLE_LIMIT) -> None:
        self._limit = limit
        self._default_ip = default_ip
        self._ips: dict[bytes, str] = {}
        self.segment_size = 0
        self.ecn = 0
        self.local_ip = default_ip

    def read(self, messages: ControlMessages) -> None:
        """Sets ``segment_size`` (0: one datagram), ``ecn`` and ``local_ip``."""
        self.segment_size = 0
        self.ecn = 0
        self.local_ip = self._default_ip
        for level, kind, data in messages:
            if level == SOL_UDP:
                if kind == UDP_GRO and len(data) >= 4:
                    self.segment_size = _NATIVE_INT.unpack_from(data)[0]
            elif level == _V4:
                if kind == IP_TOS and data:
                    self.ecn = data[0] & 3  # one byte, other than when sending
                elif kind == IP_PKTINFO and len(data) >= 12:
                    self.local_ip = self._ip(data[4:8])
            elif level == _V6:
                if kind == IPV6_TCLASS and len(data) >= 4:
                    self.ecn = _NATIVE_INT.unpack_from(data)[0] & 3
                elif kind == IPV6_PKTINFO and len(data) >= 16:
                    self.local_ip = self._ip(data[:16])

    def _ip(self, packed: bytes) -> str:
        known = self._ips.get(packed)
        if known is not None:
            return known
        family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
        made = plain_ip(socket.inet_ntop(family, packed))
        if len(self._ips) >= self._limit:
            self._ips.clear()
        self._ips[packed] = made
        return made


def _source(local_ip: str) -> tuple[int, int, bytes]:
    """The message that makes the system send from the address (in_pktinfo, in6_pktinfo)."""
    if ":" in local_ip and not local_ip.startswith(MAPPED):
        packed = socket.inet_pton(socket.AF_INET6, local_ip)
        return (_V6, IPV6_PKTINFO, struct.pack("=16sI", packed, 0))
    packed = socket.inet_pton(socket.AF_INET, plain_ip(local_ip))
    return (_V4, IP_PKTINFO, struct.pack("=I4s4s", 0, packed, bytes(4)))
