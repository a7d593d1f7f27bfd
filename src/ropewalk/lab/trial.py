"""What a scenario that is a function works with, and how it is played."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, final

from ropewalk.lab.breaches import as_breach, internal_error
from ropewalk.lab.identities import credential_for
from ropewalk.lab.outcome import Breach, Outcome
from ropewalk.lab.play import Play
from ropewalk.lab.scenario import CustomScenario, Scenario
from ropewalk.lab.scenario_file import plain_value
from ropewalk.lab.watching import Watching
from ropewalk.observe.observer import Observer
from ropewalk.observe.tee import Observers
from ropewalk.quic.connection import Connection
from ropewalk.quic.endpoint import Incoming
from ropewalk.quic.handshake.credentials import StaticCredentials
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import Configuration, PinnedKey
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.host import Host
from ropewalk.sim.identity import EPOCH, seeded_entropy
from ropewalk.sim.invariants import Violation
from ropewalk.sim.network import Network
from ropewalk.sim.watching import Watchers

#: The largest payload that UDP carries: a trial may be of any size.
_LARGEST_PAYLOAD: Final = 65527


class Unmet(Exception):
    """An expectation of a scenario that is a function was not met."""

    def __init__(self, word: str, text: str) -> None:
        super().__init__(word, text)
        self.word = word
        self.text = text


class Broken(Exception):
    """A part of a trial came to a bad end."""

    def __init__(self, breach: Breach) -> None:
        super().__init__(breach)
        self.breach = breach


@final
class Trial:
    """One run. What its networks do counts in the outcome: their time, packets and traces.

    ``open(host, config, remote, peer)`` opens a watched connection and
    ``accept(host, incoming, config, peer)`` takes one, both with the configuration of the other
    side as ``peer``; the caller drives the host.
    """

    def __init__(
        self, seed: int, parameters: Mapping[str, object], watching: Watching | None = None
    ) -> None:
        self.seed = seed
        self.parameters = parameters
        self.notes: dict[str, float] = {}
        self._networks: list[Network] = []
        self._watchers: dict[int, Watchers] = {}
        self._configurations = 0
        self._watching = watching
        self._watched = 0

    # -- networks

    def network(self, payload_cap: int = _LARGEST_PAYLOAD) -> Network:
        """A network of this seed, watched by all oracles."""
        watchers = Watchers(payload_cap)
        network = Network(self.seed, watchers.oracles)
        self._watchers[id(network)] = watchers
        return self.adopt(network)

    def adopt(self, network: Network) -> Network:
        """Count a network that was made elsewhere."""
        self._networks.append(network)
        return network

    def play(self, scenario: Scenario) -> Outcome:
        """Play another scenario with the trial's seed, as a part of this one; what is broken
        there is broken here."""
        part = Play(scenario, self.seed, self._watching)
        self.adopt(part.network)
        outcome = part.outcome()
        for breach in outcome.breaches:
            raise Broken(breach)
        return outcome

    # -- connections

    def client(self, alpn: str = "lab.sim", **settings: object) -> Configuration:
        """A client's configuration whose every byte follows from the seed."""
        self._configurations += 1
        _, pin = credential_for(self.seed, "ecdsa")
        base = Configuration(
            entropy=seeded_entropy(f"{self.seed}/{self._configurations}/tls"),
            wall_clock=self._wall_clock,
            alpn=(alpn,),
            server_name="server.sim",
            verification=PinnedKey((pin,)),
            groups=("X25519",),
            key_shares=("X25519",),
            deterministic_signing=True,
        )
        return replace(base, **settings)  # type: ignore[arg-type]  # settings by name

    def server(self, alpn: str = "lab.sim", **settings: object) -> Configuration:
        """The same for a server."""
        credential, _ = credential_for(self.seed, "ecdsa")
        base = replace(
            self.client(alpn), server_name=None, credentials=StaticCredentials(credential)
        )
        return replace(base, **settings)  # type: ignore[arg-type]  # settings by name

    def open(
        self,
        host: Host,
        config: Configuration,
        remote: Address,
        peer: Configuration,
        watching: Observer | None = None,
    ) -> Connection:
        """Open a watched connection; ``peer`` is the server's configuration. The caller
        drives the host."""
        watchers = self._watchers[id(host.network)]
        witness = watchers.witness(host.name, True, peer)
        config = replace(config, observer=self._observer(witness, watching, host, True))
        connection = host.track(host.endpoint.open(config, remote, 0, host.now))
        watchers.watch(witness, host, connection)
        return connection

    def accept(
        self,
        host: Host,
        incoming: Incoming,
        config: Configuration,
        peer: Configuration,
        watching: Observer | None = None,
    ) -> Connection:
        """Accept a connection and watch it; ``peer`` is the client's configuration."""
        watchers = self._watchers[id(host.network)]
        witness = watchers.witness(host.name, False, peer)
        config = replace(config, observer=self._observer(witness, watching, host, False))
        connection = host.track(incoming.accept(config, host.now))
        watchers.watch(witness, host, connection)
        return connection

    def _wall_clock(self) -> float:
        return self._networks[0].wall_clock() if self._networks else EPOCH

    def _observer(
        self, witness: Observer, watching: Observer | None, host: Host, is_client: bool
    ) -> Observer:
        all_of_them = [witness]
        if watching is not None:
            all_of_them.append(watching)
        if self._watching is not None:
            self._watched += 1
            all_of_them.append(self._watching(host.name, str(self._watched), is_client))
        return witness if len(all_of_them) == 1 else Observers(all_of_them)

    # -- what must hold

    def check(self, condition: bool, word: str, text: str) -> None:
        """Something that must hold; ``word`` names it ("expect.<word>"). Ends the run when it
        does not."""
        if not condition:
            raise Unmet(word, text)

    def note(self, name: str, value: float) -> None:
        """A figure for the outcome."""
        self.notes[name] = value

    # -- the end

    @property
    def now(self) -> float:
        """The latest virtual time of all networks."""
        return max((network.clock.now for network in self._networks), default=0.0)

    def finish(self) -> None:
        """The function is through: what must have happened by now?"""
        for network in self._networks:
            watchers = self._watchers.get(id(network))
            if watchers is not None:
                watchers.finish(network.hosts)

    def packets(self) -> int:
        """Datagrams that the networks delivered."""
        return sum(network.delivered for network in self._networks)

    def trace(self) -> str:
        """The digests of all networks."""
        return "+".join(network.trace() for network in self._networks)


def run_custom(
    scenario: CustomScenario,
    seed: int,
    overrides: Mapping[str, str],
    watching: Watching | None = None,
) -> Outcome:
    """Play a scenario that is a function. See :func:`ropewalk.lab.runner.run`."""
    parameters = dict(scenario.parameters)
    for key, text in overrides.items():
        if key not in parameters:
            known = ", ".join(parameters) or "none"
            raise ConfigurationError(
                f"--set {key}: {scenario.name} has no such parameter; there are: {known}"
            )
        parameters[key] = plain_value(text)
    trial = Trial(seed, parameters, watching)
    breaches: list[Breach] = []
    started = time.perf_counter()
    try:
        scenario.play(trial)
        trial.finish()
    except Violation as error:
        breaches.append(as_breach(error))
    except Broken as error:
        breaches.append(error.breach)
    except Unmet as error:
        breaches.append(
            Breach(id=f"expect.{error.word}", host="", virtual_time=trial.now, text=error.text)
        )
    except ConfigurationError:
        raise
    except Exception as error:
        breaches.append(internal_error(error, trial.now))
    return Outcome(
        scenario=scenario.name,
        family=scenario.family,
        seed=seed,
        overrides=tuple(overrides.items()),
        virtual_seconds=trial.now,
        wall_seconds=time.perf_counter() - started,
        packets=trial.packets(),
        trace=trial.trace(),
        breaches=tuple(breaches),
        notes=trial.notes,
    )
