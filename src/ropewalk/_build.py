"""Tells which build runs: the compiled core or the interpreted one, and why the latter."""

from __future__ import annotations

import importlib.util
import platform
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from ropewalk import __version__

#: A module of the compiled group that imports next to nothing.
_PROBE = "ropewalk.quic.types.error_codes"
_NOTE = Path(__file__).with_name("_build_note.txt")


@dataclass(frozen=True)
class Build:
    """``kind`` is "compiled" or "interpreted"; ``reason`` says why it is not compiled."""

    kind: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}" if self.reason else self.kind


def is_compiled(module: str) -> bool:
    """Whether importing the module gives compiled code. Looks, does not run it."""
    spec = importlib.util.find_spec(module)
    return (
        spec is not None
        and spec.origin is not None
        and spec.origin.endswith(tuple(EXTENSION_SUFFIXES))
    )


def running_build() -> Build:
    """The build that this process imports, judged by the modules themselves."""
    if is_compiled(_PROBE):
        return Build("compiled", "")
    try:
        reason = _NOTE.read_text()
    except OSError:
        reason = "it runs from its source folder"
    return Build("interpreted", reason)


def describe() -> str:
    """One line: version, build, Python and system."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.machine()}"
    return f"ropewalk {__version__}, {python}, {system}, {running_build()}"


if __name__ == "__main__":
    print(describe())
