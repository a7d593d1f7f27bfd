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
    def due(self) -> int:
        """What a complete implementation could have proved: with what is not built."""
        return self.testable + self.not_built

    @property
    def total(self) -> int:
        """All requirements."""
        return self.due + self.not_applicable + self.untestable

    @property
    def share(self) -> float:
        """The proved part of what is testable and built; 1 when nothing is."""
        return self.proved / self.testable if self.testable else 1.0

    @property
    def share_of_due(self) -> float:
        """The proved part of what is testable, whether it is built or not; 1 when nothing is."""
        return self.proved / self.due if self.due else 1.0


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
    built = f"{coverage.not_built} not built" if coverage.not_built else ""
    return ", ".join(part for part in (built, _beyond(coverage)) if part)


def _beyond(coverage: Coverage) -> str:
    """What no test of ours could show."""
    parts = []
    if coverage.not_applicable:
        parts.append(f"{coverage.not_applicable} not applicable")
    if coverage.untestable:
        parts.append(f"{coverage.untestable} untestable")
    return ", ".join(parts)


def _sums(matrix: Matrix) -> str:
    lines = []
    for name, one in (("MUST", musts(matrix)), ("SHOULD", shoulds(matrix))):
        told = [
            f"{one.proved} of {one.testable} testable and built ones are proved "
            f"({_percent(one.share)})"
        ]
        if one.not_built:
            told.append(
                f"{one.proved} of {one.due} with those that are not built "
                f"({_percent(one.share_of_due)})"
            )
        beyond = _beyond(one)
        if beyond:
            told.append(f"besides, {beyond}")
        lines.append(f"  {name:<7}" + ";\n         ".join(told))
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
        "share_with_not_built": round(coverage.share_of_due, 4),
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
        "| RFC | MUST proved, of those testable and built | … and with those not built "
        "| SHOULD proved, of those testable and built | … and with those not built "
        "| not built | not applicable | untestable |",
        "|---|---|---|---|---|---|---|---|",
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
    cells = []
    for one in (musts(matrix), shoulds(matrix)):
        cells.append(f"{_fraction(one)} ({_percent(one.share)})")
        cells.append(f"{one.proved} / {one.due} ({_percent(one.share_of_due)})")
    whole = cover(matrix.requirements)
    cells += [str(whole.not_built), str(whole.not_applicable), str(whole.untestable)]
    return f" {' | '.join(cells)} |"


def _fraction(coverage: Coverage) -> str:
    return f"{coverage.proved} / {coverage.testable}" if coverage.testable else ""


def _percent(share: float) -> str:
    # Rounded down, so that 100 % is said of all alone.
    return f"{int(share * 1000) / 10:.1f} %"


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
