"""Counts what is proved, and says it to people, to programs and to the documentation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ropewalk.lab.conformance.matrix import REASONS, Matrix, Requirement, section_order
from ropewalk.quic.types.errors import ConfigurationError

#: Of the MUSTs that are testable and built, so many should be proved.
AIM: Final = 0.95

_BEGIN: Final = "<!-- coverage: written by `ropewalk conformance --update` -->"
_END: Final = "<!-- end of coverage -->"
_RULE: Final = 72


@dataclass(frozen=True)
class Coverage:
    """How many requirements are proved, and how many are not for which reason."""

    proved: int = 0
    missing: int = 0
    not_built: int = 0
    not_applicable: int = 0
    untestable: int = 0

    @property
    def testable(self) -> int:
        """What could be proved: it concerns us, it is built and a test can show it."""
        return self.proved + self.missing

    @property
    def total(self) -> int:
        """All requirements."""
        return self.testable + self.not_built + self.not_applicable + self.untestable

    @property
    def share(self) -> float:
        """The proved part of what is testable; 1 when nothing is."""
        return self.proved / self.testable if self.testable else 1.0


def cover(requirements: Iterable[Requirement]) -> Coverage:
    """Count requirements by their status."""
    counts = dict.fromkeys(("proved", *REASONS), 0)
    for one in requirements:
        counts[one.status] += 1
    return Coverage(**{status.replace("-", "_"): count for status, count in counts.items()})


def musts(matrix: Matrix) -> Coverage:
    """The coverage of MUST and MUST NOT."""
    return cover(one for one in matrix.requirements if one.is_must)


def shoulds(matrix: Matrix) -> Coverage:
    """The coverage of SHOULD and SHOULD NOT."""
    return cover(one for one in matrix.requirements if not one.is_must)


# -- for people


def as_text(matrix: Matrix) -> str:
    """A table for the terminal: a line for each section, a sum for each RFC and for all."""
    lines: list[str] = []
    for rfc in _rfcs(matrix):
        part = matrix.select((rfc,))
        lines.append(f"RFC {rfc}")
        lines += [_text_line(number, section) for number, section in _sections(part)]
        lines += ["-" * _RULE, _sums(part), ""]
    lines += ["All together", _sums(matrix)]
    return "\n".join(lines)


def _text_line(number: str, section: Matrix) -> str:
    rfc = section.requirements[0].rfc
    title = section.titles[rfc, number]
    must, should = musts(section), shoulds(section)
    told = [f"MUST {must.proved}/{must.testable}" if must.testable else ""]
    told.append(f"SHOULD {should.proved}/{should.testable}" if should.testable else "")
    rest = _rest(cover(section.requirements))
    line = f"  {number:<10}{title[:38]:<40}{told[0]:<11}{told[1]:<13}{rest}"
    return line.rstrip()


def _rest(coverage: Coverage) -> str:
    parts = [
        f"{count} {name}"
        for count, name in (
            (coverage.not_built, "not built"),
            (coverage.not_applicable, "not applicable"),
            (coverage.untestable, "untestable"),
        )
        if count
    ]
    return ", ".join(parts)


def _sums(matrix: Matrix) -> str:
    lines = []
    for name, coverage in (("MUST", musts(matrix)), ("SHOULD", shoulds(matrix))):
        rest = _rest(coverage)
        lines.append(
            f"  {name:<7}{coverage.proved} of {coverage.testable} testable ones are proved "
            f"({_percent(coverage)})" + (f"; besides, {rest}" if rest else "")
        )
    return "\n".join(lines)


def missing_as_text(matrix: Matrix) -> str:
    """The requirements that could be tested and are not, with who and what."""
    lines = []
    for one in matrix.requirements:
        if one.reason == "missing":
            lines.append(f"{one.id}  {one.level}  {one.who}")
            lines.append(f"    {one.text}")
            lines.append(f"    ({one.because})")
    return "\n".join(lines) if lines else "Nothing that is testable and built lacks a test."


# -- for programs


def as_data(matrix: Matrix) -> dict[str, object]:
    """The same numbers, and every requirement, as JSON knows them."""
    return {
        "coverage": {
            str(rfc): {"must": _data(musts(part)), "should": _data(shoulds(part))}
            for rfc in _rfcs(matrix)
            for part in (matrix.select((rfc,)),)
        },
        "requirements": [
            {
                "id": one.id,
                "section": one.section,
                "level": one.level,
                "who": one.who,
                "text": one.text,
                "status": one.status,
                "because": one.because,
                "tests": list(one.tests),
            }
            for one in matrix.requirements
        ],
    }


def _data(coverage: Coverage) -> dict[str, object]:
    return {
        "proved": coverage.proved,
        "testable": coverage.testable,
        "missing": coverage.missing,
        "not_built": coverage.not_built,
        "not_applicable": coverage.not_applicable,
        "untestable": coverage.untestable,
        "share": round(coverage.share, 4),
    }


# -- for the documentation


def update_page(page: str, matrix: Matrix) -> str:
    """A documentation page with its coverage brought up to date.

    Raises ``ConfigurationError`` when the page has no place for it.
    """
    before, begin, behind = page.partition(_BEGIN)
    _, end, after = behind.partition(_END)
    if not begin or not end:
        raise ConfigurationError(f"the page has no lines {_BEGIN!r} and {_END!r} to write between")
    return f"{before}{_BEGIN}\n\n{as_markdown(matrix)}\n{_END}{after}"


def as_markdown(matrix: Matrix) -> str:
    """Tables by RFC and by section."""
    lines = [
        "| RFC | MUST proved | SHOULD proved | not built | not applicable | untestable |",
        "|---|---|---|---|---|---|",
    ]
    for rfc in _rfcs(matrix):
        part = matrix.select((rfc,))
        lines.append(f"| {rfc} |{_markdown_cells(part)}")
    lines.append(f"| all |{_markdown_cells(matrix)}")
    for rfc in _rfcs(matrix):
        lines += [
            "",
            f"## RFC {rfc}",
            "",
            "| section | | MUST | SHOULD | not built | not applicable | untestable |",
            "|---|---|---|---|---|---|---|",
        ]
        for number, section in _sections(matrix.select((rfc,))):
            title = section.titles[rfc, number]
            must, should, whole = (
                musts(section),
                shoulds(section),
                cover(section.requirements),
            )
            lines.append(
                f"| {number} | {title} | {_fraction(must)} | {_fraction(should)} "
                f"| {whole.not_built or ''} | {whole.not_applicable or ''} "
                f"| {whole.untestable or ''} |"
            )
    return "\n".join(lines) + "\n"


def _markdown_cells(matrix: Matrix) -> str:
    must, should, whole = musts(matrix), shoulds(matrix), cover(matrix.requirements)
    return (
        f" {_fraction(must)} ({_percent(must)}) | {_fraction(should)} ({_percent(should)}) "
        f"| {whole.not_built} | {whole.not_applicable} | {whole.untestable} |"
    )


def _fraction(coverage: Coverage) -> str:
    return f"{coverage.proved} / {coverage.testable}" if coverage.testable else ""


def _percent(coverage: Coverage) -> str:
    # Rounded down, so that 100 % is said of all alone.
    return f"{int(coverage.share * 1000) / 10:.1f} %"


def _rfcs(matrix: Matrix) -> list[int]:
    return sorted({one.rfc for one in matrix.requirements})


def _sections(matrix: Matrix) -> list[tuple[str, Matrix]]:
    """The sections of one RFC that have requirements, each with those of its own."""
    numbers = sorted({one.section for one in matrix.requirements}, key=section_order)
    return [
        (
            number,
            Matrix(
                tuple(one for one in matrix.requirements if one.section == number), matrix.titles
            ),
        )
        for number in numbers
    ]
