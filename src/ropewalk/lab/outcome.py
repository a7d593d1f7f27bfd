"""What a run of a scenario came to."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, kw_only=True)
class Breach:
    """Something that must hold and did not: an invariant of :mod:`ropewalk.sim.oracles`
    (``inv.…``), or an expectation of the scenario (``expect.…``)."""

    id: str
    host: str
    virtual_time: float
    text: str

    def __str__(self) -> str:
        return f"{self.id} at {self.virtual_time:.6f} s, {self.host}: {self.text}"


@dataclass(frozen=True, kw_only=True)
class Series:
    """One figure over time. ``where`` is a host and route ("client 192.0.2.2:443"), or a
    link's direction ("access.down"); ``figure`` one of ``throughput`` (bytes per second),
    ``congestion_window``, ``bytes_in_flight`` (bytes), ``smoothed_rtt`` (seconds),
    ``packets_lost`` (since the last sample), ``queue_length`` (packets)."""

    where: str
    figure: str
    times: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class FlowResult:
    """What one flow came to: the figures of :data:`~ropewalk.lab.expected.FLOW_FIGURES`."""

    name: str
    congestion: str
    intact: bool
    figures: Mapping[str, float]
    client_error: str
    server_error: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run. ``packets`` counts datagrams delivered; ``trace`` is the digest of all traffic,
    the same for the same seed on every build."""

    scenario: str
    family: str
    seed: int
    overrides: tuple[tuple[str, str], ...]
    virtual_seconds: float
    wall_seconds: float
    packets: int
    trace: str
    flows: tuple[FlowResult, ...] = ()
    links: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    series: tuple[Series, ...] = ()
    breaches: tuple[Breach, ...] = ()
    notes: Mapping[str, float] = field(default_factory=dict)
    #: where the scenario was read from, if it is not the catalogue's
    file: str = ""

    @property
    def passed(self) -> bool:
        """Whether every oracle was content and every expectation met."""
        return not self.breaches

    @property
    def microseconds_per_packet(self) -> float:
        """Wall time for each delivered datagram: both ends, the links and all oracles."""
        return self.wall_seconds * 1e6 / self.packets if self.packets else 0.0

    @property
    def command(self) -> str:
        """What to type to see this run again."""
        words = ["ropewalk", "lab", "run", self.file or self.scenario, "--seed", str(self.seed)]
        for key, value in self.overrides:
            words += ["--set", f"{key}={value}"]
        return shlex.join(words)

    def flow(self, name: str) -> FlowResult:
        """The result of the flow with this name."""
        for flow in self.flows:
            if flow.name == name:
                return flow
        raise KeyError(name)

    def as_json(self, series: bool = False) -> dict[str, object]:
        """The outcome as JSON takes it; series only when asked for, for they are long."""
        document = asdict(self)
        if not series:
            del document["series"]
        document["overrides"] = dict(self.overrides)
        document["passed"] = self.passed
        document["microseconds_per_packet"] = round(self.microseconds_per_packet, 2)
        document["command"] = self.command
        return document
