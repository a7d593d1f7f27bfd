"""``ropewalk trace``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import run
from tests.lab.qlogs import DATA, head, packet, sequence, stream

CLIENT, SERVER = str(DATA / "quic_go_client.sqlog"), str(DATA / "quic_go_server.sqlog")


def test_it_tells_who_what_and_how_it_ended() -> None:
    result = run("trace", SERVER)
    assert result.returncode == 0, result.stderr
    told = result.stdout.replace("\N{NO-BREAK SPACE}", " ")
    assert told.startswith("quic_go_server.sqlog: server (quic-go v0.65.0), JSON-SEQ, quic-14")
    assert "protocol    QUIC v1, h3\n" in told
    assert "lost        9 packets, 18.8 %; 0 spurious; 7.9 kB sent again" in told
    assert "finished (GET /40k)" in told
    assert "end         closed by the peer: application error 0x0" in told


def test_json_has_a_line_for_each_trace() -> None:
    result = run("trace", "--json", CLIENT, SERVER)
    client, server = (json.loads(line) for line in result.stdout.splitlines())
    assert (client["vantage_point"], server["vantage_point"]) == ("client", "server")
    assert client["connection"] == server["connection"]
    assert server["packets_lost"] == 9
    assert server["loss_rate"] == pytest.approx(9 / 48)
    assert client["data_received"] == server["data_sent"]
    assert client["oddities"] == {}


def test_packets_are_listed_with_their_fates() -> None:
    lines = run("trace", "--packets", SERVER).stdout.splitlines()
    assert sum("> 1RTT" in line and " lost after " in line for line in lines) == 9
    assert any("< initial" in line and "CRYPTO 0 + 64" in line for line in lines)


def test_the_page_holds_both_ends(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = run("trace", CLIENT, SERVER, "--html", str(page))
    assert result.returncode == 0
    assert str(page) in result.stderr
    text = page.read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "quic_go_client.sqlog, quic_go_server.sqlog" in text


def test_what_is_broken_is_counted(tmp_path: Path) -> None:
    log = tmp_path / "broken.sqlog"
    log.write_bytes(sequence(head(), packet(0, "sent", 0, stream(0, 5))) + b"\x1e{oops\n\x1e7\n")
    result = run("trace", str(log))
    assert result.returncode == 0
    assert "odd         broken records: 1\n" in result.stdout
    assert "odd         records that are no objects: 1\n" in result.stdout


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "the file is empty"), (b"PK\x03\x04", "no qlog"), (b"\x1f\x8b\x08\x00", "decompress")],
)
def test_another_file_is_a_wrong_call(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    result = run("trace", str(path))
    assert result.returncode == 2
    assert result.stderr.startswith("Error: ")
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_missing_file_is_one_line() -> None:
    result = run("trace", "/nowhere/at.qlog")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_json_and_packets_exclude_one_another() -> None:
    assert run("trace", "--json", "--packets", SERVER).returncode == 2
