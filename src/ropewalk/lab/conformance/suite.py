"""Which tests there are: read from their files, which are neither imported nor run."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from ropewalk.lab.conformance.matrix import Matrix


@dataclass(frozen=True)
class Dangling:
    """A test that the matrix names and that proves nothing; ``why`` completes the sentence."""

    requirement: str
    test: str
    why: str


@dataclass(frozen=True)
class _Function:
    """A test function: whether it is run with parameters, and whether it is to fail."""

    parametrized: bool
    expected_to_fail: bool


class Suite:
    """The tests of a source tree, file by file as they are asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, dict[str, _Function]] = {}
        self._literals: dict[str, set[str]] = {}

    def flaw(self, test: str) -> str:
        """Why a test, by the name that pytest gives it, proves nothing; "" when it may.

        The identifier of a parameter, ``[…]``, or its part before an ``@``, has to be written out
        in the test's file or in a module of ours that it imports.
        """
        name, _, rest = test.partition("[")
        file, _, function = name.partition("::")
        found = self._functions(file).get(function)
        if found is None:
            return "does not exist"
        if found.expected_to_fail:
            return "is expected to fail"
        identifier = rest.removesuffix("]")
        stems = {identifier, identifier.partition("@")[0]}
        if rest and not (found.parametrized and stems & self._words(file)):
            return "does not exist with that parameter"
        return ""

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


def dangling(matrix: Matrix, root: Path) -> list[Dangling]:
    """The tests that the matrix names and that prove nothing in the tree ``root``."""
    suite = Suite(root)
    return [
        Dangling(one.id, test, flaw)
        for one in matrix.requirements
        for test in one.tests
        if (flaw := suite.flaw(test))
    ]


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
    marks = [ast.unparse(decorator) for decorator in node.decorator_list]
    # A mark of parameters may have a name of its own, so that any decorator will do.
    return _Function(len(marks) > 0, any("xfail" in mark for mark in marks))


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
