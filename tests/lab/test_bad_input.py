"""Scenarios and replay files with something wrong in them: told on one line, never played."""

import json

import pytest

from ropewalk.lab.play import Play
from ropewalk.lab.registry import load_catalogue
from ropewalk.lab.replay import read_replay, replay_document, write_replay
from ropewalk.lab.runner import run
from ropewalk.lab.scenario import CustomScenario, FlowSpec
from ropewalk.lab.scenario_file import from_document, load_scenario
from ropewalk.quic.types.errors import ConfigurationError
from tests.cli.conftest import run as command

GOOD = """
family = "networks"
about = "a little comes down a line"
time_limit = "2 min"
[links.line]
rate = "8 Mbit/s"
delay = "10 ms"
"""


def toml(tmp_path, text, flow="download = 1000"):
    path = tmp_path / "some.toml"
    path.write_text(f"{GOOD}\n[flows.a]\n{flow}\n{text}", encoding="utf-8")
    return path


def refused(path):
    """What is said about a scenario file, on one line."""
    with pytest.raises(ConfigurationError) as caught:
        Play(load_scenario(path), 1)
    told = str(caught.value)
    assert "\n" not in told
    return told


BAD_FLOWS = {
    "upload = 1000\nchunk = 0": "flow a: chunk is 0; it must be from 1",
    "upload = 1000\nchunk = -5": "flow a: chunk is -5",
    "download = inf": "flows.a.download: inf must be from 0",
    "download = nan": "flows.a.download: nan must be from 0",
    'download = "1e400"': "flows.a.download: cannot convert float infinity",
    "download = -5": "flow a: download is -5",
    "upload = -5": "flow a: upload is -5",
    'kind = "messages"\nrate = 9\nduration = 1\nsize = 0': "flow a: size is 0; it must be from 1",
    'kind = "messages"\nrate = 9\ncount = 1\nsize = -1': "flow a: size is -1",
    'kind = "messages"\nrate = inf\ncount = 3': "flow a: rate is inf",
    'kind = "messages"\nrate = nan\ncount = 3': "flow a: rate is nan",
    'kind = "messages"\nrate = 9': "flow a: messages need a count or a duration",
    'kind = "requests"\ncount = -3': "flow a: count is -3",
    "interface = 3": "flow a: interface is 3; client has 1, counted from 0",
    "interface = -1": "flow a: interface is -1",
    "start = -5": "flow a: start is -5.0; it must be a finite number of seconds, 0 or more",
    "duration = -5": "flow a: duration is -5.0",
    "streams = 0": "flow a: streams is 0",
    "close_code = -1": "flow a: close_code is -1",
    "settings.entropy = 5": "flow a: there is no setting 'entropy'; allowed are",
    'settings.idle_timeout = "x"': "flow a: setting idle_timeout is 'x'; it must be like 30.0",
    "settings.groups = 5": "flow a: setting groups is 5; it must be like",
}


@pytest.mark.parametrize("flow", BAD_FLOWS)
def test_what_is_wrong_with_a_flow_is_told(tmp_path, flow):
    assert BAD_FLOWS[flow] in refused(toml(tmp_path, "", flow))


def happening(text):
    return f"[[happenings]]\n{text}"


BAD_TABLES = {
    happening('do = "ping"\nflow = "a"\nat = nan'): "happenings[0].at is nan",
    happening('do = "ping"\nflow = "a"\nat = -3'): "happenings[0].at is -3.0",
    happening('do = "close"\nflow = "a"\nat = 1\ncode = -7'): "happenings[0].code is -7",
    happening('do = "drop datagrams"\nlink = "line"\nway = "up"\nat = 0\nevery = 0'): (
        "happenings[0].every is 0; it must be a finite number, 1 or more"
    ),
    happening('do = "drop datagrams"\nlink = "x"\nway = "up"\nat = 50'): (
        "happenings[0]: there is no link 'x'; there are: line"
    ),
    happening('do = "link down"\nlink = "x"\nat = 50'): (
        "happenings[0]: there is no link 'x'; there are: line"
    ),
    happening('do = "rebind port"\nnat = "x"\nat = 50'): (
        "happenings[0]: there is no NAT 'x'; there are: none"
    ),
    happening('do = "rebind address"\nnat = "x"\noutside = "here"\nat = 50'): (
        "happenings[0].outside is 'here'; it must be an IP address"
    ),
    happening('do = "interface down"\nhost = "client"\ninterface = 7\nat = 50'): (
        "happenings[0]: client has no interface 7; it has 1"
    ),
    happening('do = "interface down"\nhost = "x"\nat = 50'): "there is no host 'x'",
    happening('do = "change profile"\nlink = "line"\nat = 50\nprofile = { rte = 5 }'): (
        "happenings[0]: profile.rte is unknown; allowed are rate"
    ),
    happening('do = "reset stream"\nflow = "a"\nstream = 99\nat = 50'): (
        "happenings[0]: stream is 99; flow a has 1, counted from 0"
    ),
    '[[expect]]\nthat = "fair"\nflows = ["zz"]': "expect[0].flows: there is no flow 'zz'; there",
    '[[expect]]\nthat = "closed"\nerror = "Bored"': (
        "expect[0].error: there is no error 'Bored'; there are ApplicationError"
    ),
    '[[expect]]\nthat = "bound"\nfigure = "x"': "expect[0].figure: there is no figure 'x'",
    '[[expect]]\nthat = "bound"\nfigure = "goodput"\nleast = nan': "expect[0].least is nan",
    '[hosts.client]\naddresses = ["not an ip"]\n[hosts.server]\nrole = "server"': (
        "host client: an address is 'not an ip'; it must be an IP address"
    ),
    '[hosts.client]\naddresses = ["2001:DB8::1"]\n[hosts.server]\nrole = "server"': (
        "write it as '2001:db8::1'"
    ),
    '[hosts.client]\naddresses = ["1.2.3.4"]\n[hosts.server]\nrole = "server"\n'
    'addresses = ["1.2.3.4"]': "host server: an address is 1.2.3.4, which host client has",
    '[nats.n]\noutside = "203.0.113.2"': "NAT n: outside is 203.0.113.2, which host server has",
    "[nats.n]\ntimeout = -1": "NAT n: timeout is -1.0",
    "[middleboxes.m]\nlargest = -4": "middlebox m: largest is -4",
    '[middleboxes.m]\necn = "eat"': "middleboxes.m.ecn: 'eat' must be one of 'pass', 'bleach'",
    '[[routes]]\nclient = "client:abc"': "'client:abc' is no interface; write client, or client:1",
    '[[routes]]\nvia = ["zz"]': "there is no link, NAT or middlebox 'zz'; there are: line",
    "[links.b]\nqueue_bdp = -1": "link b: queue_bdp is -1.0",
    "[links.b]\nmtu = inf": "links.b.mtu: inf is not a finite number",
    "[links.b]\noutages = [5]": "links.b.outages: 5 is not [start, end]",
    '[links.b]\nqueue = { kind = "fq-codel", flows = "7" }': "links.b.queue: flows is '7'",
    '[links.b]\nqueue = { kind = "codel", flow = 7 }': "links.b.queue: codel has no 'flow'",
    '[links.b]\nloss_model = { kind = "script", numbers = 5 }': "numbers is 5; it must be a list",
    '[links.b]\ntrace = "nowhere"': "links.b.trace: ",
    '[links.b]\npreset = "wify"': "links.b.preset is 'wify'; there are fibre",
    '[links.b]\npreset = "wifi+lte"': (
        'write links.wifi.preset = "wifi", links.lte.preset = "lte", and a [[routes]] for each: '
        'client = "client:0", via = ["wifi"] and client = "client:1", via = ["lte"]'
    ),
}


@pytest.mark.parametrize("table", BAD_TABLES)
def test_what_is_wrong_elsewhere_is_told_before_anything_happens(tmp_path, table):
    assert BAD_TABLES[table] in refused(toml(tmp_path, table))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"2 min"', "nan", "time_limit is nan"),
        ('"2 min"', "-4", "time_limit is -4.0"),
        ('"2 min"', '"1.2.3 s"', "time_limit: '1.2.3' is not a number"),
        ('"2 min"', "9" * 5000, "Exceeds the limit"),
        ('about = "', 'seed = -4\nabout = "', "seed is -4"),
    ],
)
def test_what_is_wrong_with_the_whole_is_told(tmp_path, old, new, told):
    path = toml(tmp_path, "")
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert f"{path}: " in refused(path)
    assert told in refused(path)


def test_the_command_names_the_file_of_what_cannot_be_played(tmp_path):
    path = toml(tmp_path, "", "interface = 3")
    ended = command("lab", "run", str(path))
    assert ended.returncode == 2
    assert f"{path}: flow a: interface is 3" in ended.stderr


@pytest.mark.parametrize("value", ["many", "nan", "1.5", "true"])
def test_a_function_gets_numbers_for_its_numbers(value):
    scenario = CustomScenario(
        name="own", family="soak", about="…", play=lambda trial: None, parameters={"rounds": 3}
    )
    with pytest.raises(ConfigurationError, match=r"--set rounds: .* is not a whole number"):
        run(scenario, 1, {"rounds": value})


# -- replay files


def replay_of(tmp_path, **changes):
    scenario = load_scenario(toml(tmp_path, ""))
    document = json.loads(json.dumps(replay_document(scenario, run(scenario))))
    path = tmp_path / "some.json"
    path.write_text(json.dumps({**document, **changes}), encoding="utf-8")
    return path


BAD_REPLAYS = {
    "document": ("abc", "document is 'abc'; it must be a table"),
    "overrides": ([1, 2], "overrides is [1, 2]; it must be a table"),
    "breaches": ([{"x": 1}], "breaches[0] is {'x': 1}; it must have id"),
    "virtual_seconds": ("x", "virtual_seconds is 'x'; it must be a number"),
    "scenario": (5, "scenario is 5; it must be text"),
    "trace": (5, "trace is 5; it must be text"),
}


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        *((key, *rest) for key, rest in BAD_REPLAYS.items()),
        ("overrides", {"time_limit": 5}, "overrides.time_limit is 5; it must be text"),
        ("seed", "x", "seed is 'x'; it must be a whole number"),
        ("seed", [1], "seed is [1]; it must be a whole number"),
        ("seed", 1.5, "seed is 1.5; it must be a whole number"),
        ("seed", -5, "seed is -5; it must be 0 or more"),
    ],
)
def test_what_is_wrong_in_a_replay_file_is_told(tmp_path, key, value, told):
    path = replay_of(tmp_path, **{key: value})
    with pytest.raises(ConfigurationError) as caught:
        read_replay(path)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 200_000, "9" * 5000])
def test_json_without_end_is_no_replay_file(tmp_path, text):
    path = tmp_path / "some.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"some\.json is no replay file"):
        read_replay(path)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("time_limit", "1e400", "time_limit is inf"),
        ("mtu", "Infinity", "links.line.mtu: inf is not a finite number"),
        ("trace", '"/etc/hostname"', "links.line.trace: '/etc/hostname' is no list of millisec"),
    ],
)
def test_a_scenario_in_a_replay_file_is_checked_and_reads_no_other_file(tmp_path, key, value, told):
    path = replay_of(tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    table = document["document"] if key == "time_limit" else document["document"]["links"]["line"]
    table[key] = "…"
    text = json.dumps(document, ensure_ascii=False).replace('"…"', value)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_replay(path).again()
    assert str(path) in str(caught.value)
    assert told in str(caught.value)


def test_the_overrides_of_a_replay_file_read_no_other_file_either(tmp_path):
    path = replay_of(tmp_path, overrides={"links.line.trace": "/etc/hostname"})
    with pytest.raises(ConfigurationError, match="is no list of milliseconds"):
        read_replay(path).again()


def test_a_rate_trace_beside_the_file_becomes_part_of_the_scenario(tmp_path):
    (tmp_path / "train.trace").write_text("1\n5\n9\n", encoding="utf-8")
    path = tmp_path / "train.toml"
    path.write_text(
        'family = "networks"\nabout = "a train"\n'
        '[links.line]\ndelay = 0.01\ndown.trace = "train.trace"\n[flows.a]\ndownload = 20000\n'
        '[[happenings]]\ndo = "change profile"\nlink = "line"\nway = "up"\nat = 0.05\n'
        'profile = { trace = "train.trace" }\n',
        encoding="utf-8",
    )
    scenario = load_scenario(path)
    (tmp_path / "train.trace").unlink()
    outcome = run(scenario)
    assert outcome.passed
    assert scenario.topology.links[0].down == {"trace": [1, 5, 9]}
    write_replay(tmp_path / "train.json", scenario, outcome)
    replay = read_replay(tmp_path / "train.json")
    assert replay.differences(replay.again()) == []


# -- what a file can say


def scenario(**changes):
    document = {
        "name": "some",
        "family": "networks",
        "about": "…",
        "links": {"line": {"rate": "8 Mbit/s", "delay": "10 ms"}},
        "flows": {"a": {"download": 200_000}},
    }
    return from_document({**document, **changes})


@pytest.mark.parametrize(("symmetric", "mappings"), [(False, 1), (True, 2)])
def test_a_nat_may_be_symmetric(symmetric, mappings):
    play = Play(
        scenario(
            hosts={"client": {}, "server": {"role": "server"}, "other": {"role": "server"}},
            nats={"n": {"symmetric": symmetric, "filtering": False}},
            flows={"a": {"download": 1000}, "b": {"download": 1000, "server": "other"}},
        ),
        1,
    )
    assert play.outcome().passed
    assert play.stage.nat("n").counters.mappings == mappings


@pytest.mark.parametrize("ecn", ["mark", "swap"])
def test_a_middlebox_may_mark_or_swap(ecn):
    play = Play(scenario(middleboxes={"box": {"ecn": ecn}}), 1)
    assert play.outcome().passed
    assert play.stage.middleboxes["box"].ecn == ecn


RSA = {"client": {}, "server": {"role": "server", "certificate": "rsa"}}
HYBRID = {"a": {"settings": {"groups": ["X25519MLKEM768"], "key_shares": ["X25519MLKEM768"]}}}


@pytest.mark.parametrize("flows", [{"a": {"download": 1000}}, HYBRID])
def test_a_handshake_that_cannot_be_seeded_is_compared_by_what_it_said(flows):
    one = scenario(hosts=RSA, flows=flows)
    assert run(one).trace == run(one).trace


@pytest.mark.parametrize("flows", [HYBRID, {"a": {"settings": {"deterministic_signing": False}}}])
def test_a_handshake_of_another_length_in_every_run_is_refused(flows):
    with pytest.raises(ConfigurationError, match='needs certificate = "rsa" on host server'):
        run(scenario(flows=flows))


# -- happenings one on top of the other


def test_a_line_is_down_until_the_last_outage_ends():
    first = {"do": "link down", "link": "line", "at": 0.05, "lasting": 3.0}
    within = {**first, "at": 1.0, "lasting": 1.0}
    again = {**first, "at": 3.0, "lasting": 2.0}
    play = Play(scenario(happenings=[first, within, again]), 1)
    seen = []
    for moment in (0.04, 0.5, 2.5, 4.0, 5.5):
        play.network.clock.at(moment, lambda: seen.append(play.stage.link("line.up").up))
    assert play.outcome().passed
    assert seen == [True, False, False, False, True]


def test_what_takes_a_line_up_ends_all_outages():
    down = {"do": "link down", "link": "line", "at": 0.05, "lasting": 3.0}
    up = {"do": "link up", "link": "line", "at": 1.0}
    later = {**down, "at": 2.0}
    flows = {"a": {"kind": "idle", "duration": 6.0}}
    play = Play(scenario(happenings=[down, up, later], flows=flows), 1)
    seen = []
    for moment in (0.5, 1.5, 3.5, 5.5):
        play.network.clock.at(moment, lambda: seen.append(play.stage.link("line.up").up))
    assert play.outcome().passed
    assert seen == [False, True, False, True]


def test_a_profile_loses_only_the_change_that_is_over():
    slow = {"do": "change profile", "link": "line", "at": 1.0, "lasting": 2.0}
    slow["profile"] = {"rate": 50_000, "delay": "30 ms"}
    far = {**slow, "at": 2.0, "lasting": 2.0, "profile": {"delay": "90 ms"}}
    flows = {"a": {"kind": "idle", "duration": 6.0}}
    play = Play(scenario(happenings=[slow, far], flows=flows), 1)
    link = play.stage.link("line.down")
    seen = []
    for moment in (0.5, 1.5, 2.5, 3.5, 4.5):
        play.network.clock.at(moment, lambda: seen.append((link.profile.rate, link.profile.delay)))
    assert play.outcome().passed
    assert seen == [(1e6, 0.01), (5e4, 0.03), (5e4, 0.09), (1e6, 0.09), (1e6, 0.01)]


def test_wild_does_not_blame_an_endpoint_for_a_nat_that_forgets_a_handshake():
    assert run(load_catalogue().get("wild"), 20033).passed


def test_a_flow_made_in_python_is_checked_as_one_in_a_file():
    with pytest.raises(ConfigurationError, match="flow a: start is nan"):
        FlowSpec(name="a", start=float("nan"))
