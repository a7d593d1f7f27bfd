"""Bytes of a peer's decoder stream, cut in different ways."""

from __future__ import annotations

from ropewalk.http3.errors import QPACK_DECODER_STREAM_ERROR, QpackError
from ropewalk.http3.qpack.encoder import Encoder

SEED_PREFIX = b"\x00"


def fuzz_qpack_decoder_stream(data: bytes) -> None:
    """Taken or refused, however the stream is cut."""
    if not data:
        return
    step, stream = 1 + data[0] % 16, data[1:]
    assert is_taken(stream, max(1, len(stream))) == is_taken(stream, step)


def is_taken(stream: bytes, step: int) -> bool:
    """Whether an encoder that inserts nothing finds the stream in order."""
    encoder = Encoder()
    try:
        for start in range(0, len(stream), step):
            encoder.feed_decoder(stream[start : start + step])
    except QpackError as error:
        assert error.code == QPACK_DECODER_STREAM_ERROR
        assert error.reason
        return False
    return True
