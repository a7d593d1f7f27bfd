"""Opens UDP sockets and switches on what the system offers.

Option numbers that Python's ``socket`` lacks are those of Linux' headers; on other systems
they are not tried, and :class:`Abilities` says what is missing.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import warnings
from dataclasses import dataclass
from typing import Final

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConfigurationError, ConnectionLost

LINUX: Final = sys.platform.startswith("linux")

SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104
IP_TOS: Final = 1
IP_PKTINFO: Final = 8
IP_RECVTOS: Final = 13
IPV6_RECVPKTINFO: Final = 49
IPV6_PKTINFO: Final = 50
IPV6_RECVTCLASS: Final = 66
IPV6_TCLASS: Final = 67
_IP_MTU_DISCOVER: Final = 10
_IP_MTU: Final = 14
_IPV6_MTU_DISCOVER: Final = 23
_IPV6_MTU: Final = 24
#: Set the don't-fragment bit, and leave it to QUIC to find the path's MTU (RFC 9000 14).
_PMTUDISC_DO: Final = 2
_PMTUDISC_PROBE: Final = 3
_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33

BUFFER_SIZE: Final = 4 * 1024 * 1024
#: Largest UDP payloads: 65,535 less the IPv4 and UDP headers; IPv6 counts without its header.
MAX_PAYLOAD_V4: Final = 65507
MAX_PAYLOAD_V6: Final = 65527

MAPPED: Final = "::ffff:"


class BufferWarning(RuntimeWarning):
    """The system gave a smaller socket buffer than asked for, which costs speed."""


@dataclass(frozen=True)
class Abilities:
    """What the system does for this socket."""

    gso: bool
    gro: bool
    ecn: bool
    pktinfo: bool
    dont_fragment: bool


def open_bound(ip: str, port: int) -> socket.socket:
    """A non-blocking socket for any peer. ``""`` and ``"::"`` take IPv4 and IPv6 both.

    Raises ``ConfigurationError`` when the address cannot be had.
    """
    if not 0 <= port <= 65535:
        raise ConfigurationError(f"UDP port {port} does not exist; ports run from 0 to 65535")
    if ip == "":
        ip = "::" if _has_ipv6() else "0.0.0.0"  # noqa: S104  # the caller asked for all
    family = family_of(ip)
    bound = _open(family)
    try:
        if family == socket.AF_INET6:
            # A socket on "::" serves IPv4 as well, whatever net.ipv6.bindv6only says.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if ip == "::" else 1)
        bound.bind((ip, port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(_why_not_bound(ip, port, error)) from error
    return bound


def open_connected(remote: Address, source: Address | None) -> socket.socket:
    """A non-blocking socket for one peer, from ``source`` if that is given.

    Raises ``ConfigurationError`` for an unusable address, ``ConnectionLost`` when there is
    no way to the peer.
    """
    if not 0 < remote.port <= 65535:
        raise ConfigurationError(f"nobody can listen on {remote}; ports run from 1 to 65535")
    family = family_of(remote.ip)
    if source is not None:
        if family_of(source.ip) != family:
            raise ConfigurationError(
                f"cannot reach {remote} from {source.ip}: one is IPv4, the other IPv6; "
                "name a source of the same family"
            )
        connected = open_bound(source.ip, source.port)
    else:
        connected = _open(family)
    try:
        connected.connect(socket_address(remote, family))
    except OSError as error:
        connected.close()
        raise ConnectionLost(
            f"there is no way to {remote}: {error.strerror}; "
            "check the address and this host's routes"
        ) from error
    return connected


def family_of(ip: str) -> socket.AddressFamily:
    """The family of an IP address. Raises ``ConfigurationError`` for anything else."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, ip)
        except (OSError, ValueError):
            continue
        return family
    raise ConfigurationError(f"{ip!r} is not an IP address; resolve names first")


def socket_address(address: Address, family: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """The system's form of an address, for a socket of the family.

    Never lets a name through: the system would resolve it, and block. Raises ``OSError``
    for an address of the other family.
    """
    if ":" not in address.ip:
        socket.inet_pton(socket.AF_INET, address.ip)
        if family == socket.AF_INET:
            return (address.ip, address.port)
        return (MAPPED + address.ip, address.port, 0, 0)
    socket.inet_pton(socket.AF_INET6, address.ip)
    if family == socket.AF_INET:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    return (address.ip, address.port, 0, address.scope)


def plain_ip(ip: str) -> str:
    """An address as users know it: IPv4 in its own form, no zone behind IPv6."""
    if ip.startswith(MAPPED) and "." in ip:
        return ip[len(MAPPED) :]
    return ip.partition("%")[0]


def enable(udp: socket.socket, *, answers_by_address: bool) -> Abilities:
    """Switches on batches, ECN marks, don't-fragment and large buffers, as far as they exist.

    ``answers_by_address``: each datagram is to tell which local address it was sent to.
    """
    enlarge_buffer(udp, receive=True)
    enlarge_buffer(udp, receive=False)
    if not LINUX:
        return Abilities(gso=False, gro=False, ecn=False, pktinfo=False, dont_fragment=False)
    six = udp.family == socket.AF_INET6
    # An IPv6 socket may carry IPv4 too, so it gets both families' options.
    v4 = socket.IPPROTO_IP
    ecn = _set(udp, v4, IP_RECVTOS, 1)
    quiet = _set(udp, v4, _IP_MTU_DISCOVER, _PMTUDISC_PROBE, _PMTUDISC_DO)
    pktinfo = answers_by_address and _set(udp, v4, IP_PKTINFO, 1)
    if six:
        v6 = socket.IPPROTO_IPV6
        ecn = _set(udp, v6, IPV6_RECVTCLASS, 1)
        quiet = _set(udp, v6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE, _PMTUDISC_DO)
        pktinfo = answers_by_address and _set(udp, v6, IPV6_RECVPKTINFO, 1)
    try:
        udp.getsockopt(SOL_UDP, UDP_SEGMENT)
        gso = True
    except OSError:
        gso = False
    return Abilities(gso, _set(udp, SOL_UDP, UDP_GRO, 1), ecn, pktinfo, quiet)


def path_mtu(udp: socket.socket, connected: bool) -> int:
    """The largest UDP payload that the system takes: for a connected socket the route's."""
    six = udp.family == socket.AF_INET6
    largest = MAX_PAYLOAD_V6 if six else MAX_PAYLOAD_V4
    if not (connected and LINUX):
        return largest
    try:
        if six:
            known = udp.getsockopt(socket.IPPROTO_IPV6, _IPV6_MTU) - 48
        else:
            known = udp.getsockopt(socket.IPPROTO_IP, _IP_MTU) - 28
    except OSError:
        return largest
    return max(1200, min(largest, known))


def enlarge_buffer(udp: socket.socket, *, receive: bool, wanted: int = BUFFER_SIZE) -> bool:
    """Asks for a large buffer; warns, once for each place, when the system caps it."""
    option, force, name = (
        (socket.SO_RCVBUF, _SO_RCVBUFFORCE, "receive")
        if receive
        else (socket.SO_SNDBUF, _SO_SNDBUFFORCE, "send")
    )
    _set(udp, socket.SOL_SOCKET, option, wanted)
    if udp.getsockopt(socket.SOL_SOCKET, option) >= wanted:
        return True
    if LINUX and _set(udp, socket.SOL_SOCKET, force, wanted):  # root may go beyond the cap
        return True
    given = udp.getsockopt(socket.SOL_SOCKET, option)
    setting = "net.core.rmem_max" if receive else "net.core.wmem_max"
    remedy = f"raise it with: sysctl -w {setting}={wanted}" if LINUX else "raise the system's cap"
    warnings.warn(
        f"the system caps the UDP {name} buffer at {given} bytes of {wanted} asked for; "
        f"fast transfers lose packets and slow down; {remedy}",
        BufferWarning,
        stacklevel=2,
    )
    return False


def _open(family: socket.AddressFamily) -> socket.socket:
    try:
        opened = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        kind = "IPv6" if family == socket.AF_INET6 else "IPv4"
        raise ConfigurationError(
            f"cannot open an {kind} UDP socket: {error.strerror}; "
            f"does this host have {kind}, and free file descriptors?"
        ) from error
    opened.setblocking(False)
    return opened


def _set(udp: socket.socket, level: int, option: int, *values: int) -> bool:
    """Tries the values in turn. False when the system takes none."""
    for value in values:
        try:
            udp.setsockopt(level, option, value)
        except OSError:
            continue
        return True
    return False


def _has_ipv6() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _why_not_bound(ip: str, port: int, error: OSError) -> str:
    where = str(Address(ip, port))
    if error.errno == errno.EADDRINUSE:
        return f"UDP {where} is taken by another program; stop it or choose another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"UDP {where} cannot be bound: this host does not have that address; use one it has"
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"UDP {where} may not be bound by this user; choose a port of 1024 or above, "
            "or grant the right to low ports"
        )
    return f"UDP {where} cannot be bound: {error.strerror or error}; choose another address"
