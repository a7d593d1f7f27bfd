"""Runs the command as a user does: in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds that no run here needs, on the slowest machine.
BOUND = 60.0
COMMAND = [sys.executable, "-c", "from ropewalk.cli import main; main(prog_name='ropewalk')"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run to the end; returns exit code and output."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=BOUND, check=False
    )


class RunningServer:
    """A ``perf serve --json``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        hello = self.line()
        self.port = hello["port"]
        self.pin = str(hello["pin"])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def line(self) -> dict[str, object]:
        """The next line that it prints."""
        assert self._process.stdout is not None
        message: dict[str, object] = json.loads(self._process.stdout.readline())
        return message


@contextmanager
def perf_server(*arguments: str) -> Iterator[RunningServer]:
    """A server process on a free port, which must end cleanly when interrupted."""
    command = [*COMMAND, "perf", "serve", "--bind", "127.0.0.1:0", "--json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield RunningServer(process)
            process.send_signal(signal.SIGINT)
            assert process.wait(BOUND) == 0
        finally:
            process.kill()
