"""Two simulated machines and the line between them, for programs on the asynchronous API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Final, Unpack, final

from anyio import current_time

from ropewalk.http import Client, Request, Response, http3_client, serve_http
from ropewalk.lab.async_watching import AsyncWatch
from ropewalk.observe.tee import Observers
from ropewalk.quic.handshake.credentials import StaticCredentials
from ropewalk.quic.types.configuration import Configuration
from ropewalk.runtime import Connection, Server, Settings, connect, serve
from ropewalk.runtime.audit import audited, current_auditor
from ropewalk.sim.identity import seeded_entropy, seeded_identity
from ropewalk.sim.link import Link, LinkProfile
from ropewalk.sim.network import Network
from ropewalk.sim.oracles import Oracle
from ropewalk.sim.provider import SimulatedNetwork
from ropewalk.sim.pump import follow_loop

#: The name that the server's certificate is for, and that the client can resolve.
SERVER_NAME: Final = "server.sim"
CLIENT_IP: Final = "192.0.2.1"
SERVER_IP: Final = "192.0.2.2"
PORT: Final = 443
ALPN: Final = "lab"
#: 100 Mbit/s and 20 ms there and back.
LINE: Final = LinkProfile(rate=12_500_000.0, delay=0.01)
_LIMITS: Final = (
    "connection_window",
    "connection_window_limit",
    "initial_udp_payload",
    "max_bidirectional_streams",
    "max_udp_payload",
    "max_unidirectional_streams",
    "stream_window",
    "stream_window_limit",
)


@final
class Testbed:
    """A client machine, a server machine, and a link each way.

    Programs run inside ``async with testbed.running()``, with ``network=testbed.client`` or
    ``network=testbed.server``; :meth:`connect` and its like fill that in. All that is drawn
    at random follows from ``seed``.
    """

    __test__ = False  # pytest takes every "Test…" for a test

    def __init__(
        self,
        seed: int = 0,
        forward: LinkProfile = LINE,
        backward: LinkProfile | None = None,
        oracles: Sequence[Oracle] = (),
    ) -> None:
        self.seed = seed
        self.network = Network(seed, oracles)
        #: watches all connections; whoever plays a program asks what it has seen
        self.watch = AsyncWatch(self.network)
        self.client = SimulatedNetwork(
            self.network, [CLIENT_IP], {SERVER_NAME: [SERVER_IP]}, watch=self.watch
        )
        self.server = SimulatedNetwork(self.network, [SERVER_IP], watch=self.watch)
        #: every machine there is
        self.providers = [self.client, self.server]
        self.links = self.lay(CLIENT_IP, SERVER_IP, forward, backward)
        identity = seeded_identity(seed, SERVER_NAME)
        self.credentials = StaticCredentials(identity.credential)
        self.pin = identity.spki_sha256
        # One source for each machine: two clients must not draw the same connection IDs.
        self._entropy = {side: seeded_entropy(f"{seed}/{side}") for side in ("client", "server")}
        #: what bounds the other side's streams, by the settings that each side had last
        self._limits = {side: self._limits_of(Settings()) for side in ("client", "server")}

    def lay(
        self, one: str, other: str, forward: LinkProfile, backward: LinkProfile | None = None
    ) -> tuple[Link, Link]:
        """Links in both directions between two IP addresses, ``forward`` from ``one``."""
        there = self.network.link(forward, f"{one}/{other}")
        back = self.network.link(backward or forward, f"{other}/{one}")
        self.network.route(one, other, [there])
        self.network.route(other, one, [back])
        return there, back

    def machine(self, ip: str) -> SimulatedNetwork:
        """Another machine."""
        provider = SimulatedNetwork(self.network, [ip], watch=self.watch)
        self.providers.append(provider)
        return provider

    def settings(self, side: str, **more: Unpack[Settings]) -> Settings:
        """What makes the packets of a side ("client" or "server") repeat, and has them watched;
        ``more`` goes before."""
        # The library behind ML-KEM draws its own randomness; X25519's keys come from ours.
        own = Settings(
            entropy=self._entropy[side],
            wall_clock=self.network.wall_clock,
            deterministic_signing=True,
            groups=("X25519",),
            key_shares=("X25519",),
        )
        own.update(more)
        limits = self._limits[side] = self._limits_of(own)
        self.watch.allow_payload(limits.max_udp_payload)
        other = "server" if side == "client" else "client"
        watching = self.watch.observer(side == "client", lambda: self._limits[other])
        observer = own.get("observer")
        own["observer"] = watching if observer is None else Observers([watching, observer])
        return own

    def _limits_of(self, settings: Settings) -> Configuration:
        named = {name: value for name, value in settings.items() if name in _LIMITS}
        base = Configuration(
            entropy=seeded_entropy(f"{self.seed}/limits"),
            wall_clock=self.network.wall_clock,
            alpn=(ALPN,),
        )
        return replace(base, **named)  # type: ignore[arg-type]  # settings by name

    # -- the public API, told where it runs and whom to trust

    def connect(
        self, host: str = SERVER_NAME, **more: Unpack[Settings]
    ) -> AbstractAsyncContextManager[Connection]:
        """``ropewalk.connect`` on the client machine."""
        settings = self.settings("client", **more)
        return connect(host, PORT, alpn=ALPN, pin=self.pin, network=self.client, **settings)

    def serve(
        self, handler: Callable[[Connection], Awaitable[object]], **more: Unpack[Settings]
    ) -> AbstractAsyncContextManager[Server]:
        """``ropewalk.serve`` on the server machine."""
        return serve(
            handler,
            SERVER_IP,
            PORT,
            alpn=ALPN,
            credentials=self.credentials,
            network=self.server,
            **self.settings("server", **more),
        )

    def http3_client(self, **more: Unpack[Settings]) -> AbstractAsyncContextManager[Client]:
        """``ropewalk.http.http3_client`` on the client machine."""
        settings = self.settings("client", **more)
        return http3_client(SERVER_NAME, PORT, pin=self.pin, network=self.client, **settings)

    def serve_http(
        self, handler: Callable[[Request], Awaitable[Response]], **more: Unpack[Settings]
    ) -> AbstractAsyncContextManager[Server]:
        """``ropewalk.http.serve_http`` on the server machine."""
        return serve_http(
            handler,
            SERVER_IP,
            PORT,
            credentials=self.credentials,
            network=self.server,
            **self.settings("server", **more),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let the event loop's time pass on the network, and watch what programs make."""
        self.watch.also = current_auditor.get()
        with audited(self.watch):
            async with follow_loop(self.network):
                try:
                    yield
                finally:
                    self.network.clock.run_until(current_time())
