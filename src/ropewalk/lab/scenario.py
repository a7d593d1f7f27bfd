"""What a scenario is made of: topology, traffic, what happens, and what must hold.

Everything is a frozen value, so that a scenario can be written as TOML, changed by
``--set`` and kept in a replay file (:mod:`ropewalk.lab.scenario_file`). Times are virtual
seconds since the run began, rates bytes per second, sizes bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from ropewalk.lab.expected import Expectation, Intact
from ropewalk.lab.limits import (
    LARGEST_VARINT,
    Checked,
    Code,
    Count,
    Range,
    Rate,
    Seconds,
    Side,
    Size,
    Some,
    check_address,
)
from ropewalk.quic.types.errors import ConfigurationError

Family = Literal["happy path", "loss", "streams", "close", "http3", "hostile", "soak", "networks"]
#: The families of the catalogue, and what they are about.
FAMILIES: Final[dict[str, str]] = {
    "happy path": "what everybody does every day, on networks that behave",
    "loss": "loss, late and lost acknowledgements, probe timeouts",
    "streams": "streams, flow control, resets, pauses",
    "close": "closing, draining, time running out, cancelling",
    "http3": "requests and responses, GOAWAY, fields",
    "hostile": "peers that break the rules",
    "soak": "hours of virtual time and thousands of streams",
    "networks": "outages, NATs, bottlenecks, queues of every kind",
}
_NAME: Final = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")


def check_name(what: str, name: str) -> None:
    """Raises ``ConfigurationError`` unless it is lower-case words joined by ``_`` or ``-``."""
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"{what} is called {name!r}; names are lower-case letters and digits, joined by _ or -"
        )


# -- topology


@dataclass(frozen=True, kw_only=True)
class HostSpec(Checked):
    """A machine. Its interfaces are numbered in the order of ``addresses`` (IP addresses;
    none means one, made up). ``settings`` replace fields of its connections' configuration.
    ``retry`` has a server prove each client's address first (RFC 9000 8.1.2)."""

    name: str
    role: Literal["client", "server"] = "client"
    addresses: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    #: how long it gathers what arrives, as GRO does, and how many datagrams at most
    coalescing: Seconds = 0.0
    segments: Some = 64
    retry: bool = False
    #: a server's certificate; RSA signatures cannot be seeded (``decrypted_trace``);
    #: ML-KEM goes with RSA only, for ECDSA signatures of what is random differ in length
    certificate: Literal["ecdsa", "rsa"] = "ecdsa"

    def __post_init__(self) -> None:
        super().__post_init__()
        for address in self.addresses:
            check_address(f"host {self.name}: an address", address)

    def _title(self) -> str:
        return f"host {self.name}: "


@dataclass(frozen=True, kw_only=True)
class LinkSpec(Checked):
    """A line, both ways: "up" leads from the client's side to the server's.

    A ``preset`` of :mod:`ropewalk.sim.presets`, changed by ``both`` and then by ``up`` and
    ``down``: fields of :class:`~ropewalk.sim.link.LinkProfile`. In TOML the fields of
    ``both`` stand directly in the link's table, and "none" takes away a preset's
    ``loss_model``, ``queue``, ``trace`` or ``handovers``. ``queue_bdp`` gives both directions a
    drop-tail queue of so many bandwidth-delay products.
    """

    name: str
    preset: str = ""
    queue_bdp: Annotated[float, Range()] = 0.0
    both: Mapping[str, object] = field(default_factory=dict)
    up: Mapping[str, object] = field(default_factory=dict)
    down: Mapping[str, object] = field(default_factory=dict)

    def _title(self) -> str:
        return f"link {self.name}: "


@dataclass(frozen=True, kw_only=True)
class NatSpec(Checked):
    """A NAT whose outside address is ``outside``; it forgets a mapping through which nothing
    left for ``timeout`` seconds.

    A ``symmetric`` one has another mapping for every remote address; with ``filtering`` only
    those to whom something was sent may answer (RFC 4787 4.1 and 5)."""

    name: str
    outside: str = "198.51.100.1"
    timeout: Seconds = 120.0
    symmetric: bool = False
    filtering: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_address(f"NAT {self.name}: outside", self.outside)
        if not self.timeout > 0.0:
            raise ConfigurationError(f"NAT {self.name}: timeout is 0; it must be above 0 seconds")

    def _title(self) -> str:
        return f"NAT {self.name}: "


@dataclass(frozen=True, kw_only=True)
class MiddleboxSpec(Checked):
    """A box that drops UDP (all of it, or payloads above ``largest``) or meddles with ECN:
    ``bleach`` clears marks, ``drop`` drops what bears one, ``mark`` signals congestion on all
    that can be marked, ``swap`` turns ECT(0) into ECT(1) and back."""

    name: str
    drops_udp: bool = False
    largest: Size = 65507
    ecn: Literal["pass", "bleach", "drop", "mark", "swap"] = "pass"

    def _title(self) -> str:
        return f"middlebox {self.name}: "


@dataclass(frozen=True, kw_only=True)
class RouteSpec:
    """What lies between two interfaces: names of links, NATs and middleboxes in order, from
    the client's side. An interface is a host's name, or "name:1" for its second one."""

    client: str = "client"
    server: str = "server"
    via: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Topology:
    """Hosts and what joins them.

    Without ``routes`` every client's interface reaches every server's through all boxes and
    links in the order given, so that one link is a bottleneck shared by all.
    """

    hosts: tuple[HostSpec, ...] = (
        HostSpec(name="client"),
        HostSpec(name="server", role="server"),
    )
    links: tuple[LinkSpec, ...] = ()
    nats: tuple[NatSpec, ...] = ()
    middleboxes: tuple[MiddleboxSpec, ...] = ()
    routes: tuple[RouteSpec, ...] = ()


# -- traffic


@dataclass(frozen=True, kw_only=True)
class FlowSpec(Checked):
    """Traffic from one client to one server, by default over a connection of its own.

    ========== =====================================================================
    kind       what it does
    ========== =====================================================================
    bulk       ``download`` and ``upload`` bytes over ``streams`` streams at once; with a
               ``duration`` instead: as much as goes through in that time
    requests   ``count`` exchanges of ``upload`` for ``download`` bytes, each on a fresh
               stream, ``streams`` at a time, begun ``interval`` apart
    messages   one stream of messages of ``size`` bytes at ``rate``, ``count`` of them or
               for ``duration``
    datagrams  the same in DATAGRAM frames
    idle       connects and waits for ``duration``
    ========== =====================================================================
    """

    name: str
    kind: Literal["bulk", "requests", "messages", "datagrams", "idle"] = "bulk"
    client: str = "client"
    server: str = "server"
    #: the client's interface
    interface: Count = 0
    #: name of an earlier flow on whose connection this one runs, too
    over: str = ""
    start: Seconds = 0.0
    duration: Seconds = 0.0
    #: seconds at the beginning that goodput does not count
    warmup: Seconds = 0.0
    download: Size = 0
    upload: Size = 0
    streams: Some = 1
    count: Count = 0
    interval: Seconds = 0.0
    rate: Rate = 0.0
    size: Annotated[int, Range("bytes", 1, LARGEST_VARINT)] = 1000
    #: which way messages, datagrams and timed bulk go ("both" is for bulk)
    direction: Literal["down", "up", "both"] = "down"
    #: what the application writes in one call
    chunk: Annotated[int, Range("bytes", 1, LARGEST_VARINT)] = 65536
    congestion: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    #: who closes the connection when its flows are done, and with which code
    closes: Literal["client", "server", "nobody"] = "client"
    close_code: Code = 0

    def __post_init__(self) -> None:
        check_name("a flow", self.name)
        super().__post_init__()
        if self.kind in ("messages", "datagrams") and not self.rate > 0:
            raise ConfigurationError(f"flow {self.name}: {self.kind} need a rate")
        if self.direction == "both" and self.kind != "bulk":
            raise ConfigurationError(f"flow {self.name}: only bulk goes both ways")
        if self.kind == "datagrams" and self.size < 8:
            raise ConfigurationError(f"flow {self.name}: a datagram has 8 bytes or more")
        if self.kind not in ("bulk", "idle") and not (self.count or self.duration):
            raise ConfigurationError(f"flow {self.name}: {self.kind} need a count or a duration")

    def _title(self) -> str:
        return f"flow {self.name}: "


# -- what happens


@dataclass(frozen=True, kw_only=True)
class Happening(Checked):
    """Something that happens at a time. In TOML ``do`` names the kind. ``at`` counts from the
    start of the run, or with ``since``, the name of a flow, from the moment at which its
    client knows that the handshake is confirmed."""

    at: Seconds
    since: str = ""


@dataclass(frozen=True, kw_only=True)
class LinkDown(Happening):
    """A link carries nothing, for ``lasting`` seconds or (0) for good; ``way`` or both ways."""

    link: str
    way: Literal["both", "up", "down"] = "both"
    lasting: Seconds = 0.0


@dataclass(frozen=True, kw_only=True)
class LinkUp(Happening):
    """A link carries packets again."""

    link: str
    way: Literal["both", "up", "down"] = "both"


@dataclass(frozen=True, kw_only=True)
class InterfaceDown(Happening):
    """A host's interface goes down, for ``lasting`` seconds or (0) for good."""

    host: str
    interface: Count = 0
    lasting: Seconds = 0.0


@dataclass(frozen=True, kw_only=True)
class ChangeProfile(Happening):
    """A link's figures change, for ``lasting`` seconds or (0) for good."""

    link: str
    way: Literal["both", "up", "down"] = "both"
    lasting: Seconds = 0.0
    profile: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DropDatagrams(Happening):
    """From this moment on the datagrams number ``first`` to ``last`` (counted from 1) that
    enter the link are lost; with ``every`` only each so-many-th of them."""

    link: str
    way: Literal["up", "down"]
    first: Some = 1
    last: Some = 1
    every: Some = 1


@dataclass(frozen=True, kw_only=True)
class RebindPort(Happening):
    """A NAT forgets its mappings and takes other ports for what comes next."""

    nat: str


@dataclass(frozen=True, kw_only=True)
class RebindAddress(Happening):
    """A NAT gets another outside address."""

    nat: str
    outside: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_address("outside", self.outside)


@dataclass(frozen=True, kw_only=True)
class OfConnection(Happening):
    """Something that one side of a flow's connection does."""

    flow: str
    side: Side = "client"


@dataclass(frozen=True, kw_only=True)
class KeyUpdate(OfConnection):
    """One side of a flow's connection updates its keys (RFC 9001 6)."""


@dataclass(frozen=True, kw_only=True)
class Ping(OfConnection):
    """One side asks the other for a sign of life."""


@dataclass(frozen=True, kw_only=True)
class Close(OfConnection):
    """One side closes the connection with an application code."""

    code: Code = 0


@dataclass(frozen=True, kw_only=True)
class PauseReading(OfConnection):
    """One side's application stops reading, for ``lasting`` seconds or (0) for good."""

    lasting: Seconds = 0.0


@dataclass(frozen=True, kw_only=True)
class ResumeReading(OfConnection):
    """One side's application reads again."""


@dataclass(frozen=True, kw_only=True)
class ResetStream(OfConnection):
    """One side gives up sending on the flow's stream number ``stream`` (counted from 0)."""

    stream: Count = 0
    code: Code = 0


@dataclass(frozen=True, kw_only=True)
class StopStream(OfConnection):
    """One side stops reading the flow's stream number ``stream`` (counted from 0)."""

    stream: Count = 0
    code: Code = 0


#: The word in TOML for each happening.
HAPPENINGS: Final[dict[str, type[Happening]]] = {
    "link down": LinkDown,
    "link up": LinkUp,
    "interface down": InterfaceDown,
    "change profile": ChangeProfile,
    "drop datagrams": DropDatagrams,
    "rebind port": RebindPort,
    "rebind address": RebindAddress,
    "key update": KeyUpdate,
    "ping": Ping,
    "close": Close,
    "pause reading": PauseReading,
    "resume reading": ResumeReading,
    "reset stream": ResetStream,
    "stop stream": StopStream,
}


@dataclass(frozen=True, kw_only=True)
class Scenario(Checked):
    """A run that can be repeated. ``time_limit`` ends it, whatever still runs by then.

    ``decrypted_trace`` compares runs by what the packets said instead of their bytes, for
    handshakes that cannot be seeded (ML-KEM, RSA-PSS). A run with an RSA certificate does so
    unasked.
    """

    name: str
    family: Family
    about: str
    seed: Count = 1
    time_limit: Seconds = 3600.0
    topology: Topology = Topology()
    flows: tuple[FlowSpec, ...] = ()
    happenings: tuple[Happening, ...] = ()
    expect: tuple[Expectation, ...] = (Intact(),)
    decrypted_trace: bool = False

    def __post_init__(self) -> None:
        check_name("a scenario", self.name)
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class CustomScenario(Checked):
    """A scenario that is a function: for hostile peers, HTTP/3 and the async API.

    ``play`` receives a :class:`~ropewalk.lab.trial.Trial`; ``parameters`` are the names that
    ``--set`` may change, with their values.
    """

    name: str
    family: Family
    about: str
    play: Callable[..., None]
    seed: Count = 1
    parameters: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name("a scenario", self.name)
        super().__post_init__()
