"""Runs repeat to the byte, report what happened, and stop at what is broken."""

import json
from pathlib import Path

import pytest

from ropewalk.lab.campaign import Task, play_all
from ropewalk.lab.outcome import Outcome
from ropewalk.lab.recording import Recording
from ropewalk.lab.registry import load_catalogue
from ropewalk.lab.replay import read_replay, write_replay
from ropewalk.lab.runner import run
from ropewalk.lab.scenario import CustomScenario
from ropewalk.lab.scenario_file import from_document
from ropewalk.lab.trial import Trial
from ropewalk.quic.types.errors import ConfigurationError
from tests.hash_seeds import prints_under_hash_seeds

#: Traces of short scenarios, the same on every build and every machine. One that changes
#: means that packets changed: be sure why, then write them anew with
#: ``python -m tests.lab.test_runner``.
TRACES_FILE = Path(__file__).with_name("traces.json")
TRACES = json.loads(TRACES_FILE.read_text(encoding="utf-8"))


def small(**changes):
    return from_document(
        {
            "name": "small",
            "family": "happy path",
            "about": "200 kB",
            "time_limit": 60,
            "links": {"access": {"rate": "20 Mbit/s", "delay": "10 ms", "loss": 0.02}},
            "flows": {"download": {"download": 200_000}},
            **changes,
        }
    )


@pytest.mark.parametrize("name", TRACES)
def test_a_scenario_leaves_the_trace_that_it_always_left(name):
    outcome = run(load_catalogue().get(name))
    assert outcome.breaches == ()
    assert outcome.trace == TRACES[name]


def test_the_same_seed_repeats_the_run_and_another_does_not():
    first, again, other = run(small()), run(small()), run(small(), seed=2)
    assert first.trace == again.trace != other.trace
    assert first.flows == again.flows
    assert first.series == again.series


def test_a_handshake_that_cannot_be_seeded_repeats_in_what_its_packets_say():
    scenario = load_catalogue().get("hybrid_key_exchange")
    assert run(scenario).trace == run(scenario).trace != run(scenario, seed=2).trace


def test_another_process_with_another_hash_seed_repeats_the_trace():
    program = (
        "from ropewalk.lab.registry import load_catalogue; from ropewalk.lab.runner import run; "
        "print(run(load_catalogue().get('random_loss')).trace)"
    )
    assert prints_under_hash_seeds(program) == {TRACES["random_loss"]}


def test_watching_does_not_change_a_run():
    recording = Recording()
    assert run(small(), watching=recording.watching).trace == run(small()).trace
    assert len(recording.qlogs()) == 2


def test_an_outcome_tells_figures_series_and_the_command():
    outcome = run(small(), 3, {"links.access.loss": "0.01"})
    flow = outcome.flow("download")
    assert flow.intact
    assert flow.figures["received"] == 200_000
    assert 0.02 < flow.figures["handshake_time"] < flow.figures["completion_time"] < 2.0
    assert outcome.links["access.down"]["delivered"] > 160
    assert {one.figure for one in outcome.series} >= {"throughput", "queue_length"}
    assert outcome.command == "ropewalk lab run small --seed 3 --set links.access.loss=0.01"
    assert json.dumps(outcome.as_json())


def test_an_expectation_that_is_not_met_is_told():
    scenario = small(expect=[{"that": "bound", "figure": "completion_time", "most": 0.05}])
    (breach,) = run(scenario).breaches
    assert breach.id == "expect.bound"
    assert "at most 0.05 is expected" in breach.text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"flows": {"a": {"client": "nobody"}}}, "there is no client 'nobody'"),
        ({"flows": {"a": {"over": "b"}, "b": {}}}, "runs over 'b', which is no earlier flow"),
        ({"flows": {"a": {"settings": {"windows": 1}}}}, "there is no setting 'windows'"),
        ({"flows": {"a": {"settings": {"stream_window": 0}}}}, "stream_window is 0"),
        ({"links": {"a": {"rat": 1}}}, "links.a.rat is unknown; allowed are rate"),
        ({"links": {"a": {"queue": {"kind": "x"}}}}, "links.a.queue: kind is 'x'"),
        ({"routes": [{"via": ["b"]}]}, "there is no link, NAT or middlebox 'b'"),
        ({"happenings": [{"do": "ping", "at": 1, "flow": "x"}]}, "there is no flow 'x'"),
        ({"happenings": [{"do": "link up", "at": 1, "link": "x"}]}, "there is no link 'x'"),
        ({"expect": [{"that": "bound", "figure": "x"}]}, "no figure 'x'"),
        ({"expect": [{"that": "intact", "flow": "x"}]}, "there is no flow 'x'"),
    ],
)
def test_a_scenario_that_cannot_be_played_is_refused(changes, told):
    with pytest.raises(ConfigurationError, match=told):
        run(small(**changes))


# -- replay


def test_a_failed_run_is_replayed_from_its_file(tmp_path):
    scenario = small(expect=[{"that": "bound", "figure": "completion_time", "most": 0.05}])
    overrides = {"links.access.loss": "0.05"}
    outcome = run(scenario, 5, overrides)
    path = tmp_path / "deep" / "small-5.json"
    write_replay(path, scenario, outcome)
    replay = read_replay(path)
    again = replay.again()
    assert replay.differences(again) == []
    assert again.command == outcome.command


def test_a_replay_that_differs_says_in_what(tmp_path):
    outcome = run(small())
    path = tmp_path / "small.json"
    write_replay(path, small(), outcome)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["trace"] = "0" * 64
    path.write_text(json.dumps(document), encoding="utf-8")
    (difference,) = read_replay(path).differences(outcome)
    assert difference == f"the trace is {outcome.trace}, it was {'0' * 64}"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "ropewalk lab replay 1"}'])
def test_what_is_no_replay_file_is_refused(tmp_path, text):
    path = tmp_path / "some.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"some\.json is no"):
        read_replay(path)


# -- several runs, and functions


def test_a_campaign_gives_the_same_outcomes_on_any_number_of_processes():
    tasks = [Task(name="lost_server_flight", seed=seed) for seed in (1, 2, 3)]
    told: list[Outcome] = []
    alone, together = play_all(tasks), play_all(tasks, 2, told.append)
    assert [one.trace for one in alone] == [one.trace for one in together]
    assert sorted(one.seed for one in told) == [1, 2, 3]


def test_a_function_may_be_a_scenario():
    def play(trial: Trial) -> None:
        trial.note("rounds", float(trial.parameters["rounds"]))
        trial.check(trial.parameters["rounds"] < 5, "few_rounds", "too many rounds")

    scenario = CustomScenario(
        name="own", family="soak", about="a function", play=play, parameters={"rounds": 3}
    )
    assert run(scenario).notes == {"rounds": 3.0}
    (breach,) = run(scenario, 1, {"rounds": "9"}).breaches
    assert (breach.id, breach.text) == ("expect.few_rounds", "too many rounds")
    with pytest.raises(ConfigurationError, match="own has no such parameter; there are: rounds"):
        run(scenario, 1, {"round": "9"})


if __name__ == "__main__":
    traces = {name: run(load_catalogue().get(name)).trace for name in TRACES}
    TRACES_FILE.write_text(json.dumps(traces, indent=1) + "\n", encoding="utf-8")
