"""The stacks in Go, Rust and C: built on first use where their compilers are, or Debian's."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from contenders import PEERS, WORK, Contender, run_command
from rows import ROWS

_BUILD_SECONDS = 900.0


def find_natives(wanted: list[str], build: bool = True) -> list[Contender]:
    """Those of ``wanted``; without ``build``, only what has been built before."""
    finders: dict[str, Callable[[bool], Contender]] = {
        "quic-go": _quic_go,
        "quinn": _quinn,
        "ngtcp2": lambda build: _ngtcp2(),
    }
    return [find(build) for key, find in finders.items() if key in wanted]


def _newer(program: Path, folder: Path, *patterns: str) -> bool:
    """Whether a built program is there and no source has changed since."""
    if not program.exists():
        return False
    sources = [source for pattern in patterns for source in folder.glob(pattern)]
    return all(source.stat().st_mtime <= program.stat().st_mtime for source in sources)


def _quic_go(build: bool) -> Contender:
    """quic-go in the version of ``go.mod``."""
    folder = PEERS / "quic_go"
    program = WORK / "quic_go" / "quic-go-bench"
    contender = Contender("quic-go", "quic-go", [str(program)])
    go = shutil.which("go")
    if not _newer(program, folder, "*.go", "go.*"):
        contender.missing = _made(
            program,
            build and go,
            "there is no go command to build it with (https://go.dev/dl)",
            # A slow machine should stay usable while this builds.
            ["nice", str(go), "build", "-p", "1", "-o", str(program), "."],
            folder,
        )
    contender.version = _pinned(folder / "go.mod", r"quic-go/quic-go v(\S+)$")
    code, said = run_command([str(go), "version", "-m", str(program)], 30.0)
    contender.tls = f"crypto/tls of {said.split()[1]}" if code == 0 else "crypto/tls of Go"
    return contender


def _quinn(build: bool) -> Contender:
    """quinn in the version of ``Cargo.toml``, release build."""
    folder = PEERS / "quinn"
    program = WORK / "quinn" / "release" / "quinn-bench"
    contender = Contender("quinn", "quinn", [str(program)])
    cargo = shutil.which("cargo")
    if not _newer(program, folder, "src/*.rs", "Cargo.*"):
        contender.missing = _made(
            program,
            build and cargo,
            "there is no cargo command to build it with (https://rustup.rs)",
            ["nice", str(cargo), "build", "-q", "-j1", "--release"],
            folder,
            CARGO_TARGET_DIR=str(WORK / "quinn"),
        )
    contender.version = _pinned(folder / "Cargo.toml", r'^quinn = .*?"=([^"]+)"')
    lock = folder / "Cargo.lock"
    crypto = _pinned(lock, r'name = "aws-lc-rs"\nversion = "([^"]+)"') if lock.exists() else ""
    rustls = _pinned(folder / "Cargo.toml", r'^rustls = .*?"=([^"]+)"')
    contender.tls = f"rustls {rustls}, aws-lc-rs {crypto}".rstrip()
    return contender


def _made(
    program: Path,
    compiler: object,
    advice: str,
    command: list[str],
    folder: Path,
    **environment: str,
) -> str:
    """Build a program; why that was not possible, or ""."""
    if not compiler:
        return advice
    program.parent.mkdir(parents=True, exist_ok=True)
    print(f"building {program.name}", file=sys.stderr, flush=True)
    code, said = run_command(command, _BUILD_SECONDS, folder, **environment)
    if code != 0:
        return f"{' '.join(Path(command[1]).name.split())} build failed: {said[-200:]}"
    program.touch()  # also when there was nothing to do
    return ""


def _pinned(file: Path, pattern: str) -> str:
    found = re.search(pattern, file.read_text(), re.MULTILINE)
    return found.group(1) if found else "of unknown version"


#: What the example programs can do; a client of theirs is one connection, and they have no other
#: application than HTTP/3.
_NGTCP2_ROWS = ("h3-download", "h3-upload", "h3-requests")


def _ngtcp2() -> Contender:
    """Debian's examples on GnuTLS, which speak HTTP/3 only."""
    contender = Contender("ngtcp2", "ngtcp2", [sys.executable, str(PEERS / "ngtcp2_peer.py")])
    for name in ("/usr/sbin/gtlsserver", "/usr/bin/gtlsclient"):
        if not Path(name).exists():
            contender.missing = f"{name} is not here (Debian packages ngtcp2-server, -client)"
    for row in ROWS:
        if row.key in _NGTCP2_ROWS:
            continue
        only = "one connection a process" if row.protocol == "http3" else "HTTP/3 only"
        contender.lacks[row.key] = only
    contender.version = _debian("ngtcp2-client").partition("+")[0]
    contender.tls = f"GnuTLS {_debian('libgnutls30')}, of Debian"
    return contender


def _debian(package: str) -> str:
    code, said = run_command(["dpkg-query", "-W", "-f", "${Version}", package], 10.0)
    return said if code == 0 else "of unknown version"
