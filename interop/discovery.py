"""Which peers are here, in what version, and what they cannot do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work"

#: What the environment of the Python peers is made of.
REQUIREMENTS = {"aioquic": "aioquic>=1.2,<2", "qh3": "qh3>=2,<3"}
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
    """All known peers among ``wanted``; installs the Python ones on first use."""
    peers = []
    python, trouble = (None, "")
    if "aioquic" in wanted or "qh3" in wanted:
        python, trouble = _environment(install_seconds)
    for name in ("aioquic", "qh3"):
        if name in wanted:
            peers.append(_python_peer(name, python, trouble))
    if "ngtcp2" in wanted:
        peers.append(_ngtcp2())
    return peers


def _run(command: list[str], seconds: float) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603 - commands are our own
            command, capture_output=True, text=True, timeout=seconds, check=False
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
