"""Bytes of a peer's encoder stream, cut in different ways."""

from __future__ import annotations

from ropewalk.http3.errors import QPACK_ENCODER_STREAM_ERROR, QpackError
from ropewalk.http3.qpack.decoder import Decoder

SEED_PREFIX = b"\x00"
CAPACITY = 4096


def fuzz_qpack_encoder_stream(data: bytes) -> None:
    """The same table or the same error, however the stream is cut; never above capacity."""
    if not data:
        return
    step, stream = 1 + data[0] % 16, data[1:]
    whole = feed(stream, max(1, len(stream)))
    assert feed(stream, step) == whole


def feed(stream: bytes, step: int) -> tuple[int, int, int, bytes] | None:
    """Counts and the answer of a decoder after the stream; None when it was refused."""
    decoder = Decoder(CAPACITY, 16)
    try:
        for start in range(0, len(stream), step):
            decoder.feed_encoder(stream[start : start + step])
            assert 0 <= decoder.table_size <= CAPACITY
    except QpackError as error:
        assert error.code == QPACK_ENCODER_STREAM_ERROR
        assert error.reason
        return None
    answer = decoder.take_decoder_stream()
    return decoder.insert_count, decoder.table_size, len(answer), answer
