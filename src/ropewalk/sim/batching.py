"""How a simulated host hands up what arrived: one datagram at a time, or as GRO would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.datagrams import Datagrams
from ropewalk.quic.types.errors import ConfigurationError

#: What one UDP_GRO buffer of Linux holds at most.
GRO_SEGMENTS = 64
GRO_BYTES = 65507


@dataclass(frozen=True)
class Coalescing:
    """How long a host waits for more datagrams after the first, and how much it glues together.

    ``window`` in seconds: 0 gathers only what arrives at the very same instant. ``segments``
    and ``size`` bound one buffer; ``segments=1`` switches gathering off.
    """

    window: float = 0.0
    segments: int = GRO_SEGMENTS
    size: int = GRO_BYTES

    def __post_init__(self) -> None:
        if not 0.0 <= self.window <= 1.0:
            raise ConfigurationError("a coalescing window lies between 0 and 1 second")
        if self.segments < 1 or not 1 <= self.size <= 65535:
            raise ConfigurationError("a buffer holds 1 segment or more and 1 to 65,535 bytes")


@final
class Received:
    """One datagram that waits at a host's interface."""

    __slots__ = ("data", "ecn", "local", "local_ip", "remote")

    def __init__(self, data: bytes, ecn: int, local: int, local_ip: str, remote: Address) -> None:
        self.data = data
        self.ecn = ecn
        self.local = local
        self.local_ip = local_ip
        self.remote = remote


def gather(waiting: list[Received], rule: Coalescing) -> list[Datagrams]:
    """Glue neighbours together as Linux does: same ends, same ECN mark, same size, the last
    of a buffer shorter if need be."""
    buffers: list[Datagrams] = []
    run: list[bytes] = []
    run_bytes = 0
    first: Received | None = None
    for item in waiting:
        if first is not None:
            fits = (
                len(run) < rule.segments
                and run_bytes + len(item.data) <= rule.size
                and len(run[-1]) == len(first.data)
                and 0 < len(item.data) <= len(first.data)
                and item.remote == first.remote
                and item.local == first.local
                and item.local_ip == first.local_ip
                and item.ecn == first.ecn
            )
            if fits:
                run.append(item.data)
                run_bytes += len(item.data)
                continue
            buffers.append(_buffer(run, first))
        first = item
        run = [item.data]
        run_bytes = len(item.data)
    if first is not None:
        buffers.append(_buffer(run, first))
    return buffers


def _buffer(run: list[bytes], first: Received) -> Datagrams:
    return Datagrams(
        b"".join(run), len(first.data), first.local, first.local_ip, first.remote, first.ecn
    )
