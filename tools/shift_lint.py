"""Finds shifts that mypyc compiles into wrong ones, silently.

``1 << n`` with ``n: i64`` becomes the C expression ``1 << n``, whose ``1`` is an ``int`` of 32
bits: with n = 40 the result is 256. The same happens wherever mypyc knows the left side at
compile time: a literal, ``i64(1)``, a ``Final`` (also of another module or a class), a sum of
those, and a local variable that is assigned exactly once from any of them. The interpreter is
right, so only the compiled build fails, and only for large amounts.

    python tools/shift_lint.py [FOLDER OR FILE ...]

Prints one line for each find and exits with 1; without arguments it looks at all that is
compiled.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEFAULT_ROOTS = ("src/ropewalk/quic", "src/ropewalk/http3", "src/ropewalk/sim")
NATIVE_INTS = frozenset({"i64", "i32", "i16", "u8", "int"})
REMEDY = (
    "the left side is a 32-bit constant in C; take it from a table, assign the variable a "
    "second time (w: i64 = 1; w = w << n), or write 2**n where a plain int will do"
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
#: What mypyc would know of a name: its value, or None when it is not a constant.
Known = dict[str, int | None]


@dataclass(frozen=True)
class Finding:
    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}: {REMEDY}"


@dataclass
class Constants:
    """The ``Final`` integers of all the files: by module, and those reached by a dot."""

    by_module: dict[str, Known]
    attributes: Known


def find(roots: list[Path]) -> list[Finding]:
    """All doubtful shifts below the roots, which need not exist."""
    trees = {
        path: ast.parse(path.read_text(), str(path))
        for root in roots
        for path in (sorted(root.rglob("*.py")) if root.is_dir() else [root])
        if path.exists()
    }
    constants = _collect(trees)
    return [
        finding for path, tree in trees.items() for finding in _in_module(path, tree, constants)
    ]


def _in_module(path: Path, tree: ast.Module, constants: Constants) -> Iterator[Finding]:
    known = dict(constants.by_module[_module_name(path)])
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in constants.by_module:
            for alias in node.names:
                value = constants.by_module[node.module].get(alias.name)
                if value is not None:
                    known[alias.asname or alias.name] = value
    yield from _in_scope(path, tree, known, constants.attributes)


def _in_scope(
    path: Path, scope: ast.Module | ast.ClassDef | Function, outer: Known, attributes: Known
) -> Iterator[Finding]:
    known = dict(outer)
    if isinstance(scope, Function):
        known |= _local_constants(scope, outer, attributes)
    for node in _own_nodes(scope):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.LShift | ast.RShift):
            value = _fold(node.left, known, attributes)
            # A larger constant is written into C as a long one.
            doubtful = value is not None and -(2**31) <= value < 2**31
            if doubtful and _fold(node.right, known, attributes) is None:
                yield Finding(path, node.lineno, ast.unparse(node))
        elif isinstance(node, Function | ast.ClassDef):
            yield from _in_scope(path, node, known, attributes)


def _local_constants(function: Function, outer: Known, attributes: Known) -> Known:
    """The function's own names; those assigned once from a constant have its value."""
    arguments = function.args
    names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    names += [extra for extra in (arguments.vararg, arguments.kwarg) if extra]
    known: Known = {name.arg: None for name in names}
    sources: dict[str, ast.expr] = {}
    stores: dict[str, int] = {}
    for node in _own_nodes(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            stores[node.id] = stores.get(node.id, 0) + 1
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        if isinstance(target, ast.Name):
            sources[target.id] = value
    known |= dict.fromkeys(stores)
    changed = True
    while changed:  # a copy of a once-assigned name is a constant too
        changed = False
        for name, source in sources.items():
            if stores[name] == 1 and known.get(name) is None and name not in _names(arguments):
                known[name] = _fold(source, outer | known, attributes)
                changed = changed or known[name] is not None
    return known


def _names(arguments: ast.arguments) -> set[str]:
    return {node.arg for node in ast.walk(arguments) if isinstance(node, ast.arg)}


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope without those inside nested functions and classes."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, Function | ast.ClassDef):
            yield from _own_nodes(child)


def _fold(node: ast.expr, known: Known, attributes: Known) -> int | None:
    """The value that mypyc knows at compile time, or None."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return known.get(name)
        case ast.Attribute(attr=name):
            return attributes.get(name)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in NATIVE_INTS:
            return _fold(argument, known, attributes)
        case ast.UnaryOp(operand=operand, op=ast.USub() | ast.UAdd() | ast.Invert() as sign):
            inner = _fold(operand, known, attributes)
            return None if inner is None else _apply_sign(sign, inner)
        case ast.BinOp(left=left, right=right, op=operator):
            first = _fold(left, known, attributes)
            second = _fold(right, known, attributes)
            if first is None or second is None:
                return None
            return _apply(operator, first, second)
    return None


def _apply_sign(sign: ast.unaryop, value: int) -> int:
    if isinstance(sign, ast.USub):
        return -value
    return ~value if isinstance(sign, ast.Invert) else value


def _apply(operator: ast.operator, first: int, second: int) -> int | None:
    """The sum, product and so on; only whether there is one matters much."""
    try:
        match operator:
            case ast.Add():
                return first + second
            case ast.Sub():
                return first - second
            case ast.Mult():
                return first * second
            case ast.FloorDiv():
                return first // second
            case ast.Mod():
                return first % second
            case ast.LShift():
                return first << second
            case ast.RShift():
                return first >> second
            case ast.BitOr():
                return first | second
            case ast.BitAnd():
                return first & second
            case ast.BitXor():
                return first ^ second
            case ast.Pow() if second >= 0:
                return int(first**second)
    except (ValueError, ZeroDivisionError):
        return None
    return None


def _collect(trees: dict[Path, ast.Module]) -> Constants:
    constants = Constants({}, {})
    for path, tree in trees.items():
        own: Known = {}
        constants.by_module[_module_name(path)] = own
        for node in tree.body:
            _note_final(node, own, own)
        constants.attributes |= own
        for inner in ast.walk(tree):
            if isinstance(inner, ast.ClassDef):
                for statement in inner.body:
                    _note_final(statement, constants.attributes, own)
    return constants


def _note_final(node: ast.stmt, into: Known, known: Known) -> None:
    if (
        isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.value is not None
        and "Final" in ast.unparse(node.annotation)
    ):
        value = _fold(node.value, known, {})
        if value is not None:
            into[node.target.id] = value


def _module_name(path: Path) -> str:
    """``ropewalk.quic.wire.varint`` for its file; the bare stem outside the package."""
    parts = list(path.with_suffix("").parts)
    if "ropewalk" in parts:
        parts = parts[parts.index("ropewalk") :]
    else:
        parts = parts[-1:]
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def main(arguments: list[str]) -> int:
    findings = find([Path(argument) for argument in arguments or DEFAULT_ROOTS])
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
