"""Programs on the asynchronous API are watched: what breaks in their connections is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import anyio
import pytest

from ropewalk.lab.async_watching import AsyncWatch
from ropewalk.lab.registry import load_catalogue
from ropewalk.lab.runner import run as play
from ropewalk.lab.testbed import Testbed
from ropewalk.lab.virtual_time import BACKENDS, Backend, run
from ropewalk.quic.connection import Connection as CoreConnection
from ropewalk.quic.types.errors import ConnectionLost
from ropewalk.runtime import Connection, Settings
from ropewalk.sim.invariants import Violation
from ropewalk.sim.network import Network

each_backend = pytest.mark.parametrize("backend", BACKENDS)
Deed = Callable[[CoreConnection], None]


def exchange(
    backend: Backend, deed: Deed = lambda core: None, settings: Settings | None = None
) -> Testbed:
    """A megabyte to the server, in whose middle the client's connection suffers a deed."""
    testbed = Testbed(3)

    async def read(connection: Connection) -> None:
        async for stream in connection:
            async for _ in stream:
                pass

    async def main() -> None:
        async with (
            testbed.running(),
            testbed.serve(read, **(settings or Settings())),
            testbed.connect() as connection,
        ):
            stream = await connection.open_stream()
            async with stream:
                for piece in range(100):
                    if piece == 50:
                        deed(connection.core)
                    with anyio.move_on_after(1.0):
                        await stream.send(bytes(10_000))

    with suppress(ConnectionLost):  # some deeds have their consequences
        run(main, backend=backend, seed=3)
    return testbed


def leak_bytes_in_flight(core: CoreConnection) -> None:
    core.state.path.active.recovery.bytes_in_flight += 1200


def shrink_the_window(core: CoreConnection) -> None:
    core.state.path.active.recovery.controller.congestion_window = 2399


def lose_a_stream(core: CoreConnection) -> None:
    core.state.streams._registry.opened += 1


def number_backwards(core: CoreConnection) -> None:
    core.state.path.space.ledger.next_packet_number -= 2


def grow_the_datagrams(core: CoreConnection) -> None:
    core.state.path.active.datagram_size = 1300


def ignore_the_limits(core: CoreConnection) -> None:
    core.state.streams.on_max_data(1 << 40)
    core.state.streams.on_max_stream_data(0, 1 << 40)


@each_backend
def test_both_ends_are_watched_and_nothing_is_wrong(backend: Backend) -> None:
    testbed = exchange(backend)
    assert testbed.watch.connections == 2
    testbed.watch.raise_first()


@each_backend
@pytest.mark.parametrize(
    ("deed", "law"),
    [
        (leak_bytes_in_flight, "bytes_in_flight_consistent"),
        (shrink_the_window, "cwnd_never_below_minimum"),
        (lose_a_stream, "streams_balance"),
        (number_backwards, "packet_numbers_rise"),
        (grow_the_datagrams, "payload_cap"),
        (ignore_the_limits, "flow_control_respected"),
    ],
)
def test_a_fault_in_a_connection_is_told(backend: Backend, deed: Deed, law: str) -> None:
    small = Settings(stream_window=20_000, stream_window_limit=20_000, connection_window=20_000)
    testbed = exchange(backend, deed, small if deed is ignore_the_limits else None)
    with pytest.raises(Violation) as caught:
        testbed.watch.raise_first()
    assert caught.value.invariant_id == f"inv.quic.{law}"
    assert caught.value.host == "client"


@pytest.mark.parametrize("name", ["cancelled_http_get", "http3_hints_and_trailers"])
def test_a_program_has_packets_a_duration_and_a_trace(name: str) -> None:
    scenario = load_catalogue().get(name)
    changes = {"every": "4"} if name.startswith("cancelled") else {}
    first, second = (play(scenario, overrides=changes) for _ in range(2))
    assert first.packets > 10
    assert first.virtual_seconds > 0.05
    assert first.trace == second.trace != ""
    assert play(scenario, seed=99, overrides=changes).trace != first.trace


class _StuckDriver:
    """A driver whose endpoint's deadline never moves: no seam of the real one reaches there."""

    def __init__(self, deadlines: list[float]) -> None:
        self.endpoint = self
        self.connections: dict[CoreConnection, Connection] = {}
        self._deadlines = deadlines

    def now(self) -> float:
        return 10.0

    def deadline(self) -> float:
        return self._deadlines.pop(0)


def test_a_timer_that_fires_twice_in_the_past_is_told() -> None:
    watch = AsyncWatch(Network(1))
    stuck = _StuckDriver([9.0, 11.0, 9.0, 9.0])
    for broken in (0, 0, 0, 1):
        watch.on_timeout(stuck)  # type: ignore[arg-type]  # it stands in for a driver
        assert len(watch.violations) == broken
    assert watch.violations[0].invariant_id == "inv.quic.deadlines"
