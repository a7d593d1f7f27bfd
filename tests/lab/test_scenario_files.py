"""Scenarios as documents: what may stand there, and what is said when something else does."""

import pytest

from ropewalk.lab.expected import Bound
from ropewalk.lab.quantities import parse_quantity
from ropewalk.lab.registry import Registry, load_catalogue
from ropewalk.lab.scenario import FlowSpec, LinkDown, Scenario
from ropewalk.lab.scenario_file import from_document, load_scenario, override, to_document
from ropewalk.quic.types.errors import ConfigurationError

WHOLE = """
family = "networks"
about = "everything at once"
time_limit = "2 min"

[hosts.client]
addresses = ["192.0.2.1", "192.0.2.2"]

[hosts.server]
role = "server"
settings.max_bidirectional_streams = 5

[links.access]
rate = "10 Mbit/s"
delay = "20 ms"
queue = { kind = "codel", target = "5 ms" }
down.rate = "50 Mbit/s"

[flows.download]
download = "1 MB"
congestion = "newreno"

[[happenings]]
at = "1 s"
do = "link down"
link = "access"
lasting = "500 ms"

[[expect]]
that = "bound"
figure = "completion_time"
most = 10
"""


def written(tmp_path, text, name="everything.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_becomes_a_scenario_with_the_files_name(tmp_path):
    scenario = load_scenario(written(tmp_path, WHOLE))
    assert (scenario.name, scenario.time_limit) == ("everything", 120.0)
    assert scenario.topology.hosts[1].settings == {"max_bidirectional_streams": 5}
    assert scenario.topology.links[0].down == {"rate": "50 Mbit/s"}
    assert scenario.flows == (FlowSpec(name="download", download=1_000_000, congestion="newreno"),)
    assert scenario.happenings == (LinkDown(at=1.0, link="access", lasting=0.5),)
    assert scenario.expect == (Bound(figure="completion_time", most=10.0),)


@pytest.mark.parametrize("name", [one.name for one in load_catalogue().all()])
def test_every_scenario_of_the_catalogue_survives_being_written_and_read(name):
    scenario = load_catalogue().get(name)
    if isinstance(scenario, Scenario):
        assert from_document(to_document(scenario)) == scenario


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('family = "networks"', 'family = "nothing"', "family: 'nothing' must be one of"),
        ('about = "everything at once"', "", "about is missing"),
        ('"2 min"', '"2 parsec"', "time_limit: '2 parsec' is not a number with one of the units"),
        ("congestion =", "kongestion =", "flows.download.kongestion is unknown; allowed are"),
        ('do = "link down"', 'do = "link bend"', r"happenings\[0\].do is 'link bend'"),
        ('that = "bound"', 'what = "bound"', r"expect\[0\].that is None; it must be one of"),
        ("[links.access]", "[links]\naccess = 3\n[rest]", "links.access is 3; it must be a table"),
        ("most = 10", 'most = "ten"', r"expect\[0\].most: 'ten' is not a number"),
        ("[flows.download]", "[flows.Down]", "names are lower-case letters and digits"),
        ("[flows", "flows", r"everything.toml: Expected"),
    ],
)
def test_what_is_wrong_is_told_with_file_key_and_what_is_allowed(tmp_path, old, new, told):
    assert old in WHOLE
    path = written(tmp_path, WHOLE.replace(old, new, 1))
    with pytest.raises(ConfigurationError, match=told) as caught:
        load_scenario(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("value", "kind", "meant"),
    [
        ("20 ms", "seconds", 0.02),
        ("1.5h", "seconds", 5400.0),
        (3, "seconds", 3.0),
        ("8 Mbit/s", "rate", 1e6),
        ("1 kB/s", "rate", 1000.0),
        ("inf", "rate", float("inf")),
        ("64 KiB", "bytes", 65536.0),
    ],
)
def test_quantities_have_units(value, kind, meant):
    assert parse_quantity(value, kind) == pytest.approx(meant)


class TestOverrides:
    @pytest.fixture
    def scenario(self, tmp_path):
        return load_scenario(written(tmp_path, WHOLE))

    def test_a_key_is_changed_as_in_the_file(self, scenario):
        changed = override(
            scenario,
            {"links.access.rate": "5 Mbit/s", "flows.download.streams": "7", "time_limit": "1 h"},
        )
        assert changed.topology.links[0].both["rate"] == "5 Mbit/s"
        assert (changed.flows[0].streams, changed.time_limit) == (7, 3600.0)

    def test_a_star_means_all_of_a_table(self, scenario):
        assert override(scenario, {"flows.*.congestion": "cubic"}).flows[0].congestion == "cubic"

    def test_lists_are_counted_from_0(self, scenario):
        assert override(scenario, {"happenings.0.at": "2 s"}).happenings[0].at == 2.0

    def test_settings_may_be_added(self, scenario):
        changed = override(scenario, {"flows.download.settings.idle_timeout": "5.0"})
        assert changed.flows[0].settings == {"idle_timeout": 5.0}

    @pytest.mark.parametrize(
        ("key", "told"),
        [
            ("links.acces.rate", "there is no 'acces', only access"),
            ("happenings.7.at", "there are 1 of them"),
            ("happenings.first.at", "'first' is not a number in a list"),
            ("name.of", "'of' has nothing below it"),
            ("flows.download.kongestion", "flows.download.kongestion is unknown"),
        ],
    )
    def test_a_key_that_nothing_has_is_told(self, scenario, key, told):
        with pytest.raises(ConfigurationError, match=told):
            override(scenario, {key: "1"})


def test_two_scenarios_of_one_name_are_refused_and_near_names_are_offered():
    registry = Registry()
    one = Scenario(name="first_one", family="soak", about="…")
    registry.add(one)
    with pytest.raises(ConfigurationError, match="two scenarios are called 'first_one'"):
        registry.add(one)
    with pytest.raises(ConfigurationError, match="near to it: first_one"):
        registry.get("frist_one")
