"""The place where a bending peer meets its victim, with an innocent bystander beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Unpack

from ropewalk.lab.hostile import messages, parameters
from ropewalk.lab.hostile.client import BendingClient
from ropewalk.lab.hostile.packets import Bent
from ropewalk.lab.hostile.peer import INITIAL_SIZE, BendingPeer
from ropewalk.lab.hostile.server import BendingServer
from ropewalk.lab.hostile.watching import VictimWitness
from ropewalk.quic.connection import Connection
from ropewalk.quic.endpoint import Endpoint, Incoming
from ropewalk.quic.endpoint.connection_ids import RandomConnectionIds
from ropewalk.quic.endpoint.token_keys import RootTokenKeys
from ropewalk.quic.handshake.credentials import StaticCredentials
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import (
    Configuration,
    EndpointConfiguration,
    NoVerification,
)
from ropewalk.quic.types.errors import StreamError
from ropewalk.quic.types.events import Event, StreamReadable, StreamResetByPeer
from ropewalk.quic.types.handshake import HANDSHAKE, ONE_RTT
from ropewalk.sim.identity import seeded_entropy, seeded_identity
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.network import Application, Host, Network
from ropewalk.sim.watching import Watchers

SERVER = "server"
CLIENT = "client"

VICTIM_ADDRESS = Address("192.0.2.10", 4433)
PEER_ADDRESS = Address("203.0.113.66", 6666)
#: other places that the bending peer can send from: another port, another host
PEER_PORT = Address("203.0.113.66", 6667)
PEER_HOST = Address("203.0.113.99", 6666)
BYSTANDER_ADDRESS = Address("198.51.100.7", 7777)

#: One-way delay of all links, in seconds.
DELAY = 0.01


class StreamIds:
    """Stream IDs by who opens them, for a victim that is a server or a client (RFC 9000 2.1)."""

    def __init__(self, victim: str) -> None:
        self._victims = 1 if victim == SERVER else 0

    def peer_bidi(self, index: int = 0) -> int:
        """A bidirectional stream that the peer opens."""
        return 4 * index + 1 - self._victims

    def peer_uni(self, index: int = 0) -> int:
        """A unidirectional stream that the peer opens."""
        return 4 * index + 3 - self._victims

    def victim_bidi(self, index: int = 0) -> int:
        """A bidirectional stream that the victim opens."""
        return 4 * index + self._victims

    def victim_uni(self, index: int = 0) -> int:
        """A unidirectional stream that the victim opens."""
        return 4 * index + 2 + self._victims


class Echo(Application):
    """Returns what comes on the peer's bidirectional streams, and keeps what else comes."""

    def __init__(self, accept: Callable[[Host, Incoming], None]) -> None:
        self._accept = accept
        #: whether streams are read at all
        self.reading = True
        self.received: dict[tuple[Connection, int], bytes] = {}

    def on_incoming(self, host: Host, incoming: Incoming) -> None:
        """A client knocks."""
        self._accept(host, incoming)

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        """Read what can be read."""
        if not isinstance(event, StreamReadable | StreamResetByPeer) or not self.reading:
            return
        if not connection.active:
            return
        stream_id = event.stream_id
        try:
            data, _ = connection.read(stream_id, 1 << 20)
            key = (connection, stream_id)
            self.received[key] = self.received.get(key, b"") + data
            theirs = bool(stream_id & 1) == connection.is_client
            if theirs and not stream_id & 2:
                connection.write(stream_id, data)
        except StreamError:
            return  # it was reset meanwhile


class Scene:
    """A victim on a simulated host, the bending peer at the other end of a link, and a
    connection of the same endpoint with somebody honest.

    Nothing happens before :meth:`connect` or :meth:`meet`, so a story may first decide how
    either side is to be. All follows from ``seed``. ``network`` is an empty one of that seed,
    for whoever wants to see what happens on it.
    """

    def __init__(self, victim: str, seed: int = 1, network: Network | None = None) -> None:
        self.role = victim
        self.seed = seed
        self.ids = StreamIds(victim)
        self.network = Network(seed) if network is None else network
        #: the oracles of both hosts; the bending peer is none, and nobody watches it
        self.watchers = Watchers(INITIAL_SIZE)
        self.network.oracles += self.watchers.oracles
        self.clock = self.network.clock
        self.victim: Connection | None = None
        self.bystander: Connection | None = None
        #: packets of the story that matter: encryption level and packet number
        self.bent: list[tuple[int, int]] = []
        self.incoming: list[Incoming] = []
        #: what the victim does with the bending peer's knock; accepts unless told otherwise
        self.on_knock: Callable[[Incoming], None] = self.accept
        base = Configuration(
            entropy=seeded_entropy(f"hostile/{seed}"),
            wall_clock=self.network.wall_clock,
            alpn=("hostile",),
            server_name="server.sim",
            verification=NoVerification(),
            credentials=_credentials(),
            groups=("X25519",),
            key_shares=("X25519",),
            deterministic_signing=True,
        )
        self.victim_config = base
        self.honest_config = base
        self.victim_application = Echo(self._on_incoming)
        self.honest_application = Echo(self._accept_honest)
        self.victim_host = self.network.add_host(
            "victim", self.victim_application, [VICTIM_ADDRESS], accept=victim == SERVER
        )
        self.honest_host = self.network.add_host(
            "honest", self.honest_application, [BYSTANDER_ADDRESS], accept=victim == CLIENT
        )
        wire = LinkProfile(delay=DELAY)
        for other in (PEER_ADDRESS, PEER_PORT, PEER_HOST, BYSTANDER_ADDRESS):
            self.network.join(VICTIM_ADDRESS, other, wire, wire)
        kind = BendingClient if victim == SERVER else BendingServer
        entropy = seeded_entropy(f"hostile/{seed}/peer")
        self.peer: BendingPeer = kind(
            self.network, PEER_ADDRESS, replace(base, entropy=entropy), source_cid=entropy(8)
        )

    # -- who is there

    @property
    def now(self) -> float:
        """The virtual time."""
        return self.clock.now

    @property
    def client(self) -> BendingClient:
        """The bending peer of a server."""
        assert isinstance(self.peer, BendingClient)
        return self.peer

    @property
    def server(self) -> BendingServer:
        """The bending peer of a client."""
        assert isinstance(self.peer, BendingServer)
        return self.peer

    def the_victim(self) -> Connection:
        """The victim's connection with the bending peer. ``AssertionError`` without one."""
        assert self.victim is not None, "the victim has no connection with the bending peer"
        return self.victim

    def configure_victim(self, **settings: object) -> None:
        """Change settings of the victim's connection; before :meth:`connect`."""
        self.victim_config = replace(self.victim_config, **settings)  # type: ignore[arg-type]  # by name

    def configure_victim_endpoint(self, **settings: object) -> None:
        """Change settings of the victim's endpoint; before :meth:`connect`."""
        entropy = seeded_entropy(f"hostile/{self.seed}/endpoint")
        config = EndpointConfiguration(
            entropy=entropy,
            wall_clock=self.network.wall_clock,
            connection_ids=RandomConnectionIds(entropy),
            token_keys=RootTokenKeys(entropy(32), entropy),
            accept=self.role == SERVER,
        )
        changed = replace(config, **settings)  # type: ignore[arg-type]  # by name
        self.victim_host.endpoint = Endpoint(changed)

    def bend_parameters(self, bending: parameters.Bending) -> None:
        """Have the peer send other transport parameters; before :meth:`connect`."""
        self.peer.bend_parameters = lambda encoded: parameters.join(
            bending(parameters.split(encoded))
        )

    def send_parameters(self, content: bytes) -> None:
        """Have the peer send any bytes for transport parameters; before :meth:`connect`."""
        self.peer.bend_parameters = lambda _encoded: content

    def bend_messages(self, bending: messages.Bending) -> None:
        """Have the peer send other TLS messages; before :meth:`connect`."""
        self.peer.bend_messages = bending

    def use_zero_length_cids(self) -> None:
        """Have the peer receive without connection IDs; before :meth:`connect`."""
        self._remake_peer(b"")

    def _remake_peer(self, source_cid: bytes) -> None:
        former = self.peer
        self.network.release(PEER_ADDRESS)
        self.peer = type(former)(self.network, PEER_ADDRESS, former.config, source_cid=source_cid)

    # -- what happens

    def meet(self) -> None:
        """The client of the two says its first word; the bystander is connected already."""
        if self.role == SERVER:
            self._connect_bystander(self.honest_host, VICTIM_ADDRESS, self.honest_config)
            self.client.open(VICTIM_ADDRESS)
        else:
            self._connect_bystander(self.victim_host, BYSTANDER_ADDRESS, self.honest_config)
            self.open_victim()

    def open_victim(self) -> None:
        """The victim, a client, opens its connection to the bending server."""

        def open_now() -> None:
            self.victim = self.open_watched(
                self.victim_host, PEER_ADDRESS, self.victim_config, self.peer.config
            )

        self.victim_host.act(open_now)

    def connect(self) -> None:
        """Complete the handshake. ``AssertionError`` when that fails."""
        self.meet()
        if not self.clock.run_until(self.now + 3.0, self.is_confirmed):
            error = None if self.victim is None else self.victim.close_error
            raise AssertionError(f"the handshake was not confirmed: {error}")
        self.run(2.5 * DELAY)

    def is_confirmed(self) -> bool:
        """Whether both sides have confirmed the handshake."""
        double = self.peer.double
        return (
            self.victim is not None
            and self.victim.handshake_confirmed
            and double is not None
            and double.handshake_confirmed
        )

    def reach_handshake_keys(self) -> None:
        """Bring both sides to where they have Handshake keys and nothing is complete: what the
        double would say above Initial is withheld from here on."""
        self.peer.withheld = frozenset((HANDSHAKE, ONE_RTT))
        self.meet()
        ready = self.clock.run_until(self.now + 1.0, self._both_have_handshake_keys)
        assert ready, "no Handshake keys"

    def release(self) -> None:
        """Let the double say again what it likes, and give lost packets time to be repeated."""
        self.peer.withheld = frozenset()

    def reach(self, level: int) -> None:
        """Bring both sides to where the peer can send packets of ``level``."""
        if level == ONE_RTT:
            self.connect()
        else:
            self.reach_handshake_keys()

    def run(self, seconds: float) -> None:
        """Let time go by."""
        self.clock.run_until(self.now + seconds)

    def bend(self, payload: bytes, level: int = ONE_RTT, **bent: Unpack[Bent]) -> int:
        """Send a packet that matters; returns its number. See :meth:`BendingPeer.send`."""
        if "packet_number" not in bent:
            bent["packet_number"] = self.peer.next_number(level)
        number = bent["packet_number"]
        self.bent.append((level, number))
        self.peer.send(payload, level, **bent)
        return number

    def act(self, action: Callable[[], None]) -> None:
        """The victim's application does something, and what it causes is sent."""

        def act_and_touch() -> None:
            action()
            self.victim_host.endpoint.touch(self.the_victim())

        self.victim_host.act(act_and_touch)

    def bystander_is_unharmed(self) -> bool:
        """Whether the bystander can still exchange data over the victim's endpoint."""
        bystander = self.bystander
        if bystander is None:
            return True  # the story never came so far
        host = self.honest_host if self.role == SERVER else self.victim_host
        application = self.honest_application if self.role == SERVER else self.victim_application
        if not bystander.active:
            return False
        self.victim_application.reading = True
        stream_id = bystander.open_stream()
        if stream_id is None:
            return False
        words = b"still here"

        def talk() -> None:
            bystander.write(stream_id, words)
            host.endpoint.touch(bystander)

        host.act(talk)
        return self.clock.run_until(
            self.now + 1.0,
            lambda: application.received.get((bystander, stream_id)) == words,
        )

    def open_watched(
        self, host: Host, remote: Address, config: Configuration, peer: Configuration
    ) -> Connection:
        """Open a connection that the oracles watch; ``peer`` bounds what it may send."""
        witness = self.watchers.witness(host.name, True, peer)
        self.watchers.allow_payload(config.max_udp_payload)
        watched = replace(config, observer=VictimWitness(witness))
        connection = host.track(host.endpoint.open(watched, remote, 0, host.now))
        self.watchers.watch(witness, host, connection)
        return connection

    # -- within

    def accept(self, incoming: Incoming) -> None:
        """Accept the bending client."""
        config, peer = self.victim_config, self.peer.config
        self.victim = self._accept(self.victim_host, incoming, config, peer)

    def _on_incoming(self, host: Host, incoming: Incoming) -> None:
        if incoming.remote == BYSTANDER_ADDRESS:
            self._accept_honest(host, incoming)
            return
        self.incoming.append(incoming)
        self.on_knock(incoming)

    def _accept_honest(self, host: Host, incoming: Incoming) -> None:
        self._accept(host, incoming, self.honest_config, self.honest_config)

    def _accept(
        self, host: Host, incoming: Incoming, config: Configuration, peer: Configuration
    ) -> Connection:
        witness = self.watchers.witness(host.name, False, peer)
        self.watchers.allow_payload(config.max_udp_payload)
        watched = replace(config, observer=VictimWitness(witness))
        connection = host.track(incoming.accept(watched, host.now))
        self.watchers.watch(witness, host, connection)
        return connection

    def _connect_bystander(self, host: Host, remote: Address, config: Configuration) -> None:
        if self.bystander is not None:
            return

        def open_now() -> None:
            self.bystander = self.open_watched(host, remote, config, self.honest_config)

        host.act(open_now)
        bystander = self.bystander
        assert bystander is not None
        assert self.clock.run_until(self.now + 1.0, lambda: bystander.handshake_confirmed)

    def _both_have_handshake_keys(self) -> bool:
        if self.victim is None or not self.peer.has_keys(HANDSHAKE):
            return False
        level = self.victim.state.handshake_level
        return level is not None and level.send is not None


@cache
def _credentials() -> StaticCredentials:
    return StaticCredentials(seeded_identity("hostile").credential)
