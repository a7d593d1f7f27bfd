"""The stamps of the Makefile: what is built is what was asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

MAKEFILE = Path(__file__).parents[1] / "Makefile"


def would_run(folder: Path, pure: str) -> str:
    """What `make build` would do there, without doing it."""
    environment = {**os.environ, "ROPEWALK_PURE": pure}
    environment.pop("MAKEFLAGS", None)
    command = ["make", "-n", "build"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_changing_ropewalk_pure_builds_anew(tmp_path: Path) -> None:
    shutil.copy(MAKEFILE, tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / ".venv").mkdir()
    mode = "compiled" if shutil.which(os.environ.get("CC", "cc")) else "no-compiler"
    names = ["pyproject.toml", "setup.py", "src/one.py", "src", ".venv/.made"]
    names += [".venv/.group-build", f".venv/.mode-{mode}", ".venv/.built"]
    for age, name in enumerate(names):
        path = tmp_path / name
        if name != "src":
            path.touch()
        os.utime(path, (1_800_000_000 + age, 1_800_000_000 + age))
    assert "install" not in would_run(tmp_path, "0")
    assert "install" in would_run(tmp_path, "1")
