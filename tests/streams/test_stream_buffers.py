"""The buffers below the streams: pieces, ranges, sending, reassembly."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.quic.streams.chunks import MERGED_PIECE, ChunkQueue
from ropewalk.quic.streams.ranges import RangeSet
from ropewalk.quic.streams.receive_buffer import ReceiveBuffer
from ropewalk.quic.streams.send_buffer import SendBuffer


def pattern(size: int, start: int = 0) -> bytes:
    """Bytes that differ from place to place with no short period."""
    return bytes((index * 7 + (index >> 8) * 13) & 0xFF for index in range(start, start + size))


def held(ranges: RangeSet) -> list[tuple[int, int]]:
    return [(ranges.start(index), ranges.end(index)) for index in range(ranges.count())]


PATTERN = pattern(6000)

# -- pieces


def test_a_slice_that_is_a_whole_piece_is_not_copied() -> None:
    queue = ChunkQueue()
    first, second = pattern(3000), pattern(4000, 3000)
    queue.append(first)
    queue.append(second)
    assert queue.slice(0, 3000) is first
    assert queue.slice(3000, 4000) is second


def test_single_bytes_are_merged_into_few_pieces() -> None:
    queue = ChunkQueue()
    data = pattern(50_000)
    for index in range(len(data)):
        queue.append(data[index : index + 1])
    assert queue.piece_count() <= len(data) // (MERGED_PIECE // 2) + 1
    assert queue.slice(0, len(data)) == data


def test_released_pieces_are_let_go_even_under_a_long_tail() -> None:
    queue = ChunkQueue()
    for index in range(1000):
        queue.append(pattern(1000, index * 1000))
    for offset in range(0, 990_000, 700):
        queue.release(offset)
        assert queue.piece_count() <= 1000 - offset // 1000
        assert queue.slice(offset, 5) == pattern(5, offset)
    queue.clear()
    assert queue.piece_count() == 0
    assert queue.start == queue.end == 1_000_000


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_pieces_behave_like_one_string(data: st.DataObject) -> None:
    queue = ChunkQueue()
    written = b""
    for _ in range(data.draw(st.integers(1, 25))):
        match data.draw(st.integers(0, 3)):
            case 0:
                size = data.draw(st.sampled_from([0, 1, 3, 511, 512, 1400, 5000]))
                piece = pattern(size, len(written))
                written += piece
                queue.append(piece)
            case 1:
                queue.release(data.draw(st.integers(0, len(written))))
            case 2:
                taken = queue.start
                limit = data.draw(st.integers(0, 3000))
                assert queue.take(limit) == written[taken : taken + limit]
            case _:
                if queue.end > queue.start:
                    offset = data.draw(st.integers(queue.start, queue.end - 1))
                    size = data.draw(st.integers(0, queue.end - offset))
                    assert queue.slice(offset, size) == written[offset : offset + size]
        assert queue.end == len(written)


# -- ranges


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 25)), max_size=40),
)
@settings(max_examples=300, deadline=None)
def test_ranges_behave_like_a_set_of_offsets(
    steps: list[tuple[bool, int, int]],
) -> None:
    ranges = RangeSet()
    model: set[int] = set()
    for adding, start, size in steps:
        if adding:
            ranges.add(start, start + size)
            model |= set(range(start, start + size))
        else:
            ranges.remove(start, start + size)
            model -= set(range(start, start + size))
        listed = held(ranges)
        assert {offset for low, high in listed for offset in range(low, high)} == model
        assert all(low < high for low, high in listed)
        assert all(listed[i][1] < listed[i + 1][0] for i in range(len(listed) - 1))
        assert ranges.total == len(model)
        assert ranges.is_empty() == (not model)
    for offset in range(90):
        expected = [index for index in range(ranges.count()) if ranges.end(index) > offset]
        assert ranges.find(offset) == (expected[0] if expected else ranges.count())


# -- sending


def test_bytes_acknowledged_out_of_order_leave_when_the_front_does() -> None:
    buffer = SendBuffer()
    buffer.write(pattern(3000))
    buffer.sent = 3000
    buffer.on_acked(1000, 1000)
    assert buffer.held() == 3000
    buffer.on_acked(0, 1000)
    assert buffer.held() == 1000
    buffer.on_acked(2000, 1000)
    assert buffer.all_acked()


def test_only_the_part_that_no_other_copy_delivered_is_lost() -> None:
    buffer = SendBuffer()
    buffer.write(pattern(10_000))
    buffer.sent = 10_000
    buffer.on_acked(2000, 1000)
    buffer.on_acked(5000, 500)
    buffer.on_lost(1000, 5000)
    assert held(buffer.lost) == [(1000, 2000), (3000, 5000), (5500, 6000)]


def test_a_late_acknowledgment_takes_bytes_back_from_the_lost() -> None:
    buffer = SendBuffer()
    buffer.write(pattern(4000))
    buffer.sent = 4000
    buffer.on_lost(0, 3000)
    buffer.on_acked(1000, 1000)
    assert held(buffer.lost) == [(0, 1000), (2000, 3000)]
    buffer.on_acked(0, 4000)
    assert buffer.lost.is_empty()
    assert buffer.all_acked()
    buffer.on_lost(0, 4000)
    assert buffer.lost.is_empty()


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_every_sent_byte_is_in_flight_lost_or_acknowledged(data: st.DataObject) -> None:
    size = 400
    buffer = SendBuffer()
    buffer.write(PATTERN[:size])
    buffer.sent = size
    acked = bytearray(size)
    lost = bytearray(size)
    for _ in range(data.draw(st.integers(0, 25))):
        offset = data.draw(st.integers(0, size - 1))
        length = data.draw(st.integers(0, min(80, size - offset)))
        for index in range(offset, offset + length):
            lost[index] = 0
        if data.draw(st.booleans()):
            buffer.on_acked(offset, length)
            acked[offset : offset + length] = b"\x01" * length
        else:
            buffer.on_lost(offset, length)
            for index in range(offset, offset + length):
                lost[index] = 1 - acked[index]
        expected = bytearray(size)
        for low, high in held(buffer.lost):
            expected[low:high] = b"\x01" * (high - low)
        assert expected == lost
        front = (acked + b"\x00").find(0)
        assert buffer.held() == size - front
        if front < size:
            assert buffer.data(front, size - front) == PATTERN[front:size]


# -- receiving


def test_pieces_in_order_become_readable_at_once() -> None:
    buffer = ReceiveBuffer()
    buffer.insert(0, pattern(1400))
    buffer.insert(1400, pattern(1400, 1400))
    assert buffer.available() == 2800
    assert buffer.read(2000) == pattern(2000)
    assert buffer.read(65536) == pattern(800, 2000)
    assert buffer.read(65536) == b""


def test_a_closed_gap_releases_what_waited() -> None:
    buffer = ReceiveBuffer()
    buffer.insert(1400, pattern(1400, 1400))
    buffer.insert(4200, pattern(1400, 4200))
    assert buffer.available() == 0
    buffer.insert(0, pattern(1400))
    assert buffer.available() == 2800
    buffer.insert(2000, pattern(2500, 2000))
    assert buffer.read(65536) == pattern(5600)
    assert buffer.piece_count() == 0


def test_single_bytes_from_the_end_to_the_front_stay_few_pieces() -> None:
    buffer = ReceiveBuffer()
    data = pattern(20_000)
    for offset in range(len(data) - 1, 0, -1):
        buffer.insert(offset, data[offset : offset + 1])
    assert buffer.piece_count() <= len(data) // (MERGED_PIECE // 2) + 1
    buffer.insert(0, data[:1])
    assert buffer.read(len(data)) == data


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_any_order_and_any_overlap_give_the_same_bytes(data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([60, 6000]))
    whole = PATTERN[:size]
    buffer = ReceiveBuffer()
    seen = bytearray(size)
    got = b""
    for _ in range(data.draw(st.integers(0, 30))):
        offset = data.draw(st.integers(0, size - 1))
        length = data.draw(st.integers(0, min(size // 5, size - offset)))
        buffer.insert(offset, whole[offset : offset + length])
        seen[offset : offset + length] = b"\x01" * length
        assert buffer.received() == (seen + b"\x00").find(0)
        if data.draw(st.booleans()):
            got += buffer.read(data.draw(st.integers(0, size)))
    got += buffer.read(size)
    step = size // 30 + 1
    for offset in range(0, size, step):
        buffer.insert(offset, whole[offset : offset + step])
    got += buffer.read(size)
    assert got == whole
    assert buffer.piece_count() == 0
