"""Who takes part: the two builds of Ropewalk, the Python stacks from PyPI, and native ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = HERE / ".work"
PEERS = HERE / "peers"

_INSTALL_SECONDS = 300.0
_PYTHON_PEERS = ("qh3", "aioquic")

#: When the releases came out that this was last run with; package managers do not tell.
_YEARS = {
    "quic-go 0.65.0": 2026,
    "quinn 0.11.12": 2026,
    "ngtcp2 0.12.1": 2023,
    "qh3 2.1.0": 2026,
    "aioquic 1.7.2": 2026,
}


@dataclass
class Contender:
    """One stack in one build."""

    key: str
    label: str
    #: the program and what comes before "server" or "client"
    command: list[str]
    version: str = ""
    tls: str = ""
    #: why it takes no part; "" when it does
    missing: str = ""
    #: for Ropewalk: the build that its program must report
    build: str = ""
    #: how many times a row's first work the first calibration does
    pace: int = 10
    #: row -> why it cannot do that
    lacks: dict[str, str] = field(default_factory=dict)

    @property
    def year(self) -> str:
        """When this version was released; "" for Ropewalk."""
        if self.build or not self.version:
            return ""
        return str(_YEARS.get(f"{self.key} {self.version}", "year unknown"))


def find_python_stacks(wanted: list[str]) -> list[Contender]:
    """Those of ``wanted`` in a fixed order; the peers' environment is made on first use."""
    found = []
    for key, folder, build in (
        ("ropewalk", ".venv", "compiled"),
        ("ropewalk-pure", ".venv-pure", "interpreted"),
    ):
        if key in wanted:
            found.append(_ropewalk(key, ROOT / folder / "bin" / "python", build))
    peers = [key for key in _PYTHON_PEERS if key in wanted]
    if peers:
        python, trouble = _environment()
        for key in peers:
            found.append(_peer(key, python, trouble))
    return found


def _ropewalk(key: str, python: Path, build: str) -> Contender:
    program = str(PEERS / "ropewalk_peer.py")
    pace = 10 if build == "compiled" else 4
    contender = Contender(key, f"Ropewalk, {build}", [str(python), program], build=build, pace=pace)
    asked = (
        "import importlib.metadata as m, ropewalk._build as b;"
        "from cryptography.hazmat.backends.openssl import backend as o;"
        "print(m.version('ropewalk')); print(b.running_build().kind);"
        "print(f\"own TLS 1.3; cryptography {m.version('cryptography')}, "
        '{o.openssl_version_text()}")'
    )
    code, said = run_command([str(python), "-c", asked], 60.0)
    if code != 0:
        contender.missing = f"it is not installed in {python.parents[1].name}: {said[-200:]}"
        return contender
    contender.version, kind, contender.tls = said.splitlines()[-3:]
    if kind != build:
        contender.missing = f"{python.parents[1].name} holds the {kind} build"
    return contender


def _environment() -> tuple[Path, str]:
    """The Python of the peers' environment, and what is wrong with it."""
    folder = WORK / "venv"
    python = folder / "bin" / "python"
    if not python.exists():
        WORK.mkdir(exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        print("making an environment for the peers", file=sys.stderr)
        code, said = run_command([sys.executable, "-m", "venv", str(folder)], _INSTALL_SECONDS)
        if code != 0:
            return python, f"python -m venv failed: {said[-200:]}"
    # The same releases as `make interop` tests against.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for requirement in project["dependency-groups"]["interop"]:
        name = requirement.partition(">")[0]
        if run_command([str(python), "-c", f"import {name}"], 60.0)[0] != 0:
            command = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
            code, said = run_command([*command, "--quiet", requirement], _INSTALL_SECONDS)
            if code != 0:
                return python, f"pip install {requirement} failed: {said[-200:]}"
    return python, ""


_TLS_OF = {
    "qh3": "print('own TLS 1.3 in Python; ciphers of aws-lc-rs in its Rust core')",
    "aioquic": (
        "from cryptography.hazmat.backends.openssl import backend as o;"
        "print(f\"own TLS 1.3 in Python; cryptography {m.version('cryptography')}, "
        '{o.openssl_version_text()}")'
    ),
}


def _peer(key: str, python: Path, trouble: str) -> Contender:
    program = str(PEERS / "twin_peer.py")
    contender = Contender(key, key, [str(python), program, key])
    if key == "aioquic":
        contender.lacks["handshakes-pq"] = "no X25519MLKEM768"
        contender.pace = 2
    code, said = run_command(
        [
            str(python),
            "-c",
            f"import importlib.metadata as m, {key}; print(m.version({key!r})); {_TLS_OF[key]}",
        ],
        60.0,
    )
    if code != 0:
        contender.missing = trouble or said[-200:]
        return contender
    contender.version, contender.tls = said.splitlines()[-2:]
    return contender


def run_command(
    command: list[str], seconds: float, cwd: Path | None = None, **environment: str
) -> tuple[int, str]:
    """Exit code and all output of a command; 1 when it could not run or took too long."""
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
