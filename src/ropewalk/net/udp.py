"""UDP over plain sockets: one system call moves a batch of datagrams."""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from contextlib import suppress
from typing import Final, Self

import anyio

from ropewalk.net.ancillary import (
    RECEIVE_SPACE,
    AddressTable,
    ControlMessages,
    IncomingMessages,
    OutgoingMessages,
    SocketAddress,
)
from ropewalk.net.sockets import (
    Abilities,
    enable,
    open_bound,
    open_connected,
    path_mtu,
    plain_ip,
)
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import Carrier, SendFailure
from ropewalk.quic.types.datagrams import Burst, Datagrams

#: Linux segments at most 64 datagrams and one IP packet's worth of bytes in a call.
_MAX_SEGMENTS: Final = 64
_MAX_BATCH: Final = 65487

_RECEIVE_SIZE: Final = 65536
#: Failures kept for the driver; older ones give way.
_MAX_FAILURES: Final = 64

_BLOCKED: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK})
#: What a kernel or a device says that cannot segment this batch. A datagram that is too large
#: for the route looks the same (EINVAL, since Linux 6.x EMSGSIZE): only single sends tell.
_NOT_SEGMENTED: Final = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP})
_KINDS: Final = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "refused",  # how Windows reports a closed port
    errno.EMSGSIZE: "too-large",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.EADDRNOTAVAIL: "unreachable",  # the source address has left this host
    errno.EACCES: "unreachable",
    errno.EPERM: "unreachable",  # a local packet filter
}


class UdpCarrier(Carrier):
    """One UDP socket, made by :meth:`bind` or :meth:`connect`.

    ``gso``, ``gro``, ``ecn``, ``pktinfo`` and ``dont_fragment`` tell what the system does for
    it; where one is False the carrier works without. ``gso`` turns False when the system
    refuses a segmented send.
    """

    reliable = False

    def __init__(self, udp: socket.socket, local: int, remote: Address | None) -> None:
        self.local = local
        self._socket = udp
        self._remote = remote
        self._addresses = AddressTable(udp.family)
        own = udp.getsockname()
        self._address = self._addresses.address(own)
        wildcard = self._address.ip in ("::", "0.0.0.0")  # noqa: S104  # a comparison
        abilities: Abilities = enable(udp, answers_by_address=wildcard)
        self.reliable = False
        self.gso = abilities.gso
        self.gro = abilities.gro
        self.ecn = abilities.ecn
        self.pktinfo = abilities.pktinfo
        self.dont_fragment = abilities.dont_fragment
        self.mtu = path_mtu(udp, connected=remote is not None)
        self._incoming = IncomingMessages("" if wildcard else plain_ip(own[0]))
        self._outgoing = OutgoingMessages()
        self._failures: deque[SendFailure] = deque(maxlen=_MAX_FAILURES)
        #: A burst that blocked half-way, and where it goes on.
        self._held: Burst | None = None
        self._held_from = 0
        self._closed = False

    @classmethod
    def bind(cls, ip: str = "", port: int = 0, *, local: int = 0) -> Self:
        """A carrier for any peer. ``""`` takes all addresses, IPv4 and IPv6.

        Raises ``ConfigurationError`` when the address is taken, missing or none.
        """
        return cls(open_bound(ip, port), local, None)

    @classmethod
    def connect(cls, remote: Address, *, local: int = 0, source: Address | None = None) -> Self:
        """A carrier for one peer; the system then reports when nobody listens there.

        Raises ``ConfigurationError`` for unusable addresses, ``ConnectionLost`` when the
        system knows no way to the peer.
        """
        return cls(open_connected(remote, source), local, remote)

    def address(self) -> Address:
        """The local address; its IP is the wildcard if it was bound to that."""
        return self._address

    def fileno(self) -> int:
        """The socket's descriptor, for drivers with a loop of their own."""
        return self._socket.fileno()

    # -- receiving

    def receive(self, limit: int = 64) -> list[Datagrams]:
        """At most ``limit`` buffers. Errors that the system holds for us become failures."""
        received: list[Datagrams] = []
        incoming = self._incoming
        udp = self._socket
        for _ in range(limit):
            try:
                if RECEIVE_SPACE:
                    data, messages, _, sender = udp.recvmsg(_RECEIVE_SIZE, RECEIVE_SPACE)
                else:
                    data, sender = udp.recvfrom(_RECEIVE_SIZE)
                    messages = []
            except OSError as error:
                if error.errno in _BLOCKED or self._closed:
                    break
                self._fail(error.errno or 0, self._remote, 0)
                continue
            if not data:  # an empty datagram holds no packet
                continue
            incoming.read(messages)
            received.append(
                Datagrams(
                    data,
                    incoming.segment_size or len(data),
                    self.local,
                    incoming.local_ip,
                    self._addresses.address(sender),
                    incoming.ecn,
                )
            )
        return received

    # -- sending

    def send(self, burst: Burst) -> bool:
        """Sends all of a burst; see :meth:`Carrier.send`.

        After False the same burst goes on where it stopped, so nothing leaves twice.
        """
        start = self._held_from if self._held is burst else 0
        self._held = None
        end = len(burst.data)
        size = int(burst.segment_size)
        try:
            target = self._target(burst.remote)
        except OSError as error:
            self._fail(error.errno or errno.EINVAL, burst.remote, size)
            return True
        while start < end:
            if self.gso and end - start > size:
                stop = min(end, start + min(_MAX_SEGMENTS, max(1, _MAX_BATCH // size)) * size)
                code = self._send_piece(burst, target, start, stop, size)
                if code in _NOT_SEGMENTED:
                    start = self._send_singly(burst, target, start, stop, code)
                    if start < stop:
                        return self._hold(burst, start)
                    continue
            else:
                stop = min(end, start + size)
                code = self._send_piece(burst, target, start, stop, 0)
            if code in _BLOCKED:
                return self._hold(burst, start)
            start = stop
        return True

    def _send_singly(
        self, burst: Burst, target: SocketAddress | None, start: int, stop: int, refusal: int
    ) -> int:
        """One by one what a segmented send refused. Returns how far it came.

        The refusal is remembered for the socket if single datagrams do pass, for then it was
        the segmentation that failed and not their size.
        """
        size = int(burst.segment_size)
        passed = False
        while start < stop:
            end = min(stop, start + size)
            code = self._send_piece(burst, target, start, end, 0)
            if code in _BLOCKED:
                break
            passed = passed or (code == 0 and end - start == size)
            start = end
        if passed and refusal != errno.EMSGSIZE:
            self.gso = False
        return start

    def _send_piece(
        self, burst: Burst, target: SocketAddress | None, start: int, stop: int, segment_size: int
    ) -> int:
        """One system call. Returns 0, or the error's number after noting the failure.

        An error may be the report about an earlier datagram (a connected socket's ICMP), and
        then this one has not left; so the call is made once more.
        """
        data = burst.data
        if stop - start != len(data):
            data = data[start:stop]
        messages = self._outgoing.get(
            segment_size,
            int(burst.ecn) if self.ecn else 0,
            burst.local_ip if self.pktinfo else "",
            ":" in burst.remote.ip,
        )
        code = self._call(data, messages, target)
        if code == 0 or code in _BLOCKED or (segment_size and code in _NOT_SEGMENTED):
            return code
        self._fail(code, burst.remote, min(stop - start, int(burst.segment_size)))
        if code not in _KINDS:
            return code
        again = self._call(data, messages, target)
        if again not in (0, code) and again not in _BLOCKED:
            self._fail(again, burst.remote, min(stop - start, int(burst.segment_size)))
        return again

    def _call(self, data: bytes, messages: ControlMessages, target: SocketAddress | None) -> int:
        try:
            if messages:
                self._socket.sendmsg((data,), messages, 0, target)
            elif target is None:
                self._socket.send(data)
            else:
                self._socket.sendto(data, target)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def _target(self, remote: Address) -> SocketAddress | None:
        """None on the socket that is connected to the remote."""
        if self._remote is not None and remote == self._remote:
            return None
        return self._addresses.socket_address(remote)

    def _hold(self, burst: Burst, start: int) -> bool:
        self._held = burst
        self._held_from = start
        return False

    # -- what went wrong

    def failures(self) -> list[SendFailure]:
        """What the system refused since the last call; one entry for equal neighbours."""
        failures = list(self._failures)
        self._failures.clear()
        return failures

    def _fail(self, code: int, remote: Address | None, size: int) -> None:
        failure = SendFailure(_KINDS.get(code, "other"), remote, size, os.strerror(code))
        if not self._failures or self._failures[-1] != failure:
            self._failures.append(failure)

    # -- waiting

    async def readable(self) -> None:
        """Wait for a datagram or an error. Raises ``anyio.ClosedResourceError`` once closed."""
        if self._closed:
            raise anyio.ClosedResourceError
        await anyio.wait_readable(self._socket)

    async def writable(self) -> None:
        """Wait for room to send. Raises ``anyio.ClosedResourceError`` once closed."""
        if self._closed:
            raise anyio.ClosedResourceError
        await anyio.wait_writable(self._socket)

    def close(self) -> None:
        """Closes the socket; who waits for it is told. Idempotent, needs no event loop."""
        if self._closed:
            return
        self._closed = True
        self._held = None
        # Without a running loop nobody can be waiting.
        with suppress(anyio.NoEventLoopError):
            anyio.notify_closing(self._socket)
        self._socket.close()
