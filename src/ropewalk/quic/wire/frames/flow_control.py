"""Frames of credit and of its lack: MAX_DATA to STREAMS_BLOCKED (RFC 9000 19.9 to 19.14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.quic.wire.frame import Frame, malformed_frame
from ropewalk.quic.wire.frame_types import MAX_STREAMS_BIDI, STREAMS_BLOCKED_BIDI
from ropewalk.quic.wire.reader import Reader
from ropewalk.quic.wire.writers import (
    write_data_blocked,
    write_max_data,
    write_max_stream_data,
    write_max_streams,
    write_stream_data_blocked,
    write_streams_blocked,
)

#: More streams than this could not be numbered (4.6).
MAX_STREAMS_LIMIT: Final = 0x1000000000000000


@final
@dataclass(frozen=True)
class MaxDataFrame(Frame):
    """How much may be sent on all streams together (19.9)."""

    maximum: int

    def write(self, writer: BytesWriter) -> None:
        write_max_data(writer, self.maximum)


@final
@dataclass(frozen=True)
class MaxStreamDataFrame(Frame):
    """How much may be sent on one stream (19.10)."""

    stream_id: int
    maximum: int

    def write(self, writer: BytesWriter) -> None:
        write_max_stream_data(writer, self.stream_id, self.maximum)


@final
@dataclass(frozen=True)
class MaxStreamsFrame(Frame):
    """How many streams of a kind may be opened over the connection's whole life (19.11)."""

    maximum: int
    bidirectional: bool

    def write(self, writer: BytesWriter) -> None:
        write_max_streams(writer, self.maximum, self.bidirectional)


@final
@dataclass(frozen=True)
class DataBlockedFrame(Frame):
    """The sender has data, but the connection's ``limit`` is reached (19.12)."""

    limit: int

    def write(self, writer: BytesWriter) -> None:
        write_data_blocked(writer, self.limit)


@final
@dataclass(frozen=True)
class StreamDataBlockedFrame(Frame):
    """The sender has data, but the stream's ``limit`` is reached (19.13)."""

    stream_id: int
    limit: int

    def write(self, writer: BytesWriter) -> None:
        write_stream_data_blocked(writer, self.stream_id, self.limit)


@final
@dataclass(frozen=True)
class StreamsBlockedFrame(Frame):
    """The sender would open a stream, but their ``limit`` is reached (19.14)."""

    limit: int
    bidirectional: bool

    def write(self, writer: BytesWriter) -> None:
        write_streams_blocked(writer, self.limit, self.bidirectional)


def parse_max_stream_data(reader: Reader) -> MaxStreamDataFrame:
    """The fields after the type."""
    stream_id: i64 = reader.varint()
    return MaxStreamDataFrame(stream_id, reader.varint())


def parse_max_streams(reader: Reader, frame_type: i64) -> MaxStreamsFrame:
    """The fields after the type."""
    return MaxStreamsFrame(_stream_count(reader, frame_type), frame_type == MAX_STREAMS_BIDI)


def parse_stream_data_blocked(reader: Reader) -> StreamDataBlockedFrame:
    """The fields after the type."""
    stream_id: i64 = reader.varint()
    return StreamDataBlockedFrame(stream_id, reader.varint())


def parse_streams_blocked(reader: Reader, frame_type: i64) -> StreamsBlockedFrame:
    """The fields after the type."""
    count: i64 = _stream_count(reader, frame_type)
    return StreamsBlockedFrame(count, frame_type == STREAMS_BLOCKED_BIDI)


def _stream_count(reader: Reader, frame_type: i64) -> i64:
    count: i64 = reader.varint()
    if count > MAX_STREAMS_LIMIT:
        raise malformed_frame(frame_type, f"{int(count)} streams; at most 2**60 can exist")
    return count
