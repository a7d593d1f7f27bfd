"""Programs in virtual time: the clock jumps, runs repeat, and what cannot go on says why."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from ropewalk.lab.testbed import Testbed
from ropewalk.lab.virtual_time import BACKENDS, Backend, Deadlock, Livelock, RealIO, run
from ropewalk.runtime import Connection
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.network import Network
from ropewalk.sim.pump import follow_loop
from tests.hash_seeds import prints_under_hash_seeds

ROOT = Path(__file__).resolve().parents[2]
LOSSY = LinkProfile(rate=1_250_000.0, delay=0.015, jitter=0.004, loss=0.03, reordering=0.02)

pytestmark = pytest.mark.parametrize("backend", BACKENDS)


def test_a_month_is_slept_through_at_once(backend: Backend) -> None:
    async def main() -> float:
        await anyio.sleep(30 * 86400)
        return anyio.current_time()

    assert run(main, backend=backend) == 30 * 86400


def test_timers_fire_at_their_times_to_the_last_bit(backend: Backend) -> None:
    times = [0.1 + 0.2, 0.3, 1e-9, 1e-9 + 1e-17, 12345.678901234567]
    seen: list[float] = []

    async def wait(when: float) -> None:
        await anyio.sleep_until(when)
        seen.append(anyio.current_time())

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for when in times:
                tasks.start_soon(wait, when)

    run(main, backend=backend)
    # A timer may share the turn of one that is due no measurable time before it.
    assert seen == pytest.approx(sorted(times), rel=0.0, abs=1e-9)
    assert seen[-1] == max(times)


def test_results_and_errors_come_out_as_they_are(backend: Backend) -> None:
    async def answer() -> int:
        await checkpoint()
        return 42

    async def fail() -> None:
        await checkpoint()
        raise LookupError("mine")

    assert run(answer, backend=backend) == 42
    with pytest.raises(LookupError, match="mine"):
        run(fail, backend=backend)


def test_waiting_until_all_tasks_are_blocked_lets_no_time_pass(backend: Backend) -> None:
    if backend == "asyncio":
        pytest.skip("there anyio looks every 0.1 s, which virtual time makes pass")

    async def main() -> float:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 100)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        return anyio.current_time()

    assert run(main, backend=backend) == 0.0


# -- what cannot go on


def test_a_deadlock_names_every_task_and_where_it_waits(backend: Backend) -> None:
    async def wait_for_what_never_comes(event: anyio.Event) -> None:
        await event.wait()

    async def main() -> None:
        event = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_for_what_never_comes, event, name="the waiter")
            await anyio.sleep(5)
            await event.wait()

    with pytest.raises(Deadlock, match="at 5 s of virtual time") as caught:
        run(main, backend=backend)
    (waiter,) = [line for line in caught.value.waits if line.startswith("the waiter: ")]
    assert "test_virtual_time.py" in waiter
    assert " wait_for_what_never_comes > " in waiter
    assert len(caught.value.waits) == 2


def test_a_deadlock_in_a_context_manager_is_seen_through(backend: Backend) -> None:
    async def idle(connection: Connection) -> None:
        await connection.wait_closed()

    async def main() -> None:
        testbed = Testbed()
        async with testbed.running(), testbed.serve(idle, idle_timeout=0.0):
            await anyio.Event().wait()

    with pytest.raises(Deadlock) as caught:
        run(main, backend=backend)
    text = str(caught.value)
    assert "ropewalk timer: " in text
    assert "_run_timer" in text
    assert "simulated network: " in text


def test_a_deadlock_behind_a_shield_ends_the_run_too(backend: Backend) -> None:
    async def main() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.Event().wait()

    with pytest.raises(Deadlock):
        run(main, backend=backend)


def test_what_is_open_is_closed_when_a_deadlock_ends_the_run(backend: Backend) -> None:
    closed = []

    async def main() -> None:
        try:
            await anyio.Event().wait()
        finally:
            closed.append(anyio.current_time())

    with pytest.raises(Deadlock):
        run(main, backend=backend)
    assert closed == [0.0]


def test_tasks_that_never_let_time_pass_are_found_out(backend: Backend) -> None:
    async def main() -> None:
        await anyio.sleep(3)
        while True:
            await checkpoint()

    with pytest.raises(Livelock, match="at 3 s"):
        run(main, backend=backend)


def test_a_thread_is_an_error(backend: Backend) -> None:
    async def main() -> None:
        await anyio.to_thread.run_sync(time.sleep, 0.01)

    with pytest.raises(RealIO, match="thread"):
        run(main, backend=backend)


def test_a_real_socket_is_an_error(backend: Backend) -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        with one, other:
            await anyio.wait_readable(one)

    with pytest.raises(RealIO):
        run(main, backend=backend)


def test_the_names_of_the_real_world_are_an_error(backend: Backend) -> None:
    async def main() -> None:
        await anyio.getaddrinfo("ropewalk.invalid", 443)

    with pytest.raises(RealIO):
        run(main, backend=backend)


def test_the_old_ways_into_an_executor_are_an_error(backend: Backend) -> None:
    if backend == "trio":
        pytest.skip("trio has none")

    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.01)

    with pytest.raises(RealIO, match="executor"):
        run(main, backend=backend)


# -- the network's clock


def test_a_networks_clock_follows_the_loop(backend: Backend) -> None:
    happened: list[tuple[float, float]] = []

    async def main() -> None:
        network = Network(1)
        clock = network.clock

        def note() -> None:
            happened.append((clock.now, anyio.current_time()))

        await anyio.sleep(7)
        async with follow_loop(network):
            clock.at(10.0, note)
            await checkpoint()
            clock.at(9.0, note)  # earlier than what is slept for
            await anyio.sleep(5)
            assert clock.now == 10.0
            with pytest.raises(RuntimeError, match="follows a loop already"):
                async with follow_loop(network):
                    pass

    run(main, backend=backend)
    assert happened == [(9.0, 9.0), (10.0, 10.0)]


# -- the same way every time


def crowd(seed: int, backend: Backend) -> str:
    """Many tasks over bad links, some of them cancelled together; the trace of it all."""

    async def echo(connection: Connection) -> None:
        async for stream in connection:
            async with stream:
                async for data in stream:
                    await stream.send(data)

    async def talk(connection: Connection, number: int) -> None:
        async with await connection.open_stream() as stream:
            await stream.send(bytes([number]) * 3000)
            await stream.send_eof()
            async for _ in stream:
                pass

    async def client(testbed: Testbed, number: int) -> None:
        with anyio.move_on_after(0.25 + number / 16):
            async with testbed.connect() as connection, anyio.create_task_group() as tasks:
                for each in range(8):
                    tasks.start_soon(talk, connection, each)

    async def main() -> str:
        testbed = Testbed(seed, LOSSY)
        async with (
            testbed.running(),
            testbed.serve(echo, max_bidirectional_streams=3),
            anyio.create_task_group() as tasks,
        ):
            for number in range(4):
                tasks.start_soon(client, testbed, number)
        return testbed.network.trace()

    return run(main, backend=backend, seed=seed)


def test_one_seed_gives_one_trace(backend: Backend) -> None:
    assert crowd(1, backend) == crowd(1, backend)
    assert crowd(1, backend) != crowd(2, backend)


def test_hash_seeds_and_addresses_in_memory_change_nothing(backend: Backend) -> None:
    program = (
        "import os\n"
        "from tests.lab.test_virtual_time import crowd\n"
        "ballast = [object() for _ in range(int(os.environ['PYTHONHASHSEED']) * 1001)]\n"
        f"print(crowd(1, {backend!r}))"
    )
    assert prints_under_hash_seeds(program) == {crowd(1, backend)}
