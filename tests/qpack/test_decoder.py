"""The decoder: blocking, acknowledgments, limits, and every refusal (RFC 9204 2.2, 4.3, 4.5)."""

from __future__ import annotations

import pytest

from ropewalk.http3.errors import (
    QPACK_DECOMPRESSION_FAILED,
    QPACK_ENCODER_STREAM_ERROR,
    FieldSectionTooLarge,
    QpackError,
)
from ropewalk.http3.qpack.decoder import Decoder
from ropewalk.http3.qpack.encoder import Encoder
from tests.qpack.samples import (
    duplicate,
    insert,
    insert_with_static_name,
    section,
    set_capacity,
)

NEWEST = b"\x80"  # indexed, dynamic, relative index 0


def ready(capacity: int = 4096, blocked: int = 16, limit: int = 65536) -> Decoder:
    decoder = Decoder(capacity, blocked, limit)
    decoder.feed_encoder(set_capacity(capacity))
    return decoder


def refused(decoder: Decoder, data: bytes) -> str:
    with pytest.raises(QpackError) as caught:
        decoder.decode(0, data)
    assert caught.value.code == QPACK_DECOMPRESSION_FAILED
    return caught.value.reason


def refused_instruction(decoder: Decoder, data: bytes) -> str:
    with pytest.raises(QpackError) as caught:
        decoder.feed_encoder(data)
    assert caught.value.code == QPACK_ENCODER_STREAM_ERROR
    return caught.value.reason


# ---------------------------------------------------------------- blocking


def test_a_section_waits_for_the_insertion_that_it_needs() -> None:
    decoder = ready()
    block = section(1, 4096, NEWEST)
    assert decoder.decode(4, block) is None
    assert decoder.unblocked() == []
    assert decoder.decode(4, block) is None
    data = insert(b"name", b"value")
    for byte in data[:-1]:
        decoder.feed_encoder(bytes([byte]))
        assert decoder.unblocked() == []
    decoder.feed_encoder(data[-1:])
    assert decoder.unblocked() == [4]
    assert decoder.unblocked() == []
    assert decoder.decode(4, block) == [(b"name", b"value")]


def test_a_stream_counts_as_blocked_once_and_only_while_it_waits() -> None:
    decoder = ready(blocked=1)
    first = section(1, 4096, NEWEST)
    assert decoder.decode(4, first) is None
    assert decoder.decode(4, first) is None
    decoder.feed_encoder(insert(b"a", b"1"))
    assert decoder.decode(8, section(2, 4096, NEWEST)) is None
    assert decoder.decode(4, first) == [(b"a", b"1")]
    assert "1 allowed" in refused(decoder, section(2, 4096, NEWEST))


def test_a_cancelled_stream_no_longer_counts_and_is_not_named() -> None:
    decoder = ready(blocked=1)
    assert decoder.decode(4, section(1, 4096, NEWEST)) is None
    decoder.cancel(4)
    assert decoder.decode(8, section(1, 4096, NEWEST)) is None
    decoder.feed_encoder(insert(b"a", b"1"))
    decoder.cancel(8)
    assert decoder.unblocked() == []


def test_without_blocked_streams_allowed_waiting_is_an_error() -> None:
    refused(ready(blocked=0), section(1, 4096, NEWEST))


def test_a_waiting_section_keeps_its_count_while_the_table_moves_on() -> None:
    capacity = 128  # four entries: counts wrap at eight
    decoder = ready(capacity)
    block = section(4, capacity, b"\x80\x81\x82\x83")
    assert decoder.decode(4, block) is None
    for number in range(4):
        decoder.feed_encoder(insert(b"", b""))
        assert decoder.insert_count == number + 1
    assert decoder.unblocked() == [4]
    assert decoder.decode(4, block) == [(b"", b"")] * 4


# ---------------------------------------------------------------- what we send


def test_a_section_that_used_the_table_is_acknowledged() -> None:
    decoder = ready()
    decoder.feed_encoder(insert(b"a", b"1"))
    assert decoder.decode(5, section(1, 4096, NEWEST)) == [(b"a", b"1")]
    # The acknowledgment tells about the insertion too, so no increment follows.
    assert decoder.take_decoder_stream() == b"\x85"
    assert decoder.take_decoder_stream() == b""


def test_a_section_of_static_fields_is_not_acknowledged() -> None:
    decoder = ready()
    assert decoder.decode(4, b"\x00\x00\xc1") == [(b":path", b"/")]
    assert decoder.take_decoder_stream() == b""


def test_insertions_are_reported_together_and_once() -> None:
    decoder = ready()
    for _ in range(70):
        decoder.feed_encoder(insert(b"a", b"1"))
    assert decoder.take_decoder_stream() == b"\x3f\x07"
    assert decoder.take_decoder_stream() == b""
    decoder.feed_encoder(duplicate(0))
    assert decoder.take_decoder_stream() == b"\x01"


def test_a_section_acknowledges_no_more_than_it_required() -> None:
    decoder = ready()
    decoder.feed_encoder(insert(b"a", b"1") + insert(b"b", b"2"))
    assert decoder.decode(4, section(1, 4096, NEWEST)) == [(b"a", b"1")]
    assert decoder.take_decoder_stream() == b"\x84\x01"


def test_a_cancellation_carries_the_stream() -> None:
    decoder = ready()
    decoder.cancel(4)
    decoder.cancel(100)
    assert decoder.take_decoder_stream() == b"\x44\x7f\x25"


def test_without_a_table_nothing_is_ever_sent() -> None:
    decoder = Decoder()
    assert decoder.decode(0, Encoder().encode([(b":path", b"/")])) == [(b":path", b"/")]
    decoder.cancel(4)
    assert decoder.take_decoder_stream() == b""


# ---------------------------------------------------------------- representations


def test_every_representation_finds_its_entry() -> None:
    decoder = ready()
    for number in range(5):
        decoder.feed_encoder(insert(b"n%d" % number, b"v%d" % number))
    value = b"\x01x"
    lines = (
        b"\x80"  # indexed, relative 0: entry 2
        b"\x82"  # relative 2: entry 0
        b"\x10\x11"  # post-base 0 and 1: entries 3 and 4
        + (b"\x41" + value)  # name by relative 1: entry 1
        + (b"\x00" + value)  # name by post-base 0: entry 3
        + (b"\x08" + value)  # the same, never indexed
        + (b"\x51" + value)  # name by static 1
        + (b"\x71" + value)  # the same, never indexed
        + (b"\x21y" + value)
        + (b"\x31y" + value)
        + b"\xc1"
    )
    assert decoder.decode(4, section(5, 4096, lines, base=3)) == [
        (b"n2", b"v2"),
        (b"n0", b"v0"),
        (b"n3", b"v3"),
        (b"n4", b"v4"),
        (b"n1", b"x"),
        (b"n3", b"x"),
        (b"n3", b"x"),
        (b":path", b"x"),
        (b":path", b"x"),
        (b"y", b"x"),
        (b"y", b"x"),
        (b":path", b"/"),
    ]


def test_the_base_may_lie_beyond_the_required_count() -> None:
    decoder = ready()
    decoder.feed_encoder(insert(b"a", b"1"))
    assert decoder.decode(4, section(1, 4096, b"\x84", base=5)) == [(b"a", b"1")]


def test_instructions_take_names_from_both_tables() -> None:
    decoder = ready()
    decoder.feed_encoder(insert_with_static_name(0, b"one"))
    decoder.feed_encoder(b"\x80\x03two")  # name of the newest entry
    decoder.feed_encoder(duplicate(1))
    assert decoder.decode(4, section(3, 4096, b"\x80\x81\x82")) == [
        (b":authority", b"one"),
        (b":authority", b"two"),
        (b":authority", b"one"),
    ]


def test_an_entry_may_evict_the_one_that_it_is_made_of() -> None:
    decoder = ready(capacity=48)
    decoder.feed_encoder(insert(b"name", b"value") + duplicate(0))
    assert decoder.insert_count == 2
    decoder.feed_encoder(b"\x80\x01x")
    assert decoder.decode(4, section(3, 48, NEWEST)) == [(b"name", b"x")]


def test_the_required_count_wraps_and_is_unwrapped() -> None:
    capacity = 96  # three entries: counts wrap at six
    decoder = ready(capacity)
    for number in range(1, 40):
        decoder.feed_encoder(insert(b"", b""))
        assert decoder.decode(4, section(number, capacity, NEWEST)) == [(b"", b"")]


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("cut", range(12))
def test_a_section_that_ends_early_is_refused(cut: int) -> None:
    block = b"\x00\x00\x27\x04longer-name\x05value"
    whole = b"\x00\x00\x23abc\x05value"
    assert Decoder().decode(0, whole) == [(b"abc", b"value")]
    assert len(whole) == 12
    if cut == 2:  # a section without fields is one
        assert Decoder().decode(0, whole[:cut]) == []
    else:
        refused(Decoder(), whole[:cut])
    assert Decoder().decode(0, block) == [(b"longer-name", b"value")]


@pytest.mark.parametrize("line", [b"\xff\x24", b"\x5f\x54\x00", b"\x7f\x54\x00"])
def test_a_static_index_of_99_is_refused(line: bytes) -> None:
    assert "static table" in refused(Decoder(), b"\x00\x00" + line)


def test_the_last_static_entry_is_known() -> None:
    assert Decoder().decode(0, b"\x00\x00\xff\x23") == [(b"x-frame-options", b"sameorigin")]


@pytest.mark.parametrize("line", [b"\x80", b"\x40\x00", b"\x10", b"\x00\x00"])
def test_a_dynamic_reference_without_a_required_count_is_refused(line: bytes) -> None:
    decoder = ready()
    decoder.feed_encoder(insert(b"a", b"1"))
    refused(decoder, b"\x00\x00" + line)


def test_a_reference_beyond_the_required_count_is_refused() -> None:
    decoder = ready()
    decoder.feed_encoder(insert(b"a", b"1") + insert(b"b", b"2"))
    assert "1 required" in refused(decoder, section(1, 4096, b"\x10"))
    assert "1 required" in refused(decoder, section(1, 4096, NEWEST, base=2))


def test_a_reference_to_an_evicted_entry_is_refused() -> None:
    decoder = ready(capacity=96)
    for _ in range(4):
        decoder.feed_encoder(insert(b"", b""))
    assert decoder.decode(4, section(4, 96, b"\x82")) == [(b"", b"")]
    refused(decoder, section(4, 96, b"\x83"))


def test_a_section_that_waited_for_an_evicted_entry_is_refused() -> None:
    decoder = ready(capacity=96)
    block = section(1, 96, NEWEST)
    assert decoder.decode(0, block) is None
    for _ in range(5):
        decoder.feed_encoder(insert(b"", b""))
    assert decoder.unblocked() == [0]
    refused(decoder, block)


@pytest.mark.parametrize("encoded", [b"\x09", b"\xff\x00", b"\x07", b"\x08"])
def test_an_impossible_required_count_is_refused(encoded: bytes) -> None:
    # Four entries at most, none inserted: 1 to 5 encode 0 to 4, of which 0 is written 0.
    refused(Decoder(128, 1), encoded + b"\x00")


def test_a_required_count_beyond_the_wrap_is_refused() -> None:
    decoder = ready(capacity=128)
    for _ in range(8):
        decoder.feed_encoder(insert(b"", b""))
    assert decoder.decode(0, b"\x08\x00\x80") == [(b"", b"")]  # 7 of them
    assert "out of range" in refused(decoder, b"\x09\x00\x80")


def test_a_required_count_of_zero_has_one_encoding() -> None:
    assert "stands for none" in refused(Decoder(128, 1), b"\x01\x00")


def test_without_a_table_no_required_count_is_possible() -> None:
    refused(Decoder(), b"\x02\x00\x80")
    refused(Decoder(31, 1), b"\x02\x00\x80")


def test_a_base_out_of_range_is_refused() -> None:
    assert "Base" in refused(Decoder(), b"\x00\x80")
    decoder = ready()
    decoder.feed_encoder(insert(b"a", b"1"))
    assert "Base" in refused(decoder, b"\x02\x81" + NEWEST)
    largest = b"\x7f" + b"\x80\xff\xff\xff\xff\xff\xff\xff\x3f"  # delta 2**62 - 1
    assert "Base" in refused(decoder, b"\x02" + largest + NEWEST)
    assert "entry" in refused(decoder, b"\x00" + largest + b"\x1f\xf0" + b"\xff" * 7 + b"\x3f")


def test_bad_huffman_code_is_refused_in_both_streams() -> None:
    refused(Decoder(), b"\x00\x00\x51\x81\x00")
    refused_instruction(ready(), b"\xc0\x81\x00")


def test_an_integer_too_large_is_refused_in_both_streams() -> None:
    refused(Decoder(), b"\x00\x00\xff" + b"\xff" * 9)
    refused_instruction(ready(), b"\xff" + b"\xff" * 9)


def test_a_capacity_above_ours_is_refused() -> None:
    assert "4097" in refused_instruction(Decoder(4096, 0), set_capacity(4097))
    refused_instruction(Decoder(), set_capacity(1))
    Decoder().feed_encoder(set_capacity(0))


def test_an_insertion_is_refused_while_the_capacity_is_0() -> None:
    # RFC 9204 3.2.3: it is 0 until the encoder sets it, whatever we allow.
    refused_instruction(Decoder(4096, 0), insert(b"a", b"1"))
    refused_instruction(Decoder(4096, 0), b"\xc0")
    refused_instruction(Decoder(), b"\x41")


@pytest.mark.parametrize("data", [b"\xff\x24\x00", b"\x80\x00", b"\x00", b"\xbf\xff\xff\x7f\x00"])
def test_an_instruction_that_names_no_entry_is_refused(data: bytes) -> None:
    refused_instruction(ready(), data)


def test_an_entry_larger_than_the_table_is_refused_before_it_arrives() -> None:
    exact = ready(capacity=64)
    exact.feed_encoder(insert(b"n", b"v" * 31))
    assert exact.table_size == 64
    for beginning in (b"\xc0\x21", b"\x5f\x02", b"\xc0\xff\x09", b"\x7f\x69"):
        refused_instruction(ready(capacity=64), beginning)
    refused_instruction(ready(capacity=64), insert(b"n", b"v" * 32))
    refused_instruction(ready(capacity=64), insert_with_static_name(1, b"(" * 28))


# ---------------------------------------------------------------- the size of a section


def test_a_section_may_be_as_large_as_the_limit_and_no_larger() -> None:
    block = Encoder().encode([(b"name", b"value"), (b":path", b"/")])
    exact = (32 + 9) + (32 + 6)
    assert Decoder(0, 0, exact).decode(0, block) is not None
    with pytest.raises(FieldSectionTooLarge) as caught:
        Decoder(0, 0, exact - 1).decode(0, block)
    assert (caught.value.size, caught.value.limit) == (exact, exact - 1)


def test_a_section_too_large_cancels_its_stream_and_leaves_the_others() -> None:
    decoder = ready(limit=100)
    decoder.feed_encoder(insert(b"n", b"v" * 20))
    assert decoder.take_decoder_stream() == b"\x01"
    with pytest.raises(FieldSectionTooLarge):
        decoder.decode(4, section(1, 4096, NEWEST * 1000))
    assert decoder.take_decoder_stream() == b"\x44"
    assert decoder.decode(8, section(1, 4096, NEWEST)) == [(b"n", b"v" * 20)]
