"""STREAM frames up to their data (RFC 9000 19.8), read in place."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from ropewalk.quic.wire.frame import malformed_frame, truncated_frame
from ropewalk.quic.wire.frame_types import STREAM_FIN, STREAM_LEN, STREAM_OFF
from ropewalk.quic.wire.reader import Reader, Truncated
from ropewalk.quic.wire.varint import MAX_VARINT


@final
class StreamHeader:
    """The fields of a STREAM frame before its data. Made to be filled again for every frame.

    ``length`` bytes of data, of which there are that many for certain, begin at the position
    of the reader that was parsed.
    """

    def __init__(self) -> None:
        self.stream_id: i64 = 0
        self.offset: i64 = 0
        self.length: i64 = 0
        self.fin = False


def parse_stream_header(reader: Reader, frame_type: i64, into: StreamHeader) -> None:
    """Read the fields between the type (0x08 to 0x0f) and the data of a STREAM frame.

    Raises ``TransportError`` FRAME_ENCODING_ERROR for a frame that is cut short or whose
    data would end beyond 2**62 - 1, the largest offset.
    """
    offset: i64 = 0
    try:
        into.stream_id = reader.varint()
        if frame_type & STREAM_OFF != 0:
            offset = reader.varint()
        left: i64 = 0
        length: i64 = 0
        if frame_type & STREAM_LEN != 0:
            length = reader.varint()
            left = reader.remaining()
        else:
            length = left = reader.remaining()
    except Truncated:
        raise truncated_frame(frame_type) from None
    if length > left:
        raise truncated_frame(frame_type)
    if offset > MAX_VARINT - length:
        raise malformed_frame(
            frame_type, f"stream data at offset {int(offset)} ends beyond 2**62 - 1"
        )
    into.offset = offset
    into.length = length
    into.fin = frame_type & STREAM_FIN != 0
