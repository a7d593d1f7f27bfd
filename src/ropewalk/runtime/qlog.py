"""qlogs in a folder, one file for each connection."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, final

from ropewalk.observe.observer import Observer
from ropewalk.observe.qlog import BASE, QlogWriter

_logger = logging.getLogger("ropewalk.runtime")

#: A client chooses the ID that names the file, so names that exist already are no accident.
_MOST_OF_ONE_NAME: Final = 100


@final
class QlogDirectory(Observer):
    """An observer that writes a qlog of each connection into a folder.

    Files are called ``ODCID_client.sqlog`` or ``ODCID_server.sqlog``, after the first destination
    ID, which both ends have in common. ``importance`` is that of
    :class:`~ropewalk.observe.qlog.QlogWriter`; ``wall_clock`` gives seconds since 1970. The
    folder is made if need be. A file that cannot be written costs its connection nothing but
    the log; the first such failure is logged as a warning.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        importance: int = BASE,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = Path(path)
        self._importance = importance
        self._wall_clock = wall_clock
        self._warned = False

    def connection(
        self, now: float, is_client: bool, original_dcid: bytes, local: str, remote: str
    ) -> Observer:
        """See the base class."""
        name = f"{original_dcid.hex()}_{'client' if is_client else 'server'}"
        try:
            file = self._open(name)
        except OSError as error:
            self.warn(error)
            return Observer()
        sink = _Sink(self, file)
        writer = QlogWriter(
            sink.write,
            close=sink.close,
            importance=self._importance,
            wall_clock=self._wall_clock,
        )
        return writer.connection(now, is_client, original_dcid, local, remote)

    def warn(self, error: OSError) -> None:
        """Something could not be written: say so, once."""
        if not self._warned:
            self._warned = True
            _logger.warning("cannot write qlogs to %s: %s", self._path, error)

    def _open(self, name: str) -> BinaryIO:
        self._path.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            suffix = "" if number == 1 else f"_{number}"
            try:
                return (self._path / f"{name}{suffix}.sqlog").open("xb", buffering=0)
            except FileExistsError:
                number += 1
                if number > _MOST_OF_ONE_NAME:
                    raise


@final
class _Sink:
    """An open file that may fail."""

    def __init__(self, owner: QlogDirectory, file: BinaryIO) -> None:
        self._owner = owner
        self._file = file

    def write(self, data: bytes) -> None:
        if self._file.closed:
            return
        try:
            self._file.write(data)
        except OSError as error:
            self._owner.warn(error)
            self.close()

    def close(self) -> None:
        self._file.close()
