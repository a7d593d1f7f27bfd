"""One run of a scenario: builds everything, plays it, and judges it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Final, final

from ropewalk.lab.breaches import as_breach, internal_error
from ropewalk.lab.expectations import check_expectations, flow_result, link_figures, unmet
from ropewalk.lab.happenings import Director
from ropewalk.lab.identities import credential_for
from ropewalk.lab.limits import shown
from ropewalk.lab.outcome import Breach, Outcome
from ropewalk.lab.plaintext_trace import PlaintextTrace
from ropewalk.lab.sampling import Sampler
from ropewalk.lab.scenario import FlowSpec, HostSpec, Scenario
from ropewalk.lab.stage import Stage
from ropewalk.lab.traffic.client import ClientApplication
from ropewalk.lab.traffic.content import Content
from ropewalk.lab.traffic.records import ConnectionRecord, FlowRecord
from ropewalk.lab.traffic.server import ServerApplication
from ropewalk.lab.watching import Watching
from ropewalk.observe.observer import Observer
from ropewalk.observe.tee import Observers
from ropewalk.quic.connection import Connection
from ropewalk.quic.handshake.credentials import StaticCredentials
from ropewalk.quic.types.configuration import Configuration, PinnedKey
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.host import Application
from ropewalk.sim.identity import seeded_entropy
from ropewalk.sim.invariants import Violation
from ropewalk.sim.network import Network
from ropewalk.sim.watching import Watchers

#: The application protocol of the lab's traffic.
ALPN: Final = "lab.sim"
#: Settings that a file can say, with their defaults. Objects (keys, stores, observers) are the
#: lab's own.
_PLAIN_SETTINGS: Final[dict[str, object]] = {
    field.name: field.default
    for field in fields(Configuration)
    if isinstance(field.default, (bool, int, float, str))
    or (isinstance(field.default, tuple) and field.default)
}


@final
class Play:
    """One run of a scenario: everything is built; :meth:`outcome` plays it."""

    def __init__(self, scenario: Scenario, seed: int, watching: Watching | None = None) -> None:
        self.scenario = scenario
        self.seed = seed
        self._watching = watching
        self._content = Content(seed)
        self._specs = {spec.name: spec for spec in scenario.topology.hosts}
        self.flows = {
            spec.name: FlowRecord(index, spec, self._content)
            for index, spec in enumerate(scenario.flows)
        }
        self.records = self._share_connections()
        self.connections = {
            flow.spec.name: record for record in self.records for flow in record.flows
        }
        self._configurations = [self._configure(record) for record in self.records]
        self.plaintext: PlaintextTrace | None = None
        if scenario.decrypted_trace or not self._repeats_to_the_byte():
            self.plaintext = PlaintextTrace()
        self.watchers = Watchers(
            max(
                (one.max_udp_payload for pair in self._configurations for one in pair),
                default=1200,
            )
        )
        self.network = Network(seed, self.watchers.oracles)
        applications: dict[str, Application] = {}
        for spec in scenario.topology.hosts:
            if spec.role == "server":
                applications[spec.name] = ServerApplication(self.watchers, spec.retry)
            else:
                applications[spec.name] = ClientApplication()
        self.stage = Stage(scenario, self.network, applications)
        self.sampler = Sampler(self.network.clock, self.stage.links, self._living)
        self._use_start = 0.0
        self._use_until = 0.0
        self._use_before: dict[str, tuple[int, int]] = dict.fromkeys(self.stage.links, (0, 0))
        self._use_after = self._use_before
        self._plan()

    # -- preparing

    def _share_connections(self) -> list[ConnectionRecord]:
        records: dict[str, ConnectionRecord] = {}
        for name, flow in self.flows.items():
            over = flow.spec.over
            if not over:
                records[name] = ConnectionRecord(len(records), [flow])
            elif over in records:
                records[over].flows.append(flow)
            else:
                raise ConfigurationError(
                    f"flow {name} runs over {over!r}, which is no earlier flow with a "
                    "connection of its own"
                )
        return list(records.values())

    def _configure(self, record: ConnectionRecord) -> tuple[Configuration, Configuration]:
        """The configurations of client and server, without observers."""
        spec = record.spec
        client, server = (
            self._host(spec, spec.client, "client"),
            self._host(spec, spec.server, "server"),
        )
        credential, pin = credential_for(self.seed, server.certificate)
        base = Configuration(
            entropy=seeded_entropy(f"{self.seed}/{record.index}/client-tls"),
            wall_clock=self._wall_clock,
            alpn=(ALPN,),
            server_name=server_name(record),
            verification=PinnedKey((pin,)),
            # ML-KEM cannot be seeded; with it runs are compared by what the packets said, in
            # which even the lengths must be the same: those of RSA signatures are.
            groups=("X25519",),
            key_shares=("X25519",),
            deterministic_signing=server.certificate == "ecdsa",
        )
        if spec.congestion:
            base = replace(base, congestion=spec.congestion)
        ours = _settled(base, {**client.settings, **spec.settings}, f"flow {spec.name}")
        theirs = replace(
            base,
            entropy=seeded_entropy(f"{self.seed}/{record.index}/server-tls"),
            server_name=None,
            credentials=StaticCredentials(credential),
        )
        theirs = _settled(theirs, {**server.settings, **spec.settings}, f"flow {spec.name}")
        hybrid = any("MLKEM" in group and group in theirs.groups for group in ours.groups)
        if server.certificate == "ecdsa" and (hybrid or not theirs.deterministic_signing):
            what = "ML-KEM" if hybrid else "deterministic_signing = false"
            raise ConfigurationError(
                f"flow {spec.name}: {what} needs "
                f'certificate = "rsa" on host {server.name}: what cannot be seeded makes ECDSA '
                "signatures of another length in every run"
            )
        return ours, theirs

    def _repeats_to_the_byte(self) -> bool:
        """Whether every handshake can be seeded: signatures of RSA draw randomness of their own,
        and ML-KEM, which does so, too, comes with RSA only."""
        return all(
            self._specs[record.spec.server].certificate == "ecdsa" for record in self.records
        )

    def _host(self, flow: FlowSpec, name: str, role: str) -> HostSpec:
        spec = self._specs.get(name)
        if spec is None or spec.role != role:
            known = [one.name for one in self._specs.values() if one.role == role]
            raise ConfigurationError(
                f"flow {flow.name}: there is no {role} {name!r}; there are {', '.join(known)}"
            )
        count = len(spec.addresses) or 1
        if role == "client" and flow.interface >= count:
            raise ConfigurationError(
                f"flow {flow.name}: interface is {flow.interface}; {name} has {count}, counted "
                "from 0 (one for each of its addresses)"
            )
        return spec

    def _wall_clock(self) -> float:
        return self.network.wall_clock()

    def _plan(self) -> None:
        clock = self.network.clock
        for record, (ours, theirs) in zip(self.records, self._configurations, strict=True):
            self._expect(record, ours, theirs)
            clock.at(record.spec.start, self._opening(record, ours, theirs))
        director = Director(self.stage, self.connections, self.flows)
        for index, happening in enumerate(self.scenario.happenings):
            try:
                director.plan(happening)
            except ConfigurationError as error:
                raise ConfigurationError(f"happenings[{index}]: {error}") from None
        check_expectations(self.scenario.expect, list(self.flows), list(self.stage.links))
        if self.records:
            first = self.records[0].spec
            clock.at(first.start + first.warmup, self._start_use)

    def _expect(self, record: ConnectionRecord, ours: Configuration, theirs: Configuration) -> None:
        """The server knows the connection when it comes."""
        spec = record.spec
        witness = self.watchers.witness(spec.server, False, ours)
        record.server_witness = witness
        record.server_config = replace(
            theirs, observer=self._observer(witness, spec.server, spec.name, False)
        )
        record.server_host = self.stage.host(spec.server)
        application = record.server_host.application
        assert isinstance(application, ServerApplication)
        application.expected[server_name(record)] = record

    def _opening(
        self, record: ConnectionRecord, ours: Configuration, theirs: Configuration
    ) -> Callable[[], None]:
        spec = record.spec
        host = self.stage.host(spec.client)
        remote = self.stage.address(spec.server)

        def open_connection() -> None:
            witness = self.watchers.witness(spec.client, True, theirs)
            config = replace(ours, observer=self._observer(witness, spec.client, spec.name, True))
            connection = host.track(host.endpoint.open(config, remote, spec.interface, host.now))
            self.watchers.watch(witness, host, connection)
            record.client_host = host
            record.client = connection
            record.opened = host.now
            application = host.application
            assert isinstance(application, ClientApplication)
            application.add(record, host, connection)

        return lambda: host.act(open_connection)

    def _observer(self, witness: Observer, host: str, flow: str, is_client: bool) -> Observer:
        watching: list[Observer] = [witness]
        if self.plaintext is not None:
            watching.append(self.plaintext.observer(f"{flow}/{host}"))
        if self._watching is not None:
            watching.append(self._watching(host, flow, is_client))
        if len(watching) == 1:
            return witness
        return Observers(watching)

    def _start_use(self) -> None:
        self._use_start = self.network.clock.now
        self._use_before = self._delivered()

    def _delivered(self) -> dict[str, tuple[int, int]]:
        """Packets and bytes that each direction of a link has delivered by now."""
        return {
            name: (link.counters.delivered, link.counters.delivered_bytes)
            for name, link in self.stage.links.items()
        }

    def _living(self) -> list[tuple[str, Connection]]:
        found: list[tuple[str, Connection]] = []
        for record in self.records:
            for side, name in (("client", record.spec.client), ("server", record.spec.server)):
                _, connection = record.end(side)
                if connection is not None:
                    found.append((f"{name}: {record.spec.name}", connection))
        return found

    # -- playing

    def outcome(self, overrides: Mapping[str, str] | None = None) -> Outcome:
        """Play to the end and judge."""
        breaches: list[Breach] = []
        started = time.perf_counter()
        try:
            self._play()
        except Violation as error:
            breaches.append(as_breach(error))
        except ConfigurationError:
            raise
        except Exception as error:
            breaches.append(internal_error(error, self.network.clock.now))
        wall = time.perf_counter() - started
        end = self.network.clock.now
        finished = [flow.finished for flow in self.flows.values()]
        until = max(finished) if finished and min(finished) >= 0.0 else end
        flows = tuple(
            flow_result(flow, self.connections[name], until) for name, flow in self.flows.items()
        )
        links = {
            name: link_figures(
                link,
                self._use_before[name],
                self._use_after[name],
                self._use_until - self._use_start,
            )
            for name, link in self.stage.links.items()
        }
        if not breaches:
            breaches += unmet(self.scenario.expect, flows, self.flows, self.connections, links, end)
        return Outcome(
            scenario=self.scenario.name,
            family=self.scenario.family,
            seed=self.seed,
            overrides=tuple((overrides or {}).items()),
            virtual_seconds=end,
            wall_seconds=wall,
            packets=sum(host.datagrams_received for host in self.network.hosts),
            trace=self.network.trace() if self.plaintext is None else self.plaintext.digest(),
            flows=flows,
            links=links,
            series=self.sampler.series(),
            breaches=tuple(breaches),
        )

    def _play(self) -> None:
        clock = self.network.clock
        limit = self.scenario.time_limit
        self.sampler.start()
        clock.run_until(limit, self._traffic_over)
        self._use_until = clock.now
        # What still waits in queues is delivered later, and is no use of this span.
        self._use_after = self._delivered()
        clock.run_until(limit, self._all_closed)
        self.watchers.finish(self.network.hosts)

    def _traffic_over(self) -> bool:
        return all(flow.over for flow in self.flows.values())

    def _all_closed(self) -> bool:
        return all(record.closed for record in self.records)


def server_name(record: ConnectionRecord) -> str:
    """The name by which a server tells connections apart."""
    return f"c{record.index}.lab.sim"


def _settled(base: Configuration, settings: Mapping[str, object], where: str) -> Configuration:
    """A configuration with the settings of a scenario."""
    values: dict[str, object] = {}
    for key, value in settings.items():
        own = _PLAIN_SETTINGS.get(key)
        if own is None:
            raise ConfigurationError(
                f"{where}: there is no setting {key!r}; allowed are {', '.join(_PLAIN_SETTINGS)}"
            )
        values[key] = tuple(value) if isinstance(value, list) else value
        if not _like(values[key], own):
            raise ConfigurationError(
                f"{where}: setting {key} is {shown(value)}; it must be like {own!r}"
            )
    try:
        return replace(base, **values)  # type: ignore[arg-type]  # settings by name
    except (ConfigurationError, TypeError) as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _like(value: object, own: object) -> bool:
    """Whether a value is of the kind of another one."""
    if isinstance(own, tuple):
        return isinstance(value, tuple) and all(type(one) is type(own[0]) for one in value)
    if type(own) is float:
        return type(value) in (int, float)
    return type(value) is type(own)
