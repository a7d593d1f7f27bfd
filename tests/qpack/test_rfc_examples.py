"""The conversation of RFC 9204 appendix B, step by step."""

from __future__ import annotations

from ropewalk.http3.qpack.decoder import Decoder
from tests.qpack.samples import load

STEPS = load("rfc9204_appendix_b.json")["steps"]


def test_the_conversation_of_the_appendix() -> None:
    decoder = Decoder(220, 1)
    decoded = 0
    for step in STEPS:
        data = bytes.fromhex(step["hex"])
        if step["kind"] == "encoder":
            decoder.feed_encoder(data)
            assert decoder.table_size == step["size"]
        elif step["kind"] == "decoder" and step["instructions"][0][0] == "stream_cancellation":
            # In the text the section of stream 8 is given up before it could be decoded, and
            # the cancellation is all that is sent; we report the duplicate as well.
            decoder.cancel(step["stream"] if step["stream"] != "decoder" else 8)
            assert decoder.take_decoder_stream() == data + b"\x01"
        elif step["kind"] == "decoder":
            assert decoder.take_decoder_stream() == data
        elif step["stream"] != 8:
            fields = [(name.encode(), value.encode()) for name, value in step["fields"]]
            assert decoder.decode(step["stream"], data) == fields
            decoded += 1
    assert decoded == 2
    assert decoder.insert_count == 5


def test_the_section_of_stream_8_waits_for_the_duplicate() -> None:
    decoder = Decoder(220, 1)
    section = next(step for step in STEPS if step["stream"] == 8)
    data = bytes.fromhex(section["hex"])
    instructions = [bytes.fromhex(step["hex"]) for step in STEPS if step["kind"] == "encoder"]
    for instruction in instructions[:2]:
        decoder.feed_encoder(instruction)
    assert decoder.decode(8, data) is None
    decoder.feed_encoder(instructions[2])
    assert decoder.unblocked() == [8]
    fields = [(name.encode(), value.encode()) for name, value in section["fields"]]
    assert decoder.decode(8, data) == fields
    assert decoder.take_decoder_stream().hex() == "88"
