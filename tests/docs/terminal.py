"""Types what a page says into a shell, as its reader would, and looks at what comes back."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from .pages import Block, expectation

#: Seconds that no command of the documentation needs, on the slowest machine.
BOUND: Final = 60.0
_PROGRAMS: Final = {
    "python": [sys.executable],
    "ropewalk": [sys.executable, "-c", "from ropewalk.cli import main; main(prog_name='ropewalk')"],
}


def free_port() -> int:
    """A UDP port that is free on IPv4 and IPv6, as ``localhost`` needs it."""
    for _ in range(100):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as v4,
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as v6,
            suppress(OSError),
        ):
            v4.bind(("127.0.0.1", 0))
            port: int = v4.getsockname()[1]
            v6.bind(("::1", port))
            return port
    raise AssertionError("no UDP port is free on both 127.0.0.1 and ::1")


class Terminal:
    """A folder, the ports that stand for 4433 and 4434, and the servers that were started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports = {"4433": str(free_port()), "4434": str(free_port())}
        self._running: list[subprocess.Popen[str]] = []
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}

    def translate(self, text: str) -> str:
        """Pages use one port; tests run side by side, so each has its own."""
        for printed, real in self._ports.items():
            text = text.replace(printed, real)
        return text

    def take(self, block: Block) -> None:
        """Do what a block asks of its reader: save a program, type commands, press Ctrl-C."""
        if block.order == "stop":
            self.stop()
        elif block.file_name is not None:
            (self.folder / block.file_name).write_text(self.translate(block.text))
        elif block.language == "console":
            for command, output in block.commands():
                words = shlex.split(self.translate(command))
                printed = [self.translate(line) for line in output]
                words = _PROGRAMS.get(words[0], words[:1]) + words[1:]
                if block.order == "background":
                    self._start(words, printed)
                else:
                    self._run(words, printed)

    def stop(self) -> None:
        """Ctrl-C in every terminal that has a server."""
        for process in self._running:
            process.send_signal(signal.SIGINT)
        for process in self._running:
            try:
                process.communicate(timeout=BOUND)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        self._running.clear()

    def kill(self) -> None:
        """Leave nothing behind, whatever happened."""
        for process in self._running:
            process.kill()
            process.communicate()

    def _run(self, words: list[str], printed: list[str]) -> None:
        ended = subprocess.run(
            words,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=BOUND,
            check=False,
        )
        assert ended.returncode == 0, f"{words}: {ended.stdout}{ended.stderr}"
        assert expectation(printed).fullmatch(ended.stdout), (
            f"{words} printed {ended.stdout!r}, the page says {printed}"
        )

    def _start(self, words: list[str], printed: list[str]) -> None:
        process = subprocess.Popen(
            words,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        assert process.stdout is not None
        watchdog = threading.Timer(BOUND, process.kill)
        watchdog.start()
        try:
            shown = "".join(process.stdout.readline() for _ in printed)
        finally:
            watchdog.cancel()
        assert expectation(printed).fullmatch(shown), f"{words} printed {shown!r}, not {printed}"
