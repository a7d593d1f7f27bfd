"""Small qlogs made by hand, and those of other stacks in tests/data/qlog."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ropewalk.lab.trace import Trace, read_qlog

DATA = Path(__file__).parent.parent / "data" / "qlog"

Event = dict[str, Any]


def head(side: str = "client", **common: Any) -> Event:
    """The first record of a JSON-SEQ file of the present drafts."""
    return {
        "file_schema": "urn:ietf:params:qlog:file:sequential",
        "serialization_format": "application/qlog+json-seq",
        "trace": {
            "vantage_point": {"type": side},
            "event_schemas": ["urn:ietf:params:qlog:events:quic-13"],
            "common_fields": {"group_id": "0102", **common},
        },
    }


def event(time: float, name: str, data: Event | None = None, **more: Any) -> Event:
    """An event; ``name`` without a namespace is of ``quic:``."""
    full = name if ":" in name else f"quic:{name}"
    return {"time": time, "name": full, "data": data or {}, **more}


def packet(time: float, name: str, number: int, *frames: Event, **more: Any) -> Event:
    """A 1-RTT packet of 1,200 bytes that was ``sent`` or ``received``."""
    header: Event = {"packet_type": "1RTT", "packet_number": number, **more.pop("header", {})}
    data = {"header": header, "frames": list(frames), "raw": {"length": 1200}}
    return event(time, f"packet_{name}", data, **more)


def stream(offset: int, length: int, stream_id: int = 0, fin: bool = False) -> Event:
    """A STREAM frame."""
    frame = {"frame_type": "stream", "stream_id": stream_id, "offset": offset, "fin": fin}
    return {**frame, "raw": {"length": length + 4, "payload_length": length}}


def ack(*ranges: list[int], delay: float = 0.0) -> Event:
    """An ACK frame; ``delay`` in milliseconds."""
    return {"frame_type": "ack", "acked_ranges": list(ranges), "ack_delay": delay}


def sequence(*records: Event) -> bytes:
    """The records as JSON-SEQ."""
    return b"".join(b"\x1e" + json.dumps(record).encode() + b"\n" for record in records)


def trace_of(events: Iterable[Event], side: str = "client", **common: Any) -> Trace:
    """The one trace that these events make."""
    (trace,) = read_qlog(sequence(head(side, **common), *events), f"{side}.sqlog")
    return trace


def sample(name: str) -> Trace:
    """The trace in a file of tests/data/qlog."""
    (trace,) = read_qlog((DATA / name).read_bytes(), name)
    return trace
