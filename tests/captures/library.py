"""The captures in ``tests/data/captures`` by their names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.captures.decoder import CapturedConnection, Decoder
from tests.captures.files import read_capture, read_key_log

DATA = Path(__file__).parents[1] / "data" / "captures"


class Capture:
    """A capture file, the key log beside it, and what is known to be in it."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.datagrams = read_capture(path.read_bytes())
        self.key_log = read_key_log(path.with_suffix(".keys").read_text())
        self.expected: dict[str, Any] = json.loads(path.with_suffix(".decoded.json").read_text())

    def connection(self) -> CapturedConnection:
        """The connection that gets to a handshake (of two in the capture of a wrong version)."""
        decoder = Decoder(self.key_log)
        for datagram in self.datagrams:
            decoder.datagram(datagram)
        (connection,) = [each for each in decoder.connections.values() if each.secrets]
        return connection


CAPTURES = {path.stem: Capture(path) for path in sorted(DATA.glob("*.pcap*"))}
