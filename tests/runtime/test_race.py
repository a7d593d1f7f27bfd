"""A setting that cannot work is told bare and early, whatever part of the stack finds it out."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

import ropewalk
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import Carrier
from ropewalk.runtime import SystemNetwork, connect, serve
from ropewalk.runtime.certificates import MadeCertificate

from .conftest import ALPN, BOUND, echo, open_files


class Refusing(SystemNetwork):
    """A network whose sockets cannot be had, for a reason that is the caller's to mend."""

    def __init__(self, error: ropewalk.Error) -> None:
        super().__init__()
        self._error = error
        self.asked = 0

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        await anyio.lowlevel.checkpoint()
        return [Address("127.0.0.1", 1), Address("127.0.0.2", 1)]

    def connect(self, remote: Address, local: int) -> Carrier:
        self.asked += 1
        raise self._error

    def bind(self, ip: str, port: int, local: int) -> Carrier:
        self.asked += 1
        raise self._error


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [ropewalk.ConfigurationError, ropewalk.Unsupported])
async def test_an_attempt_that_cannot_work_ends_the_race_and_is_raised_bare(
    kind: type[ropewalk.Error],
) -> None:
    network = Refusing(kind("not like this"))
    files = open_files()
    with anyio.fail_after(BOUND), pytest.raises(kind, match="not like this"):
        async with connect("two.example", 1, alpn=ALPN, network=network):
            pytest.fail("connected")
    assert network.asked == 1
    assert open_files() == files


@pytest.mark.anyio
async def test_an_unknown_congestion_control_is_told_before_anything_is_connected() -> None:
    network = Refusing(ropewalk.Unsupported("it was tried"))
    with anyio.fail_after(BOUND), pytest.raises(ropewalk.ConfigurationError, match="bbr"):
        async with connect("127.0.0.1", 1, alpn=ALPN, network=network, congestion="bbr"):
            pytest.fail("connected")
    assert network.asked == 0


@pytest.mark.anyio
async def test_an_unknown_congestion_control_is_told_before_anything_is_bound(
    made: MadeCertificate,
) -> None:
    network = Refusing(ropewalk.Unsupported("it was tried"))
    certificate, key = made.cert_pem, made.key_pem
    with anyio.fail_after(BOUND), pytest.raises(ropewalk.ConfigurationError, match="bbr"):
        async with serve(
            *(echo, "127.0.0.1", 0),
            alpn=ALPN,
            certificate=certificate,
            key=key,
            network=network,
            congestion="bbr",
        ):
            pytest.fail("listening")
    assert network.asked == 0


@pytest.mark.anyio
async def test_an_ipv6_host_is_named_with_brackets(made: MadeCertificate) -> None:
    class Refused(SystemNetwork):
        def connect(self, remote: Address, local: int) -> Carrier:
            raise ropewalk.ConnectionRefused("refused")

    with anyio.fail_after(BOUND), pytest.raises(ropewalk.ConnectionRefused) as caught:
        async with connect("::1", 1, alpn=ALPN, ca=made.cert_pem, network=Refused()):
            pytest.fail("connected")
    assert "nobody listens at [::1]:1: " in str(caught.value)
