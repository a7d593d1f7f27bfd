"""The witness's books on streams and flow control: what was sent, and what may be."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from ropewalk.observe.frames import (
    MAX_DATA,
    MAX_STREAM_DATA,
    MAX_STREAMS_BIDI,
    MAX_STREAMS_UNI,
    RESET_STREAM,
    FrameReader,
)
from ropewalk.quic.types.configuration import Configuration
from ropewalk.sim.invariants import Violation


@final
class SentStream:
    """What one side sent on a stream."""

    __slots__ = ("final_size", "highest", "limit")

    def __init__(self, limit: i64) -> None:
        self.limit: i64 = limit
        self.highest: i64 = 0
        self.final_size: i64 = -1


@final
class StreamBooks:
    """What one side sent on its streams, within the limits that the other announced first
    (its configuration, ``peer``) and later."""

    def __init__(self, name: str, is_client: bool, peer: Configuration) -> None:
        self._name = name
        self._is_client = is_client
        self._streams: dict[int, SentStream] = {}
        self._stream_window: i64 = peer.stream_window
        self._max_data: i64 = peer.connection_window
        self._max_streams_bidi: i64 = peer.max_bidirectional_streams
        self._max_streams_uni: i64 = peer.max_unidirectional_streams
        self._limits_sent: dict[str, int] = {}
        self._data_sent: i64 = 0

    def on_stream_sent(self, now: float, frame: FrameReader) -> None:
        """A STREAM frame left."""
        stream_id = frame.a
        offset = frame.b
        end = offset + frame.length
        self._check_number(now, stream_id)
        stream = self._stream(stream_id)
        if offset > stream.highest:
            self._wrong_offset(now, f"stream {stream_id} jumps from {stream.highest} to {offset}")
        if end > stream.limit:
            self._above_limit(now, f"stream {stream_id} reaches {end}, its limit is {stream.limit}")
        if stream.final_size >= 0 and end > stream.final_size:
            self._wrong_offset(
                now, f"stream {stream_id} goes on behind its end {stream.final_size}"
            )
        if frame.c != 0:
            if (stream.final_size >= 0 and stream.final_size != end) or end < stream.highest:
                self._wrong_offset(
                    now, f"stream {stream_id} ends at {end} and at {stream.final_size}"
                )
            stream.final_size = end
        if end > stream.highest:
            self._data_sent += end - stream.highest
            stream.highest = end
            if self._data_sent > self._max_data:
                self._above_limit(
                    now, f"{self._data_sent} bytes on all streams, the limit is {self._max_data}"
                )

    def on_control_sent(self, now: float, frame: FrameReader) -> None:
        """A RESET_STREAM frame or one that announces a limit of ours left; others are ignored."""
        kind = frame.kind
        if kind == RESET_STREAM:
            stream = self._stream(frame.a)
            end = frame.c
            if end != stream.highest or (stream.final_size >= 0 and stream.final_size != end):
                self._wrong_offset(now, f"stream {frame.a} is reset at {end}, not {stream.highest}")
            stream.final_size = end
        elif kind == MAX_STREAM_DATA:
            self._check_announced(now, f"of stream {frame.a}", frame.b)
        elif kind == MAX_DATA or kind == MAX_STREAMS_BIDI or kind == MAX_STREAMS_UNI:
            self._check_announced(now, f"0x{kind:x}", frame.a)

    def on_control_received(self, frame: FrameReader) -> None:
        """The peer announced a limit; other frames are ignored."""
        kind = frame.kind
        if kind == MAX_DATA:
            self._max_data = max(self._max_data, frame.a)
        elif kind == MAX_STREAM_DATA:
            stream = self._stream(frame.a)
            stream.limit = max(stream.limit, frame.b)
        elif kind == MAX_STREAMS_BIDI:
            self._max_streams_bidi = max(self._max_streams_bidi, frame.a)
        elif kind == MAX_STREAMS_UNI:
            self._max_streams_uni = max(self._max_streams_uni, frame.a)

    def _check_announced(self, now: float, which: str, limit: i64) -> None:
        before: i64 = self._limits_sent.get(which, 0)
        if limit < before:
            self._broken(
                "inv.quic.limits_never_shrink",
                now,
                f"the limit {which} shrinks from {before} to {limit}",
            )
        self._limits_sent[which] = int(limit)

    def _stream(self, stream_id: i64) -> SentStream:
        stream = self._streams.get(int(stream_id))
        if stream is None:
            # The windows of a configuration are equal for all three kinds of streams.
            stream = SentStream(self._stream_window)
            self._streams[int(stream_id)] = stream
        return stream

    def _check_number(self, now: float, stream_id: i64) -> None:
        """Streams that this side opens are numbered below the peer's limit (RFC 9000 4.6)."""
        if (stream_id & 1 != 0) == self._is_client:
            return
        limit = self._max_streams_uni if stream_id & 2 != 0 else self._max_streams_bidi
        number: i64 = (stream_id >> 2) + 1
        if number > limit:
            self._above_limit(now, f"stream {stream_id} is number {number} of {limit}")

    def _wrong_offset(self, now: float, what: str) -> None:
        self._broken("inv.quic.stream_offsets_monotonic", now, what)

    def _above_limit(self, now: float, what: str) -> None:
        self._broken("inv.quic.flow_control_respected", now, what)

    def _broken(self, invariant_id: str, now: float, what: str) -> None:
        raise Violation(invariant_id, self._name, now, what)
