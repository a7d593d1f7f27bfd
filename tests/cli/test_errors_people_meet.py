"""The failures people meet first: each says what happened, why, and what to do about it.

The words are held here. Change them on purpose only, and keep all three parts.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from click.testing import CliRunner, Result

import ropewalk
from ropewalk.cli import get_transfer, main
from ropewalk.quic.wire.header import encode_version_negotiation, parse_long_header
from ropewalk.runtime.certificates import (
    MadeCertificate,
    make_authority,
    make_certificate,
)


def call(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, list(arguments))


def one_line(result: Result, exit_code: int) -> str:
    """The error, which is one line on stderr, with nothing on stdout."""
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


@contextmanager
def server(made: MadeCertificate, alpn: str = "h3") -> Iterator[int]:
    """A server with this certificate; its port."""

    async def idle(connection: ropewalk.Connection) -> None:
        await connection.wait_closed()

    with start_blocking_portal() as portal:
        manager = ropewalk.serve(
            idle, "127.0.0.1", 0, alpn=alpn, certificate=made.cert_pem, key=made.key_pem
        )
        with portal.wrap_async_context_manager(manager) as running:
            yield running.address.port


@pytest.fixture
def port() -> Iterator[int]:
    """A port that somebody holds and nobody answers at."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


def test_refused_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    assert one_line(call("get", "--insecure", f"https://127.0.0.1:{closed}/"), 1) == (
        f"nobody listens at 127.0.0.1:{closed}: the system reports that UDP to "
        f"127.0.0.1:{closed} is refused; check the port, and that the server runs"
    )


def test_silent_host(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_transfer, "HINT_AFTER", 0.05)
    url = f"https://127.0.0.1:{port}/"
    result = call("get", "--insecure", "--connect-timeout", "0.4", url)
    assert result.exit_code == 1
    hint, error = result.stderr.strip().splitlines()
    assert hint == (f"no QUIC answer from 127.0.0.1:{port} yet; UDP may be blocked (Ctrl-C stops)")
    assert error == (
        f"Error: no handshake with 127.0.0.1:{port} within 0.4 seconds (tried 127.0.0.1:{port}); "
        "check the address, that the server runs, and that no firewall drops UDP"
    )


def test_the_time_of_a_failed_connection_is_told(port: int) -> None:
    url = f"https://127.0.0.1:{port}/"
    result = call("get", "--insecure", "--connect-timeout", "0.4", "--json", url)
    assert result.exit_code == 1
    assert 0.3 < json.loads(result.stdout)["seconds"] < 30


def test_the_hint_comes_after_three_seconds_and_only_while_connecting() -> None:
    assert get_transfer.HINT_AFTER == 3.0


def trusted(tmp_path: Path, pem: bytes) -> str:
    path = tmp_path / "ca.pem"
    path.write_bytes(pem)
    return str(path)


def test_wrong_name(tmp_path: Path) -> None:
    authority = make_authority()
    made = make_certificate(["elsewhere.example"], issuer=authority)
    with server(made) as port:
        ca = trusted(tmp_path, authority.cert_pem)
        error = one_line(call("get", "--ca", ca, f"https://127.0.0.1:{port}/"), 1)
    assert (
        "wrong name: the server's certificate is for elsewhere.example, not for 127.0.0.1; "
        "connect to one of its names, have an authority of yours (PrivateCa, --ca) issue it for "
        "this one, or pin its key (PinnedKey, --pin)"
    ) in error
    assert f"while connecting to 127.0.0.1:{port}" in error


def test_unknown_issuer(tmp_path: Path) -> None:
    made = make_certificate(["127.0.0.1"], issuer=make_authority("Somebody"))
    with server(made) as port:
        error = one_line(call("get", f"https://127.0.0.1:{port}/"), 1)
        own = make_certificate(["127.0.0.1"])
    assert "unknown issuer: nobody trusted here has signed it (CN=Somebody); " in error
    assert "give the authority's certificate (PrivateCa, --ca) or pin the server's key" in error
    with server(own) as port:
        error = one_line(call("get", f"https://127.0.0.1:{port}/"), 1)
    assert "unknown issuer: the server's certificate is signed by itself; give the" in error


def test_expired(tmp_path: Path) -> None:
    authority = make_authority()
    past = datetime(2020, 1, 1, tzinfo=UTC)
    made = make_certificate(["127.0.0.1"], issuer=authority, now=past)
    with server(made) as port:
        ca = trusted(tmp_path, authority.cert_pem)
        error = one_line(call("get", "--ca", ca, f"https://127.0.0.1:{port}/"), 1)
    assert (
        "the server's certificate expired on 2020-01-31 00:00 UTC; renew it, check this "
        "machine's clock, or pin its key (PinnedKey, --pin), which has no dates"
    ) in error


def test_ed25519_issuer(tmp_path: Path) -> None:
    authority = make_authority("Edward", key_type="ed25519")
    made = make_certificate(["127.0.0.1"], issuer=authority)
    with server(made) as port:
        ca = trusted(tmp_path, authority.cert_pem)
        error = one_line(call("get", "--ca", ca, f"https://127.0.0.1:{port}/"), 1)
    assert (
        "the authority CN=Edward signs with Ed25519 or Ed448, which the cryptography library "
        "does not verify in chains; use an ECDSA or RSA authority, or pin the server's key"
    ) in error


def test_wrong_alpn() -> None:
    made = make_certificate(["127.0.0.1"])
    with server(made, alpn="other") as port:
        error = one_line(call("get", "--insecure", f"https://127.0.0.1:{port}/"), 1)
    assert error.startswith("the peer refused the handshake with alert no_application_protocol")
    assert (
        "the server speaks QUIC but not HTTP/3 (ALPN h3): check the port, or ask for the "
        "protocol that it does speak"
    ) in error


def test_peer_without_quic_v1() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(10)
        port = other.getsockname()[1]

        def answer() -> None:
            data, sender = other.recvfrom(2000)
            header = parse_long_header(data, 0, len(data))
            assert header is not None
            versions = [0x6B3343CF, 0xFF00001D]
            reply = encode_version_negotiation(
                header.source_cid, header.destination_cid, versions, 0x55
            )
            other.sendto(reply, sender)

        thread = threading.Thread(target=answer)
        thread.start()
        error = one_line(call("get", "--insecure", f"https://127.0.0.1:{port}/"), 1)
        thread.join()
    assert ("the server does not speak our QUIC version; it offers 0x6b3343cf, 0xff00001d") in error
    assert (
        "Ropewalk speaks QUIC version 1 (RFC 9000): switch that on at the server, or update it"
    ) in error


def test_missing_file(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert one_line(call("serve", missing), 2) == (
        f"cannot serve {missing!r}: No such file or directory; name a folder that this user "
        "may read"
    )
    assert one_line(call("get", "--ca", missing, "https://127.0.0.1:9/"), 2) == (
        f"cannot read the ca file {missing!r}: No such file or directory; give the path of a PEM "
        "file that this user may read"
    )
    assert one_line(call("serve", str(tmp_path), "--cert", missing, "--key", missing), 2) == (
        f"cannot read the certificate file {missing!r}: No such file or directory; give the path "
        "of a PEM file that this user may read"
    )


def test_taken_port(port: int, tmp_path: Path) -> None:
    assert one_line(call("serve", str(tmp_path), "--bind", f"127.0.0.1:{port}"), 2) == (
        f"UDP 127.0.0.1:{port} is taken by another program; stop it or choose another port"
    )


def test_unwritable_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://127.0.0.1:9/"
    deep = str(tmp_path / "none" / "file")
    assert one_line(call("get", "--insecure", url, "-o", deep), 2) == (
        f"cannot write to {deep!r}: there is no folder {str(tmp_path / 'none')!r}; make it, or "
        "name another file with -o"
    )
    assert one_line(call("get", "--insecure", url, "-o", str(tmp_path)), 2) == (
        f"cannot write to {str(tmp_path)!r}: it is a folder; name a file in it with -o"
    )
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    assert one_line(call("get", "--insecure", url, "-o", str(file)), 2) == (
        f"cannot write to {str(file)!r}: this user may not; name another file with -o"
    )
    other = str(tmp_path / "other")
    assert one_line(call("get", "--insecure", url, "-o", other), 2) == (
        f"cannot write to {other!r}: this user may make no files in {str(tmp_path)!r}; name "
        "another file with -o"
    )


def test_bad_url() -> None:
    for url, why in (
        ("http://host/", "the scheme http:// is not spoken here; use https://"),
        ("https:///path", "it has no host; write https://HOST:PORT/PATH"),
        ("https://host:0/", "port 0 does not exist; ports run from 1 to 65535"),
    ):
        assert one_line(call("get", url), 2) == f"{url!r} is not a URL that can be fetched: {why}"


def test_what_a_server_says_cannot_steer_the_terminal() -> None:
    assert get_transfer._harmless("red \x1b[31m\r\n") == "red �[31m��"


def test_unknown_name() -> None:
    error = one_line(call("get", "--insecure", "https://no-such-host.invalid/"), 1)
    assert error.startswith("the name 'no-such-host.invalid' was not resolved: ")
    assert error.endswith("check its spelling and the DNS")
