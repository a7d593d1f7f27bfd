"""What a qlog tells of one connection from one vantage point, in compact columns.

Times are seconds on the trace's own axis: those of its log if they count from its reference
time, else from the first event. A value that is not known is NaN in a column of floats.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, final

#: What ``PacketTable.kind`` numbers; 0-RTT and 1-RTT share the last packet-number space.
PACKET_TYPES: Final = (
    "initial",
    "0RTT",
    "handshake",
    "1RTT",
    "retry",
    "version_negotiation",
    "stateless_reset",
    "unknown",
)
#: Packet type → packet-number space; -1 for packets without a number.
SPACE_OF: Final = (0, 2, 1, 2, -1, -1, -1, -1)


@final
class Series:
    """A quantity over time: it keeps its value until the next point."""

    __slots__ = ("times", "values")

    def __init__(self) -> None:
        self.times = array("d")
        self.values = array("d")

    def __len__(self) -> int:
        return len(self.times)

    def add(self, time: float, value: float, *, repeat: bool = False) -> None:
        """Append a point; one that says nothing new only with ``repeat``."""
        if repeat or not self.values or self.values[-1] != value:
            self.times.append(time)
            self.values.append(value)


@final
class PathSeries:
    """What recovery told of one path. Bytes, seconds, and bits per second for pacing."""

    __slots__ = (
        "bytes_in_flight",
        "congestion_window",
        "latest_rtt",
        "min_rtt",
        "pacing_rate",
        "path_id",
        "route",
        "slow_start_threshold",
        "smoothed_rtt",
    )

    def __init__(self, path_id: str = "", route: str = "") -> None:
        #: The path ID, empty without multipath, and the log's name of the 4-tuple.
        self.path_id = path_id
        self.route = route
        self.congestion_window = Series()
        self.bytes_in_flight = Series()
        self.smoothed_rtt = Series()
        #: One point for each sample, also where the sample repeats the one before.
        self.latest_rtt = Series()
        self.min_rtt = Series()
        self.pacing_rate = Series()
        self.slow_start_threshold = Series()

    @property
    def name(self) -> str:
        """Path and route as people call them; empty if the log names neither."""
        path = f"path {self.path_id}" if self.path_id else ""
        route = f"route {self.route}" if self.route else ""
        return ", ".join(part for part in (path, route) if part)


@final
class PacketTable:
    """The packets in the order of the log, a column for each of their properties."""

    __slots__ = (
        "_ends",
        "_texts",
        "ack_delay",
        "acked",
        "eliciting",
        "fresh",
        "kind",
        "lost",
        "number",
        "path",
        "sent",
        "size",
        "time",
    )

    def __init__(self) -> None:
        self.time = array("d")
        #: 1 for a packet sent, 0 for one received.
        self.sent = array("b")
        self.kind = array("b")
        self.path = array("H")
        self.number = array("q")
        self.size = array("l")
        self.eliciting = array("b")
        #: Bytes of stream data and datagrams that had not been seen before.
        self.fresh = array("l")
        #: When the peer's ACK of a sent packet was read, and when it was declared lost.
        self.acked = array("d")
        self.lost = array("d")
        #: Seconds that an ACK frame in the packet tells.
        self.ack_delay = array("d")
        self._texts = bytearray()
        self._ends = array("Q")

    def __len__(self) -> int:
        return len(self.time)

    def add(
        self,
        time: float,
        sent: bool,
        kind: int,
        path: int,
        number: int,
        size: int,
        eliciting: bool,
        ack_delay: float,
        frames: str,
    ) -> int:
        """Append a packet and tell its row."""
        self.time.append(time)
        self.sent.append(sent)
        self.kind.append(kind)
        self.path.append(path)
        self.number.append(number)
        self.size.append(size)
        self.eliciting.append(eliciting)
        self.fresh.append(0)
        self.acked.append(math.nan)
        self.lost.append(math.nan)
        self.ack_delay.append(ack_delay)
        self._texts += frames.encode()
        self._ends.append(len(self._texts))
        return len(self.time) - 1

    def frames(self, row: int) -> str:
        """The frames of a packet, for people."""
        start = self._ends[row - 1] if row else 0
        return self._texts[start : self._ends[row]].decode()

    def fate(self, row: int) -> str:
        """What became of a packet: ``received``, ``acked``, ``lost``, ``spurious`` (declared
        lost, then acknowledged), or ``sent`` when the log does not tell."""
        if not self.sent[row]:
            return "received"
        lost = not math.isnan(self.lost[row])
        if not math.isnan(self.acked[row]):
            return "spurious" if lost else "acked"
        return "lost" if lost else "sent"


@dataclass(frozen=True)
class Mark:
    """Something that happened once, such as a state change."""

    time: float
    kind: str
    text: str


@dataclass
class Stream:
    """One stream's data, new bytes apart from repeated ones. Times are of its first and last
    frame with data."""

    stream_id: int
    sent: int = 0
    received: int = 0
    resent: int = 0
    first: float = math.nan
    last: float = math.nan
    finished: bool = False
    reset: bool = False
    #: What HTTP/3 says about it, such as ``GET /index.html``.
    label: str = ""


@dataclass(frozen=True)
class Close:
    """How the connection ended. ``initiator`` is ``local``, ``remote`` or empty."""

    time: float
    initiator: str
    error: str
    reason: str


@dataclass(frozen=True)
class Trace:
    """One connection as one side saw it."""

    #: Of the file, and number in it when there are several.
    name: str
    title: str
    #: ``client``, ``server``, ``network`` or ``unknown``.
    vantage_point: str
    implementation: str
    #: What the logs of both sides share: the original destination connection ID, or a group ID.
    group: str
    #: The file format, such as ``JSON-SEQ, qlog 0.3``.
    format: str
    #: Unix time of the axis' zero in seconds, if the log tells it.
    wall_clock: float | None
    #: Times of the first and the last event.
    start: float
    end: float
    version: str
    alpn: str
    #: ``local`` and ``remote`` → name → value, as logged.
    parameters: Mapping[str, Mapping[str, str]]
    packets: PacketTable
    paths: tuple[PathSeries, ...]
    #: RTT samples (as RFC 9002 5.1 defines latest_rtt) taken from send and ACK times.
    acknowledged_rtt: Series
    streams: tuple[Stream, ...]
    #: Bytes of STREAM and CRYPTO frames that this side sent again.
    resent_bytes: int
    marks: tuple[Mark, ...]
    close: Close | None
    #: When the handshake was complete (NaN: it was not, or the log does not tell).
    handshake_complete: float
    probe_timeouts: int
    #: Losses that the log itself calls spurious.
    reported_spurious: int
    #: Trigger → number of packets that could not be used.
    dropped: Mapping[str, int]
    #: Event name, as logged → number.
    events: Mapping[str, int]
    #: What was odd in the file, and how often.
    oddities: Mapping[str, int] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        return self.end - self.start

    def rtt_samples(self) -> Iterator[float]:
        """All samples of all paths, in seconds: those of the metrics, or those taken from ACKs
        if they are more, for metrics that did not change are left out of many logs."""
        if sum(len(path.latest_rtt) for path in self.paths) >= len(self.acknowledged_rtt):
            for path in self.paths:
                yield from path.latest_rtt.values
        else:
            yield from self.acknowledged_rtt.values
