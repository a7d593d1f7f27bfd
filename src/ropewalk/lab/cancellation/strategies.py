"""Which of a scenario's await points are cancelled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from ropewalk.quic.types.errors import ConfigurationError


class Strategy(ABC):
    """Chooses await points by their number."""

    @abstractmethod
    def choose(self, count: int, random: Random) -> Sequence[int]:
        """Some of the numbers from 0 to ``count`` - 1, rising."""


@dataclass(frozen=True)
class AllPoints(Strategy):
    """Each one."""

    def choose(self, count: int, random: Random) -> Sequence[int]:
        return range(count)


@dataclass(frozen=True)
class Never(Strategy):
    """None: the scenario runs once, undisturbed."""

    def choose(self, count: int, random: Random) -> Sequence[int]:
        return ()


@dataclass(frozen=True)
class FirstN(Strategy):
    """The first ``n``."""

    n: int

    def choose(self, count: int, random: Random) -> Sequence[int]:
        return range(min(self.n, count))


@dataclass(frozen=True)
class EveryNth(Strategy):
    """One in ``n``, beginning with the first."""

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ConfigurationError("every nth point needs an n of 1 or more")

    def choose(self, count: int, random: Random) -> Sequence[int]:
        return range(0, count, self.n)


@dataclass(frozen=True)
class RandomSample(Strategy):
    """``n`` of them, drawn by the sweep's seed; all when there are no more."""

    n: int

    def choose(self, count: int, random: Random) -> Sequence[int]:
        return sorted(random.sample(range(count), min(self.n, count)))


@dataclass(frozen=True)
class SpecificPoints(Strategy):
    """Those named. Numbers that do not exist are an error: the scenario has changed."""

    points: tuple[int, ...]

    def choose(self, count: int, random: Random) -> Sequence[int]:
        unknown = [point for point in self.points if not 0 <= point < count]
        if unknown:
            raise ConfigurationError(
                f"there is no await point {unknown[0]}; this scenario has 0 to {count - 1}"
            )
        return sorted(self.points)


@dataclass(frozen=True)
class Probabilistic(Strategy):
    """Each one with probability ``p``, drawn by the sweep's seed."""

    p: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.p <= 1.0:
            raise ConfigurationError("a probability lies between 0 and 1")

    def choose(self, count: int, random: Random) -> Sequence[int]:
        return [point for point in range(count) if random.random() < self.p]
