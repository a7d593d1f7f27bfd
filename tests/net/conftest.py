"""Real sockets on loopback. Nothing here waits longer than a bound."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator

import anyio
import pytest

from ropewalk.net import UdpCarrier
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.datagrams import Burst, Datagrams

LINUX = sys.platform.startswith("linux")
BOUND = 10.0

Track = Callable[[UdpCarrier], UdpCarrier]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def track() -> Iterator[Track]:
    """Closes what a test opened."""
    opened: list[UdpCarrier] = []

    def keep(carrier: UdpCarrier) -> UdpCarrier:
        opened.append(carrier)
        return carrier

    yield keep
    for carrier in opened:
        carrier.close()


def have_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def burst(
    data: bytes, segment_size: int, remote: Address, ecn: int = 0, local_ip: str = ""
) -> Burst:
    return Burst(data, segment_size, 0, local_ip, remote, ecn, 0.0)


def numbered(count: int, size: int, last: int | None = None) -> bytes:
    """Datagrams of which each begins with its number."""
    parts = [index.to_bytes(4, "big").ljust(size, b".") for index in range(count)]
    if last is not None:
        parts[-1] = parts[-1][:last]
    return b"".join(parts)


def split(batches: list[Datagrams]) -> list[bytes]:
    """The single datagrams, in the order of arrival."""
    return [
        batch.data[start : start + batch.segment_size]
        for batch in batches
        for start in range(0, len(batch.data), batch.segment_size)
    ]


async def collect(carrier: UdpCarrier, size: int) -> list[Datagrams]:
    """Batches until ``size`` bytes are there."""
    batches: list[Datagrams] = []
    with anyio.fail_after(BOUND):
        while sum(len(batch.data) for batch in batches) < size:
            await carrier.readable()
            batches += carrier.receive()
    return batches
