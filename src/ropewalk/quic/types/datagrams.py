"""What crosses the border between the core and a carrier: batches of datagrams."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.types.address import Address

#: ECN code points of the IP header (RFC 3168 5).
ECN_NOT_ECT: Final = 0
ECN_ECT1: Final = 1
ECN_ECT0: Final = 2
ECN_CE: Final = 3


@final
class Datagrams:
    """One receive call's worth of datagrams from one peer (a GRO buffer, or one datagram).

    ``data`` holds datagrams of ``segment_size`` bytes each; only the last may be shorter.
    ``local`` is the number the driver gave its socket, ``local_ip`` the address that the
    datagrams were sent to ("" where the system does not tell), ``ecn`` the ECN code point.
    """

    __slots__ = ("data", "ecn", "local", "local_ip", "remote", "segment_size")

    def __init__(
        self,
        data: bytes,
        segment_size: i64,
        local: i64,
        local_ip: str,
        remote: Address,
        ecn: i64 = ECN_NOT_ECT,
    ) -> None:
        self.data = data
        self.segment_size: i64 = segment_size
        self.local: i64 = local
        self.local_ip = local_ip
        self.remote = remote
        self.ecn: i64 = ecn


@final
class Burst:
    """One send call's worth of datagrams to one peer (a GSO buffer, or one datagram).

    ``data`` holds datagrams of ``segment_size`` bytes each; only the last may be shorter.
    ``local_ip`` is the source address to use ("" lets the system choose). A driver may
    hold the burst until ``not_before`` (seconds, monotonic); the core sets it to the time
    of the call unless a carrier can pace by itself.
    """

    __slots__ = ("data", "ecn", "local", "local_ip", "not_before", "remote", "segment_size")

    def __init__(
        self,
        data: bytes,
        segment_size: i64,
        local: i64,
        local_ip: str,
        remote: Address,
        ecn: i64,
        not_before: float,
    ) -> None:
        self.data = data
        self.segment_size: i64 = segment_size
        self.local: i64 = local
        self.local_ip = local_ip
        self.remote = remote
        self.ecn: i64 = ecn
        self.not_before = not_before
