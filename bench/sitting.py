"""Everything that one call of the script found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from contenders import Contender
from rounds import Sample
from summary import Figures, Summary
from targets import Verdict

Core = Mapping[str, float | int | str]


@dataclass(frozen=True)
class Sitting:
    """Figures, and what they mean nothing without."""

    date: str
    machine: Mapping[str, str]
    load: float
    mtu: int
    cores: tuple[int, int]
    contenders: Sequence[Contender]
    summaries: Sequence[Summary]
    verdicts: Sequence[Verdict]
    samples: Sequence[Sample]
    #: (row, contender, what went wrong)
    failures: Sequence[tuple[str, str, str]]
    #: one object for each build of Ropewalk
    core: Sequence[Core]
    #: what ``ropewalk perf`` printed: one object for each build and direction
    commands: Sequence[Core]

    @property
    def figures(self) -> Figures:
        """The summaries by row and stack."""
        return Figures(self.summaries)

    def taking_part(self) -> list[Contender]:
        """The stacks with any figure at all."""
        known = {one.contender for one in self.summaries}
        return [one for one in self.contenders if one.key in known]

    def as_json(self) -> dict[str, object]:
        """All of it, samples too."""
        return {
            **asdict(self),
            "contenders": [
                {
                    "key": one.key,
                    "label": one.label,
                    "version": one.version,
                    "year": one.year,
                    "tls": one.tls,
                    "missing": one.missing,
                    "lacks": one.lacks,
                }
                for one in self.contenders
            ],
        }
