"""Where all runs take place: certificates, cores, and the environment of the compiled build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from contenders import ROOT, WORK


@dataclass(frozen=True)
class Arena:
    """What all runs share."""

    certificate: Path
    key: Path
    ca: Path
    mtu: int
    #: CPU of the server and of the client; -1 leaves it to the system
    cores: tuple[int, int]


def choose_cores() -> tuple[int, int]:
    """A core for the server and another for the client, where there are two."""
    if not hasattr(os, "sched_getaffinity"):
        return -1, -1
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[1], allowed[0]) if len(allowed) > 1 else (-1, -1)


def prepare() -> None:
    """Have both builds, and go on in the compiled one's environment."""
    os.environ.pop("PYTHONPATH", None)  # an interpreted src/ would shadow what is installed
    os.environ.pop("SSLKEYLOGFILE", None)
    python = ROOT / ".venv" / "bin" / "python"
    missing = [f"{name}/.built" for name in (".venv", ".venv-pure") if not (ROOT / name).exists()]
    if missing:
        subprocess.run(["make", *missing], cwd=ROOT, check=True, stdout=sys.stderr)  # noqa: S603, S607
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        os.execv(python, [str(python), *sys.argv])  # noqa: S606


def make_arena(mtu: int) -> Arena:
    """Fresh certificates for this sitting; nothing of them is ever committed."""
    from ropewalk.runtime.certificates import make_authority, make_certificate

    folder = WORK / "certificates"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    authority = make_authority("Ropewalk bench")
    made = make_certificate(["localhost", "127.0.0.1"], issuer=authority)
    arena = Arena(
        folder / "certificate.pem", folder / "key.pem", folder / "ca.pem", mtu, choose_cores()
    )
    arena.certificate.write_bytes(made.cert_pem)
    arena.key.write_bytes(made.key_pem)
    arena.ca.write_bytes(authority.cert_pem)
    return arena


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)
