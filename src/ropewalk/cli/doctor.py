"""``ropewalk doctor``: what this machine lets QUIC do."""

from __future__ import annotations

import platform
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from typing import Final, NamedTuple

import anyio
import click

from ropewalk import _build
from ropewalk.cli.errors import Failure, as_failure, first
from ropewalk.cli.parameters import HOST_PORT, HostPort
from ropewalk.net.sockets import BUFFER_SIZE, Abilities, BufferWarning, enable, open_bound
from ropewalk.quic.types.configuration import NoVerification
from ropewalk.quic.types.errors import Error, HandshakeError, VersionMismatch
from ropewalk.runtime import connect
from ropewalk.runtime.certificates import system_roots

_PACKAGES: Final = ("cryptography", "anyio", "librt", "click", "rich")
#: 2026-01-01: no clock that shows less has been set.
_EARLIEST: Final = 1_767_225_600
_NAPS: Final = 20
_NAP: Final = 0.001
_TIMEOUT: Final = 5.0

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "FAIL"


class Finding(NamedTuple):
    """One line: how it is, and what to do about it ("" when all is well)."""

    grade: str
    what: str
    found: str
    remedy: str = ""


@click.command()
@click.argument("server", type=HOST_PORT, metavar="[HOST:PORT]", required=False)
def doctor(server: HostPort | None) -> None:
    """Check what this machine, and the way to HOST:PORT, let QUIC do.

    Nothing is changed. Each line that is not "ok" says what to do about it. Exit code 1 if
    something will not work at all.
    """
    failed = False
    for finding in examine(server):
        failed = failed or finding.grade == FAIL
        click.echo(f"{finding.grade:<5}{finding.what:<16}{finding.found}")
        if finding.remedy:
            click.echo(f"{'':<21}→ {finding.remedy}")
    if failed:
        raise Failure("not everything works here; the lines above say what to do")


def examine(server: HostPort | None) -> Iterator[Finding]:
    """All checks, in their order, each made when it is asked for."""
    yield _check_build()
    yield _check_python()
    yield _check_roots()
    yield from _check_sockets()
    yield _check_ipv6()
    yield _check_clock()
    yield _check_timer()
    if server is not None:
        yield _check_server(server)


def _check_build() -> Finding:
    build = _build.running_build()
    if build.kind == "compiled":
        return Finding(OK, "build", _build.describe())
    return Finding(
        WARN,
        "build",
        f"{_build.describe()}: several times slower than compiled",
        "install a C compiler and Python's headers, then install Ropewalk again",
    )


def _check_python() -> Finding:
    told = []
    for package in _PACKAGES:
        try:
            told.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            told.append(f"{package} of unknown version")
    return Finding(OK, "Python", f"{platform.python_version()}; {', '.join(told)}")


def _check_roots() -> Finding:
    try:
        count = system_roots().count(b"-----BEGIN CERTIFICATE-----")
    except Error as error:
        return Finding(WARN, "authorities", "none are found", str(error))
    return Finding(OK, "authorities", f"this system trusts {count}")


def _check_sockets() -> Iterator[Finding]:
    try:
        udp = open_bound("127.0.0.1", 0)
    except Error as error:
        yield Finding(FAIL, "UDP", "no socket can be had", str(error))
        return
    with closing(udp), warnings.catch_warnings():
        warnings.simplefilter("ignore", BufferWarning)
        abilities = enable(udp, answers_by_address=False)
        yield _check_gso(abilities)
        if abilities.ecn:
            yield Finding(OK, "ECN", "marks can be sent and read")
        else:
            yield Finding(WARN, "ECN", "the system hides the marks", _newer_kernel())
        for name, option, setting in (
            ("receive buffer", socket.SO_RCVBUF, "net.core.rmem_max"),
            ("send buffer", socket.SO_SNDBUF, "net.core.wmem_max"),
        ):
            yield _check_buffer(name, udp.getsockopt(socket.SOL_SOCKET, option), setting)


def _check_gso(abilities: Abilities) -> Finding:
    named = (("GSO", abilities.gso), ("GRO", abilities.gro))
    missing = [name for name, there in named if not there]
    if not missing:
        return Finding(OK, "GSO and GRO", "one system call moves up to 64 datagrams")
    return Finding(
        WARN,
        "GSO and GRO",
        f"without {' and '.join(missing)} every datagram costs a system call",
        _newer_kernel(),
    )


def _newer_kernel() -> str:
    if sys.platform.startswith("linux"):
        return "use Linux 5.0 or later; some sandboxes (gVisor, old WSL) lack it at any version"
    return "only Linux has it"


def _check_buffer(name: str, size: int, setting: str) -> Finding:
    # Linux counts its own bookkeeping too and reports twice what was asked for.
    if size >= BUFFER_SIZE:
        return Finding(OK, name, f"{size:,} bytes")
    return Finding(
        WARN,
        name,
        f"{size:,} bytes of {BUFFER_SIZE:,}: fast transfers will lose packets",
        f"sudo sysctl -w {setting}={BUFFER_SIZE}",
    )


def _check_ipv6() -> Finding:
    if not socket.has_ipv6:
        return Finding(WARN, "IPv6", "this Python lacks it", "use a Python built with IPv6")
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        return Finding(
            WARN,
            "IPv6",
            f"not on this machine ({error.strerror})",
            "nothing to do if your network has none; else sysctl net.ipv6.conf.all.disable_ipv6=0",
        )
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(("2001:db8::1", 9))  # sends nothing; only a route is looked up
    except OSError:
        return Finding(
            WARN,
            "IPv6",
            "on this machine only: there is no route to the world",
            "nothing to do if your network has none; else check the router's announcements",
        )
    return Finding(OK, "IPv6", "there is a route to the world")


def _check_clock() -> Finding:
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < _EARLIEST:
        return Finding(
            WARN,
            "clock",
            f"it shows {shown}: certificates will not seem valid yet",
            "set it, for example with: sudo timedatectl set-ntp true",
        )
    return Finding(OK, "clock", shown)


def _check_timer() -> Finding:
    late = []
    for _ in range(_NAPS):
        began = time.monotonic()
        time.sleep(_NAP)
        late.append(time.monotonic() - began - _NAP)
    median = sorted(late)[_NAPS // 2]
    found = f"sleeps of 1 ms end {median * 1e6:,.0f} µs late"
    if median < 0.001:
        return Finding(OK, "timers", found)
    return Finding(
        WARN, "timers", f"{found}: sending comes in gusts", "this machine is busy, or a slow guest"
    )


def _check_server(server: HostPort) -> Finding:
    try:
        answer = anyio.run(_handshake, server)
    except Exception as problem:
        error = first(problem) if isinstance(problem, BaseExceptionGroup) else problem
        if isinstance(error, (HandshakeError, VersionMismatch)):
            return Finding(
                WARN,
                "UDP to a host",
                f"{server} answers, so UDP gets through; but it is no HTTP/3 server",
                as_failure(error).message,
            )
        if not isinstance(error, (Error, OSError)):
            raise
        return Finding(
            FAIL, "UDP to a host", f"no QUIC answer from {server}", as_failure(error).message
        )
    return Finding(OK, "UDP to a host", answer)


async def _handshake(server: HostPort) -> str:
    began = time.perf_counter()
    async with connect(
        server.host,
        server.port,
        alpn="h3",
        verification=NoVerification(),
        handshake_timeout=_TIMEOUT,
    ) as connection:
        took = (time.perf_counter() - began) * 1000
        return f"{connection.remote_address} speaks QUIC v1 and HTTP/3 ({took:.0f} ms)"
