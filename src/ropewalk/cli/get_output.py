"""Where ``ropewalk get`` puts what it fetches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final, final

import click
from anyio import to_thread

from ropewalk.cli.errors import BadCall

_PIECE: Final = 1 << 20


@final
class Output:
    """A file, a stream, or nothing; with the SHA-256 of what it holds in the end."""

    def __init__(self, path: Path | None, stream: BinaryIO | None, resume: bool) -> None:
        self.path = path
        self._stream = stream
        self._resume = resume
        self._digest = hashlib.sha256()
        #: How many bytes were written; those that wait for a full disk do not count.
        self.written = 0
        #: How many were there before and stayed.
        self.kept = 0

    @property
    def on_terminal(self) -> bool:
        """Whether a progress bar would be in the way of the content."""
        return self._stream is not None and self._stream.isatty()

    @property
    def resumes(self) -> bool:
        """Whether what is there is a part that shall be completed."""
        return self._resume

    @property
    def present(self) -> int:
        """How many bytes are there already and shall stay."""
        if not self._resume or self.path is None:
            return 0
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    async def open(self, keep: bool) -> None:
        """Begin; with ``keep`` behind what is there."""
        if self.path is not None:
            await to_thread.run_sync(self._open, self.path, keep)

    def _open(self, path: Path, keep: bool) -> None:
        if keep:
            with path.open("rb") as before:
                while piece := before.read(_PIECE):
                    self._digest.update(piece)
                    self.kept += len(piece)
        # Unbuffered: an error of the last write must not wait for the close.
        self._stream = path.open("ab" if keep else "wb", buffering=0)

    async def write(self, data: bytes) -> None:
        """Add to it. Written in a thread: a pipe's reader may be slow."""
        if self._stream is None:
            self.written += len(data)
        else:
            await to_thread.run_sync(self._write, self._stream, data, abandon_on_cancel=True)
        self._digest.update(data)

    def _write(self, stream: BinaryIO, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            size = stream.write(rest)
            self.written += size
            rest = rest[size:]
        stream.flush()

    def close(self) -> None:
        """Close the file; streams belong to others."""
        if self.path is not None and self._stream is not None:
            self._stream.close()
            self._stream = None

    def sha256(self) -> str:
        """Of everything that is there now, in hexadecimal."""
        return self._digest.hexdigest()


def file_output(name: str, resume: bool) -> Output:
    """Content goes to a file, which is made when the content comes."""
    return Output(Path(name), None, resume)


def stream_output(stream: BinaryIO | None) -> Output:
    """Content goes to an open stream, or nowhere."""
    return Output(None, stream, False)


def check_distinct(names: Iterable[str]) -> None:
    """Refuse to write two things to one file; devices and pipes take them one by one.

    Raises ``click.UsageError``.
    """
    known: dict[str, str] = {}
    for name in names:
        place = os.path.realpath(name)
        if place in known and (os.path.isfile(place) or not os.path.exists(place)):
            raise click.UsageError(
                f"-o {known[place]} and -o {name} are the same file; give each URL its own"
            )
        known[place] = name


def check_output(name: str) -> None:
    """Refuse early what could not be written in the end. Raises :class:`BadCall`."""
    path = Path(name)
    if path.is_dir():
        raise BadCall(f"cannot write to {name!r}: it is a folder; name a file in it with -o")
    if path.exists():
        if not os.access(path, os.W_OK):
            raise BadCall(f"cannot write to {name!r}: this user may not; name another file with -o")
    elif not path.parent.is_dir():
        raise BadCall(
            f"cannot write to {name!r}: there is no folder {str(path.parent)!r}; make it, or "
            "name another file with -o"
        )
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        raise BadCall(
            f"cannot write to {name!r}: this user may make no files in {str(path.parent)!r}; "
            "name another file with -o"
        )
