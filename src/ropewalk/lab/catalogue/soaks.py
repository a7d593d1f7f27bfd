"""Long runs whose happenings come by the hundred, and many short runs drawn from seeds."""

from __future__ import annotations

import random
from typing import Literal

from ropewalk.lab.catalogue.wild import wild_scenario
from ropewalk.lab.expected import Bound, Closed, Intact
from ropewalk.lab.machine import draw_calls, draw_plan, play
from ropewalk.lab.registry import catalogue
from ropewalk.lab.scenario import (
    FlowSpec,
    Happening,
    KeyUpdate,
    LinkDown,
    LinkSpec,
    NatSpec,
    RebindAddress,
    RebindPort,
    Scenario,
    Topology,
)
from ropewalk.lab.trial import Trial

_HOUR = 3600.0


def _telemetry(duration: float, rate: float, **settings: object) -> FlowSpec:
    return FlowSpec(
        name="telemetry",
        kind="messages",
        direction="up",
        rate=rate,
        size=500,
        duration=duration,
        settings=settings,
    )


@catalogue.scenario
def two_hours_of_key_updates() -> Scenario:
    """A third of the updates meet one of the other side's within a round trip."""
    draw = random.Random("two_hours_of_key_updates")  # noqa: S311 - it has to repeat
    updates: list[Happening] = []
    for minute in range(1, 120):
        side: Literal["client", "server"] = "client" if minute % 2 else "server"
        updates.append(KeyUpdate(at=60.0 * minute, flow="telemetry", side=side))
        if draw.random() < 0.33:
            other: Literal["client", "server"] = "server" if minute % 2 else "client"
            at = 60.0 * minute + draw.random() * 0.1
            updates.append(KeyUpdate(at=at, flow="telemetry", side=other))
    return Scenario(
        name="two_hours_of_key_updates",
        family="soak",
        about="a message each second for two hours, new keys each minute, now and then from "
        "both sides at once (RFC 9001 6)",
        time_limit=2.5 * _HOUR,
        topology=Topology(
            links=(
                LinkSpec(name="access", both={"rate": "1 Mbit/s", "delay": "40 ms", "loss": 0.01}),
            )
        ),
        flows=(_telemetry(2 * _HOUR, 500.0),),
        happenings=tuple(updates),
        expect=(
            Intact(),
            Bound(figure="key_updates", least=119),
            Bound(figure="latency_p50", most=0.06),
            Bound(figure="latency_max", most=1.0),
        ),
    )


@catalogue.scenario
def evening_behind_a_restless_nat() -> Scenario:
    """Each rebinding needs a connection ID that was not seen on the route before."""
    rebindings: list[Happening] = []
    for turn in range(1, 60):
        at = 240.0 * turn
        if turn % 3:
            rebindings.append(RebindPort(at=at, nat="carrier"))
        else:
            outside = f"198.51.100.{turn + 1}"
            rebindings.append(RebindAddress(at=at, nat="carrier", outside=outside))
    return Scenario(
        name="evening_behind_a_restless_nat",
        family="soak",
        about="four hours of messages while a NAT changes port or address every four minutes "
        "(RFC 9000 9.3)",
        time_limit=5 * _HOUR,
        topology=Topology(
            links=(LinkSpec(name="radio", both={"rate": "2 Mbit/s", "delay": "30 ms"}),),
            nats=(NatSpec(name="carrier"),),
        ),
        flows=(_telemetry(4 * _HOUR, 250.0),),
        happenings=tuple(rebindings),
        expect=(
            Intact(),
            Closed(code=0),
            Bound(figure="routes", least=60, most=60),
            Bound(figure="latency_max", most=0.5),
        ),
    )


@catalogue.scenario
def hour_of_outages() -> Scenario:
    """Outages from the blink of an eye to twelve seconds; the idle timeout is 30."""
    draw = random.Random("hour_of_outages")  # noqa: S311 - it has to repeat
    outages = tuple(
        LinkDown(at=40.0 * turn, link="radio", lasting=draw.choice((0.05, 0.5, 3.0, 12.0)))
        for turn in range(1, 90)
    )
    return Scenario(
        name="hour_of_outages",
        family="soak",
        about="an hour of messages over a line that goes down 89 times, for up to 12 s: "
        "nothing is missing",
        time_limit=2 * _HOUR,
        topology=Topology(
            links=(
                LinkSpec(name="radio", both={"rate": "2 Mbit/s", "delay": "30 ms", "loss": 0.01}),
            )
        ),
        flows=(_telemetry(_HOUR, 1_000.0),),
        happenings=outages,
        expect=(
            Intact(),
            Closed(code=0),
            Bound(figure="latency_p50", most=0.05),
            # An outage of 12 s, and the probe timeout that had backed off until then.
            Bound(figure="latency_max", least=12.0, most=27.0),
        ),
    )


@catalogue.play(
    family="soak",
    about="300 networks and loads drawn at random, one after the other: no law is broken anywhere",
    parameters={"runs": 300},
)
def wild_nights(trial: Trial) -> None:
    runs = int(str(trial.parameters["runs"]))
    for turn in range(runs):
        trial.play(wild_scenario(1000 * trial.seed + turn))
    trial.note("runs", runs)
    trial.check(trial.packets() > 300 * runs, "busy", f"only {trial.packets()} datagrams")


@catalogue.play(
    family="soak",
    about="two endpoints are told to do anything in any order, 2,000 times 70 calls, against a "
    "model",
    parameters={"walks": 2_000, "length": 70},
)
def walks_of_the_property_machine(trial: Trial) -> None:
    walks, length = int(str(trial.parameters["walks"])), int(str(trial.parameters["length"]))
    for turn in range(walks):
        seed = 100_000 * trial.seed + turn
        play(draw_plan(seed), draw_calls(seed, length))
    trial.note("walks", walks)
