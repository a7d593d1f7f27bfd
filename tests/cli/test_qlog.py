"""``--qlog`` on the commands that make connections."""

from __future__ import annotations

from pathlib import Path

from tests.observe.qlog_schema import records

from .conftest import perf_server, run


def test_perf_writes_a_qlog_of_each_connection_at_both_ends(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    with perf_server("--qlog", str(there)) as server:
        done = run(
            *("perf", "run", server.address, "--pin", server.pin, "--download", "20k"),
            *("--connections", "2", "--qlog", str(here)),
        )
        assert done.returncode == 0, done.stderr
    assert len(list(here.glob("*_client.sqlog"))) == 2
    assert len(list(there.glob("*_server.sqlog"))) == 2
    names = {path.name.split("_")[0] for path in here.iterdir()}
    assert names == {path.name.split("_")[0] for path in there.iterdir()}
    for path in here.iterdir():
        header, *events = records(path.read_bytes())
        assert header["trace"]["vantage_point"] == {"name": "ropewalk", "type": "client"}
        assert events[-1]["data"]["new"] == "closed"


def test_a_folder_that_cannot_be_written_is_an_error_before_anything_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file", "file/below"):
        done = run("get", "https://localhost:1/", "--qlog", str(tmp_path / name))
        assert done.returncode != 0
        assert "qlog" in done.stderr
