"""A task group whose tasks serve the body: it ends with the body and never renames its errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import create_task_group, get_cancelled_exc_class
from anyio.abc import TaskGroup


@asynccontextmanager
async def nest() -> AsyncIterator[TaskGroup]:
    """Tasks started in it are cancelled when the body is left.

    A plain task group wraps what the body raises in an exception group. The body here is the
    user's own code, and whoever writes ``except StreamReset`` around it means what it says:
    its exception leaves unchanged. A failure of one of the tasks cancels the body and comes
    out alone when it is the only one.
    """
    failure: BaseException | None = None
    try:
        async with create_task_group() as tasks:
            try:
                yield tasks
            except (get_cancelled_exc_class(), GeneratorExit):
                raise
            except BaseException as error:
                failure = error
            finally:
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from failure
        raise
    except get_cancelled_exc_class():
        # Cancelled while its tasks ended; what the body raised before still comes out.
        if failure is None:
            raise
    if failure is not None:
        raise failure
