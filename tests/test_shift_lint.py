"""The lint goes red on every form of the trap, and only there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.shift_lint import find

ROOT = Path(__file__).resolve().parent.parent

WRONG = {
    "a literal": "def f(n: i64) -> i64:\n    return 1 << n\n",
    "a literal to the right": "def f(n: i64) -> i64:\n    return 0x7FFFFFFF >> n\n",
    "a converted literal": "def f(n: i64) -> i64:\n    return i64(1) << n\n",
    "a negative literal": "def f(n: i64) -> i64:\n    return -1 << n\n",
    "a sum of literals": "def f(n: i64) -> i64:\n    return (1 + 2) << n\n",
    "an amount that is computed": "def f(n: i64) -> i64:\n    return 1 << (n * 8)\n",
    "an attribute as the amount": "def f(p: P) -> i64:\n    return 1 << p.n\n",
    "a variable assigned once": "def f(n: i64) -> i64:\n    w: i64 = 1\n    return w << n\n",
    "a copy of one": "def f(n: i64) -> i64:\n    a: i64 = 1\n    b = a\n    return b << n\n",
    "a Final": "ONE: Final = 1\ndef f(n: i64) -> i64:\n    return ONE << n\n",
    "a Final with a type": "ONE: Final[i64] = 1\ndef f(n: i64) -> i64:\n    return ONE << n\n",
    "a Final of a class": (
        "class C:\n    K: Final = 1\n    def f(self, n: i64) -> i64:\n        return self.K << n\n"
    ),
    "a method": "class C:\n    def f(self, n: i64) -> i64:\n        return 1 << n\n",
    "a nested function": "def g():\n    def f(n):\n        return 1 << n\n    return f\n",
    "inside a loop": "def f(n):\n    w = 1\n    while n:\n        n = w << n\n",
}

RIGHT = {
    "a constant amount": "def f() -> i64:\n    return 1 << 40\n",
    "a Final amount": "N: Final = 40\ndef f() -> i64:\n    return 1 << N\n",
    "a variable on the left": "def f(v: i64, n: i64) -> i64:\n    return v << n\n",
    "assigned twice": "def f(n: i64) -> i64:\n    w: i64 = 1\n    w = w << n\n    return w\n",
    "assigned in place": "def f(n: i64) -> i64:\n    w: i64 = 1\n    w <<= n\n    return w\n",
    "a table": "def f(n: i64) -> i64:\n    return TABLE[n] << n\n",
    "an argument with a default": "def f(n: i64, w: i64 = 1) -> i64:\n    return w << n\n",
    "a module variable": "w = 1\ndef f(n: i64) -> i64:\n    return w << n\n",
    "a local that hides a Final": "W: Final = 1\ndef f(n, W):\n    return W << n\n",
    "a loop variable": "def f(n):\n    for w in (1, 2):\n        n = w << n\n",
    "a constant of 64 bits": "def f(n: i64) -> i64:\n    return 0x3FFFFFFFFF >> n\n",
}


@pytest.mark.parametrize("source", WRONG.values(), ids=WRONG.keys())
def test_goes_red_on(source: str, tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(source)
    assert len(find([tmp_path])) == 1


@pytest.mark.parametrize("source", RIGHT.values(), ids=RIGHT.keys())
def test_stays_green_on(source: str, tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(source)
    assert find([tmp_path]) == []


def test_knows_a_final_of_another_module(tmp_path: Path) -> None:
    package = tmp_path / "ropewalk" / "quic"
    package.mkdir(parents=True)
    (package / "one.py").write_text("ONE: Final = 1\n")
    user = package / "two.py"
    user.write_text(
        "from ropewalk.quic.one import ONE as U\ndef f(n: i64) -> i64:\n    return U << n\n"
    )
    (finding,) = find([tmp_path])
    assert (finding.path, finding.line, finding.text) == (user, 3, "U << n")


def test_the_command_tells_where_and_exits_with_1(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(WRONG["a literal"])
    command = [sys.executable, str(ROOT / "tools/shift_lint.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{file}:2: 1 << n" in done.stdout


def test_the_compiled_packages_are_free_of_it() -> None:
    compiled = ("quic", "http3", "sim")
    assert find([ROOT / "src/ropewalk" / package for package in compiled]) == []
