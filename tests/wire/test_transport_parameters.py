"""Transport parameters (RFC 9000 7.4 and 18): both ways, and every refusal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.quic.types.error_codes import TRANSPORT_PARAMETER_ERROR
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.transport_parameters import (
    PreferredAddress,
    TransportParameters,
    decode_transport_parameters,
    encode_transport_parameters,
)
from ropewalk.quic.wire.varint import MAX_VARINT, encode_varint

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=300)

SERVER = TransportParameters(
    original_destination_connection_id=bytes(8),
    max_idle_timeout_ms=30_000,
    stateless_reset_token=bytes(range(16)),
    max_udp_payload_size=1452,
    initial_max_data=1 << 20,
    initial_max_stream_data_bidi_local=1 << 18,
    initial_max_stream_data_bidi_remote=1 << 17,
    initial_max_stream_data_uni=1 << 16,
    initial_max_streams_bidi=128,
    initial_max_streams_uni=3,
    ack_delay_exponent=10,
    max_ack_delay_ms=26,
    disable_active_migration=True,
    preferred_address=PreferredAddress(
        "192.0.2.1", 443, "2001:db8::1", 65535, b"\x01\x02\x03", bytes(16)
    ),
    active_connection_id_limit=8,
    initial_source_connection_id=b"server",
    retry_source_connection_id=b"retry",
    max_datagram_frame_size=65535,
    unknown=[(0x1B, b"grease"), (0x0F739BBC1B666D11, b"")],
)


def parameter(identifier: int, value: bytes) -> bytes:
    return encode_varint(identifier) + encode_varint(len(value)) + value


def integer(identifier: int, value: int) -> bytes:
    return parameter(identifier, encode_varint(value))


def refusal(data: bytes, from_client: bool = False) -> TransportError:
    with pytest.raises(TransportError) as caught:
        decode_transport_parameters(data, from_client)
    assert caught.value.code == TRANSPORT_PARAMETER_ERROR
    return caught.value


def test_absent_parameters_have_the_defaults_of_18_2() -> None:
    parameters = decode_transport_parameters(b"", from_client=True)
    assert parameters == TransportParameters()
    assert parameters.max_idle_timeout_ms == 0
    assert parameters.max_udp_payload_size == 65527
    assert parameters.ack_delay_exponent == 3
    assert parameters.max_ack_delay_ms == 25
    assert parameters.active_connection_id_limit == 2
    assert parameters.max_datagram_frame_size == 0
    assert parameters.initial_source_connection_id is None
    assert encode_transport_parameters(parameters) == b""


def test_all_parameters_of_a_server_come_back() -> None:
    data = encode_transport_parameters(SERVER)
    assert decode_transport_parameters(data, from_client=False) == SERVER


def test_an_empty_connection_id_is_not_an_absent_one() -> None:
    parameters = TransportParameters(initial_source_connection_id=b"")
    data = encode_transport_parameters(parameters)
    assert data == bytes.fromhex("0f 00")
    assert decode_transport_parameters(data, True).initial_source_connection_id == b""


def test_unknown_parameters_are_kept_in_order_and_byte_for_byte() -> None:
    data = parameter(0x7777, b"\0\1\2") + integer(0x04, 9) + parameter(0x21, b"")
    parameters = decode_transport_parameters(data, from_client=True)
    assert parameters.unknown == [(0x7777, b"\0\1\2"), (0x21, b"")]
    again = encode_transport_parameters(parameters)
    assert decode_transport_parameters(again, True) == parameters


def test_integers_in_longer_encodings_are_understood() -> None:
    data = bytes.fromhex("4001 08 c000000000000005")
    assert decode_transport_parameters(data, True).max_idle_timeout_ms == 5


@pytest.mark.parametrize(
    ("identifier", "good", "bad"),
    [
        pytest.param(0x03, [1200, 65527, MAX_VARINT], [0, 1199], id="max_udp_payload_size"),
        pytest.param(0x08, [0, 2**60], [2**60 + 1], id="initial_max_streams_bidi"),
        pytest.param(0x09, [0, 2**60], [2**60 + 1], id="initial_max_streams_uni"),
        pytest.param(0x0A, [0, 20], [21, MAX_VARINT], id="ack_delay_exponent"),
        pytest.param(0x0B, [0, 2**14 - 1], [2**14], id="max_ack_delay"),
        pytest.param(0x0E, [2, MAX_VARINT], [0, 1], id="active_connection_id_limit"),
    ],
)
def test_ranges_of_18_2_are_met_exactly(identifier: int, good: list[int], bad: list[int]) -> None:
    for value in good:
        decode_transport_parameters(integer(identifier, value), from_client=False)
    for value in bad:
        assert str(value) in refusal(integer(identifier, value)).reason


@pytest.mark.parametrize("identifier", [0x01, 0x04, 0x05, 0x06, 0x07, 0x20])
def test_other_integers_take_any_value(identifier: int) -> None:
    for value in (0, MAX_VARINT):
        decode_transport_parameters(integer(identifier, value), from_client=True)


@pytest.mark.parametrize("identifier", [1, 3, 4, 5, 6, 7, 8, 9, 0x0A, 0x0B, 0x0E, 0x20])
@pytest.mark.parametrize("value", [b"", b"\x40", b"\x44\xb0\x00"], ids=["none", "half", "more"])
def test_an_integer_must_fill_its_parameter(identifier: int, value: bytes) -> None:
    refusal(parameter(identifier, value))


@pytest.mark.parametrize("identifier", [0x00, 0x0F, 0x10])
def test_connection_ids_over_20_bytes_are_refused(identifier: int) -> None:
    decode_transport_parameters(parameter(identifier, bytes(20)), from_client=False)
    assert "21 bytes" in refusal(parameter(identifier, bytes(21))).reason


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_reset_token_has_16_bytes(length: int) -> None:
    assert "instead of 16" in refusal(parameter(0x02, bytes(length))).reason


def test_disable_active_migration_is_empty() -> None:
    decoded = decode_transport_parameters(parameter(0x0C, b""), from_client=True)
    assert decoded.disable_active_migration
    assert "must be empty" in refusal(parameter(0x0C, b"\x01")).reason


@pytest.mark.parametrize(
    ("identifier", "value"),
    [
        (0x00, b"cid"),
        (0x02, bytes(16)),
        (0x0D, bytes(24) + b"\x01c" + bytes(16)),
        (0x10, b"cid"),
    ],
    ids=["original cid", "reset token", "preferred address", "retry cid"],
)
def test_a_client_must_not_send_what_only_servers_may(identifier: int, value: bytes) -> None:
    data = parameter(identifier, value)
    decode_transport_parameters(data, from_client=False)
    assert "only servers" in refusal(data, from_client=True).reason


@pytest.mark.parametrize("identifier", [0x04, 0x0C, 0x0F, 0x1B, MAX_VARINT])
def test_a_parameter_sent_twice_is_refused_known_or_not(identifier: int) -> None:
    value = b"\x05" if identifier == 0x04 else b""
    assert "twice" in refusal(parameter(identifier, value) * 2).reason


def test_every_cut_of_a_list_is_refused_or_ends_between_parameters() -> None:
    data = encode_transport_parameters(SERVER)
    ends = {0}
    position = 0
    for identifier, value in [(0, bytes(8)), (1, encode_varint(30_000)), (2, bytes(16))]:
        position += len(parameter(identifier, value))
        ends.add(position)
    for size in range(position):
        if size in ends:
            decode_transport_parameters(data[:size], from_client=False)
        else:
            assert "cut short" in refusal(data[:size]).reason


# -- preferred_address (9.6, 18.2)


def preferred(cid: bytes, end: bytes = bytes(16)) -> bytes:
    return parameter(0x0D, bytes(24) + bytes([len(cid)]) + cid + end)


def test_a_preferred_address_is_cut_to_its_fields() -> None:
    assert "cut short" in refusal(preferred(b"c", bytes(15))).reason
    assert "bytes follow" in refusal(preferred(b"c", bytes(17))).reason
    assert "cut short" in refusal(parameter(0x0D, b"")).reason


def test_a_preferred_address_has_a_connection_id_of_1_to_20_bytes() -> None:
    decode_transport_parameters(preferred(b"c"), from_client=False)
    decode_transport_parameters(preferred(bytes(20)), from_client=False)
    assert "0 bytes" in refusal(preferred(b"")).reason
    assert "21 bytes" in refusal(preferred(bytes(21))).reason


def test_a_server_without_a_connection_id_has_no_preferred_address() -> None:
    data = preferred(b"c")
    decode_transport_parameters(data + parameter(0x0F, b"s"), from_client=False)
    assert "preferred_address" in refusal(data + parameter(0x0F, b"")).reason


def test_min_ack_delay_goes_up_to_max_ack_delay() -> None:
    decoded = decode_transport_parameters(integer(0xFF04DE1B, 25_000), False)
    assert decoded.min_ack_delay_us == 25_000
    assert "min_ack_delay" in refusal(integer(0xFF04DE1B, 25_001)).reason
    assert "min_ack_delay" in refusal(integer(0xFF04DE1B, 2000) + integer(0x0B, 1)).reason


# -- any values, any bytes

cids = st.one_of(st.none(), st.binary(max_size=20))
varints = st.integers(0, MAX_VARINT)


@given(
    st.builds(
        TransportParameters,
        max_idle_timeout_ms=varints,
        max_udp_payload_size=st.integers(1200, MAX_VARINT),
        initial_max_data=varints,
        initial_max_stream_data_bidi_local=varints,
        initial_max_stream_data_bidi_remote=varints,
        initial_max_stream_data_uni=varints,
        initial_max_streams_bidi=st.integers(0, 2**60),
        initial_max_streams_uni=st.integers(0, 2**60),
        ack_delay_exponent=st.integers(0, 20),
        max_ack_delay_ms=st.integers(0, 2**14 - 1),
        disable_active_migration=st.booleans(),
        active_connection_id_limit=st.integers(2, MAX_VARINT),
        initial_source_connection_id=cids,
        max_datagram_frame_size=varints,
        min_ack_delay_us=st.sampled_from([None, 0]),
        unknown=st.lists(
            st.tuples(
                st.integers(0x21, MAX_VARINT).filter(lambda known: known != 0xFF04DE1B),
                st.binary(max_size=30),
            ),
            max_size=5,
            unique_by=lambda item: item[0],
        ),
    )
)
@REPEATABLE
def test_any_parameters_come_back(parameters: TransportParameters) -> None:
    data = encode_transport_parameters(parameters)
    assert decode_transport_parameters(data, from_client=True) == parameters
    assert decode_transport_parameters(data, from_client=False) == parameters


@pytest.mark.parametrize("value", [-1, MAX_VARINT + 1, 2**64])
def test_values_that_do_not_fit_are_refused_on_the_way_out(value: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode_transport_parameters(TransportParameters(initial_max_data=value))
