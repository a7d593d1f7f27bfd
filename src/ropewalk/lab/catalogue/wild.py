"""Networks and traffic drawn from the seed: to find what nobody has thought of."""

from __future__ import annotations

import random

from ropewalk.lab.registry import catalogue
from ropewalk.lab.scenario import (
    FlowSpec,
    Happening,
    HostSpec,
    KeyUpdate,
    LinkDown,
    LinkSpec,
    NatSpec,
    Ping,
    RebindAddress,
    RebindPort,
    Scenario,
    Topology,
)
from ropewalk.lab.trial import Trial


@catalogue.play(
    family="networks",
    about="any line, any traffic, with outages, NATs and key updates, all drawn from the seed",
)
def wild(trial: Trial) -> None:
    trial.play(wild_scenario(trial.seed))


def wild_scenario(seed: int) -> Scenario:
    """The order of the draws is part of the seeds' meaning: append, do not rearrange."""
    draw = random.Random(f"wild/{seed}")  # noqa: S311 - it has to repeat
    link = LinkSpec(name="line", up=_line(draw), down=_line(draw))
    # A Retry token is good for half a minute, and bad lines may take longer to bring it back.
    tame = max(float(str(way["loss"])) for way in (link.up, link.down)) <= 0.05
    settings = {
        "idle_timeout": 600.0,
        "handshake_timeout": 3000.0,
        # Who only waits would never learn that a NAT has forgotten it.
        "keep_alive": 15.0,
        "max_udp_payload": draw.choice([1200, 1452, 8000]),
        "max_bidirectional_streams": draw.choice([2, 128]),
        "stream_window": draw.choice([4000, 512 * 1024]),
        "connection_window": draw.choice([8000, 1024 * 1024]),
    }
    flows = [
        FlowSpec(
            name="bulk",
            download=draw.choice([0, 1, 5000, 100_000, 300_000]),
            upload=draw.choice([0, 1, 5000, 100_000, 300_000]),
            streams=draw.choice([1, 1, 3, 40]),
            chunk=draw.choice([500, 1 << 18]),
            congestion=draw.choice(["cubic", "newreno"]),
            settings=settings,
        )
    ]
    if draw.random() < 0.5:
        flows.append(
            FlowSpec(
                name="requests",
                kind="requests",
                over="bulk",
                count=draw.randrange(1, 30),
                upload=draw.choice([0, 300, 3000]),
                download=draw.choice([0, 300, 30_000]),
                streams=draw.choice([1, 4]),
            )
        )
    return Scenario(
        name="wild",
        family="networks",
        about="drawn from the seed",
        time_limit=20_000.0,
        topology=Topology(
            hosts=(
                HostSpec(name="client", coalescing=draw.choice([0.0, 0.001, 0.02])),
                HostSpec(name="server", role="server", retry=draw.random() < 0.2 and tame),
            ),
            links=(link,),
            # Until the handshake is confirmed a client has no keep-alive and may be silent for
            # as long as its probe timeouts have grown. A NAT that forgets it in the meantime
            # kills the handshake, for which no endpoint can be blamed (RFC 9000 9: no
            # migration yet): its timeout lies above the handshake's.
            nats=(NatSpec(name="nat", timeout=3600.0),),
        ),
        flows=tuple(flows),
        happenings=tuple(_happening(draw) for _ in range(draw.choice([0, 0, 1, 3]))),
    )


def _line(draw: random.Random) -> dict[str, object]:
    """Any line, from a bad modem by satellite to a loopback with a grudge."""
    return {
        "rate": draw.choice([1e5, 1e6, 12.5e6, 1e9]),
        "delay": draw.choice([0.001, 0.0025, 0.02, 0.1, 0.3]),
        "queue_packets": draw.choice([5, 25, 200]),
        "loss": draw.choice([0, 0.01, 0.05, 0.2, 0.3]),
        "duplication": draw.choice([0, 0.05, 0.3]),
        "reordering": draw.choice([0, 0.05, 0.2]),
        "reordering_delay": draw.choice([0.001, 0.02, 0.5]),
        "corruption": draw.choice([0, 0.02, 0.1]),
        "jitter": draw.choice([0, 0.01, 0.2]),
    }


def _happening(draw: random.Random) -> Happening:
    at = draw.choice([0.05, 0.3, 1.0, 3.0])
    side = "client" if draw.random() < 0.5 else "server"
    kinds: tuple[Happening, ...] = (
        LinkDown(at=at, link="line", lasting=draw.choice([0.1, 2.0])),
        # Before the handshake is confirmed no address may change (RFC 9000 9).
        RebindPort(at=at, since="bulk", nat="nat"),
        RebindAddress(
            at=at, since="bulk", nat="nat", outside=f"198.51.100.{draw.randrange(2, 250)}"
        ),
        KeyUpdate(at=at, flow="bulk", side="client" if side == "client" else "server"),
        Ping(at=at, flow="bulk", side="client" if side == "client" else "server"),
    )
    return draw.choice(kinds)
