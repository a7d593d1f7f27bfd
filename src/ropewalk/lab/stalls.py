"""Why a run in virtual time cannot go on, told with what every task waits for."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from types import FrameType
from typing import Final, final

from ropewalk.quic.types.errors import Error

#: Turns of the loop within one instant; more means that tasks wake each other for ever.
MAX_TURNS_PER_INSTANT: Final = 100_000

#: Awaitables that hold what they wait for out of sight of Python code.
_OPAQUE: Final = ("async_generator_asend", "async_generator_athrow", "coroutine_wrapper")


class VirtualTimeError(Error):
    """A program did something that virtual time cannot follow."""


@final
class Deadlock(VirtualTimeError):
    """Nothing is planned and nothing can run, yet the program has not ended.

    ``waits`` has one line for each task: its name, and where it waits.
    """

    def __init__(self, time: float, waits: Iterable[str]) -> None:
        self.time = time
        self.waits = tuple(waits)
        super().__init__(
            f"at {time:g} s of virtual time nothing is planned and every task waits:\n  "
            + "\n  ".join(self.waits or ("(no task is left)",))
        )


@final
class Livelock(VirtualTimeError):
    """Tasks keep each other awake without letting time pass."""

    def __init__(self, time: float) -> None:
        self.time = time
        super().__init__(
            f"{MAX_TURNS_PER_INSTANT} turns of the event loop at {time:g} s and still no end: "
            "some task never waits for anything but its turn"
        )


@final
class RealIO(VirtualTimeError):
    """A task waits for the real world (a socket, a thread), which virtual time outruns."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} inside virtual time: its answer would come at no particular time. Use a "
            "SimulatedNetwork for the network, and do other input and output before or after"
        )


def await_frames(awaitable: object) -> Iterator[FrameType]:
    """The frames of a suspended coroutine, from the outermost to where it waits."""
    while awaitable is not None:
        frame: FrameType | None = None
        below: object = None
        for prefix, waits_for in (("cr_", "await"), ("gi_", "yieldfrom"), ("ag_", "await")):
            if hasattr(awaitable, prefix + "frame"):
                frame = getattr(awaitable, prefix + "frame")
                below = getattr(awaitable, prefix + waits_for)
                break
        else:
            below = _inside(awaitable)
        if frame is not None:
            yield frame
        awaitable = below


def _inside(awaitable: object) -> object:
    if hasattr(awaitable, "stepped"):
        return awaitable.stepped  # a Steps of ropewalk.lab.stepping
    if type(awaitable).__name__ in _OPAQUE:
        for inner in gc.get_referents(awaitable):
            if hasattr(inner, "ag_frame") or hasattr(inner, "cr_frame"):
                return inner
    return None


def where(frame: FrameType) -> str:
    """A frame as a short place: the file below its package, the line, the function."""
    parts = PurePath(frame.f_code.co_filename).parts
    for root in ("ropewalk", "tests"):
        if root in parts[:-1]:
            cut = len(parts) - 1 - parts[::-1].index(root)
            parts = parts[cut:]
            break
    else:
        parts = parts[-2:]
    return f"{'/'.join(parts)}:{frame.f_lineno} {frame.f_code.co_name}"


def wait_of(name: str, coroutine: object) -> str:
    """One line on a task: its name and the way to where it waits."""
    places = [where(frame) for frame in await_frames(coroutine)]
    return f"{name}: {' > '.join(places) or 'not started'}"
