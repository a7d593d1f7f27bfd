"""Deliberate faults: each breaks one law in the middle of an ordinary run.

Compiled code cannot be patched, so a fault is an oracle that stands before the real ones and
changes the state that the parts of a connection share, an observer that bends what the
witness hears, or a strategy at a seam.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import wraps

import pytest

from ropewalk.lab.outcome import Outcome
from ropewalk.lab.play import Play
from ropewalk.lab.scenario_file import from_document
from ropewalk.observe.observer import Observer
from ropewalk.quic.connection import Connection
from ropewalk.quic.types.events import HandshakeComplete
from ropewalk.quic.types.handshake import ONE_RTT
from ropewalk.sim.host import Host
from ropewalk.sim.oracles import Oracle

#: An ordinary exchange; a fault may replace some of its tables.
ORDINARY = {
    "name": "ordinary",
    "family": "happy path",
    "about": "a download with a little loss, in which something is made to go wrong",
    "time_limit": 60.0,
    "links": {"access": {"rate": "20 Mbit/s", "delay": "20 ms", "loss": 0.01}},
    "flows": {"download": {"download": 1_000_000, "upload": 200_000}},
}

Deed = Callable[[Host, Connection], None]

#: Laws that some test breaks, and the tests' names: filled by the decorators below, which see
#: to it that the test does break them.
BROKEN: dict[str, list[str]] = {}

#: A test that returns the IDs of the laws that it saw broken.
FaultTest = Callable[..., Collection[str]]


def breaks(*laws: str) -> Callable[[FaultTest], Callable[..., None]]:
    """Decorator of a test that breaks these laws, and no others."""

    def decorate(test: FaultTest) -> Callable[..., None]:
        for law in laws:
            BROKEN.setdefault(law, []).append(test.__name__)

        @wraps(test)
        def checked(*arguments: object, **named: object) -> None:
            told = test(*arguments, **named)
            assert set(told) == set(laws)

        return checked

    return decorate


def breaks_each(
    names: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> Callable[[FaultTest], Callable[..., None]]:
    """Decorator of a test with parameters, of which ``law`` says what each row breaks, without
    "inv.quic."."""
    place = list(names).index("law")

    def decorate(test: FaultTest) -> Callable[..., None]:
        for row in rows:
            BROKEN.setdefault(f"inv.quic.{row[place]}", []).append(test.__name__)

        @pytest.mark.parametrize(names, rows)
        @wraps(test)
        def checked(**named: object) -> None:
            told = test(**named)
            assert f"inv.quic.{named['law']}" in told, told

        return checked

    return decorate


class Saboteur(Oracle):
    """Does its deed once, on the named side, after the given step with a complete handshake."""

    def __init__(self, side: str, deed: Deed, at: float = 0.3, always: bool = False) -> None:
        super().__init__()
        self._side = side
        self._deed = deed
        self._at = at
        self._always = always
        self.done = False

    def after_step(self, host: Host) -> None:
        if host.name != self._side or host.now < self._at or (self.done and not self._always):
            return
        for connection in host.connections:
            self.done = True
            self._deed(host, connection)
            host.endpoint.touch(connection)


class BeforeTimeout(Saboteur):
    """The same, but before a timeout is served: nothing was received in such a step."""

    def after_step(self, host: Host) -> None:
        pass

    def before_timeout(self, host: Host) -> None:
        Saboteur.after_step(self, host)


class ToldTwice(Oracle):
    """Tells the real oracles again of an event."""

    def __init__(self, oracles: list[Oracle]) -> None:
        super().__init__()
        self._oracles = oracles

    def on_event(self, host: Host, connection: Connection, event: object) -> None:
        if isinstance(event, HandshakeComplete):
            for oracle in self._oracles[1:]:
                oracle.on_event(host, connection, event)


#: What the witness hears of one packet: number and payload → payloads, none or several.
Bend = Callable[[int, bytes], list[bytes]]


class Bender(Observer):
    """Stands between a connection and its witness, and bends the 1-RTT packets it tells of."""

    def __init__(self, witness: Observer, sent: Bend, received: Bend) -> None:
        super().__init__()
        self._witness = witness
        self._sent = sent
        self._received = received

    def packet_sent(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        for bent in self._sent(packet_number, payload) if level == ONE_RTT else [payload]:
            self._witness.packet_sent(now, level, path_id, packet_number, size, bent)

    def packet_received(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        for bent in self._received(packet_number, payload) if level == ONE_RTT else [payload]:
            self._witness.packet_received(now, level, path_id, packet_number, size, bent)

    def packets_lost(
        self, now: float, level: int, path_id: int, packet_numbers: list[int], trigger: str
    ) -> None:
        self._witness.packets_lost(now, level, path_id, packet_numbers, trigger)


def play(changes: dict[str, object] | None = None) -> Play:
    """The ordinary run, with some of its tables replaced."""
    return Play(from_document({**ORDINARY, **(changes or {})}), seed=1)


def sabotaged(saboteur: Oracle, changes: dict[str, object] | None = None) -> Outcome:
    """What the ordinary run comes to when somebody interferes."""
    run = play(changes)
    run.network.oracles.insert(0, saboteur)
    return run.outcome()
