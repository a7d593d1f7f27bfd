"""Frames of one stream: RESET_STREAM, STOP_SENDING, STREAM (RFC 9000 19.4, 19.5, 19.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.quic.wire.frame import Frame
from ropewalk.quic.wire.frame_types import STREAM_LEN
from ropewalk.quic.wire.reader import Reader
from ropewalk.quic.wire.stream_header import StreamHeader, parse_stream_header
from ropewalk.quic.wire.writers import (
    write_reset_stream,
    write_stop_sending,
    write_stream_header,
)


@final
@dataclass(frozen=True)
class ResetStreamFrame(Frame):
    """The sender gives up a stream (19.4); ``code`` is the application's."""

    stream_id: int
    code: int
    final_size: int

    def write(self, writer: BytesWriter) -> None:
        write_reset_stream(writer, self.stream_id, self.code, self.final_size)


@final
@dataclass(frozen=True)
class StopSendingFrame(Frame):
    """The receiver no longer wants a stream (19.5); ``code`` is the application's."""

    stream_id: int
    code: int

    def write(self, writer: BytesWriter) -> None:
        write_stop_sending(writer, self.stream_id, self.code)


@final
@dataclass(frozen=True)
class StreamFrame(Frame):
    """Data of a stream (19.8); without a length it reaches to the packet's end."""

    stream_id: int
    offset: int
    data: bytes
    fin: bool = False
    has_length: bool = True

    def write(self, writer: BytesWriter) -> None:
        length: i64 = len(self.data) if self.has_length else -1
        write_stream_header(writer, self.stream_id, self.offset, length, self.fin)
        writer.write(self.data)


def parse_reset_stream(reader: Reader) -> ResetStreamFrame:
    """The fields after the type."""
    stream_id: i64 = reader.varint()
    code: i64 = reader.varint()
    return ResetStreamFrame(stream_id, code, reader.varint())


def parse_stop_sending(reader: Reader) -> StopSendingFrame:
    """The fields after the type."""
    stream_id: i64 = reader.varint()
    return StopSendingFrame(stream_id, reader.varint())


def parse_stream(reader: Reader, frame_type: i64) -> StreamFrame:
    """The fields after the type, and the data."""
    header = StreamHeader()
    parse_stream_header(reader, frame_type, header)
    data = reader.take(header.length)
    has_length = frame_type & STREAM_LEN != 0
    return StreamFrame(header.stream_id, header.offset, data, header.fin, has_length)
