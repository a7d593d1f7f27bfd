"""Requirements of RFC 9204 that no other test is about."""

from __future__ import annotations

import pytest

from ropewalk.http3.errors import QPACK_ENCODER_STREAM_ERROR, QpackError
from ropewalk.http3.qpack.decoder import Decoder
from tests.qpack.samples import duplicate, insert, set_capacity


@pytest.mark.parametrize("instruction", [duplicate(3), b"\x83\x01x"], ids=["entry", "name"])
def test_an_instruction_that_names_an_evicted_entry_is_refused(instruction: bytes) -> None:
    decoder = Decoder(96, 0)
    decoder.feed_encoder(set_capacity(96))
    for _ in range(4):  # of which three fit
        decoder.feed_encoder(insert(b"", b""))
    decoder.feed_encoder(duplicate(2))
    with pytest.raises(QpackError) as caught:
        decoder.feed_encoder(instruction)
    assert caught.value.code == QPACK_ENCODER_STREAM_ERROR
