"""The option that writes qlogs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click

from ropewalk.observe.observer import Observer
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.runtime.qlog import QlogDirectory

qlog_option: Final = click.option(
    "--qlog",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Write a qlog of each connection into the folder DIR.",
)


def watching(qlog: str | None) -> Observer | None:
    """The observer that ``--qlog`` stands for. Raises ``ConfigurationError`` when the folder
    cannot be written to."""
    if qlog is None:
        return None
    try:
        Path(qlog).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the qlog folder {qlog!r}: {error.strerror or error}"
        ) from error
    if not os.access(qlog, os.W_OK | os.X_OK):
        raise ConfigurationError(f"cannot write to the qlog folder {qlog!r}: permission denied")
    return QlogDirectory(qlog)
