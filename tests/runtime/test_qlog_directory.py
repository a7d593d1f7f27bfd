"""qlogs in a folder: their names, their limits, and what a failure costs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ropewalk.observe.counters import Counters
from ropewalk.runtime.qlog import QlogDirectory
from ropewalk.runtime.settings import client_configuration
from tests.connection.pair import EPOCH, Pair
from tests.observe.qlog_schema import Schema, records
from tests.observe.watched import move


def directory(path: Path) -> QlogDirectory:
    return QlogDirectory(path, wall_clock=lambda: EPOCH)


def finish(pair: Pair) -> None:
    pair.client.close(0, "", pair.now)
    pair.drive(5.0)


def test_both_ends_write_a_file_named_after_the_connection(tmp_path: Path) -> None:
    observer = directory(tmp_path / "made" / "here")
    pair = Pair(client={"observer": observer}, server={"observer": observer}).connect()
    move(pair, 10_000)
    finish(pair)
    name = pair.client.state.original_destination_cid.hex()
    files = sorted(path.name for path in (tmp_path / "made" / "here").iterdir())
    assert files == [f"{name}_client.sqlog", f"{name}_server.sqlog"]
    schema = Schema()
    for path in (tmp_path / "made" / "here").iterdir():
        header, *events = records(path.read_bytes())
        assert schema.header_faults(header) == []
        assert [fault for event in events for fault in schema.event_faults(event)] == []
        assert events[-1]["data"]["new"] == "closed"


def test_no_file_is_ever_overwritten(tmp_path: Path) -> None:
    observer = directory(tmp_path)
    for _ in range(3):
        observer.connection(0.0, False, b"\xab", "", "192.0.2.1:1")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["ab_server.sqlog", "ab_server_2.sqlog", "ab_server_3.sqlog"]


def test_a_folder_that_cannot_be_made_costs_only_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    observer = directory(tmp_path / "file")
    with caplog.at_level(logging.WARNING, "ropewalk.runtime"):
        pair = Pair(client={"observer": observer}, server={"observer": observer}).connect()
        finish(pair)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cannot write qlogs" in caplog.text


def test_the_variable_qlogdir_adds_an_observer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QLOGDIR", f"{tmp_path}/")
    counters = Counters()
    for given in (None, counters):
        configuration = client_configuration(
            "localhost", "test", None, None, None, None, observer=given
        )
        assert configuration.observer is not None
        watcher = configuration.observer.connection(0.0, True, b"\x01", "", "192.0.2.1:1")
        watcher.packet_received(0.0, 3, 0, 0, 40, b"\x01")
    assert len(list(tmp_path.iterdir())) == 2
    assert counters.values()["PacketsRx"] == 1


def test_without_the_variable_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QLOGDIR", raising=False)
    assert client_configuration("localhost", "test", None, None, None, None).observer is None
