"""``ropewalk demo``: two processes, one file."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ropewalk.cli import demo as demo_module
from ropewalk.cli.demo_server import make_file

from .conftest import BOUND, COMMAND, run


def test_a_file_crosses_and_both_sides_report() -> None:
    ended = run("demo", "--size", "4M", "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["intact"]
    assert told["client"]["bytes_received"] == told["server"]["bytes_sent"] == 4_000_000
    for side in ("client", "server"):
        assert told[side]["cpu_us_per_packet"] > 0
        assert told[side]["packets_sent"] > 0


def test_people_get_a_table_and_the_digest() -> None:
    ended = run("demo", "--size", "300K", "--mtu", "1200")
    assert ended.returncode == 0, ended.stderr
    for part in ("Gbit/s", "client", "server", "retransmissions", "arrived intact"):
        assert part in ended.stdout


@pytest.mark.parametrize("arguments", [("--size", "0"), ("--size", "x"), ("--mtu", "70000")])
def test_a_wrong_call_ends_with_exit_code_2(arguments: tuple[str, ...]) -> None:
    assert run("demo", *arguments).returncode == 2


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    digest = make_file(tmp_path / "file", 2_500_000)
    assert (tmp_path / "file").stat().st_size == 2_500_000
    assert demo_module.sha256_of(tmp_path / "file") == digest
    (tmp_path / "file").write_bytes(b"something else")
    assert demo_module.sha256_of(tmp_path / "file") != digest


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_reader_that_went_away_is_no_error_to_talk_about(more: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [*COMMAND, "demo", "--size", "10K", *more],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=BOUND,
            check=False,
        )
    finally:
        os.close(writing)
    assert ended.returncode == 1
    for word in ("Error", "Broken pipe", "Traceback", "Exception ignored"):
        assert word not in ended.stderr
