"""The requirements as they stand in ``conformance/*.toml``, read strictly.

A file holds the sections of one RFC, or some of them::

    rfc = 9000

    [sections]
    "10.3.3" = "Looping"

    [[requirement]]
    id = "RFC9000-10.3.3-01"
    section = "10.3.3"
    level = "MUST"
    who = "both"
    text = "A reset is smaller than its trigger."
    tests = ["tests/connection/test_close.py::test_resets_are_smaller_than_what_triggers_them"]

An entry without tests has ``reason``, one of :data:`REASONS`, and ``because`` in words.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ropewalk.quic.types.errors import ConfigurationError, Unsupported

#: The RFCs that the matrix covers.
RFCS: Final = (9000, 9001, 9002, 9114, 9204)
#: BCP 14: SHALL and REQUIRED count as MUST, RECOMMENDED as SHOULD.
LEVELS: Final = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT")
ROLES: Final = ("client", "server", "both", "sender", "receiver")
#: Why an entry has no test.
REASONS: Final = {
    "untestable": "it concerns people, policies, clocks or documents that do not exist yet",
    "not-applicable": "it concerns a role or a feature that Ropewalk does not have",
    "not-built": "Ropewalk does not do it yet",
    "missing": "it could be tested and is not",
}

_NAME: Final = "conformance"
_ENTRY_KEYS: Final = frozenset({"id", "section", "level", "who", "text"})
_TEST: Final = re.compile(r"tests/[\w/]+\.py::\w+(::\w+)?(\[.+\])?")


@dataclass(frozen=True)
class Requirement:
    """One requirement in our words.

    ``tests`` are pytest's names of the tests that prove it. Without any, ``reason`` is one of
    :data:`REASONS` and ``because`` says more; otherwise both are "".
    """

    id: str
    rfc: int
    section: str
    level: str
    who: str
    text: str
    tests: tuple[str, ...] = ()
    reason: str = ""
    because: str = ""

    @property
    def status(self) -> str:
        """``proved``, or why it is not: one of :data:`REASONS`."""
        return self.reason or "proved"

    @property
    def is_must(self) -> bool:
        """Whether it binds: MUST or MUST NOT."""
        return self.level.startswith("MUST")


@dataclass(frozen=True)
class Matrix:
    """All requirements in the order of the RFCs, and the titles of their sections."""

    requirements: tuple[Requirement, ...]
    titles: dict[tuple[int, str], str]

    def select(self, rfcs: tuple[int, ...] = (), section: str = "") -> Matrix:
        """The part of some RFCs (all when empty), and of a section with those below it."""
        chosen = tuple(
            one
            for one in self.requirements
            if (not rfcs or one.rfc in rfcs) and is_within(one.section, section)
        )
        return Matrix(chosen, self.titles)


def is_within(section: str, whole: str) -> bool:
    """Whether a section is ``whole`` or a part of it; everything is within ""."""
    return not whole or section == whole or section.startswith(f"{whole}.")


def find_matrix(start: Path) -> Path:
    """The folder of the matrix: in ``start``, above it, or in the tree this code is run from.

    Raises ``Unsupported`` when there is none, as with an installed package.
    """
    here = Path(__file__).resolve()
    for folder in (start, *start.parents, *here.parents):
        candidate = folder / _NAME
        if candidate.is_dir() and any(_files(candidate)):
            return candidate
    raise Unsupported(
        "the conformance matrix is part of Ropewalk's source tree and not installed with it: "
        "run this in a checkout, or name the folder with --matrix"
    )


def load_matrix(folder: Path) -> Matrix:
    """Read and check all files. Raises ``ConfigurationError`` that names file and entry."""
    requirements: list[Requirement] = []
    titles: dict[tuple[int, str], str] = {}
    for path in _files(folder):
        _load_file(path, requirements, titles)
    if not requirements:
        raise ConfigurationError(f"{folder} has no requirements: is it a conformance matrix?")
    seen: set[str] = set()
    for one in requirements:
        if one.id in seen:
            raise ConfigurationError(f"{one.id} stands in the conformance matrix twice")
        seen.add(one.id)
    requirements.sort(key=lambda one: (one.rfc, section_order(one.section), one.id))
    return Matrix(tuple(requirements), titles)


def section_order(section: str) -> tuple[int, ...]:
    """Puts 5.10 behind 5.9."""
    return tuple(int(part) for part in section.split("."))


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("rfc*.toml"))
    yield from sorted(folder.glob("rfc*/*.toml"))


def _load_file(
    path: Path, requirements: list[Requirement], titles: dict[tuple[int, str], str]
) -> None:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error
    if set(content) != {"rfc", "sections", "requirement"} or content["rfc"] not in RFCS:
        raise ConfigurationError(
            f"{path} must have `rfc` (one of {RFCS}), [sections] and [[requirement]] alone"
        )
    rfc: int = content["rfc"]
    sections: dict[str, str] = content["sections"]
    for number, title in sections.items():
        if not re.fullmatch(r"\d+(\.\d+)*", number) or not title:
            raise ConfigurationError(f"{path}: section {number!r} needs a number and a title")
        if (rfc, number) in titles:
            raise ConfigurationError(f"{path}: section {number} of RFC {rfc} is in another file")
        titles[rfc, number] = title
    found = [_read(path, rfc, entry) for entry in content["requirement"]]
    for one in found:
        if one.section not in sections:
            raise ConfigurationError(f"{path}: {one.id} is in a section that the file lacks")
    without = set(sections) - {one.section for one in found}
    if without:
        raise ConfigurationError(f"{path}: nothing is said of section {min(without)}")
    requirements += found


def _read(path: Path, rfc: int, entry: dict[str, object]) -> Requirement:
    """One entry, checked. Raises ``ConfigurationError``."""
    identifier = entry.get("id")

    def wrong(what: str) -> ConfigurationError:
        return ConfigurationError(f"{path}: {identifier}: {what}")

    keys = set(entry)
    if keys != _ENTRY_KEYS | {"tests"} and keys != _ENTRY_KEYS | {"reason", "because"}:
        raise wrong(f"has the keys {sorted(keys)}; see ropewalk.lab.conformance.matrix")
    words: dict[str, str] = {}
    for key in (*sorted(_ENTRY_KEYS), "reason", "because"):
        value = entry.get(key, "")
        if not isinstance(value, str) or (key in entry and not value.strip()):
            raise wrong(f"`{key}` must be text")
        words[key] = value
    if not re.fullmatch(rf"RFC{rfc}-{re.escape(words['section'])}-\d\d", words["id"]):
        raise wrong(f"its ID does not begin with RFC{rfc}-{words['section']}- and end in 01 to 99")
    if words["level"] not in LEVELS:
        raise wrong(f"`level` is not one of {', '.join(LEVELS)}")
    if words["who"] not in ROLES:
        raise wrong(f"`who` is not one of {', '.join(ROLES)}")
    if "reason" in entry and words["reason"] not in REASONS:
        raise wrong(f"`reason` is not one of {', '.join(REASONS)}")
    named = entry.get("tests", [])
    if not isinstance(named, list) or ("tests" in entry and not named):
        raise wrong("`tests` must be a list of names, and not empty")
    for test in named:
        if not isinstance(test, str) or not _TEST.fullmatch(test):
            raise wrong(f"{test!r} is not the name of a test, as pytest gives it")
    return Requirement(rfc=rfc, tests=tuple(named), **words)
