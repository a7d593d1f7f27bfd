"""The tests that pytest really collects: it is run for that, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ropewalk.lab.conformance import plugin
from ropewalk.quic.types.errors import Unsupported

#: Seconds. It takes a few; whoever waits longer has a test file that hangs.
PATIENCE: Final = 120.0
#: So many of a test's parameters are told to who named another one.
_SHOWN: Final = 6


@dataclass(frozen=True)
class Collection:
    """What pytest found: ``cases`` by their names, each with why it proves nothing ("" when it
    may), and ``failures``: why files, by their names, were not collected."""

    cases: dict[str, str]
    failures: dict[str, str] = field(default_factory=dict)
    #: What a reader should know of how far this can be trusted: nothing.
    caveat: str = ""

    def flaw(self, test: str) -> str:
        """Why a test proves nothing, completing a sentence; "" when it may.

        A name without parameters stands for all the cases of the test.
        """
        if test in self.cases:
            return self.cases[test]
        bare, bracket, _ = test.partition("[")
        cases = [one for one in self.cases if one.startswith(f"{bare}[")]
        if cases and not bracket:
            return next((flaw for one in cases if (flaw := self.cases[one])), "")
        if cases:
            nearest = get_close_matches(test, cases, _SHOWN, 0.0)
            shown = ", ".join(one.removeprefix(bare) for one in nearest)
            more = f" and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else ""
            return f"does not exist with that parameter: there are {shown}{more}"
        if bare in self.cases:
            return "does not exist with a parameter, only without"
        return self._failure_around(bare) or "does not exist"

    def _failure_around(self, bare: str) -> str:
        """Why the class or the file of a test was not collected."""
        around = bare
        while "::" in around:
            around = around.rpartition("::")[0]
            if around in self.failures:
                return f"is in {around}, which {self.failures[around]}"
        return ""


def has_pytest() -> bool:
    """Whether this Python has pytest."""
    return find_spec("pytest") is not None


def collect(root: Path, files: Iterable[str]) -> Collection:
    """Have pytest collect test files of the tree ``root``, named from there.

    A file that is not there has no tests. Raises ``Unsupported`` when pytest gives no answer.
    """
    root = root.resolve()
    present = [file for file in sorted(set(files)) if (root / file).is_file()]
    if not present:
        return Collection({})
    with TemporaryDirectory(prefix="ropewalk-") as folder:
        answer = Path(folder) / "collected.json"
        told = _run(root, present, answer)
        try:
            found = json.loads(answer.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Unsupported(
                f"pytest does not collect the tests that the matrix names ({told}); "
                f"`python -m pytest --collect-only` in {root} tells more"
            ) from error
    return Collection(found["tests"], found["failures"])


def _run(root: Path, files: list[str], answer: Path) -> str:
    """Run pytest; the last line that it said."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    command += ["--continue-on-collection-errors", "-p", "no:cacheprovider"]
    command += ["-p", plugin.__name__, f"{plugin.OPTION}={answer}", f"--rootdir={root}", *files]
    # The settings of a run of tests that this may be a part of are not meant for this one.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    try:
        done = subprocess.run(  # noqa: S603  # this Python, and files of this source tree
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unsupported(
            f"pytest takes more than {PATIENCE:.0f} s to collect the tests that the matrix "
            "names: does one of their files wait for something while it is imported?"
        ) from error
    lines = (done.stdout + done.stderr).split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
