"""Figures agree with the clock that they are taken with, and with one another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import anyio
import pytest

from ropewalk.cli import perf
from ropewalk.cli.figures import Meter
from ropewalk.cli.parameters import HostPort


class Clock:
    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_the_rate_is_that_of_the_time_between_begin_and_the_last_stop() -> None:
    clock, cpu = Clock(), Clock()
    meter = Meter("server", clock, cpu)
    clock.now, cpu.now = 5.0, 1.0
    meter.begin()
    clock.now, cpu.now = 6.0, 1.5
    meter.bytes_sent += 125_000_000
    meter.stop()
    meter.begin()  # a further stream of the same transfer
    clock.now, cpu.now = 7.0, 2.0
    meter.bytes_sent += 125_000_000
    meter.stop()
    clock.now, cpu.now = 100.0, 50.0  # closing takes its time
    figures = meter.figures()
    assert figures.seconds == 2.0
    assert figures.cpu_seconds == 1.0
    assert figures.gbit_per_second == pytest.approx(1.0)
    assert figures.gbit_per_second * figures.seconds * 1e9 == figures.bytes_sent * 8


def test_a_meter_that_nobody_began_or_stopped_runs_all_the_time() -> None:
    clock, cpu = Clock(), Clock()
    meter = Meter("client", clock, cpu)
    clock.now, cpu.now = 3.0, 1.0
    assert meter.figures().seconds == 3.0
    assert meter.figures().cpu_seconds == 1.0


def test_a_run_closes_its_connections_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 5
    closing: list[int] = []

    async def main() -> None:
        together = anyio.Event()

        @asynccontextmanager
        async def connect(*_: object, **__: object) -> AsyncIterator[object]:
            yield SimpleNamespace(
                open_stream=anyio.lowlevel.checkpoint,
                stats=SimpleNamespace(packets_sent=1, packets_received=1, packets_lost=0),
            )
            closing.append(1)
            if len(closing) == count:
                together.set()
            with anyio.fail_after(5):
                await together.wait()  # one after the other, they would wait for ever

        async def transfer(*_: object) -> None:
            await anyio.lowlevel.checkpoint()

        monkeypatch.setattr(perf, "connect", connect)
        monkeypatch.setattr(perf, "transfer", transfer)
        host = HostPort("host", 1)
        figures = await perf._run(
            host, 0, 0, 1, count, settings={}, insecure=True, ca=None, pin=None
        )
        assert figures.connections == count

    anyio.run(main)
    assert len(closing) == count
