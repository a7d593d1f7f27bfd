"""How links lose packets when a single chance does not tell it: in bursts, or by a script."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from mypy_extensions import mypyc_attr

from ropewalk.quic.types.errors import ConfigurationError


@mypyc_attr(allow_interpreted_subclasses=True)
class LossProcess:
    """Decides about the packets of one link, in the order in which they are offered."""

    def lost(self, now: float, size: int) -> bool:
        """Whether the next packet is lost. Asked once for every packet, dropped ones too."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class LossModel:
    """What a :class:`~ropewalk.sim.link.LinkProfile` says about loss; each link
    starts a process of its own."""

    def start(self, source: random.Random) -> LossProcess:
        """A new process that draws from ``source``, which belongs to it alone."""
        raise NotImplementedError


@final
@dataclass(frozen=True, kw_only=True)
class GilbertElliott(LossModel):
    """Loss in bursts: a chain of a good and a bad state (Gilbert 1960, Elliott 1963).

    Before each packet the state turns from good to bad with the chance ``to_bad`` and back
    with ``to_good``; then the packet is lost with ``loss_bad`` or ``loss_good``. A bad spell
    lasts ``1 / to_good`` packets in the mean.
    """

    to_bad: float
    to_good: float
    loss_bad: float = 1.0
    loss_good: float = 0.0

    def __post_init__(self) -> None:
        for name in ("to_bad", "to_good", "loss_bad", "loss_good"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigurationError(f"Gilbert-Elliott {name} must lie between 0 and 1")
        if self.to_bad + self.to_good == 0.0:
            raise ConfigurationError("Gilbert-Elliott needs a way from one state to the other")

    @property
    def mean_loss(self) -> float:
        """The share of packets that are lost in the long run."""
        bad = self.to_bad / (self.to_bad + self.to_good)
        return bad * self.loss_bad + (1.0 - bad) * self.loss_good

    def start(self, source: random.Random) -> LossProcess:
        """A chain that begins in the good state."""
        return _Chain(self, source)


@final
class _Chain(LossProcess):
    def __init__(self, model: GilbertElliott, source: random.Random) -> None:
        self._model = model
        self._source = source
        self._bad = False

    def lost(self, now: float, size: int) -> bool:
        model = self._model
        turn = self._source.random()
        if self._bad:
            self._bad = turn >= model.to_good
        else:
            self._bad = turn < model.to_bad
        return self._source.random() < (model.loss_bad if self._bad else model.loss_good)


@final
@dataclass(frozen=True)
class ScriptedLoss(LossModel):
    """Loses exactly the packets with these numbers; the first one offered has the number 0.

    ``repeat`` begins again every so many packets, 0 never.
    """

    numbers: Sequence[int]
    repeat: int = 0

    def __post_init__(self) -> None:
        if any(number < 0 for number in self.numbers) or self.repeat < 0:
            raise ConfigurationError("scripted loss counts packets from 0")

    def start(self, source: random.Random) -> LossProcess:
        """A count from 0."""
        return _Script(self)


@final
class _Script(LossProcess):
    def __init__(self, model: ScriptedLoss) -> None:
        self._numbers = frozenset(model.numbers)
        self._repeat = model.repeat
        self._next = 0

    def lost(self, now: float, size: int) -> bool:
        number = self._next
        self._next += 1
        if self._repeat:
            number %= self._repeat
        return number in self._numbers
