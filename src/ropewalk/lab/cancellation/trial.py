"""One run of a scenario, which is cancelled at one of its await points or at none."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeVarTuple, final

from anyio import CancelScope, current_time, sleep

from ropewalk.lab.cancellation.obligations import (
    CONTAINED,
    DELIVERED,
    PEER_TOLD,
    PROMPT,
    Books,
)
from ropewalk.lab.cancellation.stepping import Steps
from ropewalk.lab.stalls import await_frames, where
from ropewalk.lab.testbed import Testbed
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.runtime.connection import DRAIN_LIMIT

Ts = TypeVarTuple("Ts")

#: Virtual seconds within which peers must have learnt of an end. Idle timeouts are longer.
_NEWS_TRAVELS: Final = 2.0
_GLANCE: Final = 0.05
#: Whose frames say nothing about where a program waits.
_LIBRARIES: Final = ("anyio", "asyncio", "contextlib", "outcome", "trio")

_current: ContextVar[_Subject] = ContextVar("ropewalk_cancellation_subject")


@dataclass(frozen=True)
class AwaitPoint:
    """A moment at which a task under test gave way to others.

    ``where`` is the innermost place in Ropewalk's own code, ``by`` that of the scenario.
    """

    number: int
    virtual_time: float
    where: str
    by: str

    def __str__(self) -> str:
        return (
            f"await point {self.number} at {self.virtual_time:.6f} s: {self.where} (from {self.by})"
        )


@dataclass(frozen=True)
class Finding:
    """A broken law within a run."""

    invariant_id: str
    virtual_time: float
    text: str


@final
class Transfer:
    """Bytes on their way: what was offered, what arrived, and how much was confirmed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.offered = bytearray()
        self.arrived = bytearray()
        self.confirmed = 0

    def offer(self, data: bytes) -> bytes:
        """To be called before the bytes are sent, for a cancelled call may have sent some."""
        self.offered += data
        return data

    def arrive(self, data: bytes) -> None:
        """The other side has read these."""
        self.arrived += data

    def confirm(self) -> None:
        """All that was offered was said to have been delivered."""
        self.confirmed = len(self.offered)

    def complaint(self) -> str:
        """What is wrong, or ""."""
        if not self.offered.startswith(self.arrived):
            return f"{self.name}: what arrived is no prefix of what was sent"
        if len(self.arrived) < self.confirmed:
            return (
                f"{self.name}: {self.confirmed} bytes were confirmed, {len(self.arrived)} arrived"
            )
        return ""


@dataclass(frozen=True)
class Stroke:
    """How a cancellation is dealt.

    ``lag`` seconds after the await point (0: before the task waits), from wherever the loop is
    then. ``native``: by asyncio's own ``Task.cancel``, as ``asyncio.timeout`` does, which no
    shield holds off, instead of by a cancel scope.
    """

    lag: float = 0.0
    native: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.lag < math.inf:
            raise ConfigurationError("the lag of a cancellation is a time in seconds, 0 or more")


@final
class _Subject:
    """Something under test, and what cancels it."""

    def __init__(self, stroke: Stroke) -> None:
        self.scope = CancelScope()
        self.cancelled_at: float | None = None
        self.over = False
        self._task = asyncio.current_task() if stroke.native else None

    def cancel(self) -> None:
        """Cancel it, unless it is over."""
        if self.over:
            return
        self.cancelled_at = current_time()
        if self._task is None:
            self.scope.cancel()
        else:
            self._task.cancel()

    def absorb(self) -> bool:
        """Whether a native cancellation is the one dealt here; it then counts as done."""
        if self._task is None or self.cancelled_at is None:
            return False
        self._task.uncancel()
        return True


@final
class Trial:
    """What a scenario's body is given: machines, and the marks of what is under test.

    :meth:`whole` runs something that owns connections or a server; once it is over, so are
    they, and their peers know. :meth:`part` runs one step of something that goes on
    afterwards. Tasks that these start are under test by :meth:`stepped`.
    """

    def __init__(self, testbed: Testbed, target: int | None, stroke: Stroke) -> None:
        self.testbed = testbed
        self.books = Books()
        self.points: list[AwaitPoint] = []
        self.findings: list[Finding] = []
        #: the point at which this run was cancelled
        self.hit: AwaitPoint | None = None
        self.transfers: list[Transfer] = []
        self._target = target
        self._stroke = stroke
        self._count = 0

    def transfer(self, name: str) -> Transfer:
        """Follow some bytes; checked at the end of the run."""
        transfer = Transfer(name)
        self.transfers.append(transfer)
        return transfer

    async def whole(self, function: Callable[[*Ts], Awaitable[object]], *args: *Ts) -> bool:
        """Run something from its beginning to its end. False: it was cancelled."""
        finished = await self.part(function, *args)
        patience = current_time() + _NEWS_TRAVELS
        while self.books.alive() and current_time() < patience:
            await sleep(_GLANCE)
        for connection in self.books.alive():
            self.report(
                PEER_TOLD, f"{_NEWS_TRAVELS:g} s after the end {connection} does not know of it"
            )
        return finished

    async def part(self, function: Callable[[*Ts], Awaitable[object]], *args: *Ts) -> bool:
        """Run one step of something. False: it was cancelled."""
        subject = _Subject(self._stroke)
        token = _current.set(subject)
        finished = False
        try:
            with subject.scope:
                await self._steps(subject, function(*args))
                finished = True
        except asyncio.CancelledError:
            if not subject.absorb():
                raise
        except Exception as error:
            if subject.cancelled_at is None:
                raise
            self.report(CONTAINED, f"cancelled, it raised {error!r}")
        finally:
            subject.over = True
            _current.reset(token)
        if subject.cancelled_at is not None:
            took = current_time() - subject.cancelled_at
            if took > DRAIN_LIMIT:
                self.report(PROMPT, f"cancelled, it took another {took:g} s to end")
        return finished

    def stepped(
        self, function: Callable[[*Ts], Awaitable[object]]
    ) -> Callable[[*Ts], Coroutine[Any, Any, None]]:
        """A function for a task group, whose tasks belong to what is under test around it."""

        async def run(*args: *Ts) -> None:
            await self._steps(_current.get(), function(*args))

        return run

    def report(self, invariant_id: str, text: str) -> None:
        """Note that a law was broken."""
        self.findings.append(Finding(invariant_id, self.testbed.network.clock.now, text))

    def check_transfers(self) -> None:
        """Compare what arrived with what was sent."""
        for transfer in self.transfers:
            complaint = transfer.complaint()
            if complaint:
                self.report(DELIVERED, complaint)

    def _steps(self, subject: _Subject, awaitable: Awaitable[object]) -> Steps[object]:
        assert isinstance(awaitable, Coroutine)
        return Steps(awaitable, lambda suspended: self._suspended(subject, suspended))

    def _suspended(self, subject: _Subject, coroutine: object) -> None:
        number = self._count
        self._count += 1
        if self._target is None:
            self.points.append(_describe(number, coroutine))
        elif number == self._target:
            self.hit = _describe(number, coroutine)
            self._deal(subject)

    def _deal(self, subject: _Subject) -> None:
        if self._stroke.lag:
            clock = self.testbed.network.clock
            clock.at(current_time() + self._stroke.lag, subject.cancel)
        elif self._stroke.native:
            # Once the task waits: until then it would count as cancelled before its next wait.
            asyncio.get_running_loop().call_soon(subject.cancel)
        else:
            subject.cancel()


def _describe(number: int, coroutine: object) -> AwaitPoint:
    own = by = ""
    for frame in await_frames(coroutine):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _LIBRARIES:
            continue
        if module.startswith("ropewalk.") and not module.startswith("ropewalk.lab."):
            own = where(frame)
        elif not own:
            by = where(frame)
    return AwaitPoint(number, current_time(), own or by, by)
