"""The benchmarks run on this build; what their clocks say is nobody's business here."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewalk._build import running_build
from ropewalk.runtime.certificates import make_authority, make_certificate

BENCH = Path(__file__).parent.parent / "bench"
CORE = BENCH / "core.py"
HTTP3_LOAD = BENCH / "http3_load.py"
BOUND = 120.0
SIZE = 4_000_000


def figures() -> dict[str, float | int | str]:
    ended = subprocess.run(
        [sys.executable, str(CORE), "--bytes", str(SIZE), "--json"],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=True,
    )
    found: dict[str, float | int | str] = json.loads(ended.stdout)
    return found


def test_the_core_benchmark_repeats_from_its_seed_and_reports_every_figure() -> None:
    first, second = figures(), figures()
    for name in ("sender_us_per_packet", "receiver_us_per_packet"):
        assert float(first.pop(name)) > 0
        second.pop(name)
    for found in (first, second):
        assert abs(float(found.pop("live_blocks_per_packet"))) < 100
    assert first == second
    assert first["build"] == running_build().kind
    assert first["bytes"] == SIZE
    assert first["packets_lost"] == 0
    # Full packets of the second half, less what was on its way when it began.
    assert 100 < int(first["packets"]) < SIZE / 2 / 1400
    assert float(first["packets_per_burst"]) >= 1
    assert 0 < float(first["answers_per_packet"]) < 1


def test_every_load_of_the_http3_benchmark_completes_within_its_bounds(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    size = ["--requests", "12", "--connections", "3", "--rounds", "2"]
    ended = subprocess.run(
        [sys.executable, str(HTTP3_LOAD), "--build", "here", *size, "--json", "--page", str(page)],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    loads = {each["phase"]["key"]: each for each in json.loads(ended.stdout)}
    asked = {"gets": 12, "gets-open": 12, "posts": 12, "connections": 9}
    assert {key: each["asked"] for key, each in loads.items()} == {
        **asked,
        "get-rounds": 24,
        "connection-rounds": 18,
    }
    for each in loads.values():
        assert each["right"] == each["asked"]
        assert each["trouble"] == ""
        assert each["build"] == running_build().kind
        assert 1 <= each["peak_streams"] <= each["limit"]
    assert loads["posts"]["limit"] == 12
    assert loads["connections"]["peak_connections"] == 3
    assert len(loads["get-rounds"]["rounds_rss"]) == 2
    assert page.read_text().startswith("# HTTP/3 under load\n")


# ---------------------------------------------------------------- the suite

#: Tiny work for each of the programs' words: count, and what else it takes.
WORKS = {
    ("quic", "download"): ["--count", "200000", "--parallel", "3"],
    ("quic", "upload"): ["--count", "200000"],
    ("quic", "both"): ["--count", "200000"],
    ("quic", "requests"): ["--count", "12", "--parallel", "4"],
    ("quic", "messages"): ["--count", "100", "--ask", "64"],
    ("quic", "datagrams"): ["--count", "20", "--parallel", "4", "--ask", "1000"],
    ("quic", "handshakes"): ["--count", "4", "--parallel", "2"],
    ("quic", "latency"): ["--seconds", "0.1"],
    ("quic", "idle"): ["--count", "2", "--connections", "3", "--seconds", "0"],
    ("http3", "download"): ["--count", "600000"],
    ("http3", "upload"): ["--count", "600000"],
    ("http3", "requests"): ["--count", "12", "--parallel", "2", "--connections", "3"],
    ("http3", "idle"): ["--count", "2", "--connections", "3", "--seconds", "0"],
}
HERE = [sys.executable, str(BENCH / "peers" / "ropewalk_peer.py")]


def peers_programs() -> dict[str, list[str]]:
    """The other stacks' programs, as far as they are installed or built here."""
    found = {}
    twin = str(BENCH / "peers" / "twin_peer.py")
    for name in ("aioquic", "qh3"):
        if importlib.util.find_spec(name) is not None:
            found[name] = [sys.executable, twin, name]
    for name, program in (
        ("quic-go", BENCH / ".work" / "quic_go" / "quic-go-bench"),
        ("quinn", BENCH / ".work" / "quinn" / "release" / "quinn-bench"),
    ):
        if program.exists():
            found[name] = [str(program)]
    return found


PROGRAMS = {"ropewalk": HERE, **peers_programs()}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files for a server and its client."""
    folder = tmp_path_factory.mktemp("bench")
    authority = make_authority("Ropewalk bench")
    made = make_certificate(["localhost", "127.0.0.1"], issuer=authority)
    contents = {
        "certificate": made.cert_pem,
        "key": made.key_pem,
        "ca": authority.cert_pem,
    }
    for name, pem in contents.items():
        (folder / name).write_bytes(pem)
    return {name: str(folder / name) for name in contents}


def play(
    program: list[str], protocol: str, work: str, words: list[str], pair: dict[str, str]
) -> tuple[list[dict[str, float]], dict[str, float]]:
    """What the client printed, line by line, and what the server printed at its end."""
    words = ["--protocol", protocol, "--work", work, *words]
    files = ["--certificate", pair["certificate"], "--key", pair["key"]]
    with subprocess.Popen(
        [*program, "server", *words, *files], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            port = json.loads(server.stdout.readline())["port"]
            ended = subprocess.run(
                [*program, "client", *words, "--ca", pair["ca"], "--port", str(port)],
                capture_output=True,
                text=True,
                timeout=BOUND,
                check=False,
            )
            assert ended.returncode == 0, ended.stderr
            server.terminate()
            told, _ = server.communicate(timeout=BOUND)
        finally:
            server.kill()
    return [json.loads(line) for line in ended.stdout.splitlines()], json.loads(told)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize(("protocol", "work"), WORKS)
def test_every_program_does_every_work_and_tells_of_it(
    name: str, protocol: str, work: str, pair: dict[str, str]
) -> None:
    words = WORKS[protocol, work]
    client, server = play(PROGRAMS[name], protocol, work, words, pair)
    assert server["cpu"] > 0
    if work == "idle":
        assert [line["settled"] for line in client] == [2, 3]
        return
    (told,) = client
    count = int(words[1]) if words[0] == "--count" else 0
    assert told["seconds"] > 0
    assert told["cpu"] > 0
    if work in ("download", "upload", "both"):
        assert told["received"] == {"download": count, "upload": 0, "both": count // 2}[work]
        # Each packet holds at most the cap, and no stack sends packets half as large.
        brought = told["packets"] if work == "download" else server["packets"]
        least = (count if work != "both" else count // 2) / 1452
        assert least <= brought < 4 * least + 50
    elif work == "latency":
        assert told["count"] >= 1
        assert 0 < told["p50"] <= told["p99"]
    else:
        assert told["done"] == count


def test_the_hybrid_group_is_the_one_that_is_used(pair: dict[str, str]) -> None:
    words = ["--count", "2", "--group", "X25519MLKEM768"]
    ((told,), _) = play(HERE, "quic", "handshakes", words, pair)
    assert told["done"] == 2


class Told:
    """The runner's modules, which lie outside of any package."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Both folders have a run.py; the first on the path is the one put there last.
        for folder in (BENCH.parent / "interop", BENCH):
            monkeypatch.syspath_prepend(str(folder))
        self.arena = importlib.import_module("arena")
        self.rows = importlib.import_module("rows")
        self.rounds = importlib.import_module("rounds")
        self.summary = importlib.import_module("summary")
        self.targets = importlib.import_module("targets")
        self.contenders = importlib.import_module("contenders")
        self.memory = importlib.import_module("memory")
        self.sitting = importlib.import_module("sitting")
        self.page = importlib.import_module("page")
        self.chart = importlib.import_module("chart")
        self.where = importlib.import_module("where")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    before = set(sys.modules)
    yield Told(monkeypatch)
    # Their names are anybody's: page, run, rows.
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if Path(file).parent in (BENCH, BENCH.parent / "interop"):
            del sys.modules[name]


def test_a_run_of_the_runner_yields_a_sample_in_every_kind_of_row(
    bench: Told, pair: dict[str, str]
) -> None:
    arena = bench.arena.Arena(
        Path(pair["certificate"]), Path(pair["key"]), Path(pair["ca"]), 1452, (-1, -1)
    )
    build = running_build().kind
    stack = bench.contenders.Contender("ropewalk", "Ropewalk", HERE, build=build)
    for row in bench.rows.ROWS:
        if row.kind is bench.rows.Kind.MEMORY:
            continue
        sample = bench.rounds.run_once(row, stack, arena, 100 * row.first // 100, 0.05)
        assert sample.figure > 0
        assert bool(sample.packets) == bool(row.receiver), row.key
    crowd = bench.memory.Crowd(2, 3, 0.0)
    assert bench.memory.run_idle(bench.rows.BY_KEY["idle"], stack, arena, crowd).work == 3


def test_a_median_a_ratio_and_a_missed_target_are_computed_from_samples(bench: Told) -> None:
    sample = functools.partial(bench.rounds.Sample, "download", work=10**9, seconds=1.0)
    samples = [
        sample("ropewalk", figure=figure, client_cpu=2.0, server_cpu=1.0, packets=500_000)
        for figure in (1.0, 9.0, 8.0)
    ]
    samples.append(sample("qh3", figure=2.0))
    figures = bench.summary.Figures(bench.summary.summarize(samples))
    ours = figures.get("download", "ropewalk")
    assert (ours.figure, ours.least, ours.most, ours.runs) == (8.0, 1.0, 9.0, 3)
    assert (ours.client_cpu, ours.client_packet, ours.server_packet) == (2.0, 4.0, 2.0)
    assert figures.ratio("download", "ropewalk", "qh3") == 4.0
    assert figures.ratio("download", "ropewalk", "aioquic") is None
    missed = [one for one in bench.targets.judge_all(figures) if one.reached is False]
    assert [one.wanted.split()[-1] for one in missed] == ["qh3", "packet"]
    assert [one.found for one in missed] == ["4.00", "4.00"]


def test_a_profile_is_told_by_the_innermost_kind_of_code_without_the_waiting(bench: Told) -> None:
    loop = "main (a.py:1);_run_once (asyncio/base_events.py:9)"
    lines = [
        f"{loop};select (selectors.py:2) 50",
        f"{loop};pump (ropewalk/runtime/driver.py:3);sendto (libc.so.6) 4",
        f"{loop};pump (ropewalk/runtime/driver.py:3);now (anyio/_core.py:1);getpid (libc.so.6) 3",
        f"{loop};pump (ropewalk/runtime/driver.py:3) 2",
        f"{loop};pump (ropewalk/runtime/driver.py:3);gc_collect_main (libpython.so) 1",
        "import (main.py:1) 9",
    ]
    assert bench.where.count_kinds(lines) == {
        "socket calls": 4,
        "getpid": 3,
        "runtime": 2,
        "garbage collection": 1,
    }


def test_the_page_names_figures_ratios_and_what_a_stack_lacks(bench: Told) -> None:
    contenders = [
        bench.contenders.Contender("ropewalk", "Ropewalk, compiled", HERE, build="compiled"),
        bench.contenders.Contender("aioquic", "aioquic", [], lacks={"upload": "no uploads"}),
        bench.contenders.Contender("quinn", "quinn", [], missing="there is no cargo"),
    ]
    samples = [
        bench.rounds.Sample("download", "ropewalk", 10**9, 1.0, 8.0),
        bench.rounds.Sample("upload", "ropewalk", 10**9, 1.0, 6.0),
        bench.rounds.Sample("download", "aioquic", 10**9, 1.0, 0.5),
    ]
    summaries = bench.summary.summarize(samples)
    sitting = bench.sitting.Sitting(
        date="2026-11-20",
        machine={},
        load=0.0,
        mtu=1452,
        cores=(1, 0),
        contenders=contenders,
        summaries=summaries,
        verdicts=bench.targets.judge_all(bench.summary.Figures(summaries)),
        samples=samples,
        failures=[("upload", "ropewalk", "it broke")],
        core=[],
        commands=[],
    )
    page = bench.page.markdown(sitting, "p.svg", "p.json")
    assert "| Download, one stream | 8.00 | 0.50 (16.00) |" in page
    assert "| Upload, one stream | 6.00 | no uploads |" in page
    assert "20 \u00d7 aioquic | 16.0 | **missed** |" in page
    assert "* **quinn** was not run: there is no cargo." in page
    assert "failed in *Upload, one stream*: it broke" in page
    assert bench.chart.chart(sitting).startswith("<svg")
