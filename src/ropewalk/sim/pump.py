"""Lets an event loop's time pass on a simulated network."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import final

from anyio import Event, create_task_group, current_time, move_on_at

from ropewalk.sim.network import Network


@asynccontextmanager
async def follow_loop(network: Network) -> AsyncIterator[None]:
    """Have a network's clock follow the event loop's, for the length of the body.

    With :func:`ropewalk.lab.virtual_time.run` both are virtual. Under a loop in real time
    the network runs in real time, from the loop's time on.
    """
    if network.clock.on_planned is not None:
        raise RuntimeError("the network's clock follows a loop already")
    pump = _Pump(network)
    failure: Exception | None = None
    async with create_task_group() as tasks:
        network.clock.on_planned = pump.on_planned
        tasks.start_soon(pump.run, name="simulated network")
        try:
            yield
        except Exception as error:
            failure = error  # a task group would wrap what the body raises
        finally:
            network.clock.on_planned = None
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


@final
class _Pump:
    """Sleeps until the network has something to do, and has it done."""

    def __init__(self, network: Network) -> None:
        self._clock = network.clock
        self._target = -math.inf
        self._earlier = Event()

    def on_planned(self, when: float) -> None:
        """Something was planned: wake up if it comes before what is slept for."""
        if when < self._target:
            self._earlier.set()

    async def run(self) -> None:
        """Never ends by itself."""
        clock = self._clock
        while True:
            clock.run_until(current_time())
            self._earlier = Event()
            self._target = clock.next_time()
            with move_on_at(self._target):
                await self._earlier.wait()
            self._target = -math.inf
