"""The seam that decides which path carries what."""

from __future__ import annotations

from math import inf
from typing import Final, final

from mypy_extensions import i64, mypyc_attr

#: Send classes: what kind of data a selection is for.
CLASS_DEFAULT: Final = 0
CLASS_PINNED: Final = 1
CLASS_REDUNDANT: Final = 2
CLASS_LATENCY: Final = 3

#: What a selected path shall carry.
SEND_NEW: Final = 0
SEND_COPY: Final = 1
SEND_REINJECT: Final = 2


@final
class PathView:
    """What a scheduler may know of a path. Times in seconds, amounts in bytes."""

    def __init__(self, path_id: i64) -> None:
        self.path_id: i64 = path_id
        self.smoothed_rtt = 0.1  # the score of a route not yet measured
        self.rtt_variation = 0.0
        self.congestion_window: i64 = 0
        self.bytes_in_flight: i64 = 0
        self.pacing_rate = 0.0
        self.max_datagram_size: i64 = 1200
        self.backup = False
        self.suspect = False
        #: bytes that the controller and the pacer allow now
        self.allowance: i64 = 0


@final
class Demand:
    """What waits to be sent: bytes by send class (streams in ``default``, datagrams in
    ``latency``), connection window left, nearest deadline (inf for none)."""

    def __init__(self) -> None:
        self.default: i64 = 0
        self.pinned: i64 = 0
        self.redundant: i64 = 0
        self.latency: i64 = 0
        self.window_left: i64 = 0
        self.nearest_deadline = inf


@final
class Selection:
    """One decision: this path, this send class, new data or a copy or a reinjection."""

    __slots__ = ("path_id", "send_class", "what")

    def __init__(self, path_id: i64, send_class: i64, what: i64) -> None:
        self.path_id: i64 = path_id
        self.send_class: i64 = send_class
        self.what: i64 = what


@mypyc_attr(allow_interpreted_subclasses=True)
class PathScheduler:
    """Chooses paths, once per burst. Synchronous, without I/O."""

    name: str

    def __init__(self) -> None:
        self.name = ""

    def select(self, paths: list[PathView], demand: Demand) -> list[Selection]:
        """The paths to send on now, best first; empty when it is better to wait."""
        raise NotImplementedError
