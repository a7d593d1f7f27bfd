"""What chance does to a packet on a link: decided when it is offered, carried out later."""

from __future__ import annotations

import random
from typing import Final, final

#: One damaged packet in so many is cut short instead of having one byte changed.
_CUT_SHARE: Final = 0.125


@final
class Fate:
    """What a link's chances have decided about one packet. ``jitter`` in seconds."""

    def __init__(
        self,
        lost: bool,
        held_back: bool,
        twice: bool,
        damaged: bool,
        jitter: float,
        where: float,
        how: float,
    ) -> None:
        self.lost = lost
        self.held_back = held_back
        self.twice = twice
        self.damaged = damaged
        self.jitter = jitter
        self._where = where
        self._how = how

    def damage(self, data: bytes) -> bytes:
        """Flip one to eight bits of one byte, or cut the datagram short (one time in eight)."""
        if not data:
            return data
        position = int(self._where * len(data))
        if self._how < _CUT_SHARE:
            return data[:position]
        flip = 1 + int((self._how - _CUT_SHARE) / (1.0 - _CUT_SHARE) * 255)
        return data[:position] + bytes([data[position] ^ flip]) + data[position + 1 :]


@final
class Fates:
    """Draws the fates of one link's packets.

    Each packet draws the same number of times whatever the chances are and whatever happens
    to it, so that changing one chance leaves the other decisions alone.
    """

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def draw(
        self, loss: float, reordering: float, duplication: float, corruption: float, jitter: float
    ) -> Fate:
        """The fate of the next packet under these chances."""
        source = self._source
        lost = source.random() < loss
        held_back = source.random() < reordering
        twice = source.random() < duplication
        damaged = source.random() < corruption
        delay = source.random() * jitter
        where = source.random()
        how = source.random()
        return Fate(lost, held_back, twice, damaged, delay, where, how)
