"""Connections that do not come about, and what the user is told."""

from __future__ import annotations

import socket
from pathlib import Path

import anyio
import pytest

import ropewalk
from ropewalk.runtime import connect, serve
from ropewalk.runtime.certificates import MadeCertificate, make_authority, make_certificate

from .conftest import ALPN, BOUND, echo

pytestmark = pytest.mark.anyio


def closed_port() -> int:
    """A UDP port that nobody listens at, as far as one can know."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_nobody_listening_is_told_at_once(made: MadeCertificate) -> None:
    port = closed_port()
    with anyio.fail_after(5), pytest.raises(ropewalk.ConnectionRefused) as caught:
        async with connect("127.0.0.1", port, alpn=ALPN, ca=made.cert_pem):
            pytest.fail("somebody listened")
    text = str(caught.value)
    assert f"127.0.0.1:{port}" in text
    assert "nobody listens" in text
    assert "check the port" in text


async def test_silence_ends_at_the_handshake_timeout(made: MadeCertificate) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with anyio.fail_after(BOUND), pytest.raises(ropewalk.HandshakeTimeout) as caught:
            async with connect(
                "127.0.0.1", port, alpn=ALPN, ca=made.cert_pem, handshake_timeout=0.3
            ):
                pytest.fail("somebody answered")
    text = str(caught.value)
    assert f"127.0.0.1:{port}" in text
    assert "0.3 seconds" in text
    assert "firewall" in text


async def test_no_common_application_protocol(made: MadeCertificate) -> None:
    with anyio.fail_after(BOUND):
        async with serve(
            echo, "127.0.0.1", 0, alpn="theirs", certificate=made.cert_pem, key=made.key_pem
        ) as server:
            with pytest.raises(ropewalk.HandshakeError) as caught:
                async with connect(
                    "127.0.0.1", server.address.port, alpn=["ours", "too"], ca=made.cert_pem
                ):
                    pytest.fail("they agreed")
    assert caught.value.alert == 120
    assert caught.value.code == 0x178
    assert caught.value.from_peer
    assert f"127.0.0.1:{server.address.port}" in caught.value.__notes__[0]


@pytest.mark.parametrize("fault", ["stranger", "misnamed", "expired", "other pin"])
async def test_a_certificate_that_does_not_convince(made: MadeCertificate, fault: str) -> None:
    from datetime import UTC, datetime

    authority = make_authority()
    name = "elsewhere.example" if fault == "misnamed" else "127.0.0.1"
    past = datetime(2020, 1, 1, tzinfo=UTC) if fault == "expired" else None
    theirs = make_certificate([name], issuer=None if fault == "stranger" else authority, now=past)
    pin, ca = (made.spki_sha256, None) if fault == "other pin" else (None, authority.cert_pem)
    with anyio.fail_after(BOUND):
        async with serve(
            echo, "127.0.0.1", 0, alpn=ALPN, certificate=theirs.cert_pem, key=theirs.key_pem
        ) as server:
            with pytest.raises(ropewalk.HandshakeError) as caught:
                async with connect("127.0.0.1", server.address.port, alpn=ALPN, pin=pin, ca=ca):
                    pytest.fail("it was trusted")
    assert not caught.value.from_peer
    told = {
        "stranger": "issuer",
        "misnamed": "elsewhere.example",
        "expired": "expired",
        "other pin": "pin",
    }[fault]
    assert told in str(caught.value)


async def test_a_taken_port_is_told_in_one_line(made: MadeCertificate) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with anyio.fail_after(BOUND), pytest.raises(ropewalk.ConfigurationError) as caught:
            async with serve(
                echo, "127.0.0.1", port, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
            ):
                pytest.fail("it was free")
    assert str(port) in str(caught.value)
    assert "taken" in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_unreadable_files_are_named(tmp_path: Path, made: MadeCertificate) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(ropewalk.ConfigurationError, match=r"certificate file .*missing\.pem"):
        async with serve(echo, "127.0.0.1", 0, alpn=ALPN, certificate=missing, key=made.key_pem):
            pytest.fail("it was read")
    with pytest.raises(ropewalk.ConfigurationError, match=r"ca file .*missing\.pem"):
        async with connect("127.0.0.1", 9, alpn=ALPN, ca=str(missing)):
            pytest.fail("it was read")


async def test_files_are_taken_by_path_as_well(tmp_path: Path, made: MadeCertificate) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.cert_pem)
    key.write_bytes(made.key_pem)
    with anyio.fail_after(BOUND):
        async with (
            serve(echo, "127.0.0.1", 0, alpn=ALPN, certificate=certificate, key=key) as server,
            connect("127.0.0.1", server.address.port, alpn=ALPN, ca=str(certificate)) as connection,
        ):
            assert connection.alpn == ALPN


async def test_an_unknown_name_is_told(made: MadeCertificate) -> None:
    with anyio.fail_after(BOUND), pytest.raises(ropewalk.ConfigurationError, match="invalid"):
        async with connect("no-such-host.invalid", 4433, alpn=ALPN, ca=made.cert_pem):
            pytest.fail("it exists")
