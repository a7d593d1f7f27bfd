"""``ropewalk doctor`` tells, and changes nothing."""

from __future__ import annotations

import socket

import pytest
from click.testing import CliRunner

from ropewalk.cli import doctor as doctor_module
from ropewalk.cli import main
from ropewalk.cli.doctor import FAIL, OK, WARN, Finding, examine
from ropewalk.net.sockets import Abilities

from .conftest import perf_server, run


def test_every_topic_has_a_line() -> None:
    ended = run("doctor")
    assert ended.returncode == 0, ended.stderr
    for topic in (
        *("build", "Python", "authorities", "GSO and GRO", "ECN", "receive buffer"),
        *("send buffer", "IPv6", "clock", "timers"),
    ):
        assert any(line[5:].startswith(topic) for line in ended.stdout.splitlines()), topic


def test_what_is_not_well_has_a_remedy() -> None:
    for finding in examine(None):
        assert finding.grade in (OK, WARN, FAIL)
        assert bool(finding.remedy) is (finding.grade != OK), finding


def test_a_missing_ability_is_told_with_its_remedy() -> None:
    none = Abilities(gso=False, gro=False, ecn=False, pktinfo=False, dont_fragment=False)
    finding = doctor_module._check_gso(none)
    assert finding.grade == WARN
    assert "GSO and GRO" in finding.found
    assert finding.remedy
    small = doctor_module._check_buffer("receive buffer", 212_992, "net.core.rmem_max")
    assert small.remedy == "sudo sysctl -w net.core.rmem_max=4194304"


def test_a_clock_that_was_never_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_module.time, "time", lambda: 0.0)
    finding = doctor_module._check_clock()
    assert finding.grade == WARN
    assert "1970" in finding.found


def test_a_host_that_does_not_answer_is_a_failure() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ended = run("doctor", f"127.0.0.1:{port}")
    assert ended.returncode == 1
    assert f"no QUIC answer from 127.0.0.1:{port}" in ended.stdout
    assert "nobody listens" in ended.stdout
    assert "lines above" in ended.stderr


def test_a_host_without_http3_shows_that_udp_gets_through() -> None:
    with perf_server() as server:
        ended = run("doctor", server.address)
    assert ended.returncode == 0
    assert f"{server.address} answers, so UDP gets through" in ended.stdout


def test_the_lines_are_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Finding(OK, "one", "good"), Finding(FAIL, "another", "bad", "mend it")]
    monkeypatch.setattr(doctor_module, "examine", lambda server: iter(found))
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "ok   one             good",
        "FAIL another         bad",
        "                     → mend it",
    ]
