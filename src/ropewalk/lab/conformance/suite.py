"""The tests that the matrix names, held against those that there are."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ropewalk.lab.conformance.collection import collect, has_pytest
from ropewalk.lab.conformance.matrix import Matrix


@dataclass(frozen=True)
class Dangling:
    """A test that the matrix names and that proves nothing; ``why`` completes the sentence."""

    requirement: str
    test: str
    why: str


class Suite(Protocol):
    """What there is of tests. ``caveat`` tells people how far its answers go; "" when all the
    way."""

    @property
    def caveat(self) -> str: ...

    def flaw(self, test: str) -> str:
        """Why a test, by the name that pytest gives it, proves nothing; "" when it may."""


def suite_of(matrix: Matrix, root: Path) -> Suite:
    """The tests in the files of the tree ``root`` that the matrix names: as pytest collects
    them, or as they are written where there is no pytest.

    Raises ``Unsupported`` when pytest is there and gives no answer.
    """
    if not has_pytest():
        return WrittenSuite(root)
    named = (test for one in matrix.requirements for test in one.tests)
    return collect(root, (test.partition("::")[0] for test in named))


def dangling(matrix: Matrix, suite: Suite) -> list[Dangling]:
    """The tests that the matrix names and that prove nothing."""
    return [
        Dangling(one.id, test, flaw)
        for one in matrix.requirements
        for test in one.tests
        if (flaw := suite.flaw(test))
    ]


# -- without pytest


@dataclass(frozen=True)
class _Function:
    """A test function: whether it is run with parameters, and what its marks say against it."""

    parametrized: bool
    flaw: str


class WrittenSuite:
    """The tests of a source tree, read from their files, which are neither imported nor run."""

    caveat = (
        "pytest is not installed: the tests are looked up in the text of their files, "
        "and parameters that do not exist may pass unseen"
    )

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, dict[str, _Function]] = {}
        self._literals: dict[str, set[str]] = {}

    def flaw(self, test: str) -> str:
        """Why a test, by the name that pytest gives it, proves nothing; "" when it may.

        The identifiers of parameters, ``[…]``, or the part before an ``@``, have to be written
        out in the test's file or in a module of ours that it imports.
        """
        name, _, rest = test.partition("[")
        file, _, function = name.partition("::")
        found = self._functions(file).get(function)
        if found is None:
            return "does not exist"
        if found.flaw:
            return found.flaw
        identifier = rest.removesuffix("]")
        if not rest:
            return ""
        words = self._words(file)
        stems = (identifier, identifier.partition("@")[0])
        if found.parametrized and any(_is_made_of(stem, words) for stem in stems):
            return ""
        return "does not exist with that parameter"

    def _functions(self, file: str) -> dict[str, _Function]:
        known = self._files.get(file)
        if known is None:
            known = dict(_tests_in(_parse(self._root / file)))
            self._files[file] = known
        return known

    def _words(self, file: str) -> set[str]:
        words = self._literals.get(file)
        if words is None:
            tree = _parse(self._root / file)
            words = _literals_in(tree)
            for module in _imported_by(tree):
                for path in _sources(self._root / "src" / module):
                    words |= _literals_in(_parse(path))
            self._literals[file] = words
        return words


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return ast.Module([], [])


def _tests_in(tree: ast.Module) -> list[tuple[str, _Function]]:
    found: list[tuple[str, _Function]] = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.append((node.name, _function(node)))
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    name = f"{node.name}::{inner.name}"
                    found.append((name, _function(inner)))
    return [(name, one) for name, one in found if name.rpartition("::")[2].startswith("test_")]


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> _Function:
    marks = [ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list]
    flaw = ""
    if any(mark.endswith("mark.xfail") for mark in marks):
        flaw = "is expected to fail"
    elif any(mark.endswith("mark.skip") for mark in marks):
        flaw = "is skipped"
    # A mark of parameters may have a name of its own, so that any decorator will do.
    return _Function(len(marks) > 0, flaw)


def _is_made_of(identifier: str, words: set[str]) -> bool:
    """Whether an identifier is a word, or the words of several parameters with hyphens between."""
    return identifier in words or any(
        sign == "-" and identifier[:end] in words and _is_made_of(identifier[end + 1 :], words)
        for end, sign in enumerate(identifier)
    )


def _literals_in(tree: ast.Module) -> set[str]:
    return {
        str(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, int))
    }


def _imported_by(tree: ast.Module) -> list[str]:
    """The modules of ours that a file imports, as paths below ``src`` without ending."""
    return [
        node.module.replace(".", "/")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module is not None
        and node.module.startswith("ropewalk.")
    ]


def _sources(module: Path) -> list[Path]:
    if module.is_dir():
        return sorted(module.rglob("*.py"))
    return [module.with_suffix(".py")]
