"""The catalogue is whole, and a part of it, drawn by a seed, holds. ``make lab`` runs it all."""

from collections import Counter
from random import Random

import pytest

from ropewalk.lab.expected import EXPECTATIONS, FLOW_FIGURES, LINK_FIGURES, Bound, Fair, Intact
from ropewalk.lab.registry import load_catalogue
from ropewalk.lab.runner import run
from ropewalk.lab.scenario import FAMILIES, HAPPENINGS, CustomScenario, Scenario
from ropewalk.sim.presets import PRESETS

ALL = load_catalogue().all()
FILES = [one for one in ALL if isinstance(one, Scenario)]
FUNCTIONS = [one for one in ALL if isinstance(one, CustomScenario)]

each = pytest.mark.parametrize("scenario", ALL, ids=lambda one: one.name)
each_file = pytest.mark.parametrize("scenario", FILES, ids=lambda one: one.name)


def test_there_are_seventy_and_more_and_every_family_has_some():
    families = Counter(one.family for one in ALL)
    assert len(ALL) >= 70
    assert set(families) == set(FAMILIES)
    assert min(families.values()) >= 7


def test_no_name_and_no_story_is_told_twice():
    assert len({one.name for one in ALL}) == len(ALL)
    assert len({one.about for one in ALL}) == len(ALL)


@each
def test_a_scenario_tells_its_story_in_a_line(scenario):
    assert 20 <= len(scenario.about) <= 140
    assert not scenario.about.endswith(".")


@each_file
def test_a_scenario_expects_more_than_that_everything_arrives_some_day(scenario):
    assert any(not isinstance(one, Intact) for one in scenario.expect)


@each_file
def test_expectations_are_about_flows_links_and_figures_that_there_are(scenario):
    flows = {flow.name for flow in scenario.flows}
    links = {f"{link.name}.{way}" for link in scenario.topology.links for way in ("up", "down")}
    for one in scenario.expect:
        if isinstance(one, Fair):
            assert set(one.flows) <= flows
        else:
            assert one.flow in {"", *flows}
        if isinstance(one, Bound):
            assert one.link in {"", *links}
            assert one.figure in (LINK_FIGURES if one.link else FLOW_FIGURES)
            assert one.least <= one.most


def test_everything_that_a_scenario_can_say_is_said_somewhere():
    assert {type(one) for each in FILES for one in each.happenings} == {*HAPPENINGS.values()}
    assert {type(one) for each in FILES for one in each.expect} == {*EXPECTATIONS.values()}
    kinds = {flow.kind for each in FILES for flow in each.flows}
    assert kinds == {"bulk", "requests", "messages", "datagrams", "idle"}
    tables = [
        table
        for each in FILES
        for link in each.topology.links
        for table in (link.both, link.up, link.down)
    ]
    queues = {table["queue"]["kind"] for table in tables if "queue" in table}
    assert queues == {"codel", "fq-codel", "ecn-threshold", "dualpi2"}
    for figure in (
        "loss",
        "loss_model",
        "reordering",
        "duplication",
        "corruption",
        "jitter",
        "trace",
    ):
        assert any(figure in table for table in tables), figure


def test_bulk_runs_over_every_preset():
    over = {
        link.preset
        for each in FILES
        for link in each.topology.links
        if each.name.startswith("bulk_over_")
    }
    assert over == set(PRESETS)


# -- a part of it runs

#: How much a quick scenario carries, in bytes: a second of interpreted Python at most.
QUICK = 2_100_000
#: Functions that take longer.
LONG = ("http3_one_large_body", "http3_small_requests_beside_a_large_one")


def burden(scenario):
    """About how many bytes a scenario's flows carry."""
    total = 0
    for flow in scenario.flows:
        if flow.kind == "bulk":
            total += flow.download + flow.upload if not flow.duration else 10 * QUICK
        elif flow.kind == "requests":
            # An exchange is a few packets, whatever its size.
            total += flow.count * (flow.download + flow.upload + 2_000)
        elif flow.kind != "idle":
            total += flow.count * flow.size or int(flow.duration * flow.rate)
    return total


def drawn():
    draw = Random("catalogue")
    quick = [one for one in FILES if burden(one) <= QUICK and one.family != "soak"]
    http3 = [one for one in FUNCTIONS if one.family == "http3" and one.name not in LONG]
    return [*draw.sample(quick, 36), *draw.sample(http3, 10)]


@pytest.mark.parametrize("scenario", drawn(), ids=lambda one: one.name)
def test_what_a_scenario_expects_holds(scenario):
    outcome = run(scenario)
    assert outcome.passed, outcome.breaches


# -- and notices


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("first_byte_after_two_round_trips", {"links.access.delay": "60 ms"}, "expect.bound"),
        (
            "server_asks_for_another_key_share",
            {
                "hosts.client.settings.groups": '["P-256"]',
                "hosts.client.settings.key_shares": '["P-256"]',
            },
            "expect.bound",
        ),
        ("streams_without_a_byte", {"flows.empty.count": "299"}, "expect.streams_ended"),
        ("server_says_goodbye", {"flows.download.close_code": "41"}, "expect.closed"),
        ("client_leaves_in_the_middle", {"happenings.0.code": "8"}, "expect.closed"),
        (
            "shorter_idle_timeout_counts",
            {"hosts.server.settings.idle_timeout": "9.0"},
            "expect.bound",
        ),
        ("nat_is_kept_awake", {"nats.home.timeout": "10 s"}, "expect.bound"),
        ("tunnel_takes_1200_bytes", {"middleboxes.tunnel.largest": "1199"}, "expect.intact"),
        ("mtu_black_hole", {"middleboxes.tunnel.largest": "1452"}, "expect.bound"),
        ("datagrams_are_not_sent_again", {"links.access.down.loss": "0.1"}, "expect.bound"),
        ("reordering_is_not_loss", {"links.access.down.reordering_delay": "20 ms"}, "expect.bound"),
        ("lost_client_hello", {"happenings.0.last": "2"}, "expect.bound"),
    ],
)
def test_a_scenario_notices_when_its_world_is_another(name, changes, told):
    outcome = run(load_catalogue().get(name), None, changes)
    assert told in {breach.id for breach in outcome.breaches}
