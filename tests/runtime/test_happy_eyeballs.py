"""Connecting to a host with several addresses (RFC 8305)."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

import anyio
import pytest

import ropewalk
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import Carrier
from ropewalk.runtime import SystemNetwork, connect, serve
from ropewalk.runtime.certificates import MadeCertificate
from ropewalk.runtime.client import interleave

from .conftest import ALPN, BOUND, echo, open_files


class Names(SystemNetwork):
    """The real network, with a resolver that says what it is told."""

    def __init__(self, *addresses: Address) -> None:
        super().__init__()
        self._addresses = addresses
        self.opened: list[Address] = []

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        await anyio.lowlevel.checkpoint()
        return self._addresses

    def connect(self, remote: Address, local: int) -> Carrier:
        self.opened.append(remote)
        return super().connect(remote, local)


@pytest.fixture
def silent() -> Iterator[Address]:
    """An address that takes datagrams and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        yield Address("127.0.0.1", hole.getsockname()[1])


@pytest.fixture
def refusing() -> Address:
    """An address where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", probe.getsockname()[1])


def test_families_alternate_and_the_first_one_stays_first() -> None:
    six = [Address(f"::{number}", 1) for number in (1, 2, 3)]
    four = [Address(f"10.0.0.{number}", 1) for number in (1, 2)]
    assert interleave([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert interleave([*four, *six]) == [four[0], six[0], four[1], six[1], six[2]]
    assert interleave(six) == six
    assert interleave([]) == []


@pytest.mark.anyio
async def test_a_silent_address_gives_way_to_the_next(
    made: MadeCertificate, silent: Address
) -> None:
    with anyio.fail_after(BOUND):
        async with serve(
            echo, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
        ) as server:
            network = Names(silent, server.address)
            files = open_files()
            async with connect(
                "127.0.0.1", 1, alpn=ALPN, ca=made.cert_pem, network=network
            ) as connection:
                assert connection.remote_address == server.address
                assert network.opened == [silent, server.address]
                # The loser's socket is closed while the winner is in use.
                assert len(open_files() - files) == 1
            assert open_files() == files


@pytest.mark.anyio
async def test_an_answer_in_time_leaves_the_other_addresses_alone(
    made: MadeCertificate, silent: Address
) -> None:
    with anyio.fail_after(BOUND):
        async with serve(
            echo, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
        ) as server:
            network = Names(server.address, silent)
            async with connect("127.0.0.1", 1, alpn=ALPN, ca=made.cert_pem, network=network):
                await anyio.sleep(0.3)
            assert network.opened == [server.address]


@pytest.mark.anyio
async def test_a_refusal_starts_the_next_attempt_at_once(
    made: MadeCertificate, refusing: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ropewalk.runtime.client._ATTEMPT_DELAY", BOUND)
    with anyio.fail_after(BOUND / 2):
        async with serve(
            echo, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
        ) as server:
            network = Names(refusing, server.address)
            async with connect(
                "127.0.0.1", 1, alpn=ALPN, ca=made.cert_pem, network=network
            ) as connection:
                assert connection.remote_address == server.address


@pytest.mark.anyio
async def test_when_all_refuse_one_error_names_them_all(
    made: MadeCertificate, refusing: Address
) -> None:
    other = Address("127.0.0.2", refusing.port)
    with anyio.fail_after(BOUND), pytest.raises(ropewalk.ConnectionRefused) as caught:
        async with connect(
            "two.example", 443, alpn=ALPN, ca=made.cert_pem, network=Names(refusing, other)
        ):
            pytest.fail("somebody listened")
    for part in ("two.example:443", str(refusing), str(other)):
        assert part in str(caught.value)


@pytest.mark.anyio
async def test_an_address_without_a_route_does_not_spoil_the_others(
    made: MadeCertificate,
) -> None:
    nowhere = Address("::ffff:0:1", 4433)  # an IPv6 address that no machine has a way to
    with anyio.fail_after(BOUND):
        async with serve(
            echo, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
        ) as server:
            network = Names(nowhere, server.address)
            async with connect(
                "127.0.0.1", 1, alpn=ALPN, ca=made.cert_pem, network=network
            ) as connection:
                assert connection.remote_address == server.address
