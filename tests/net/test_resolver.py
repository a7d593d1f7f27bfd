"""Names become addresses; what cannot is explained."""

from __future__ import annotations

import socket

import anyio
import pytest

from ropewalk.net import SystemResolver
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConfigurationError
from tests.net.conftest import BOUND

pytestmark = pytest.mark.anyio


async def test_localhost_resolves_to_loopback() -> None:
    with anyio.fail_after(BOUND):
        addresses = await SystemResolver().resolve("localhost", 4433)
    assert set(addresses) <= {Address("127.0.0.1", 4433), Address("::1", 4433)}
    assert addresses


@pytest.mark.parametrize("ip", ["192.0.2.1", "2001:db8::1"])
async def test_an_ip_address_is_taken_as_it_is(ip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("nothing to look up")

    monkeypatch.setattr(anyio, "getaddrinfo", never)
    assert await SystemResolver().resolve(ip, 443) == (Address(ip, 443),)


async def test_each_address_comes_once_in_the_systems_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answers(*_: object, **__: object) -> list[object]:
        kind = socket.SOCK_DGRAM
        return [
            (socket.AF_INET6, kind, 17, "", ("2001:db8::2", 443, 0, 0)),
            (socket.AF_INET, kind, 17, "", ("192.0.2.2", 443)),
            (socket.AF_INET6, kind, 17, "", ("2001:db8::2", 443, 0, 0)),
            (socket.AF_INET6, kind, 17, "", ("fe80::2%eth0", 443, 0, 3)),
        ]

    monkeypatch.setattr(anyio, "getaddrinfo", answers)
    assert await SystemResolver().resolve("host.example", 443) == (
        Address("2001:db8::2", 443),
        Address("192.0.2.2", 443),
        Address("fe80::2", 443, 3),
    )


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known")])
async def test_an_unknown_name_says_what_why_and_what_to_do(
    error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(anyio, "getaddrinfo", fails)
    with pytest.raises(ConfigurationError) as caught:
        await SystemResolver().resolve("nowhere.invalid", 443)
    assert str(caught.value) == (
        "the name 'nowhere.invalid' was not resolved: Name or service not known; "
        "check its spelling and the DNS"
    )


@pytest.mark.parametrize("host", ["", "a" * 70 + ".example", "..", "nul\0host", "ü" * 70, "\ud800"])
async def test_what_is_no_name_is_a_configuration_error(host: str) -> None:
    with anyio.fail_after(BOUND), pytest.raises(ConfigurationError):
        await SystemResolver().resolve(host, 443)


async def test_port_0_passes_for_who_will_listen() -> None:
    assert await SystemResolver().resolve("127.0.0.1", 0) == (Address("127.0.0.1", 0),)


@pytest.mark.parametrize("port", [-1, 65536])
async def test_a_port_out_of_range_is_a_configuration_error(port: int) -> None:
    with pytest.raises(ConfigurationError, match="ports run from 1 to 65535"):
        await SystemResolver().resolve("localhost", port)
