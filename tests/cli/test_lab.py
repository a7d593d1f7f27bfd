"""``ropewalk lab`` as it is typed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .conftest import run

QUICK = "lost_server_flight"


def test_the_list_shows_families_and_names() -> None:
    ended = run("lab", "list")
    assert ended.returncode == 0, ended.stderr
    for part in ("happy path", "loss", "soak", QUICK):
        assert part in ended.stdout


def test_the_list_of_one_family_for_a_program() -> None:
    lines = run("lab", "list", "--family", "loss", "--json").stdout.splitlines()
    assert QUICK in [json.loads(line)["name"] for line in lines]
    assert {json.loads(line)["family"] for line in lines} == {"loss"}


def test_people_get_a_table_with_virtual_and_wall_seconds() -> None:
    ended = run("lab", "run", QUICK)
    assert ended.returncode == 0, ended.stderr
    for part in ("virtual s", "wall s", "µs/packet", QUICK, "passed", "1 run, none failed"):
        assert part in ended.stdout


def test_runs_take_one_seed_after_the_other() -> None:
    ended = run("lab", "run", QUICK, "--seed", "7", "--runs", "3", "--json")
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [one["seed"] for one in told] == [7, 8, 9]
    assert all(one["passed"] for one in told)


def test_a_failure_tells_how_to_see_it_again_and_replay_confirms_it(tmp_path: Path) -> None:
    replays = str(tmp_path / "replays")
    ended = run("lab", "run", QUICK, "--set", "expect.1.least=99", "--replays", replays)
    assert ended.returncode == 1
    assert "expect.bound at" in ended.stderr
    assert f"again: ropewalk lab run {QUICK} --seed 1 --set expect.1.least=99" in ended.stderr
    (file,) = os.listdir(replays)
    again = run("lab", "replay", str(Path(replays, file)))
    assert again.returncode == 0
    assert "the same run, byte for byte" in again.stdout


def test_a_replay_of_another_run_ends_with_exit_code_1(tmp_path: Path) -> None:
    run("lab", "run", QUICK, "--set", "expect.1.least=99", "--replays", str(tmp_path))
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text().replace('"seed": 1', '"seed": 2'))
    ended = run("lab", "replay", str(file), "--json")
    assert ended.returncode == 1
    assert not json.loads(ended.stdout)["same"]


def test_a_report_and_qlogs_are_written(tmp_path: Path) -> None:
    page, logs = tmp_path / "out.html", tmp_path / "logs"
    ended = run("lab", "run", QUICK, "--report", str(page), "--qlog", str(logs))
    assert ended.returncode == 0, ended.stderr
    assert QUICK.replace("_", " ") in page.read_text()
    assert len(list(logs.iterdir())) == 2


def test_the_table_is_put_into_a_page_and_replaced_there(tmp_path: Path) -> None:
    page = tmp_path / "lab.md"
    page.write_text("# The lab\n\nText.\n")
    for _ in range(2):
        assert run("lab", "run", QUICK, "--markdown", str(page)).returncode == 0
    text = page.read_text()
    assert text.startswith("# The lab\n\nText.\n")
    assert text.count(f"| `{QUICK}` | loss |") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run",), "give NAMEs, or --all, or --family"),
        (("run", "--all", QUICK), "give NAMEs, or --all, or --family"),
        (("run", "lost_server_fligth"), f"near to it: {QUICK}"),
        (("run", QUICK, "--set", "seed"), "write KEY=VALUE"),
        (("run", QUICK, "--set", "flows.x.streams=1"), "there is no 'x', only download"),
        (("run", QUICK, "--runs", "2", "--report", "x.html"), "--report shows one run"),
        (("run", "nowhere.toml"), "nowhere.toml"),
        (("replay", "nowhere.json"), "nowhere.json"),
    ],
)
def test_a_wrong_call_ends_with_exit_code_2(arguments: tuple[str, ...], told: str) -> None:
    ended = run("lab", *arguments)
    assert ended.returncode == 2
    assert told in ended.stderr
