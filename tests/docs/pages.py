"""Takes the pages of the documentation apart into what a reader would type.

A comment ``<!-- test: ... -->`` says how the next block is to be taken: ``background`` (a
server in a terminal of its own, until ``stop`` or the page's end), ``skip, REASON``, or
``openssl`` (to be skipped where that program is missing).
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs"

_PART = re.compile(
    r"^<!-- test: (?P<order>\w+)[^>]*-->$|^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_FILE_NAME = re.compile(r"# ([\w.]+\.py)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block, or (language "") the order to stop what runs in the background."""

    language: str
    text: str
    line: int
    order: str = ""

    @property
    def file_name(self) -> str | None:
        """The name in the first line of a program that the reader saves."""
        match = _FILE_NAME.match(self.text)
        return match[1] if match is not None and self.language == "python" else None

    def commands(self) -> list[tuple[str, list[str]]]:
        """Each command of a console with the lines that it prints."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                assert found, f"line {self.line}: output comes before any command"
                found[-1][1].append(line)
        return found


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in order, without those to be skipped."""
    source = page.read_text()
    blocks: list[Block] = []
    order = ""
    for part in _PART.finditer(source):
        line = source.count("\n", 0, part.start()) + 1
        if part["order"] == "stop":
            blocks.append(Block("", "", line, "stop"))
        elif part["order"]:
            order = part["order"]
            assert order in ("background", "openssl", "skip"), f"{page.name}:{line}: {order}"
            if order == "openssl" and shutil.which("openssl") is None:
                order = "skip"
        else:
            if order != "skip":
                blocks.append(Block(part["language"], part["text"], line, order))
            order = ""
    return blocks


def expectation(lines: list[str]) -> re.Pattern[str]:
    """Output as printed; three dots stand for anything."""
    text = re.escape("".join(f"{line}\n" for line in lines)).replace(r"\.\.\.", ".*")
    return re.compile(text, re.DOTALL)
