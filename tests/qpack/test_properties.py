"""Round trips of anything, cuts anywhere, and random bytes that only meet typed errors."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.http3.errors import (
    H3_EXCESSIVE_LOAD,
    QPACK_DECODER_STREAM_ERROR,
    QPACK_DECOMPRESSION_FAILED,
    QPACK_ENCODER_STREAM_ERROR,
    Http3Error,
    QpackError,
)
from ropewalk.http3.qpack.decoder import Decoder
from ropewalk.http3.qpack.encoder import Encoder
from ropewalk.http3.qpack.static_table import STATIC_FIELDS
from tests.qpack.samples import Fields, duplicate, insert, section, set_capacity

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=400)

#: What can come of bytes on the encoder stream, the decoder stream, and in a section.
ALLOWED = {
    "e": (0, QPACK_ENCODER_STREAM_ERROR),
    "c": (0, QPACK_DECODER_STREAM_ERROR),
    "s": (0, QPACK_DECOMPRESSION_FAILED, H3_EXCESSIVE_LOAD),
}

NAMES = st.one_of(st.sampled_from([name for name, _ in STATIC_FIELDS]), st.binary(max_size=300))
FIELDS = st.lists(
    st.one_of(st.sampled_from(STATIC_FIELDS), st.tuples(NAMES, st.binary(max_size=300))),
    max_size=30,
)
INSERTS = st.lists(
    st.one_of(
        st.tuples(st.binary(max_size=60), st.binary(max_size=100)).map(lambda f: insert(*f)),
        st.integers(0, 3).map(duplicate),
        st.integers(300, 900).map(set_capacity),
    ),
    min_size=1,
    max_size=20,
)


@given(FIELDS)
@REPEATABLE
def test_whatever_is_encoded_decodes_to_itself(fields: Fields) -> None:
    assert Decoder().decode(0, Encoder().encode(fields)) == fields


@given(INSERTS, st.lists(st.integers(0, 2000), max_size=12))
@REPEATABLE
def test_instructions_mean_the_same_however_they_are_cut(
    instructions: list[bytes], cuts: list[int]
) -> None:
    stream = set_capacity(900) + b"".join([insert(b"x", b"y")] * 4 + instructions)

    def outcome(pieces: list[bytes]) -> tuple[int, int, int]:
        decoder = Decoder(900, 0)
        code = 0
        try:
            for piece in pieces:
                decoder.feed_encoder(piece)
        except QpackError as error:
            code = error.code
        return decoder.insert_count, decoder.table_size, code

    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:stop] for start, stop in pairwise(edges)]
    whole = outcome([stream])
    assert whole[2] in (0, QPACK_ENCODER_STREAM_ERROR)
    assert outcome(pieces) == whole
    assert outcome([bytes([byte]) for byte in stream]) == whole


@given(
    st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=40)), min_size=1, max_size=20),
    st.integers(0, 25),
)
@REPEATABLE
def test_any_base_tells_the_same_entries(fields: Fields, base: int) -> None:
    capacity = 4096
    decoder = Decoder(capacity, 0)
    decoder.feed_encoder(set_capacity(capacity) + b"".join([insert(*field) for field in fields]))
    lines = bytearray()
    for index in range(len(fields)):
        if index < base:
            lines.append(0x80 | (base - 1 - index))
        elif index - base < 15:
            lines.append(0x10 | (index - base))
        else:
            lines += bytes([0x1F, index - base - 15])
    block = section(len(fields), capacity, bytes(lines), base)
    assert decoder.decode(4, block) == fields


@given(st.lists(st.tuples(st.sampled_from("esc"), st.binary(max_size=80)), max_size=12))
@REPEATABLE
def test_random_bytes_only_meet_typed_errors(steps: list[tuple[str, bytes]]) -> None:
    for capacity, blocked, limit in ((0, 0, 200), (200, 2, 65536)):
        decoder = Decoder(capacity, blocked, limit)
        decoder.feed_encoder(set_capacity(capacity))
        encoder = Encoder()
        for number, (where, data) in enumerate(steps):
            code = 0
            try:
                if where == "e":
                    decoder.feed_encoder(data)
                elif where == "c":
                    encoder.feed_decoder(data)
                else:
                    decoder.decode(number, data)
            except Http3Error as error:
                code = error.code
            assert code in ALLOWED[where]
            assert decoder.table_size <= capacity
        decoder.take_decoder_stream()


@given(FIELDS, st.data())
@REPEATABLE
def test_a_bent_section_decodes_or_is_refused(fields: Fields, data: st.DataObject) -> None:
    block = bytearray(Encoder().encode(fields))
    for _ in range(data.draw(st.integers(1, 3))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    decoder = Decoder(4096, 4)
    try:
        decoder.decode(0, bytes(block))
        code = 0
    except QpackError as error:
        code = error.code
    assert code in (0, QPACK_DECOMPRESSION_FAILED)
