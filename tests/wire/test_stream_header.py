"""STREAM frames read in place (RFC 9000 19.8): where the data begins, and that it is there."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from librt.strings import BytesWriter

from ropewalk.quic.types.error_codes import FRAME_ENCODING_ERROR
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.frame_types import read_frame_type
from ropewalk.quic.wire.reader import Reader
from ropewalk.quic.wire.stream_header import StreamHeader, parse_stream_header
from ropewalk.quic.wire.varint import MAX_VARINT
from ropewalk.quic.wire.writers import stream_header_size, write_stream_header

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=300)


@given(
    st.integers(0, MAX_VARINT),
    st.one_of(st.just(0), st.integers(0, MAX_VARINT - 100)),
    st.binary(max_size=100),
    st.booleans(),
    st.booleans(),
)
@REPEATABLE
def test_what_is_written_is_read_in_place(
    stream_id: int, offset: int, data: bytes, with_length: bool, fin: bool
) -> None:
    writer = BytesWriter()
    length = len(data) if with_length else -1
    write_stream_header(writer, stream_id, offset, length, fin)
    assert len(writer) == stream_header_size(stream_id, offset, length)

    packet = writer.getvalue() + data + (b"\x01" if with_length else b"")
    reader = Reader(packet)
    header = StreamHeader()
    parse_stream_header(reader, read_frame_type(reader), header)
    assert (header.stream_id, header.offset, header.fin) == (stream_id, offset, fin)
    assert header.length == len(data)
    assert reader.position == len(writer)
    assert reader.take(header.length) == data


def test_the_data_of_a_header_that_was_read_is_there_entirely() -> None:
    packet = bytes.fromhex("0a 04 03 616263 ffff")
    for end in range(1, 6):
        with pytest.raises(TransportError) as caught:
            parse_stream_header(Reader(packet, 1, end), 0x0A, StreamHeader())
        assert caught.value.code == FRAME_ENCODING_ERROR
        assert caught.value.frame_type == 0x0A
    header = StreamHeader()
    parse_stream_header(Reader(packet, 1, 6), 0x0A, header)
    assert header.length == 3


def test_a_refilled_header_keeps_nothing_of_the_last() -> None:
    header = StreamHeader()
    parse_stream_header(Reader(bytes.fromhex("04 4100 01 78")), 0x0F, header)
    assert (header.offset, header.length, header.fin) == (0x100, 1, True)
    parse_stream_header(Reader(bytes.fromhex("08")), 0x08, header)
    assert (header.stream_id, header.offset, header.length, header.fin) == (8, 0, 0, False)
