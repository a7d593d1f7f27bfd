"""One line with what, why and what to do; and the right exit code."""

from __future__ import annotations

import errno
import os

import pytest

import ropewalk
from ropewalk.cli.errors import BadCall, Failure, as_failure, one_line_errors


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (ropewalk.ConfigurationError("wrong"), 2),
        (ropewalk.Unsupported("not here"), 2),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "x.pem"), 2),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "x.pem"), 2),
        (OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), "x" * 300), 2),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 1),
        (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), 1),
        (ropewalk.ConnectionRefused("nobody"), 1),
        (ropewalk.HandshakeError(42, "untrusted"), 1),
        (ropewalk.IdleTimeout("silence"), 1),
    ],
)
def test_exit_codes_tell_a_wrong_call_from_a_failure(error: Exception, exit_code: int) -> None:
    assert as_failure(error).exit_code == exit_code


def test_notes_become_part_of_the_one_line() -> None:
    error = ropewalk.TransportError(2, "full\nhouse", from_peer=True)
    error.add_note("while connecting to host:1")
    message = as_failure(error).message
    assert "\n" not in message
    assert "full house" in message
    assert message.endswith("(while connecting to host:1)")


def test_expected_errors_inside_groups_come_out() -> None:
    with pytest.raises(BadCall, match="wrong"), one_line_errors():
        raise ExceptionGroup("", [ExceptionGroup("", [ropewalk.ConfigurationError("wrong")])])


def test_bugs_keep_their_tracebacks() -> None:
    with pytest.raises(LookupError), one_line_errors():
        raise LookupError
    with pytest.raises(ExceptionGroup), one_line_errors():
        raise ExceptionGroup("", [LookupError(), ropewalk.IdleTimeout("silence")])


def test_an_error_without_words_is_named_by_its_kind() -> None:
    assert isinstance(as_failure(ropewalk.ConnectionLost()), Failure)
    assert as_failure(ropewalk.ConnectionLost()).message == "ConnectionLost"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (ropewalk.IdleTimeout("nothing was heard"), "check that it still runs"),
        (ropewalk.StatelessReset("it has reset the connection"), "try again"),
        (ropewalk.ApplicationError(0, "the server is shutting down", True), "start it again"),
    ],
)
def test_a_peer_that_stops_midway_comes_with_advice(error: Exception, advice: str) -> None:
    message = as_failure(error).message
    assert message.startswith(str(error))
    assert advice in message


def test_a_broken_pipe_is_left_to_the_one_who_ends_the_process() -> None:
    pipe = BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
    with pytest.raises(BrokenPipeError), one_line_errors():
        raise pipe
    with pytest.raises(BrokenPipeError), one_line_errors():
        raise ExceptionGroup("", [ExceptionGroup("", [pipe])])
