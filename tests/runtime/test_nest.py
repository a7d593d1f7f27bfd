"""The body of a nest is the user's own code: its errors come out as they are."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import cancel_shielded_checkpoint

from ropewalk.runtime.nest import nest

from .conftest import BOUND

pytestmark = pytest.mark.anyio


async def slow_to_end() -> None:
    try:
        await anyio.sleep_forever()
    finally:
        for _ in range(5):
            await cancel_shielded_checkpoint()


async def fail_when_cancelled() -> None:
    with anyio.CancelScope() as scope:
        async with nest() as tasks:
            tasks.start_soon(slow_to_end)
            await anyio.lowlevel.checkpoint()
            scope.cancel()
            try:
                await anyio.sleep_forever()
            finally:
                raise LookupError("mine")


async def test_an_error_raised_while_being_cancelled_is_not_lost() -> None:
    """Found by cancellation injection: the cancellation took the error's place."""
    with anyio.fail_after(BOUND), pytest.raises(LookupError, match="mine"):
        await fail_when_cancelled()


async def test_a_cancellation_without_an_error_stays_one() -> None:
    with anyio.fail_after(BOUND):
        with anyio.CancelScope() as scope:
            async with nest() as tasks:
                tasks.start_soon(slow_to_end)
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
