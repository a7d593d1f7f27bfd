"""Child processes with an end: each is bounded in time, and only our own are ended."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

#: Lines kept of what a child says first and last; ngtcp2's examples say a lot.
_KEPT_LINES = 2000


class Child:
    """A process whose output is read as it comes. Leaving the ``with`` ends it."""

    def __init__(self, command: Sequence[str | Path], cwd: Path | None = None) -> None:
        self.command = [str(part) for part in command]
        self.lines: list[str] = []
        self._condition = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(  # noqa: S603 - commands are our own
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            text=True,
            errors="replace",
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._condition:
                self.lines.append(line.rstrip("\n"))
                if len(self.lines) > 3 * _KEPT_LINES:  # the middle is the least of it
                    del self.lines[_KEPT_LINES:-_KEPT_LINES]
                self._condition.notify_all()
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """Ask the process to end, and insist after a while; what it says then is kept."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(3.0)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(3.0)
        self._thread.join(3.0)

    def wait_for(self, text: str, seconds: float) -> bool:
        """Whether a line with ``text`` comes in time, and before the process ends."""
        limit = time.monotonic() + seconds
        with self._condition:
            while not any(text in line for line in self.lines):
                left = limit - time.monotonic()
                if self._ended or left <= 0.0:
                    return False
                self._condition.wait(left)
        return True

    def wait(self, seconds: float) -> int | None:
        """The exit code; None when the process still runs after ``seconds``."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._thread.join(3.0)
        return code

    @property
    def pid(self) -> int:
        """The system's number of the process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def facts(self) -> dict[str, object]:
        """All JSON lines so far as one object; later lines win, lists of equals do not."""
        found: dict[str, object] = {}
        for line in self.lines:
            if line.startswith("{"):
                with contextlib.suppress(ValueError):
                    found.update(json.loads(line))
        return found

    def tail(self, count: int = 6) -> str:
        """The last lines, for a failure's report."""
        return " | ".join(line.strip() for line in self.lines[-count:])
