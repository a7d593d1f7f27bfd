"""Field sections, with what the encoder stream said before them."""

from __future__ import annotations

from ropewalk.http3.errors import FieldSectionTooLarge, QpackError
from ropewalk.http3.qpack.decoder import Decoder
from ropewalk.http3.qpack.encoder import Encoder

#: Two bytes: how much of the rest is encoder stream, and the step in which that arrives.
SEED_PREFIX = b"\x00\x00"
LIMIT = 8192


def fuzz_qpack_field_section(data: bytes) -> None:
    """Fields that survive another round, a section that waits, or a typed error."""
    if len(data) < 2:
        return
    split, rest = data[0], data[2:]
    stream, section = rest[:split], rest[split:]
    decoder = Decoder(4096, 2, LIMIT)
    try:
        if data[1] & 1:
            fields = decoder.decode(4, section)
            decoder.feed_encoder(stream)
            if fields is None and 4 in decoder.unblocked():
                fields = decoder.decode(4, section)
                assert fields is not None
        else:
            decoder.feed_encoder(stream)
            fields = decoder.decode(4, section)
    except (QpackError, FieldSectionTooLarge) as error:
        assert error.reason
        return
    decoder.take_decoder_stream()
    if fields is None:
        decoder.cancel(4)
        decoder.take_decoder_stream()
        return
    assert sum(len(name) + len(value) + 32 for name, value in fields) <= LIMIT
    assert Decoder(0, 0, LIMIT).decode(0, Encoder().encode(fields)) == fields
