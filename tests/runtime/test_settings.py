"""From keywords to configurations."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import anyio
import pytest

import ropewalk
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import Carrier
from ropewalk.quic.types.configuration import Configuration, NoVerification, PinnedKey, PrivateCa
from ropewalk.runtime import Settings, SystemNetwork, connect, serve
from ropewalk.runtime.certificates import MadeCertificate
from ropewalk.runtime.settings import client_configuration, server_configuration

from .conftest import ALPN, BOUND, echo

PIN = bytes(range(32))


def test_one_way_to_trust_is_enough(made: MadeCertificate) -> None:
    with pytest.raises(ropewalk.ConfigurationError, match="one of them"):
        client_configuration("host", "x", made.cert_pem, PIN, None, None)


def test_each_way_to_trust_has_its_verification(made: MadeCertificate) -> None:
    by_ca = client_configuration("host", "x", made.cert_pem, None, None, None)
    assert by_ca.verification == PrivateCa(made.cert_pem)
    chosen = client_configuration("host", "x", None, None, NoVerification(), None)
    assert chosen.verification == NoVerification()


@pytest.mark.parametrize("pin", [PIN, PIN.hex(), "sha256:" + PIN.hex(), [PIN.hex(), PIN]])
def test_pins_are_taken_in_any_usual_form(pin: str | bytes | list[str | bytes]) -> None:
    verification = client_configuration("host", "x", None, pin, None, None).verification
    assert isinstance(verification, PinnedKey)
    assert set(verification.spki_sha256) == {PIN}


@pytest.mark.parametrize("pin", [b"short", "zz" * 32, "00" * 31])
def test_what_is_no_pin_is_refused(pin: str | bytes) -> None:
    with pytest.raises(ropewalk.ConfigurationError, match="64 hexadecimal digits"):
        client_configuration("host", "x", None, pin, None, None)


def test_the_server_name_defaults_to_the_host() -> None:
    assert client_configuration("host", "x", None, PIN, None, None).server_name == "host"
    assert client_configuration("host", "x", None, PIN, None, "other").server_name == "other"


def test_keywords_reach_the_configuration() -> None:
    made = client_configuration("host", ["x", "y"], None, PIN, None, None, max_udp_payload=1300)
    assert made.alpn == ("x", "y")
    assert made.max_udp_payload == 1300


def test_every_field_of_the_configuration_can_be_set() -> None:
    by_argument = {"alpn", "server_name", "verification", "credentials"}
    fields = {each.name for each in dataclasses.fields(Configuration)}
    assert Settings.__annotations__.keys() == fields - by_argument


def test_a_server_needs_to_prove_itself(made: MadeCertificate) -> None:
    with pytest.raises(ropewalk.ConfigurationError, match="certificate and key"):
        server_configuration("x", made.cert_pem, None, None)


@pytest.mark.anyio
async def test_keys_are_logged_where_the_environment_says(
    made: MadeCertificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    with anyio.fail_after(BOUND):
        async with (
            serve(
                echo, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
            ) as server,
            connect("127.0.0.1", server.address.port, alpn=ALPN, ca=made.cert_pem),
        ):
            pass
    labels = {line.split()[0] for line in log.read_text().splitlines()}
    assert {"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"} <= labels
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.anyio
async def test_a_key_log_that_cannot_be_written_hinders_nobody(
    made: MadeCertificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path))
    with anyio.fail_after(BOUND):
        async with (
            serve(
                echo, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
            ) as server,
            connect("127.0.0.1", server.address.port, alpn=ALPN, ca=made.cert_pem),
        ):
            pass
    assert sum("SSLKEYLOGFILE" in record.message for record in caplog.records) == 2


def test_a_zone_is_not_part_of_a_servers_name() -> None:
    assert client_configuration("fe80::1%eth0", "x", None, PIN, None, None).server_name == "fe80::1"


@pytest.mark.anyio
async def test_datagrams_shrink_to_what_the_route_carries_and_that_is_told(
    made: MadeCertificate, caplog: pytest.LogCaptureFixture
) -> None:
    class Narrow(SystemNetwork):
        def connect(self, remote: Address, local: int) -> Carrier:
            carrier = super().connect(remote, local)
            carrier.mtu = 1300
            return carrier

    with anyio.fail_after(BOUND):
        async with (
            serve(
                echo, "127.0.0.1", 0, alpn=ALPN, certificate=made.cert_pem, key=made.key_pem
            ) as server,
            connect(
                "127.0.0.1",
                server.address.port,
                alpn=ALPN,
                ca=made.cert_pem,
                network=Narrow(),
                initial_udp_payload=9000,
                max_udp_payload=9000,
            ) as connection,
        ):
            assert connection.stats.paths[0].max_datagram_size == 1300
    assert any("at most 1300 bytes" in record.getMessage() for record in caplog.records)
