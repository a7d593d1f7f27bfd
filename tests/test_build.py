"""Which build runs is never a matter of luck: it is asserted here and told by the command."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

import ropewalk
from ropewalk._build import is_compiled, running_build
from ropewalk.cli import main

PACKAGE = Path(ropewalk.__file__).parent
ROOT = Path(__file__).resolve().parent.parent
#: Modules of a compiled package that wait for an event loop (setup.py says the same).
ASYNCHRONOUS = {f"ropewalk.sim.{name}" for name in ("carrier", "provider", "pump")}


def modules_of(*packages: str) -> list[str]:
    return [
        ".".join((path.parent if path.stem == "__init__" else path.with_suffix("")).parts)
        for package in packages
        for path in sorted(
            file.relative_to(PACKAGE.parent) for file in (PACKAGE / package).rglob("*.py")
        )
    ]


def test_the_build_under_test_is_the_one_expected() -> None:
    """`make test-pure` and the CI say which one they mean; a shadowed build would go unseen."""
    expected = os.environ.get("ROPEWALK_EXPECT")
    assert running_build().kind in ("compiled", "interpreted")
    if expected is not None:
        assert running_build().kind == expected, str(running_build())


def test_the_core_is_compiled_whole_or_not_at_all() -> None:
    kinds = {
        module: is_compiled(module)
        for module in modules_of("quic", "http3", "sim")
        if module not in ASYNCHRONOUS
    }
    assert kinds
    compiled = running_build().kind == "compiled"
    assert [module for module, kind in kinds.items() if kind != compiled] == []


def test_what_is_loaded_is_what_was_looked_at() -> None:
    from ropewalk.quic.types import error_codes

    compiled = running_build().kind == "compiled"
    assert error_codes.__file__.endswith(".py") is not compiled


def test_an_interpreted_build_says_why() -> None:
    build = running_build()
    assert bool(build.reason) is (build.kind == "interpreted")


def test_the_version_option_tells_version_and_build() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith(f"ropewalk {ropewalk.__version__}, ")
    assert running_build().kind in result.output
    assert result.output.count("\n") == 1


def test_the_version_is_the_same_everywhere() -> None:
    installed = PACKAGE.parent.name == "site-packages"
    if installed:
        assert version("ropewalk") == ropewalk.__version__
    assert f'version = "{ropewalk.__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_importing_the_top_level_loads_nothing_below_it() -> None:
    """The budget is 15 ms; what is not loaded costs nothing on any machine."""
    program = (
        "import sys; before = set(sys.modules); import ropewalk; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = done.stdout.split()
    assert [name for name in loaded if name.startswith("ropewalk")] == ["ropewalk"]
    assert "asyncio" not in loaded


@pytest.mark.parametrize("name", ropewalk.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(ropewalk, name) is not None
    assert name in dir(ropewalk)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonesuch'"):
        _ = ropewalk.nonesuch  # type: ignore[attr-defined]  # that is the point


def test_an_unknown_command_is_a_wrong_use() -> None:
    assert CliRunner().invoke(main, ["nonesuch"]).exit_code == 2
