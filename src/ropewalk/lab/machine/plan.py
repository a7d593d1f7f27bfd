"""What a run of the machine starts from: settings of both sides, drawn from one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from ropewalk.quic.handshake.credentials import StaticCredentials
from ropewalk.quic.types.configuration import Configuration, PinnedKey
from ropewalk.sim.identity import EPOCH, SimulatedIdentity, seeded_entropy, seeded_identity

ALPN: Final = "machine.lab"
#: Seconds; what an endpoint has unless its configuration says otherwise.
RETRY_TOKEN_LIFETIME: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes in bytes, times in seconds. Both sides have equal windows, as witnesses expect."""

    seed: int = 0
    connection_window: int = 20_000
    stream_window: int = 8_000
    send_buffer: int = 16_000
    max_streams: int = 4
    idle_timeout: float = 30.0
    keep_alive: float = 0.0
    handshake_timeout: float = 30.0
    congestion: str = "cubic"
    datagram_queue: int = 16
    #: the server answers a first Initial with Retry
    retry: bool = False
    #: applications that read all there is as soon as they hear of it, client and server
    eager: tuple[bool, bool] = (True, True)
    #: arrivals within this time are handed up together
    coalescing: float = 0.0


def draw_plan(seed: int) -> Plan:
    """Settings with a liking for the narrow. The order of the draws is part of a seed's
    meaning: append, do not rearrange."""
    draw = random.Random(f"machine/plan/{seed}")  # noqa: S311 - it has to repeat
    return Plan(
        seed=seed,
        connection_window=draw.choice([2_000, 20_000, 60_000]),
        stream_window=draw.choice([600, 8_000, 40_000]),
        send_buffer=draw.choice([700, 16_000, 64_000]),
        max_streams=draw.choice([1, 2, 4, 20]),
        idle_timeout=draw.choice([5.0, 30.0, 120.0, 120.0, 0.0]),
        keep_alive=draw.choice([0.0, 0.0, 0.0, 2.0]),
        congestion=draw.choice(["cubic", "newreno"]),
        datagram_queue=draw.choice([2, 16]),
        retry=draw.random() < 0.2,
        eager=(draw.random() < 0.6, draw.random() < 0.6),
        coalescing=draw.choice([0.0, 0.0, 0.001, 0.02]),
    )


@lru_cache(maxsize=1)
def _identity() -> SimulatedIdentity:
    # One for all runs: it is nothing that a rule could touch, and it takes a while to make.
    return seeded_identity("machine")


def client_configuration(plan: Plan) -> Configuration:
    """The client's settings: X25519 alone, because ML-KEM cannot be seeded."""
    base = Configuration(
        entropy=seeded_entropy(f"machine/{plan.seed}/client-tls"),
        wall_clock=lambda: EPOCH,
        alpn=(ALPN,),
        server_name="server.sim",
        verification=PinnedKey((_identity().spki_sha256,)),
        groups=("X25519",),
        key_shares=("X25519",),
        deterministic_signing=True,
    )
    return replace(
        base,
        connection_window=plan.connection_window,
        connection_window_limit=4 * plan.connection_window,
        stream_window=plan.stream_window,
        stream_window_limit=4 * plan.stream_window,
        send_buffer=plan.send_buffer,
        max_bidirectional_streams=plan.max_streams,
        max_unidirectional_streams=plan.max_streams,
        idle_timeout=plan.idle_timeout,
        keep_alive=plan.keep_alive,
        handshake_timeout=plan.handshake_timeout,
        congestion=plan.congestion,
        datagram_queue=plan.datagram_queue,
    )


def server_configuration(plan: Plan) -> Configuration:
    """The server's settings: the client's, with a credential of its own."""
    return replace(
        client_configuration(plan),
        entropy=seeded_entropy(f"machine/{plan.seed}/server-tls"),
        server_name=None,
        credentials=StaticCredentials(_identity().credential),
    )
