"""Calls of rules as data: the table of rules, seeded lists of calls, and their shrinking."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

#: A rule's name and its arguments. The last argument of each is how long to wait afterwards.
Call: TypeAlias = tuple[str, *tuple[int, ...]]

#: Seconds to let go by after a call.
PAUSES: Final = (0.0, 0.0, 0.002, 0.02, 0.1, 1.0)
_SIDE, _PICK, _COUNT, _PAUSE = 2, 6, 4, len(PAUSES)

#: Every rule, how often it is drawn, and for each argument the number of values from 0 on.
RULES: Final[dict[str, tuple[int, tuple[int, ...]]]] = {
    "open": (4, (_SIDE, 2, _PAUSE)),
    "write": (8, (_SIDE, _PICK, 9, _PAUSE)),
    "read": (4, (_SIDE, _PICK, 5, _PAUSE)),
    "finish": (3, (_SIDE, _PICK, _PAUSE)),
    "reset": (1, (_SIDE, _PICK, 3, _PAUSE)),
    "stop": (1, (_SIDE, _PICK, 3, _PAUSE)),
    "datagrams": (3, (_SIDE, _COUNT, 6, _PAUSE)),
    "read_datagrams": (1, (_SIDE, _COUNT, _PAUSE)),
    "drop": (3, (_SIDE, _COUNT, _PAUSE)),
    "duplicate": (1, (_SIDE, _COUNT, 4, _PAUSE)),
    "delay": (2, (_SIDE, _COUNT, 5, _PAUSE)),
    "corrupt": (2, (_SIDE, _COUNT, 1500, _PAUSE)),
    "truncate": (1, (_SIDE, _COUNT, 1500, _PAUSE)),
    "replay": (2, (_SIDE, 300, 2, _PAUSE)),
    "rebind": (1, (2, _PAUSE)),
    "update_keys": (2, (_SIDE, 2, _PAUSE)),
    "ping": (1, (_SIDE, _PAUSE)),
    "link_down": (1, (3, 5, _PAUSE)),
    "profile": (2, (3, 8, _PAUSE)),
    "reader": (1, (_SIDE, 2, _PAUSE)),
    "application": (1, (_SIDE, 2, _PAUSE)),
    "socket": (1, (_SIDE, 2, _PAUSE)),
    "wait": (2, (6,)),
    "close": (1, (3, 3, _PAUSE)),
}
#: Of a run's calls only so many close: after that there is little left to see.
_CLOSING_CHANCE = 0.15


def draw_calls(seed: int, count: int) -> list[Call]:
    """A list of calls that follows from its seed."""
    draw = random.Random(f"machine/calls/{seed}")  # noqa: S311 - it has to repeat
    names = list(RULES)
    weights = [RULES[name][0] for name in names]
    calls: list[Call] = []
    for name in draw.choices(names, weights, k=count):
        if name == "close" and draw.random() > _CLOSING_CHANCE:
            continue
        calls.append((name, *(draw.randrange(limit) for limit in RULES[name][1])))
    return calls


def shrink(calls: Sequence[Call], fails: Callable[[list[Call]], bool]) -> list[Call]:
    """A short list that still fails: pieces are left out, then numbers become zero.

    ``fails`` plays a list from the start. The result is a local minimum, not the shortest.
    """
    shortest = list(calls)
    size = max(1, len(shortest) // 2)
    while True:
        start, removed = 0, False
        while start < len(shortest):
            candidate = shortest[:start] + shortest[start + size :]
            if fails(candidate):
                shortest, removed = candidate, True
            else:
                start += size
        if size > 1:
            size //= 2
        elif not removed:
            break
    for index, (name, *numbers) in enumerate(shortest):
        for place, number in enumerate(numbers):
            if number == 0:
                continue
            numbers[place] = 0
            candidate = [*shortest]
            candidate[index] = (name, *numbers)
            if fails(candidate):
                shortest = candidate
            else:
                numbers[place] = number
    return shortest
