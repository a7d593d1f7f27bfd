"""Many connections at once, which would make long files."""

from __future__ import annotations

from ropewalk.lab.expected import Bound, Closed, Fair, Intact
from ropewalk.lab.registry import catalogue
from ropewalk.lab.scenario import FlowSpec, HostSpec, LinkSpec, Scenario, Topology

_SERVER = HostSpec(name="server", role="server")


@catalogue.scenario
def forty_handshakes_at_once() -> Scenario:
    """They meet in the queue of the server's line, and some flights are lost there."""
    return Scenario(
        name="forty_handshakes_at_once",
        family="happy path",
        about="forty clients open connections in the same moment over a thin line: all get through",
        time_limit=60.0,
        topology=Topology(
            hosts=(*(HostSpec(name=f"client{number}") for number in range(40)), _SERVER),
            links=(LinkSpec(name="thin", both={"rate": "2 Mbit/s", "delay": "30 ms"}),),
        ),
        flows=tuple(
            FlowSpec(
                name=f"client{number}",
                kind="requests",
                client=f"client{number}",
                count=2,
                upload=200,
                download=2_000,
            )
            for number in range(40)
        ),
        expect=(
            Intact(),
            Closed(code=0),
            Bound(figure="handshake_time", most=2.0),
            Bound(figure="completion_time", most=4.0),
        ),
    )


@catalogue.scenario
def two_hundred_connections_in_turn() -> Scenario:
    """The next begins while the one before drains; all leave from one address."""
    return Scenario(
        name="two_hundred_connections_in_turn",
        family="soak",
        about="200 connections, ten in a second, between two machines: each ends as it should",
        time_limit=120.0,
        topology=Topology(
            links=(LinkSpec(name="access", both={"rate": "20 Mbit/s", "delay": "15 ms"}),)
        ),
        flows=tuple(
            FlowSpec(
                name=f"connection{number}",
                start=0.1 * number,
                download=20_000,
                upload=5_000,
                closes="client" if number % 2 else "server",
                close_code=number % 7,
            )
            for number in range(200)
        ),
        expect=(
            Intact(),
            Closed(),
            Closed(side="server"),
            Bound(figure="handshake_time", most=0.05),
            Bound(figure="packets_lost", most=0),
        ),
    )


@catalogue.scenario
def six_flows_share_a_bottleneck() -> Scenario:
    """Three of each controller, as on a line that a family shares."""
    return Scenario(
        name="six_flows_share_a_bottleneck",
        family="networks",
        about="three downloads by CUBIC and three by NewReno on one line: nobody is starved "
        "(RFC 9438 4.3)",
        time_limit=120.0,
        topology=Topology(
            hosts=(*(HostSpec(name=f"client{number}") for number in range(6)), _SERVER),
            links=(
                LinkSpec(
                    name="bottleneck",
                    queue_bdp=1.0,
                    both={"rate": "30 Mbit/s", "delay": "20 ms"},
                ),
            ),
        ),
        flows=tuple(
            FlowSpec(
                name=f"{congestion}{number}",
                client=f"client{number}",
                start=0.2 * number,
                duration=40.0,
                warmup=10.0,
                congestion=congestion,
            )
            for number, congestion in enumerate(("cubic", "newreno") * 3)
        ),
        expect=(Fair(least=0.9), Bound(figure="use", link="bottleneck.down", least=0.95)),
    )


@catalogue.scenario
def ten_uploads_meet_at_a_tiny_queue() -> Scenario:
    """Incast: what a storage server sees."""
    return Scenario(
        name="ten_uploads_meet_at_a_tiny_queue",
        family="networks",
        about="ten uploads begin in the same moment before a queue of 30 packets: all come through",
        time_limit=60.0,
        topology=Topology(
            hosts=(*(HostSpec(name=f"client{number}") for number in range(10)), _SERVER),
            links=(
                LinkSpec(
                    name="switch",
                    both={"rate": "100 Mbit/s", "delay": "200 us", "queue_packets": 30},
                ),
            ),
        ),
        flows=tuple(
            FlowSpec(name=f"client{number}", client=f"client{number}", upload=500_000)
            for number in range(10)
        ),
        expect=(Intact(), Bound(figure="completion_time", most=1.5)),
    )
