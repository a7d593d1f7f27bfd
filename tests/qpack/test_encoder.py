"""The encoder: the shortest representation without a dynamic table, and the decoder stream."""

from __future__ import annotations

import pytest

from ropewalk.http3.errors import QPACK_DECODER_STREAM_ERROR, QpackError
from ropewalk.http3.qpack.encoder import NEVER_INDEXED, Encoder
from ropewalk.http3.qpack.static_table import STATIC_FIELDS


def lines(*fields: tuple[bytes, bytes]) -> bytes:
    block = Encoder().encode(list(fields))
    assert block[:2] == b"\x00\x00"
    return block[2:]


def test_the_first_example_of_the_rfc_but_for_huffman() -> None:
    assert lines((b":path", b"/index.html")).hex() == "518860d5485f2bce9a68"


def test_a_field_of_the_static_table_is_one_or_two_bytes() -> None:
    for index, field in enumerate(STATIC_FIELDS):
        if field[0] not in NEVER_INDEXED:
            expected = bytes([0xC0 | index]) if index < 63 else bytes([0xFF, index - 63])
            assert lines(field) == expected


def test_a_name_of_the_static_table_is_referred_to() -> None:
    assert lines((b":status", b"299"))[:2] == b"\x5f\x09"


def test_a_string_that_huffman_would_lengthen_goes_out_plain() -> None:
    assert lines((b"\\", b"#~")) == b"\x21\\\x02#~"
    assert lines((b"X", b"&*")) == b"\x21X\x02&*"  # as long either way


@pytest.mark.parametrize(
    "name", [b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"]
)
def test_a_secret_is_marked_as_never_to_be_indexed(name: bytes) -> None:
    first = lines((name, b"secret"))[0]
    assert first & 0xF0 in (0x70, 0x30)
    # Even where the static table has the whole field, such as an empty cookie.
    assert lines((name, b""))[0] == first


def test_what_is_secret_can_be_chosen() -> None:
    encoder = Encoder(frozenset({b"x-key"}))
    assert encoder.encode([(b"x-key", b"1")])[2] & 0xF0 == 0x30
    assert encoder.encode([(b"cookie", b"1")])[2] & 0xF0 == 0x50


def test_an_empty_section_is_its_prefix() -> None:
    assert Encoder().encode([]) == b"\x00\x00"


def test_cancellations_are_in_order_however_they_are_cut() -> None:
    encoder = Encoder()
    for byte in b"\x44\x7f\x25\x7f\x80\x80\x01\x40":
        encoder.feed_decoder(bytes([byte]))
    encoder.feed_decoder(b"")
    encoder.feed_decoder(b"\x44" * 1000)


def test_a_finished_instruction_is_not_looked_at_again() -> None:
    encoder = Encoder()
    encoder.feed_decoder(b"\x7f")
    encoder.feed_decoder(b"\x25")
    with pytest.raises(QpackError, match="stream 4"):
        encoder.feed_decoder(b"\x84")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00", "Increment of 0"),
        (b"\x01", "Increment of 1"),
        (b"\x3f\x00", "Increment of 63"),
        (b"\x84", "stream 4"),
        (b"\xff\x80\x01", "stream 255"),
        (b"\x44\x80", "stream 0"),
        (b"\x7f" + b"\xff" * 9, "integer"),
    ],
)
def test_acknowledging_what_never_was_is_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(QpackError, match=reason) as caught:
        Encoder().feed_decoder(data)
    assert caught.value.code == QPACK_DECODER_STREAM_ERROR
    encoder = Encoder()
    for byte in data[:-1]:
        encoder.feed_decoder(bytes([byte]))
    with pytest.raises(QpackError, match=reason):
        encoder.feed_decoder(data[-1:])
