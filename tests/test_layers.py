"""Arrows point down only, nothing runs in a circle, and the core does no I/O.

The rules are in pyproject.toml and tools/circles.toml; here they are seen to hold, and to go
red when broken.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
CONFIGURATIONS = ("pyproject.toml", "tools/circles.toml")
CORE = SOURCE / "ropewalk" / "quic"
#: What the core must not touch. Some of it may be there before: Python's own start loads
#: ``os`` and ``time``, cryptography's X.509 part loads ``socket`` and ``random``.
WATCHED = ("asyncio", "anyio", "random", "select", "selectors", "socket", "ssl", "subprocess")


def check_contracts(root: Path) -> list[str]:
    """The names of the broken contracts."""
    broken: list[str] = []
    for configuration in CONFIGURATIONS:
        done = subprocess.run(
            [
                Path(sys.executable).with_name("lint-imports"),
                "--no-cache",
                "--config",
                configuration,
            ],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        names = [
            line.removesuffix("BROKEN").strip()
            for line in done.stdout.splitlines()
            if line.endswith("BROKEN")
        ]
        assert bool(names) is bool(done.returncode), done.stdout + done.stderr
        if names:
            print(done.stdout)
        broken += names
    return broken


def copy_of_the_source(to: Path) -> Path:
    (to / "tools").mkdir()
    for name in CONFIGURATIONS:
        shutil.copy(ROOT / name, to / name)
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    shutil.copytree(SOURCE, to / "src", ignore=ignored)
    return to


def test_the_contracts_hold() -> None:
    assert check_contracts(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("net/udp.py", "import ropewalk.cli", "Layers of the package"),
        ("net/udp.py", "import ropewalk.sim", "Layers of the package"),
        ("quic/wire/varint.py", "import ropewalk.net.udp", "Layers of the package"),
        ("quic/types/address.py", "import ropewalk.quic.wire.varint", "Layers of the core"),
        ("quic/types/address.py", "import ropewalk.quic.types.datagrams", "circle"),
        ("quic/wire/varint.py", "import socket", "does no I/O"),
        ("quic/wire/varint.py", "from time import monotonic", "does no I/O"),
    ],
)
def test_a_broken_rule_goes_red(file: str, line: str, contract: str, tmp_path: Path) -> None:
    root = copy_of_the_source(tmp_path)
    broken = root / "src" / "ropewalk" / file
    broken.write_text(broken.read_text() + f"\n{line}\n")
    assert any(contract in name for name in check_contracts(root))


def test_a_new_package_must_be_given_its_layer(tmp_path: Path) -> None:
    root = copy_of_the_source(tmp_path)
    (root / "src" / "ropewalk" / "elsewhere.py").write_text("")
    assert check_contracts(root) == ["Layers of the package"]


def test_importing_the_core_loads_no_event_loop_and_no_sockets() -> None:
    loaded = watched_after("import ropewalk.quic")
    assert loaded == []


def test_all_of_the_core_loads_no_more_than_its_dependencies_do() -> None:
    modules, dependencies = modules_of_the_core()
    assert dependencies
    before = watched_after(imports(sorted(dependencies)))
    after = watched_after(imports(modules))
    assert set(after) <= set(before), sorted(set(after) - set(before))
    assert "asyncio" not in after


def imports(modules: list[str]) -> str:
    return "\n".join(f"import {module}" for module in modules)


def watched_after(code: str) -> list[str]:
    """Which of the watched modules a fresh interpreter has after the code."""
    program = (
        f"import json, sys\n{code}\nprint(json.dumps([m for m in {WATCHED!r} if m in sys.modules]))"
    )
    # -S leaves site-packages' .pth files out of the measurement, the path is handed over.
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded: list[str] = json.loads(done.stdout)
    return loaded


def modules_of_the_core() -> tuple[list[str], set[str]]:
    """Its modules, and the packages beside Python's own that they import."""
    modules: list[str] = []
    dependencies: set[str] = set()
    for path in sorted(CORE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        modules.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                dependencies.add(node.module)
            elif isinstance(node, ast.Import):
                dependencies |= {alias.name for alias in node.names}
    own = {"ropewalk", *sys.stdlib_module_names}
    return modules, {name for name in dependencies if name.split(".")[0] not in own}
