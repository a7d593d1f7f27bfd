"""``ropewalk perf`` in processes of their own, over loopback."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from ropewalk.cli.perf import split
from ropewalk.runtime.certificates import make_authority, make_certificate

from .conftest import perf_server, run


def test_a_download_is_measured_on_both_sides() -> None:
    with perf_server("--mtu", "1452") as server:
        ended = run(
            *("perf", "run", server.address, "--pin", server.pin),
            *("--download", "3M", "--mtu", "1452", "--json"),
        )
        assert ended.returncode == 0, ended.stderr
        client, other = json.loads(ended.stdout), server.line()
    assert client["bytes_received"] == other["bytes_sent"] == 3_000_000
    assert client["bytes_sent"] == 0
    assert client["gbit_per_second"] > 0
    assert client["cpu_us_per_packet"] > 0
    assert float(str(other["cpu_us_per_packet"])) > 0
    # Packets of 1,452 bytes: 3 MB need about 2,100 of them.
    assert 2000 < client["packets_received"] < 2600


def test_an_upload_over_streams_and_connections() -> None:
    with perf_server() as server:
        ended = run(
            *("perf", "run", server.address, "--insecure", "--upload", "1000001"),
            *("--streams", "3", "--connections", "2", "--json"),
        )
        assert ended.returncode == 0, ended.stderr
        client, other = json.loads(ended.stdout), server.line()
    assert client["bytes_sent"] == other["bytes_received"] == 1_000_001
    assert client["connections"] == other["connections"] == 2
    assert client["bytes_received"] == 0


def test_both_directions_at_once() -> None:
    with perf_server() as server:
        ended = run(
            *("perf", "run", server.address, "--insecure"),
            *("--upload", "1M", "--download", "2M"),
        )
    assert ended.returncode == 0, ended.stderr
    assert "Gbit/s" in ended.stdout
    assert "1.0 MB sent, 2.0 MB received" in ended.stdout
    assert "µs per packet" in ended.stdout


def test_a_given_certificate_and_ca_are_used(tmp_path: Path) -> None:
    authority = make_authority()
    made = make_certificate(["127.0.0.1"], issuer=authority)
    ca, certificate, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    ca.write_bytes(authority.cert_pem)
    certificate.write_bytes(made.cert_pem)
    key.write_bytes(made.key_pem)
    with perf_server("--cert", str(certificate), "--key", str(key)) as server:
        ended = run("perf", "run", server.address, "--ca", str(ca), "--download", "1K")
        assert ended.returncode == 0, ended.stderr
        refused = run("perf", "run", server.address, "--download", "1K")
        assert refused.returncode == 1
        assert "issuer" in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("perf", "serve", "--cert", "nowhere.pem", "--key", "nowhere.pem"), "nowhere.pem"),
        (("perf", "serve", "--cert", "only.pem"), "belong together"),
        (("perf", "serve", "--mtu", "900"), "1200"),
        (("perf", "run", "localhost"), "HOST:PORT"),
        (("perf", "run", "h:1", "--insecure", "--pin", "00"), "exclude one another"),
        (("perf", "run", "127.0.0.1:1", "--pin", "00"), "64 hexadecimal digits"),
        (("perf", "run", "127.0.0.1:1", "--ca", "nowhere.pem"), "nowhere.pem"),
        (("perf", "run", ":4433", "--insecure"), "no host"),
        (("perf", "run", "h:1", "--download", "much"), "size"),
    ],
)
def test_a_wrong_call_ends_with_one_line_and_exit_code_2(
    arguments: tuple[str, ...], told: str
) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_ends_with_one_line_and_exit_code_2() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        ended = run("perf", "serve", "--bind", f"127.0.0.1:{port}")
    assert ended.returncode == 2
    (line,) = ended.stderr.strip().splitlines()
    assert str(port) in line
    assert "taken" in line


def test_nobody_listening_ends_at_once_with_exit_code_1() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ended = run("perf", "run", f"127.0.0.1:{port}", "--insecure")
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert f"nobody listens at 127.0.0.1:{port}" in line


def test_help_explains_both_sides() -> None:
    for command in ("serve", "run"):
        ended = run("perf", command, "--help")
        assert ended.returncode == 0
        assert "--mtu" in ended.stdout
        assert "--json" in ended.stdout


def test_shares_differ_by_one_at_most() -> None:
    assert list(split(10, 3)) == [4, 3, 3]
    assert list(split(0, 2)) == [0, 0]
