"""The witness of a victim: it judges the victim, not the peer that breaks the rules."""

from __future__ import annotations

from typing import Final, final

from ropewalk.observe.observer import Observer
from ropewalk.sim.invariants import Violation
from ropewalk.sim.witness import Witness

#: Laws about what a *peer* sends. Here it breaks them on purpose, and what becomes of that is
#: for the outcome of the check to say.
THE_PEERS: Final = ("inv.quic.acknowledgments_true", "inv.quic.frames_readable")


@final
class VictimWitness(Observer):
    """Tells a witness what its victim sends and receives."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def packet_sent(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        self._witness.packet_sent(now, level, path_id, packet_number, size, payload)

    def packet_received(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        try:
            self._witness.packet_received(now, level, path_id, packet_number, size, payload)
        except Violation as violation:
            if violation.invariant_id not in THE_PEERS:
                raise

    def packets_lost(
        self, now: float, level: int, path_id: int, packet_numbers: list[int], trigger: str
    ) -> None:
        self._witness.packets_lost(now, level, path_id, packet_numbers, trigger)

    def probe_timeout(self, now: float, level: int, path_id: int, count: int) -> None:
        self._witness.probe_timeout(now, level, path_id, count)

    def state_changed(self, now: float, old: str, new: str) -> None:
        self._witness.state_changed(now, old, new)
