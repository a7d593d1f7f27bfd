"""The file that a trace is: header, records, and when they are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, final

from mypy_extensions import i64

from ropewalk.observe.json_writer import JsonWriter

_SCHEMAS: Final = [
    "urn:ietf:params:qlog:events:quic-13",
    "urn:ietf:params:qlog:events:http3-13",
]
#: Bytes that wait to be written at most, and for how many seconds of the core's clock.
_BUFFER: Final = 32768
_PATIENCE: Final = 1.0


@final
class Trace:
    """One trace, as JSON-SEQ (RFC 7464) or, ``contained``, as one JSON document."""

    def __init__(
        self,
        write: Callable[[bytes], object],
        close: Callable[[], object] | None,
        contained: bool,
        wall_clock: Callable[[], float] | None,
        title: str,
    ) -> None:
        self.out = JsonWriter()
        #: the four-tuple that events belong to, "" for the first
        self.tuple_id = b""
        self._write = write
        self._close = close
        self._contained = contained
        self._wall_clock = wall_clock
        self._title = title
        self._begun = False
        self._ended = False
        self._events: i64 = 0
        #: the core's clock at time 0 of the trace, and at the last flush
        self._epoch = 0.0
        self._flushed = 0.0
        #: write every event at once, for it may be the last
        self._hurried = False

    def begin(self, now: float, is_client: bool, group: str) -> None:
        """Write the header. Raises ``ValueError`` the second time."""
        if self._begun:
            raise ValueError("a QlogWriter watches one connection; make another for the next")
        self._begun = True
        self._flushed = now
        trace: dict[str, object] = {
            "vantage_point": {
                "name": "ropewalk",
                "type": "client" if is_client else "server",
            },
            "event_schemas": _SCHEMAS,
            "common_fields": {
                "group_id": group,
                "time_format": "relative_to_epoch",
                "reference_time": self._reference_time(now),
            },
        }
        header: dict[str, object] = {
            "file_schema": "urn:ietf:params:qlog:file:sequential",
            "serialization_format": "application/qlog+json-seq",
        }
        if self._title:
            header["title"] = self._title
        if self._contained:
            header["file_schema"] = "urn:ietf:params:qlog:file:contained"
            header["serialization_format"] = "application/qlog+json"
            trace["events"] = []
            header["traces"] = [trace]
            # The list of events stays open.
            self.out.raw(as_json(header)[: -len("]}]}")])
            return
        header["trace"] = trace
        self.out.raw(b"\x1e")
        self.out.raw(as_json(header))
        self.out.raw(b"\n")

    def _reference_time(self, now: float) -> dict[str, object]:
        if self._wall_clock is None:
            return {"clock_type": "monotonic", "epoch": "unknown"}
        self._epoch = now
        moment = datetime.fromtimestamp(self._wall_clock(), UTC)
        epoch = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"clock_type": "system", "epoch": epoch}

    def open_event(self, now: float, name: bytes) -> None:
        """The beginning of an event. ``name`` is everything between the time and the data's
        first value; the caller writes the data and then calls :meth:`close_event`."""
        out = self.out
        if not self._contained:
            out.raw(b"\x1e")
        elif self._events > 0:
            out.raw(b",\n")
        self._events += 1
        out.raw(b'{"time":')
        out.milliseconds(now - self._epoch)
        out.raw(name)

    def close_event(self, now: float) -> None:
        """The end of an event, behind its data."""
        out = self.out
        if self.tuple_id:
            out.raw(b',"tuple":"')
            out.raw(self.tuple_id)
            out.raw(b'"}')
        else:
            out.raw(b"}")
        if not self._contained:
            out.raw(b"\n")
        if len(out) >= _BUFFER or now - self._flushed >= _PATIENCE or self._hurried:
            self._flushed = now
            self.flush()

    def event(self, now: float, name: str, data: dict[str, object]) -> None:
        """A whole event of the rarer kind."""
        self.open_event(now, f',"name":"{name}","data":'.encode())
        self.out.raw(as_json(data))
        self.close_event(now)

    def hurry(self) -> None:
        """Write what waits, and from now on each event as it comes: the connection ends."""
        self._hurried = True
        self.flush()

    def flush(self) -> None:
        """Write what waits. What came after the end is dropped."""
        if len(self.out) > 0:
            data = self.out.take()
            if not self._ended:
                self._write(data)

    def end(self) -> None:
        """The trace is complete; again is harmless."""
        if self._ended:
            return
        if self._contained and self._begun:
            self.out.raw(b"]}]}\n")
        self.flush()
        self._ended = True
        if self._close is not None:
            self._close()


def as_json(value: object) -> bytes:
    """Compact JSON, in ASCII."""
    return json.dumps(value, separators=(",", ":")).encode()
