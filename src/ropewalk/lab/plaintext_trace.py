"""The trace of what packets said, for handshakes whose bytes cannot be seeded."""

from __future__ import annotations

import hashlib
import struct
from typing import Final, final

from ropewalk.observe.frames import CRYPTO, FrameReader
from ropewalk.observe.observer import Observer

_LINE: Final = struct.Struct("!B?dBQIQ")


@final
class PlaintextTrace:
    """A running digest over time, number, size and frames of every packet of every watched
    connection. The contents of CRYPTO frames do not count, only their place and length."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=32)
        self._names = 0

    def observer(self, name: str) -> Observer:
        """An observer for one connection; ``name`` tells it from the others."""
        self._names += 1
        self._digest.update(name.encode())
        return _Reader(self, self._names)

    def note(
        self, who: int, sent: bool, now: float, level: int, number: int, size: int, payload: bytes
    ) -> None:
        """One packet."""
        update = self._digest.update
        update(_LINE.pack(who, sent, now, level, number, size, len(payload)))
        reader = FrameReader()
        reader.reset(payload)
        while reader.read():
            end = reader.data if reader.kind == CRYPTO else reader.position
            update(payload[reader.start : end])

    def digest(self) -> str:
        """The digest so far, in hexadecimal."""
        return self._digest.hexdigest()


@final
class _Reader(Observer):
    def __init__(self, trace: PlaintextTrace, who: int) -> None:
        super().__init__()
        self._trace = trace
        self._who = who

    def packet_sent(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        self._trace.note(self._who, True, now, level, packet_number, size, payload)

    def packet_received(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        self._trace.note(self._who, False, now, level, packet_number, size, payload)
