"""What must hold at the end of a run: the values that a scenario lists, and the figures they name.

``ropewalk.lab.expectations`` judges by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from ropewalk.lab.limits import LARGEST_VARINT, Checked, Range, Side
from ropewalk.quic.types.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Expectation(Checked):
    """What must hold when the run is over. In TOML ``that`` names the kind."""


@dataclass(frozen=True, kw_only=True)
class Intact(Expectation):
    """Everything that the flow was to carry arrived, in order and unchanged. No ``flow``
    means all of them."""

    flow: str = ""


@dataclass(frozen=True, kw_only=True)
class Closed(Expectation):
    """The connection of a flow is closed on one side, and for this reason: one of the
    classes of the error tree by name, with its code (-1: any). No ``flow`` means all."""

    flow: str = ""
    side: Side = "client"
    error: str = "ApplicationError"
    code: Annotated[int, Range(least=-1, most=LARGEST_VARINT)] = -1


@dataclass(frozen=True, kw_only=True)
class StreamsEnded(Expectation):
    """So many of the flow's streams ended in each way, as its client saw them (-1: any)."""

    flow: str
    complete: Annotated[int, Range(least=-1)] = -1
    reset: Annotated[int, Range(least=-1)] = -1
    stopped: Annotated[int, Range(least=-1)] = -1


@dataclass(frozen=True, kw_only=True)
class Bound(Expectation):
    """A figure lies within bounds: one of a flow (:data:`FLOW_FIGURES`), or of a link's
    direction, "access.down" (:data:`LINK_FIGURES`). No ``flow`` means all of them."""

    figure: str
    flow: str = ""
    link: str = ""
    least: float = float("-inf")
    most: float = float("inf")

    def __post_init__(self) -> None:
        if not self.least <= self.most:  # which no NaN is
            raise ConfigurationError(
                f"least is {self.least} and most is {self.most}; nothing lies between them"
            )


@dataclass(frozen=True, kw_only=True)
class Fair(Expectation):
    """Jain's index over the goodput of the flows (none named: all) is at least this."""

    flows: tuple[str, ...] = ()
    least: Annotated[float, Range(most=1)] = 0.95


#: The word in TOML for each expectation.
EXPECTATIONS: Final[dict[str, type[Expectation]]] = {
    "intact": Intact,
    "closed": Closed,
    "streams ended": StreamsEnded,
    "bound": Bound,
    "fair": Fair,
}

#: Figures of a flow that :class:`Bound` knows, and what they mean.
FLOW_FIGURES: Final[dict[str, str]] = {
    "handshake_time": "seconds from the start to a complete handshake, -1 for never",
    "completion_time": "seconds from the start to the last byte, -1 for never",
    "closed_time": "seconds from the start until the client's connection was closed",
    "goodput": "application bytes per second after the warm-up, both ways together",
    "received": "application bytes that arrived, both ways together",
    "streams_complete": "streams that the client saw end in order",
    "latency_p50": "seconds, half of the messages or exchanges took less",
    "latency_p95": "seconds, 95 % took less",
    "latency_p99": "seconds, 99 % took less",
    "latency_max": "seconds that the slowest took",
    "delivered_share": "of the messages or datagrams sent, those that arrived",
    "packets_sent": "packets that client and server sent",
    "packets_lost": "packets that client and server declared lost",
    "spurious_losses": "packets declared lost and acknowledged after all",
    "probe_timeouts": "probe timeouts of client and server",
    "key_updates": "generation of the keys, the higher of both sides",
    "client_probe_timeouts": "probe timeouts of the client",
    "server_probe_timeouts": "probe timeouts of the server",
    "routes": "addresses that the server sent to",
}
#: Figures of one direction of a link that :class:`Bound` knows.
LINK_FIGURES: Final[dict[str, str]] = {
    "use": "share of the rate that was used after the first flow's warm-up",
    "payload_rate": "UDP payload that arrived in that time, bytes per second",
    "dropped": "datagrams dropped, whatever the reason",
    "dropped_queue": "datagrams that found the queue full, or were dropped by it",
    "dropped_mtu": "datagrams that were too large",
    "delivered": "datagrams delivered",
    "largest_queue": "packets in the queue at the worst moment",
}
