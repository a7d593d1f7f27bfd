"""A plugin for pytest that writes down which tests it collects, and which of them prove nothing.

It is loaded by :mod:`.collection` with ``-p``, in a process of its own. It imports nothing of
pytest, which is not installed with Ropewalk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol

#: The option that names the file to write.
OPTION: Final = "--write-collected"


class Mark(Protocol):
    """``pytest.Mark``."""

    @property
    def args(self) -> tuple[object, ...]: ...
    @property
    def kwargs(self) -> Mapping[str, object]: ...


class Item(Protocol):
    """``pytest.Item``: one case of a test."""

    @property
    def nodeid(self) -> str: ...
    def iter_markers(self, name: str) -> Iterable[Mark]: ...


class Session(Protocol):
    """``pytest.Session``."""

    @property
    def items(self) -> Iterable[Item]: ...


class CollectReport(Protocol):
    """``pytest.CollectReport``: what came of looking into a file, a class or a folder."""

    @property
    def nodeid(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def longrepr(self) -> object: ...


class PluginManager(Protocol):
    """``pytest.PytestPluginManager``."""

    def register(self, plugin: object) -> object: ...


class Config(Protocol):
    """``pytest.Config``."""

    @property
    def pluginmanager(self) -> PluginManager: ...
    def getoption(self, name: str) -> str: ...


class Parser(Protocol):
    """``pytest.Parser``."""

    def addoption(self, name: str, *, metavar: str) -> None: ...


def pytest_addoption(parser: Parser) -> None:
    parser.addoption(OPTION, metavar="FILE")


def pytest_configure(config: Config) -> None:
    config.pluginmanager.register(_Writer(Path(config.getoption(OPTION))))


class _Writer:
    """Notes the files that cannot be read, and in the end writes all to a file as JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failures: dict[str, str] = {}

    def pytest_collectreport(self, report: CollectReport) -> None:
        if report.outcome == "passed":
            return
        told = report.longrepr
        # A skipped file has a tuple of file, line and reason; a broken one has a traceback.
        last = told[-1] if isinstance(told, tuple) else str(told).strip().rpartition("\n")[2]
        verb = "is skipped" if report.outcome == "skipped" else "cannot be collected"
        reason = str(last).removeprefix("Skipped: ").removeprefix("E ").strip()
        self._failures[report.nodeid] = f"{verb} ({reason})"

    def pytest_collection_finish(self, session: Session) -> None:
        tests = {item.nodeid: flaw_of(item) for item in session.items}
        told = {"tests": tests, "failures": self._failures}
        self._path.write_text(json.dumps(told), encoding="utf-8")


def flaw_of(item: Item) -> str:
    """Why a collected case proves nothing, by its marks; "" when it may."""
    for name, verb in (
        ("skip", "is skipped"),
        ("skipif", "is skipped here"),
        ("xfail", "is expected to fail"),
    ):
        for mark in item.iter_markers(name):
            if name == "skip" or _holds(mark):
                reason = mark.kwargs.get("reason", "")
                return f"{verb} ({reason})" if reason else verb
    return ""


def _holds(mark: Mark) -> bool:
    """Whether the condition of a mark is true; a mark without any is meant always.

    A condition in a string is code for pytest to evaluate, and counts as true.
    """
    conditions = mark.args or (mark.kwargs.get("condition", True),)
    return any(bool(one) for one in conditions)
