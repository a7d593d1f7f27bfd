"""What must hold after a cancellation, by ID, and what is kept to check it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, final

import anyio

from ropewalk.lab.stalls import wait_of
from ropewalk.lab.testbed import Testbed
from ropewalk.quic.types.errors import ConnectionLost, HandshakeTimeout, IdleTimeout
from ropewalk.runtime import Connection
from ropewalk.runtime.audit import Auditor
from ropewalk.runtime.driver import Driver

CONTAINED: Final = "inv.cancel.contained"
PROMPT: Final = "inv.cancel.prompt"
NO_TASK_LEFT: Final = "inv.cancel.no_task_left"
NO_ADDRESS_LEFT: Final = "inv.cancel.no_address_left"
NOTHING_RESERVED: Final = "inv.cancel.nothing_reserved"
PEER_TOLD: Final = "inv.cancel.peer_told"
DELIVERED: Final = "inv.cancel.delivered"
GOES_ON: Final = "inv.cancel.goes_on"
QUIET: Final = "inv.cancel.quiet"
REPEATS: Final = "inv.cancel.repeats"

#: ID → the law. An ID once given stays.
CANCELLATION_INVARIANTS: Final[dict[str, str]] = {
    CONTAINED: "what is cancelled ends with its cancellation, not with another error",
    PROMPT: "what is cancelled ends soon: when the drain is over at the latest",
    NO_TASK_LEFT: "no task outlives what started it",
    NO_ADDRESS_LEFT: "every carrier is closed, every address given back",
    NOTHING_RESERVED: "what was reserved (packets, turns, streams, bursts) is committed or aborted",
    PEER_TOLD: "the peer learns of the end from us, not from a timeout of its own",
    DELIVERED: "what was confirmed was delivered; what was delivered is a prefix of what was sent",
    GOES_ON: "what was not cancelled goes on and comes to its end",
    QUIET: "nothing is logged as an error",
    REPEATS: "a run up to its cancellation is the run that was recorded",
}

#: Loggers on which an error is one of ours.
_LOGGERS: Final = ("ropewalk", "asyncio")


@final
class Books(Auditor):
    """Everything that a run made, in the order of the making."""

    def __init__(self) -> None:
        self.drivers: list[Driver] = []
        self.connections: list[Connection] = []

    def on_driver(self, driver: Driver) -> None:
        self.drivers.append(driver)

    def on_connection(self, connection: Connection) -> None:
        self.connections.append(connection)

    def reserved(self) -> list[str]:
        """What drivers and connections that are over hold still."""
        held: list[str] = []
        for driver in self.drivers:
            held += driver.leftovers()
        for connection in self.connections:
            held += [f"{each} of {connection}" for each in connection.leftovers()]
            held += [f"{each} of {connection}" for each in _packets_reserved(connection)]
        return held

    def alive(self) -> list[Connection]:
        """Connections that are not over, though their peers have ended."""
        return [each for each in self.connections if not each.lost and _had_a_peer(each)]

    def timed_out(self) -> list[tuple[Connection, ConnectionLost]]:
        """Connections that had to find out by themselves that nobody is there any more."""
        return [
            (connection, connection.error)
            for connection in self.connections
            if isinstance(connection.error, (IdleTimeout, HandshakeTimeout))
            and _had_a_peer(connection)
        ]


def _had_a_peer(connection: Connection) -> bool:
    """Whether anybody ever answered. Who has no peer cannot learn anything from it."""
    return connection.stats.packets_received > 0


def _packets_reserved(connection: Connection) -> Iterator[str]:
    """Ledger slots that were filled and neither committed nor emptied."""
    state = connection.core.state
    spaces = [("1-RTT", state.path.space)]
    spaces += [
        (name, level.space)
        for name, level in (("Initial", state.initial), ("Handshake", state.handshake_level))
        if level is not None
    ]
    for name, space in spaces:
        ledger = space.ledger
        number = ledger.next_packet_number
        slot = ledger.slots[number & ledger.mask]
        if slot.packet_number == number and (slot.tokens or slot.stream_id >= 0):
            yield f"{name} packet {number}, filled but not sent,"


def addresses_left(testbed: Testbed) -> list[str]:
    """Carriers of the machines that are still open."""
    return [str(carrier) for provider in testbed.providers for carrier in provider.carriers]


def tasks_left(before: Sequence[int]) -> list[str]:
    """Tasks of the event loop that are there now and were not before, and where they wait."""
    return [
        wait_of(task.name or "a task without a name", task.coro)
        for task in anyio.get_running_tasks()
        if task.id not in before
    ]


@contextmanager
def errors_logged() -> Iterator[list[str]]:
    """What is logged as an error during the body, which goes nowhere else."""
    collector = _Collector()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    kept = [(logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.addHandler(collector)
        logger.propagate = False
    try:
        yield collector.messages
    finally:
        for logger, (propagate, level) in zip(loggers, kept, strict=True):
            logger.removeHandler(collector)
            logger.propagate = propagate
            logger.setLevel(level)


@final
class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f" ({record.exc_info[1]!r})"
        self.messages.append(text)
