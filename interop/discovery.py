"""Which peers are here, in what version, and what they cannot do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work"

#: What the environment of the Python peers is made of.
REQUIREMENTS = {
    "aioquic": "aioquic>=1.2,<2",
    "qh3": "qh3>=2,<3",
    "curl_cffi": "curl_cffi>=0.13",
}
#: SHA-256 of "HelloRetryRequest" (RFC 8446 4.1.3): no implementation can do without it.
_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891")


@dataclass
class Peer:
    """One stack that nobody here wrote."""

    name: str
    version: str = ""
    #: why it cannot be run at all; "" when it can
    missing: str = ""
    #: case name -> why this peer cannot take part in it
    cannot: dict[str, str] = field(default_factory=dict)
    #: programs by role ("python", "server", "client")
    programs: dict[str, Path] = field(default_factory=dict)


def find_peers(install_seconds: float, wanted: list[str]) -> list[Peer]:
    """All known peers among ``wanted``; installs or builds on first use what it can."""
    python, trouble = (None, "")
    if any(name in REQUIREMENTS for name in wanted):
        python, trouble = _environment(install_seconds)
    finders: dict[str, Callable[[], Peer]] = {
        "aioquic": lambda: _python_peer("aioquic", python, trouble),
        "qh3": lambda: _python_peer("qh3", python, trouble),
        "ngtcp2": _ngtcp2,
        "quic-go": lambda: _quic_go(install_seconds),
        "caddy": lambda: _caddy(install_seconds),
        "quinn": lambda: _quinn(install_seconds),
        "curl_cffi": lambda: _curl(python, trouble),
        "chromium": _chromium,
    }
    return [find() for name, find in finders.items() if name in wanted]


def _run(
    command: list[str], seconds: float, cwd: Path | None = None, **environment: str
) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603 - commands are our own
            command,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            cwd=cwd,
            env={**os.environ, **environment},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, (done.stdout + done.stderr).strip()


def _environment(seconds: float) -> tuple[Path | None, str]:
    """The Python of the peers' environment; None, and why, when it cannot be made."""
    folder = WORK / "venv"
    python = folder / "bin" / "python"
    if not python.exists():
        WORK.mkdir(exist_ok=True)
        code, said = _run([sys.executable, "-m", "venv", str(folder)], seconds)
        if code != 0:
            return None, f"python -m venv failed: {said[-200:]}"
    for name, requirement in REQUIREMENTS.items():
        if _run([str(python), "-c", f"import {name}"], 30.0)[0] != 0:
            _run([str(python), "-m", "pip", "install", "-q", requirement], seconds)
    return python, ""


def _python_peer(name: str, python: Path | None, trouble: str) -> Peer:
    peer = Peer(name)
    if python is None:
        peer.missing = trouble
        return peer
    code, said = _run(
        [
            str(python),
            "-c",
            f"import importlib.metadata as m, {name}; "
            f"print(m.version({name!r})); print({name}.__file__)",
        ],
        30.0,
    )
    if code != 0:
        peer.missing = f"{REQUIREMENTS[name]} is not installed and could not be: {said[-200:]}"
        return peer
    version, location = said.splitlines()[-2:]
    peer.version = version
    peer.programs["python"] = python
    if not _knows_retry(Path(location).parent):
        peer.cannot["hello-retry-request"] = f"{name} {version} has no HelloRetryRequest"
    else:
        peer.cannot["hello-retry-request"] = (
            f"{name} {version} has HelloRetryRequest now, but no case was written for it yet"
        )
    return peer


def _knows_retry(package: Path) -> bool:
    text = _RETRY_RANDOM.hex()[:16].encode()
    for path in package.rglob("*"):
        if path.suffix not in (".py", ".so"):
            continue
        content = path.read_bytes()
        if _RETRY_RANDOM in content or text in content.lower().replace(b"\\x", b""):
            return True
    return False


def _ngtcp2() -> Peer:
    """Debian's examples on GnuTLS; ``gtlsserver`` lives in /usr/sbin, off most users' PATH."""
    peer = Peer("ngtcp2")
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"])
    for role in ("server", "client"):
        found = shutil.which(f"gtls{role}", path=places)
        if found is None:
            peer.missing = f"gtls{role} is not here (Debian package ngtcp2-{role})"
            return peer
        peer.programs[role] = Path(found)
    code, said = _run(["dpkg-query", "-W", "-f", "${Version}", "ngtcp2-client"], 10.0)
    peer.version = said if code == 0 else "of unknown version"
    return peer


def _newer(program: Path, sources: list[Path]) -> bool:
    """Whether a built program is there and no source has changed since."""
    if not program.exists():
        return False
    built = program.stat().st_mtime
    return all(source.stat().st_mtime <= built for source in sources)


def _quic_go(seconds: float) -> Peer:
    """quic-go in the version of ``go.mod``, built on first use."""
    peer = Peer("quic-go")
    folder = HERE / "peers" / "quic_go"
    program = WORK / "quic_go" / "quic-go-peer"
    go = shutil.which("go")
    if not _newer(program, [folder / "main.go", folder / "go.mod", folder / "go.sum"]):
        if go is None:
            peer.missing = "there is no go command to build it with (https://go.dev/dl)"
            return peer
        program.parent.mkdir(parents=True, exist_ok=True)
        # A slow machine should stay usable while this builds.
        code, said = _run(
            ["nice", go, "build", "-p", "1", "-o", str(program), "."], seconds, folder
        )
        if code != 0:
            peer.missing = f"go build failed: {said[-200:]}"
            return peer
    peer.programs["program"] = program
    found = re.search(
        r"^require github\.com/quic-go/quic-go v(\S+)", (folder / "go.mod").read_text(), re.M
    )
    peer.version = found.group(1) if found else "of unknown version"
    return peer


def _quinn(seconds: float) -> Peer:
    """quinn and h3 in the versions of ``Cargo.toml``, built on first use."""
    peer = Peer("quinn")
    folder = HERE / "peers" / "quinn"
    program = WORK / "quinn" / "release" / "quinn-peer"
    sources = [folder / "src" / "main.rs", folder / "Cargo.toml"]
    if not _newer(program, sources):
        cargo = shutil.which("cargo")
        if cargo is None:
            peer.missing = "there is no cargo command to build it with (https://rustup.rs)"
            return peer
        code, said = _run(
            ["nice", cargo, "build", "-q", "-j1", "--release"],
            max(seconds, 900.0),
            folder,
            CARGO_TARGET_DIR=str(WORK / "quinn"),
        )
        if code != 0:
            peer.missing = f"cargo build failed: {said[-200:]}"
            return peer
        program.touch()
    peer.programs["program"] = program
    wanted = (folder / "Cargo.toml").read_text()
    versions = []
    for name in ("quinn", "h3"):
        found = re.search(rf'^{name} = .*?"=([^"]+)"', wanted, re.MULTILINE)
        versions.append(f"{name} {found.group(1)}" if found else name)
    peer.version = ", ".join(versions)
    return peer


def _caddy(seconds: float) -> Peer:
    """Debian's caddy: the installed one, or its package unpacked for us alone."""
    peer = Peer("caddy")
    folder = WORK / "caddy"
    found = shutil.which("caddy")
    program = Path(found) if found else folder / "usr" / "bin" / "caddy"
    if not program.exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            peer.missing = "caddy is not here (Debian package caddy)"
            return peer
        folder.mkdir(parents=True, exist_ok=True)
        code, said = _run(["apt-get", "download", "-q", "caddy"], seconds, folder)
        packages = sorted(folder.glob("caddy_*.deb"))
        if code != 0 or not packages:
            peer.missing = f"caddy is not here (Debian package caddy): {said[-200:]}"
            return peer
        _run(["dpkg", "-x", str(packages[-1]), str(folder)], seconds)
    code, said = _run([str(program), "version"], 30.0)
    if code != 0:
        peer.missing = f"caddy does not start: {said[-200:]}"
        return peer
    peer.programs["program"] = program
    peer.version = said.split()[0]
    # The program does not know what it was built from; its package does.
    packages = sorted(folder.glob("caddy_*.deb"))
    if found:
        code, said = _run(["dpkg-query", "-W", "-f", "${Built-Using}", "caddy"], 10.0)
    elif packages:
        code, said = _run(["dpkg-deb", "-f", str(packages[-1]), "Built-Using"], 10.0)
    below = re.search(r"quic-go \(= ([^)]+)\)", said)
    if below:
        peer.version += f" (quic-go {below.group(1)})"
    return peer


def _curl(python: Path | None, trouble: str) -> Peer:
    """curl_cffi, with the libcurl and ngtcp2 that it brings along."""
    peer = Peer("curl_cffi", missing=trouble)
    if python is None:
        return peer
    code, said = _run(
        [
            str(python),
            "-c",
            "import curl_cffi; print(curl_cffi.__version__); print(curl_cffi.__curl_version__)",
        ],
        30.0,
    )
    if code != 0:
        peer.missing = f"{REQUIREMENTS['curl_cffi']} is not installed: {said[-200:]}"
        return peer
    version, below = said.splitlines()[-2:]
    parts = [part for part in below.split() if part.startswith(("libcurl", "ngtcp2"))]
    peer.version = f"{version} ({', '.join(parts)})"
    if "ngtcp2" not in below and "quiche" not in below:
        peer.missing = f"this curl_cffi has no HTTP/3: {below}"
    peer.programs["python"] = python
    return peer


def _chromium() -> Peer:
    """The browser, under any of its usual names."""
    peer = Peer("chromium")
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            break
    else:
        peer.missing = "chromium is not here (Debian package chromium)"
        return peer
    peer.programs["program"] = Path(found)
    code, said = _run([found, "--version"], 60.0)
    version = re.search(r"\d+(\.\d+)+", said)
    peer.version = version.group(0) if code == 0 and version else "of unknown version"
    return peer
