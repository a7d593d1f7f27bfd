"""How the command line tells of a failure: one line with what, why and what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

import click

from ropewalk.quic.types.errors import (
    ApplicationError,
    ConfigurationError,
    Error,
    IdleTimeout,
    StatelessReset,
    Unsupported,
)

_OUTPUT_ADVICE: Final = {
    errno.ENOSPC: "; make room there, or write to another place",
    errno.EDQUOT: "; make room there, or write to another place",
    errno.EFBIG: "; a limit on the size of files is reached: raise it (ulimit -f), or write to "
    "a file system that takes larger ones",
    errno.ENAMETOOLONG: "; take a shorter one",
}


class Failure(click.ClickException):
    """The call was right, and what it asked for did not succeed."""

    exit_code: ClassVar[int] = 1


class BadCall(Failure):
    """The user can mend it in the call: a wrong setting, an unreadable file, a taken port."""

    exit_code: ClassVar[int] = 2


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the errors that are expected in the body into a :class:`Failure`.

    Others are bugs and keep their tracebacks. A broken pipe stays what it is: nobody reads
    on, so there is nobody to tell, and click ends the process without a word.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (Error, OSError) as error:
        raise as_failure(error) from error
    except BaseExceptionGroup as group:
        expected, bugs = group.split((Error, OSError))
        if expected is None or bugs is not None:
            raise
        found = first(expected)
        if isinstance(found, BrokenPipeError):
            raise found from None
        raise as_failure(found) from group


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first plain exception in a group of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def as_failure(error: BaseException) -> Failure:
    """The line and the exit code for an expected error."""
    text = (str(error) or type(error).__name__) + _advice(error)
    # What happened where is kept in notes when the error itself carries a peer's words.
    notes = "; ".join(getattr(error, "__notes__", ()))
    if notes:
        text = f"{text} ({notes})"
    kind = BadCall if _is_usage(error) else Failure
    return kind(" ".join(text.split()))


def _advice(error: BaseException) -> str:
    """What to do about an end that the core, knowing no server of anybody's, only reports."""
    if isinstance(error, OSError) and not isinstance(error, Error):
        return _OUTPUT_ADVICE.get(error.errno or 0, "")
    if isinstance(error, IdleTimeout):
        return (
            "; the other side is gone or the network is interrupted: check that it still runs, "
            "then try again"
        )
    if isinstance(error, StatelessReset):
        return "; it was restarted: try again"
    if isinstance(error, ApplicationError) and error.from_peer:
        return "; if it was stopped, start it again and repeat this"
    return ""


def _is_usage(error: BaseException) -> bool:
    if isinstance(error, (ConfigurationError, Unsupported)):
        return True
    return isinstance(error, OSError) and error.errno in (
        errno.EACCES,
        errno.EADDRINUSE,
        errno.EADDRNOTAVAIL,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EPERM,
    )
