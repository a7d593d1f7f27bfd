"""Run an asynchronous program in virtual time, the same way every time.

An hour passes in the time that it takes to compute what happens in it. On asyncio and on trio
alike, nothing depends on wall time, addresses in memory or hash seeds: with one seed, two runs
do the same in the same order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

import anyio

from ropewalk.lab.stalls import Deadlock, Livelock, RealIO, VirtualTimeError
from ropewalk.lab.virtual_asyncio import VirtualTimeLoop

__all__ = [
    "BACKENDS",
    "Backend",
    "Deadlock",
    "Livelock",
    "RealIO",
    "VirtualTimeError",
    "VirtualTimeLoop",
    "run",
]

T = TypeVar("T")

Backend = Literal["asyncio", "trio"]
BACKENDS: Final[tuple[Backend, ...]] = ("asyncio", "trio")


def run(main: Callable[[], Awaitable[T]], *, backend: Backend = "asyncio", seed: int = 0) -> T:
    """Run ``main()`` to its end in virtual time and return what it returned.

    ``anyio.current_time()`` begins at 0 s. ``seed`` decides in which order tasks run where the
    backend leaves that open. A simulated network's clock follows inside
    ``async with follow_loop(network)`` (:mod:`ropewalk.sim.pump`).

    Raises what ``main`` raises; :exc:`Deadlock` when every task waits and nothing is planned,
    :exc:`Livelock` when tasks keep each other awake without end, :exc:`RealIO` when one waits
    for a real socket or a thread. In these cases ``main`` is cancelled first.
    """
    if backend == "trio":
        return _run_on_trio(main, seed)
    return _run_on_asyncio(main, seed)


def _run_on_asyncio(main: Callable[[], Awaitable[T]], seed: int) -> T:
    loops: list[VirtualTimeLoop] = []

    def make_loop() -> VirtualTimeLoop:
        loops.append(VirtualTimeLoop(seed))
        return loops[0]

    try:
        return anyio.run(main, backend="asyncio", backend_options={"loop_factory": make_loop})
    except BaseException as error:
        _raise_the_cause(loops[0].error if loops else None, error)
        raise


def _run_on_trio(main: Callable[[], Awaitable[T]], seed: int) -> T:
    # trio is an optional dependency.
    from ropewalk.lab.virtual_trio import JumpingClock, TurnCounter, repeatable_scheduling

    clock = JumpingClock()

    async def guarded() -> T:
        with anyio.CancelScope() as scope:
            clock.give_up = scope.cancel
            result = await main()
        if clock.error is not None:
            raise clock.error
        return result

    options = {"clock": clock, "instruments": [TurnCounter(clock)]}
    with repeatable_scheduling(seed):
        try:
            return anyio.run(guarded, backend="trio", backend_options=options)
        except BaseException as error:
            _raise_the_cause(clock.error, error)
            raise


def _raise_the_cause(cause: VirtualTimeError | None, error: BaseException) -> None:
    """Errors while the program is torn down matter less than why it had to be."""
    if cause is not None and error is not cause:
        raise cause from error
