"""What both applications together know: which bytes were written, read, given up, announced."""

from __future__ import annotations

import random
from typing import Final

from ropewalk.sim.clock import VirtualClock
from ropewalk.sim.invariants import Violation

#: The laws of the model among :data:`ropewalk.sim.invariants.INVARIANTS`.
CONTENT: Final = "inv.quic.delivered_as_written"
EVENTS: Final = "inv.quic.events_true"
CALLS: Final = "inv.quic.calls_consistent"
DATAGRAMS: Final = "inv.quic.datagrams_true"
LIVENESS: Final = "inv.quic.everything_arrives"
ENDING: Final = "inv.quic.ending_has_reason"
NOTHING_LEFT: Final = "inv.quic.nothing_left"

NAMES: Final = ("client", "server")

#: A prime length, so that bytes from a wrong place differ whatever the distance's power of two.
_PERIOD: Final = 65521
_BYTES: Final = random.Random("machine/content").randbytes(_PERIOD)  # noqa: S311
_ENDLESS: Final = _BYTES * 4
#: Written in one call at most.
MOST_AT_ONCE: Final = 3 * _PERIOD


def content(stream_id: int, writer: int, start: int, size: int) -> bytes:
    """The bytes of one direction of a stream, from ``start`` on."""
    first = (stream_id * 7919 + writer * 4001 + start) % _PERIOD
    return _ENDLESS[first : first + size]


def datagram(writer: int, number: int, size: int) -> bytes:
    """The datagram with this number; the first eight bytes tell which it is, if there is room."""
    head = writer.to_bytes(1, "big") + number.to_bytes(7, "big")
    return head + content(number, writer, 0, size - 8) if size >= 8 else bytes(size)


class Half:
    """One direction of one stream, as its writer and its reader know it."""

    def __init__(self, clock: VirtualClock, stream_id: int, writer: int) -> None:
        self.clock = clock
        self.stream_id = stream_id
        self.writer = writer
        self.written = 0
        self.read = 0
        #: what the writer wants to write once there is room
        self.backlog = 0
        self.finished = False
        #: code with which the writer gave up, and with which the reader did
        self.reset_code: int | None = None
        self.stop_code: int | None = None
        #: the reader has heard the end, a reset, or stopped
        self.over = False
        #: a write was cut short, and no StreamWritable came since
        self.refused = False
        #: the reader was told that there is something, and has not looked since
        self.promised = False
        #: the reader was told that there is something, and has not read all of it since
        self.unread = False
        self.told_of_stop = False
        self.told_of_reset = False

    @property
    def given_up(self) -> bool:
        """Whether either side gave it up, so that bytes may be missing."""
        return self.reset_code is not None or self.stop_code is not None

    def expect(self, holds: bool, law: str, what: str) -> None:
        """Raise ``Violation`` with all that is known when a law does not hold."""
        if not holds:
            raise Violation(law, NAMES[self.writer], self.clock.now, f"{self}: {what}")

    def take(self, data: bytes, end: bool) -> None:
        """The reader got ``data``: it must be what was written, and ``end`` its very end."""
        expected = content(self.stream_id, self.writer, self.read, len(data))
        self.expect(data == expected, CONTENT, f"bytes differ in {len(data)} from {self.read} on")
        self.read += len(data)
        self.expect(self.read <= self.written, CONTENT, f"{self.read} bytes were read")
        if end:
            self.expect(self.finished, CONTENT, "an end came that nobody wrote")
            self.expect(self.read == self.written, CONTENT, f"the end came at {self.read}")
            self.over = True

    def __str__(self) -> str:
        facts = [f"stream {self.stream_id} as the {NAMES[self.writer]} writes it"]
        facts.append(f"{self.written} bytes written, {self.read} read")
        if self.finished:
            facts.append("finished")
        if self.reset_code is not None:
            facts.append(f"reset with {self.reset_code}")
        if self.stop_code is not None:
            facts.append(f"stopped with {self.stop_code}")
        return ", ".join(facts)


class Model:
    """The halves of all streams by writer and stream, and the datagrams of both sides."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.halves: tuple[dict[int, Half], dict[int, Half]] = ({}, {})
        #: sizes of accepted datagrams by number, until they are received
        self.datagrams: tuple[dict[int, int], dict[int, int]] = ({}, {})
        #: sizes of those too short for a number
        self.short_datagrams: tuple[list[int], list[int]] = ([], [])
        self.datagrams_sent = [0, 0]

    def expect(self, who: int, holds: bool, law: str, what: str) -> None:
        """Raise ``Violation`` when a law does not hold at a side."""
        if not holds:
            raise Violation(law, NAMES[who], self.clock.now, what)

    def opened(self, opener: int, stream_id: int) -> None:
        """A side opened a stream."""
        new = stream_id & 1 == opener and stream_id not in self.halves[opener]
        self.expect(opener, new, CALLS, f"was given stream {stream_id}, which is not new or its")
        self.halves[opener][stream_id] = Half(self.clock, stream_id, opener)
        if not stream_id & 2:
            self.halves[1 - opener][stream_id] = Half(self.clock, stream_id, 1 - opener)

    def next_datagram(self, writer: int, size: int) -> bytes:
        """Another datagram of a side, as large as asked."""
        return datagram(writer, self.datagrams_sent[writer], size)

    def datagram_accepted(self, writer: int, size: int) -> None:
        """The one that :meth:`next_datagram` gave was taken."""
        if size >= 8:
            self.datagrams[writer][self.datagrams_sent[writer]] = size
        else:
            self.short_datagrams[writer].append(size)
        self.datagrams_sent[writer] += 1

    def datagram_received(self, writer: int, data: bytes) -> None:
        """A datagram came out: it was sent, it is whole, and it did not come before."""
        reader = 1 - writer
        if len(data) < 8:
            fresh = len(data) in self.short_datagrams[writer] and not data.strip(b"\x00")
            self.expect(reader, fresh, DATAGRAMS, f"{data!r} was not sent, or came before")
            self.short_datagrams[writer].remove(len(data))
            return
        number = int.from_bytes(data[1:8], "big")
        size = self.datagrams[writer].pop(number, -1)
        self.expect(reader, size >= 0, DATAGRAMS, f"{number} was not sent, or came before")
        whole = data == datagram(writer, number, size)
        self.expect(reader, whole, DATAGRAMS, f"{number} of {size} bytes came with {len(data)}")
