"""A route: one 4-tuple with all that depends on the network between its ends."""

from __future__ import annotations

from math import inf
from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.path.mtu_search import MtuSearch
from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.quic.types.address import Address

#: RFC 9000 8.1: before validation no more than three times what came in.
AMPLIFICATION_FACTOR: Final = 3
#: RFC 9000 14.1: every route must carry datagrams of this size.
MINIMUM_DATAGRAM_SIZE: Final = 1200


@final
class Route:
    """One pair of addresses: validation, amplification limit, RTT, congestion, datagram size.

    ``local`` is the driver's number of the socket, ``local_ip`` the source address to send
    from ("" lets the system choose).
    """

    def __init__(
        self,
        local: i64,
        local_ip: str,
        remote: Address,
        recovery: RouteRecovery,
        datagram_size: i64,
        validated: bool,
    ) -> None:
        self.local: i64 = local
        self.local_ip = local_ip
        self.remote = remote
        self.recovery = recovery
        #: largest UDP payload sent on this route
        self.datagram_size: i64 = datagram_size
        #: finds a larger one; shared by routes between the same hosts. None: no search
        self.search: MtuSearch | None = None
        self.validated = validated
        self.bytes_received: i64 = 0
        self.bytes_sent: i64 = 0
        self.packets_received: i64 = 0
        self.packets_sent: i64 = 0
        self.packets_lost: i64 = 0
        #: PATH_CHALLENGE data on its way (RFC 9000 8.2), b"" when none
        self.challenge = b""
        #: all challenges of this validation, for each copy has data of its own (8.2.1)
        self.challenges: list[bytes] = []
        #: those of them that left in a datagram below 1,200 bytes (8.2.1)
        self.unexpanded: list[bytes] = []
        self.challenge_pending = False
        self.challenge_sent_at = -inf
        self.challenge_deadline = inf
        self.challenges_sent: i64 = 0

    def amplification_room(self) -> i64:
        """Bytes that may still be sent before the peer's address is validated."""
        if self.validated:
            return 1 << 40
        return max(0, AMPLIFICATION_FACTOR * self.bytes_received - self.bytes_sent)

    def matches(self, local: i64, remote: Address) -> bool:
        """Whether a datagram with these addresses travelled on this route."""
        return self.local == local and (self.remote is remote or self.remote == remote)
