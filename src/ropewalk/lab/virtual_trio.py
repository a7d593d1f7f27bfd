"""trio in virtual time: a clock that jumps to the next deadline when every task waits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, final

import trio
from trio._core import _run as trio_run
from trio._core._run import CancelStatus

from ropewalk.lab.stalls import (
    MAX_TURNS_PER_INSTANT,
    Deadlock,
    Livelock,
    RealIO,
    VirtualTimeError,
    wait_of,
)

#: trio itself waits for its wake-up pipe.
_OWN_WAITS: Final = 1


@final
class JumpingClock(trio.abc.Clock):
    """Begins at 0.0 s. Time passes only when nothing else can happen.

    trio's own MockClock does that too, but spins for ever when there is nothing to jump to.
    ``give_up`` is called once the program cannot go on. When what it cancels is shielded, the
    shields are lifted at the next such moment; the third breaks the run off.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self.give_up: Callable[[], object] = lambda: None
        self.error: VirtualTimeError | None = None
        self._shields_lifted = False

    def start_clock(self) -> None:
        """There is nothing to start."""

    def current_time(self) -> float:
        """Virtual seconds since the run began."""
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """trio asks when no task can run: the moment to jump."""
        if trio_run.GLOBAL_RUN_CONTEXT.runner.waiting_for_idle:
            return 1.0  # somebody waits for exactly this moment, and comes first
        if deadline <= self._now:
            return 0.0
        if self.error is not None and _threads_at_work():
            return 1.0  # a thread cannot be cancelled: the end of this run waits for it
        if _threads_at_work() or _sockets_waited_for():
            self.fail(RealIO("waiting for a socket or a thread"))
        elif deadline == math.inf:
            waits = _waits()
            if not waits:
                return 1.0  # trio is ending, with callbacks of its own on their way
            self.fail(Deadlock(self._now, waits))
        else:
            self._now = deadline
        return 0.0

    def fail(self, error: VirtualTimeError) -> None:
        """The program cannot go on."""
        if self.error is None:
            self.error = error
            self.give_up()
        elif not self._shields_lifted:
            self._shields_lifted = True
            _lift_shields()
        else:
            raise error


@final
class TurnCounter(trio.abc.Instrument):
    """Notices tasks that keep each other awake without letting time pass."""

    def __init__(self, clock: JumpingClock) -> None:
        self._clock = clock
        self._time = 0.0
        self._turns = 0

    def before_io_wait(self, timeout: float) -> None:
        """Called once per turn of the loop."""
        now = self._clock.current_time()
        if now != self._time:
            self._time = now
            self._turns = 0
        self._turns += 1
        if self._turns == MAX_TURNS_PER_INSTANT:
            self._clock.fail(Livelock(now))


@contextmanager
def repeatable_scheduling(seed: int) -> Iterator[None]:
    """Have trio's scheduler draw its order of tasks from a seed, for the length of the body.

    trio offers this for hypothesis only, by two private names of its scheduler.
    """
    allowed, state = trio_run._ALLOW_DETERMINISTIC_SCHEDULING, trio_run._r.getstate()
    scheduler: Any = trio_run
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
    trio_run._r.seed(f"trio/{seed}")
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = allowed
        trio_run._r.setstate(state)


def _threads_at_work() -> bool:
    return trio.to_thread.current_default_thread_limiter().borrowed_tokens > 0


def _sockets_waited_for() -> bool:
    statistics = trio.lowlevel.current_statistics().io_statistics
    # The names are those of epoll and of kqueue.
    names = ("tasks_waiting_read", "tasks_waiting_write", "tasks_waiting")
    return sum(getattr(statistics, name, 0) for name in names) > _OWN_WAITS


def _tasks() -> Iterator[trio.lowlevel.Task]:
    """The program's tasks, parents first, in the order of their making."""
    root = trio.lowlevel.current_root_task()
    tasks = [] if root is None else [root]
    while tasks:
        task = tasks.pop()
        if not _is_of_trio(task):
            yield task
        for nursery in task.child_nurseries:
            tasks += sorted(nursery.child_tasks, key=lambda each: each._counter, reverse=True)


def _is_of_trio(task: trio.lowlevel.Task) -> bool:
    frame = task.coro.cr_frame
    return frame is None or str(frame.f_globals.get("__name__")).startswith("trio.")


def _waits() -> list[str]:
    return [wait_of(task.name, task.coro) for task in _tasks()]


def _lift_shields() -> None:
    for task in _tasks():
        status: CancelStatus | None = task._cancel_status
        # Up to the scope that was cancelled; trio has shields of its own above.
        while status is not None and not status._scope.cancel_called:
            status._scope.shield = False
            status = status._parent
