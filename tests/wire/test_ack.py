"""ACK frames (RFC 9000 19.3): what is read, what is refused, and what fits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from librt.strings import BytesWriter

from ropewalk.quic.types.error_codes import FRAME_ENCODING_ERROR
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.ack import AckFrame, parse_ack, write_ack
from ropewalk.quic.wire.frame_types import ACK, ACK_ECN
from ropewalk.quic.wire.reader import Reader
from ropewalk.quic.wire.varint import MAX_VARINT, encode_varint

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=300)
PLENTY = 1 << 20


def fields(*values: int) -> bytes:
    return b"".join(encode_varint(value) for value in values)


def parsed(frame_type: int, data: bytes) -> AckFrame:
    ack = AckFrame()
    reader = Reader(data)
    parse_ack(reader, frame_type, ack)
    assert reader.remaining() == 0
    return ack


def written(
    ranges: list[tuple[int, int]],
    room: int = PLENTY,
    delay: int = 0,
    ecn: tuple[int, int, int] = (-1, -1, -1),
) -> tuple[int, bytes]:
    writer = BytesWriter()
    highs = [high for high, _ in ranges]
    lows = [low for _, low in ranges]
    count = write_ack(writer, highs, lows, delay, room, *ecn)
    return count, writer.getvalue()


@st.composite
def descending_ranges(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Ranges as a receiver keeps them: newest first, at least one number missing between."""
    high = draw(st.one_of(st.integers(0, 300), st.integers(0, MAX_VARINT)))
    ranges: list[tuple[int, int]] = []
    steps = st.one_of(st.integers(0, 100), st.integers(0, 2**40))
    for _ in range(draw(st.integers(1, 80))):
        low = max(0, high - draw(steps))
        ranges.append((high, low))
        high = low - 2 - draw(steps)
        if high < 0:
            break
    return ranges


def flat(ranges: list[tuple[int, int]]) -> list[int]:
    return [end for both in ranges for end in both]


def test_ranges_come_out_descending_with_both_ends() -> None:
    ack = parsed(ACK, fields(100, 7, 2, 10, 0, 0, 3, 80))
    assert ack.largest == 100
    assert ack.delay == 7
    assert ack.ranges == [100, 90, 88, 88, 83, 3]


def test_ecn_counts_are_read_from_type_3_only() -> None:
    ack = parsed(ACK_ECN, fields(5, 0, 0, 5, 1, 2, 3))
    assert (ack.has_ecn, ack.ect0, ack.ect1, ack.ce) == (True, 1, 2, 3)
    parse_ack(Reader(fields(5, 0, 0, 5)), ACK, ack)
    assert (ack.has_ecn, ack.ect0, ack.ect1, ack.ce) == (False, 0, 0, 0)


def test_a_refilled_frame_keeps_nothing_of_the_last() -> None:
    ack = parsed(ACK, fields(100, 0, 1, 0, 0, 0))
    ranges = ack.ranges
    parse_ack(Reader(fields(3, 0, 0, 1)), ACK, ack)
    assert ack.ranges == [3, 2]
    assert ack.ranges is ranges


@pytest.mark.parametrize(
    "data",
    [
        fields(5, 0, 0, 6),  # the first range is longer than there are numbers
        fields(5, 0, 1, 5, 0, 0),  # a gap below 0
        fields(5, 0, 1, 4, 0, 0),  # the gap's missing packet would be 0, the range -1
        fields(5, 0, 1, 2, 0, 2),  # the second range reaches below 0
        fields(5, 0, 1, 2, MAX_VARINT, 0),
        fields(MAX_VARINT, 0, 1, 0, MAX_VARINT, 0),
        fields(MAX_VARINT, 0, 1, 0, 0, MAX_VARINT),
    ],
)
def test_ranges_below_packet_number_0_are_an_encoding_error(data: bytes) -> None:
    with pytest.raises(TransportError) as caught:
        parsed(ACK, data)
    assert caught.value.code == FRAME_ENCODING_ERROR
    assert caught.value.frame_type == ACK


def test_ranges_that_end_exactly_at_0_are_taken() -> None:
    assert parsed(ACK, fields(5, 0, 1, 2, 0, 1)).ranges == [5, 3, 1, 0]
    assert parsed(ACK, fields(0, 0, 0, 0)).ranges == [0, 0]


def test_a_range_count_beyond_the_frame_is_refused_at_its_end() -> None:
    with pytest.raises(TransportError) as caught:
        parsed(ACK, fields(MAX_VARINT, 0, MAX_VARINT, 0, 0, 0))
    assert caught.value.code == FRAME_ENCODING_ERROR


@given(descending_ranges(), st.integers(0, MAX_VARINT))
@REPEATABLE
def test_what_is_written_is_read_again(ranges: list[tuple[int, int]], delay: int) -> None:
    count, data = written(ranges, delay=delay)
    assert count == len(ranges)
    assert data[0] == ACK
    ack = parsed(ACK, data[1:])
    assert ack.ranges == flat(ranges)
    assert ack.largest == ranges[0][0]
    assert ack.delay == delay
    assert not ack.has_ecn


@given(descending_ranges(), st.integers(0, 200), st.booleans())
@REPEATABLE
def test_as_many_of_the_newest_ranges_as_fit_are_written(
    ranges: list[tuple[int, int]], room: int, with_ecn: bool
) -> None:
    ecn = (70, 20000, 3) if with_ecn else (-1, -1, -1)
    count, data = written(ranges, room=room, ecn=ecn)
    assert len(data) <= room
    if count == 0:
        assert data == b""
    else:
        ack = parsed(data[0], data[1:])
        assert ack.ranges == flat(ranges[:count])
        assert ack.has_ecn == with_ecn
        if with_ecn:
            assert (ack.ect0, ack.ect1, ack.ce) == ecn
    if count < len(ranges):
        more, longer = written(ranges[: count + 1], ecn=ecn)
        assert more == count + 1
        assert len(longer) > room


def test_nothing_to_acknowledge_writes_nothing() -> None:
    assert written([]) == (0, b"")


def test_the_range_count_may_need_two_bytes() -> None:
    ranges = [(1000 - 2 * index, 1000 - 2 * index) for index in range(65)]
    count, data = written(ranges)
    assert count == 65
    assert parsed(ACK, data[1:]).ranges == flat(ranges)
    # One byte less holds 64 ranges, for whose count of 63 one byte is enough.
    assert written(ranges, room=len(data) - 1)[0] == 64
    assert len(written(ranges, room=len(data) - 1)[1]) == len(data) - 3


def test_frames_compare_by_what_they_say() -> None:
    first = parsed(ACK, fields(5, 0, 0, 5))
    assert first == parsed(ACK, fields(5, 0, 0, 5))
    assert first != parsed(ACK, fields(5, 1, 0, 5))
    assert first != parsed(ACK_ECN, fields(5, 0, 0, 5, 0, 0, 0))
    assert first != "ACK"
    assert repr(first) == "AckFrame(delay=0, ranges=[5, 0])"
    with pytest.raises(TypeError):
        hash(first)


def test_the_smallest_ack_takes_five_bytes_and_not_one_less() -> None:
    assert written([(5, 5)], room=5) == (1, fields(ACK, 5, 0, 0, 0))
    assert written([(5, 5)], room=4) == (0, b"")
    assert written([(5, 5)], room=7, ecn=(0, 0, 0)) == (0, b"")
    assert written([(5, 5)], room=8, ecn=(0, 0, 0))[0] == 1
