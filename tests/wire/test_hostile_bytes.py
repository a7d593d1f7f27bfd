"""Whatever the network sends: a value, a typed error or a drop, and never anything else.

The bytes are random, or valid ones with a few of them changed, which get further in.
"""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from librt.strings import BytesWriter

from ropewalk.quic.types.configuration import QUIC_V1
from ropewalk.quic.types.error_codes import (
    FRAME_ENCODING_ERROR,
    PROTOCOL_VIOLATION,
    TRANSPORT_PARAMETER_ERROR,
)
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.frames import AckFrame, Frame, parse_frames
from ropewalk.quic.wire.header import (
    PACKET_INITIAL,
    destination_cid,
    encode_version_negotiation,
    parse_long_header,
    write_long_header,
)
from ropewalk.quic.wire.transport_parameters import (
    PreferredAddress,
    TransportParameters,
    decode_transport_parameters,
    encode_transport_parameters,
)

SEEDS = [
    bytes.fromhex(seed["hex"])
    for seed in json.loads(
        (Path(__file__).parents[1] / "data/wire/frame_encodings_ngtcp2_seeds.json").read_text()
    )["frames"]
]
REPEATABLE = settings(derandomize=True, deadline=None, max_examples=1500)

PARAMETERS = encode_transport_parameters(
    TransportParameters(
        original_destination_connection_id=b"12345678",
        stateless_reset_token=bytes(16),
        initial_max_data=1 << 20,
        initial_max_streams_bidi=100,
        disable_active_migration=True,
        preferred_address=PreferredAddress("127.0.0.1", 1, "::1", 2, b"cid", bytes(16)),
        active_connection_id_limit=8,
        unknown=[(0x1234, b"abc")],
    )
)
PACKETS = [
    write_long_header(PACKET_INITIAL, QUIC_V1, b"12345678", b"abc", b"token", 1, 2, 40) + bytes(40),
    encode_version_negotiation(b"12345678", b"abc", [1, 2, 3], 0),
    b"\xf0\0\0\0\x01\x02ab\x03abc" + bytes(30),
]


def frames_or_error(payload: bytes) -> list[Frame] | TransportError:
    try:
        return parse_frames(payload)
    except TransportError as error:
        return error


def parameters_or_error(data: bytes, from_client: bool) -> TransportParameters | TransportError:
    try:
        return decode_transport_parameters(data, from_client)
    except TransportError as error:
        return error


def changed(valid: list[bytes]) -> st.SearchStrategy[bytes]:
    """Concatenations of valid pieces in which a few bytes are replaced and the end is cut."""

    def change(drawn: tuple[list[bytes], list[tuple[int, int]], int]) -> bytes:
        pieces, patches, cut = drawn
        data = bytearray(b"".join(pieces))
        for place, value in patches:
            data[place % len(data)] = value
        return bytes(data[: max(1, len(data) - cut)])

    places = st.tuples(st.integers(0, 400), st.integers(0, 255))
    return st.tuples(
        st.lists(st.sampled_from(valid), min_size=1, max_size=3),
        st.lists(places, max_size=6),
        st.one_of(st.just(0), st.integers(0, 40)),
    ).map(change)


@given(st.one_of(st.binary(max_size=200), changed(SEEDS)))
@REPEATABLE
def test_a_payload_is_frames_or_a_typed_error(payload: bytes) -> None:
    frames = frames_or_error(payload)
    if isinstance(frames, TransportError):
        assert frames.code in (FRAME_ENCODING_ERROR, PROTOCOL_VIOLATION)
        assert frames.reason
        assert frames.reason in str(frames)
        return
    writer = BytesWriter()
    for frame in frames:
        frame.write(writer)
        if isinstance(frame, AckFrame):
            ends = frame.ranges
            assert ends == sorted(ends, reverse=True)
            assert ends[0] == frame.largest
            assert ends[-1] >= 0
    assert parse_frames(writer.getvalue()) == frames
    # Ours are the shortest encodings there are.
    assert len(writer.getvalue()) <= len(payload)


@given(
    st.one_of(st.binary(max_size=100), changed(PACKETS)),
    st.integers(-3, 110),
    st.integers(-3, 110),
)
@REPEATABLE
def test_a_packet_is_a_header_or_a_drop(data: bytes, start: int, size: int) -> None:
    start = max(0, min(start, len(data)))
    stop = max(start, min(start + size, len(data)))
    for begin, end in ((start, stop), (0, len(data))):
        cid = destination_cid(data, begin, end, 8)
        header = parse_long_header(data, begin, end)
        if header is not None:
            assert begin < header.end <= end
            assert header.destination_cid == cid
            if header.packet_number_offset >= 0:
                assert begin < header.packet_number_offset <= header.end
            else:
                assert header.end == end


@given(st.one_of(st.binary(max_size=200), changed([PARAMETERS])), st.booleans())
@REPEATABLE
def test_transport_parameters_are_values_or_a_typed_error(data: bytes, from_client: bool) -> None:
    parameters = parameters_or_error(data, from_client)
    if isinstance(parameters, TransportError):
        assert parameters.code == TRANSPORT_PARAMETER_ERROR
        assert parameters.reason
        return
    again = encode_transport_parameters(parameters)
    assert decode_transport_parameters(again, from_client) == parameters
