"""asyncio in virtual time: a loop whose selector waits for nobody and moves the clock."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextvars import Context
from typing import Any, Final, NoReturn, TypeVar, TypeVarTuple, final

from anyio.to_thread import current_default_thread_limiter

from ropewalk.lab.stalls import (
    MAX_TURNS_PER_INSTANT,
    Deadlock,
    Livelock,
    RealIO,
    VirtualTimeError,
    wait_of,
)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: No task has it.
_NO_NUMBER: Final = 0


@final
class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop in which time passes only when nothing else can happen.

    It begins at 0.0 s. Callbacks run in the order in which they were scheduled, as asyncio
    promises. Where the order is nobody's promise, because a cancelled scope keeps its tasks in
    a set, ``seed`` decides.
    """

    # Of asyncio's base class, which runs a batch of it in this order and keeps timers in a heap.
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, seed: int = 0) -> None:
        self._now = 0.0
        self._turns = 0
        self._tasks_made = 0
        self._random = random.Random(f"asyncio/{seed}")  # noqa: S311 - it has to repeat
        #: the task that is being cancelled, by its number
        self.cancelling = _NO_NUMBER
        self._cancellations: dict[asyncio.Handle, int] = {}
        #: why the program could not go on; what follows from that is of no interest
        self.error: VirtualTimeError | None = None
        selector = _TimeSelector(self)
        super().__init__(selector)
        selector.sealed = True  # the loop has its own pipe; nobody else gets in
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def pass_time(self, timeout: float | None) -> None:
        """Called before each turn: 0 for a turn that has work, None when nothing is planned."""
        if timeout is not None and timeout <= 0:
            self._turns += 1
            if self._turns > MAX_TURNS_PER_INSTANT:
                self._turns = 0
                self._fail(Livelock(self._now))
        else:
            if current_default_thread_limiter().borrowed_tokens:
                self._fail(RealIO("a worker thread"))
            if timeout is None:
                self._fail(Deadlock(self._now, self._waits()))
            # Exactly then: the sum of now and the time left may miss it by a rounding.
            self._now = self._scheduled[0].when()
            self._turns = 0
        if self._cancellations:
            self._order_cancellations()

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        if self.cancelling != _NO_NUMBER:
            self._cancellations[handle] = self.cancelling
        return handle

    def run_in_executor(
        self, executor: Any, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        raise RealIO("an executor's thread")

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T],
        **options: Any,  # as asyncio's own: they grow from version to version
    ) -> asyncio.Future[T]:
        self._tasks_made += 1
        return _NumberedTask(self, self._tasks_made, coroutine, **options)

    def _order_cancellations(self) -> None:
        """Put wake-ups of one cancellation in an order that repeats; all others stay."""
        ordered: list[asyncio.Handle] = []
        run: list[tuple[int, asyncio.Handle]] = []
        for handle in (*self._ready, None):
            number = _NO_NUMBER if handle is None else self._cancellations.get(handle, _NO_NUMBER)
            if handle is not None and number != _NO_NUMBER:
                run.append((number, handle))
                continue
            if run:
                run.sort(key=lambda item: item[0])
                self._random.shuffle(run)
                ordered += [each for _, each in run]
                run = []
            if handle is not None:
                ordered.append(handle)
        self._ready.clear()
        self._ready.extend(ordered)
        self._cancellations.clear()

    def _fail(self, error: VirtualTimeError) -> NoReturn:
        if self.error is None:
            self.error = error
        raise error

    def _waits(self) -> list[str]:
        tasks = [task for task in asyncio.all_tasks(self) if isinstance(task, _NumberedTask)]
        tasks.sort(key=lambda task: task.number)
        return [wait_of(task.get_name(), task.get_coro()) for task in tasks]


@final
class _NumberedTask(asyncio.Task[T]):
    """A task that is known by when it was made instead of where it lies in memory."""

    def __init__(
        self,
        loop: VirtualTimeLoop,
        number: int,
        coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T],
        **options: Any,
    ) -> None:
        self.number = number
        self._virtual_loop = loop
        super().__init__(coroutine, loop=loop, **options)

    def cancel(self, msg: Any | None = None) -> bool:
        outer = self._virtual_loop.cancelling
        self._virtual_loop.cancelling = self.number
        try:
            return super().cancel(msg)
        finally:
            self._virtual_loop.cancelling = outer


@final
class _TimeSelector(selectors.BaseSelector):
    """Never blocks, and has no descriptors but the loop's own pipe."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop
        self._keys: dict[int, selectors.SelectorKey] = {}
        self.sealed = False

    def register(self, fileobj: Any, events: int, data: object = None) -> selectors.SelectorKey:
        if self.sealed:
            raise RealIO("waiting for a file descriptor")
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = selectors.SelectorKey(fileobj, number, events, data)
        self._keys[number] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loop.pass_time(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def close(self) -> None:
        self._keys.clear()
