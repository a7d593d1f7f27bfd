"""The frames of a packet event: what they do, and one line that tells of them."""

from __future__ import annotations

import math
from typing import Final, final

from ropewalk.lab.trace.values import integer, items, mapping, number, text

#: Frames that do not ask for an acknowledgement (RFC 9002 2).
_NOT_ELICITING: Final = ("ack", "path_ack", "padding", "connection_close")
_MOST_RANGES: Final = 4096
_RANGES_TOLD: Final = 3
_FRAMES_TOLD: Final = 8
#: No frame is longer than a UDP datagram.
_MAX_LENGTH: Final = 65_535

#: Stream ID, offset, length, FIN. What is no stream has a negative number in the ID's place.
StreamData = tuple[int, int, int, bool]
DATAGRAM: Final = -1
#: Less the packet-number space, for each space has CRYPTO data of its own.
CRYPTO: Final = -2


@final
class FrameList:
    """What the frames of one packet came to."""

    __slots__ = (
        "acks",
        "close",
        "data",
        "eliciting",
        "resets",
        "told",
        "unread",
    )

    def __init__(self) -> None:
        self.told: list[str] = []
        self.eliciting = False
        #: Path name (empty: the packet's own), ranges, delay in seconds (NaN: not told).
        self.acks: list[tuple[str, list[tuple[int, int]], float]] = []
        self.data: list[StreamData] = []
        self.resets: list[int] = []
        #: Error and reason of a CONNECTION_CLOSE.
        self.close: tuple[str, str] | None = None
        self.unread = 0

    @property
    def ack_delay(self) -> float:
        return self.acks[0][2] if self.acks else math.nan

    def text(self) -> str:
        """The frames on one line."""
        if len(self.told) <= _FRAMES_TOLD:
            return ", ".join(self.told)
        rest = len(self.told) - _FRAMES_TOLD
        return f"{', '.join(self.told[:_FRAMES_TOLD])}, and {rest} more"


def read_frames(frames: object) -> FrameList:
    """Read the ``frames`` field of a packet event."""
    found = FrameList()
    for each in items(frames):
        frame = mapping(each)
        kind = text(frame.get("frame_type"), 40).lower()
        if not kind:
            found.unread += 1
            continue
        if kind not in _NOT_ELICITING:
            found.eliciting = True
        _read_frame(kind, frame, found)
    return found


def _read_frame(kind: str, frame: dict[str, object], found: FrameList) -> None:
    told = kind.upper()
    if kind == "stream":
        told = _read_stream(frame, found)
    elif kind in ("ack", "path_ack"):
        told = _read_ack(kind, frame, found)
    elif kind == "crypto":
        offset, size = integer(frame.get("offset")) or 0, frame_length(frame)
        found.data.append((CRYPTO, offset, size, False))
        told = f"CRYPTO {offset:,} + {size:,}"
    elif kind == "padding":
        if found.told and found.told[-1].startswith("PADDING"):
            return
    elif kind == "datagram":
        size = frame_length(frame)
        found.data.append((DATAGRAM, 0, size, False))
        told = f"DATAGRAM {size:,}"
    elif kind == "connection_close":
        found.close = close_of(frame)
        told = f"CONNECTION_CLOSE {found.close[0]}"
    else:
        stream_id = integer(frame.get("stream_id"))
        if kind.startswith("reset_stream") and stream_id is not None:
            found.resets.append(stream_id)
        told = f"{told}{_details(frame)}"
    found.told.append(told)


def _read_stream(frame: dict[str, object], found: FrameList) -> str:
    stream_id = integer(frame.get("stream_id"))
    if stream_id is None:
        found.unread += 1
        return "STREAM"
    offset, size = integer(frame.get("offset")) or 0, frame_length(frame)
    fin = frame.get("fin") is True
    found.data.append((stream_id, offset, size, fin))
    return f"STREAM {stream_id}: {offset:,} + {size:,}{' FIN' if fin else ''}"


def _read_ack(kind: str, frame: dict[str, object], found: FrameList) -> str:
    ranges: list[tuple[int, int]] = []
    for each in items(frame.get("acked_ranges"))[:_MOST_RANGES]:
        ends = [integer(end) for end in (each if isinstance(each, list) else [each])]
        first, last = (ends[0], ends[-1]) if ends else (None, None)
        if first is None or last is None or len(ends) > 2 or last < first:
            found.unread += 1
        else:
            ranges.append((first, last))
    delay = number(frame.get("ack_delay"))
    path = text(frame.get("path_id"), 20) if kind == "path_ack" else ""
    found.acks.append((path, ranges, math.nan if delay is None else delay / 1000))
    parts = [
        f"{first:,}" if first == last else f"{first:,}\N{EN DASH}{last:,}"
        for first, last in sorted(ranges, reverse=True)[:_RANGES_TOLD]
    ]
    more = f" and {len(ranges) - _RANGES_TOLD} ranges more" if len(ranges) > _RANGES_TOLD else ""
    on_path = f" of path {path}" if path else ""
    return f"ACK{on_path} {' '.join(parts)}{more}"


def frame_length(frame: dict[str, object]) -> int:
    """The length of a frame's data, which has had three places."""
    raw = mapping(frame.get("raw"))
    for value in (raw.get("payload_length"), frame.get("length"), raw.get("length")):
        found = integer(value)
        if found is not None and found <= _MAX_LENGTH:
            return found
    return 0


def close_of(fields: dict[str, object]) -> tuple[str, str]:
    """Error and reason, from a frame or an event of any draft."""
    names = (
        "error",
        "connection_error",
        "application_error",
        "connection_code",
        "application_code",
    )
    error = ""
    for name in names:
        value = fields.get(name)
        if value is not None and value != "unknown" and not error:
            error = text(value, 60)
    code = integer(fields.get("error_code"))
    if code is not None and not (error and not error.isdigit()):
        space = text(fields.get("error_space"), 20)
        is_application = space == "application" or "application_error" in fields
        error = f"{'application error ' if is_application else 'error '}{code:#x}"
    return error or "no error", text(fields.get("reason"), 300)


def _details(frame: dict[str, object]) -> str:
    parts = []
    for name in ("path_id", "stream_id", "sequence_number", "maximum", "limit", "error_code"):
        value = integer(frame.get(name))
        if value is not None:
            parts.append(f"{value:,}")
    return f" {' '.join(parts)}" if parts else ""
