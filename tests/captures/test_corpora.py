"""The fuzzing seeds of neqo and ngtcp2: a value, a typed error or a drop, never anything else.

Each seed goes through the parser that it was grown for and through everything around it, and
then many more times with a few bytes changed.
"""

from __future__ import annotations

import base64
import json
import random
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from librt.strings import BytesWriter

from ropewalk.quic.endpoint import RootTokenKeys
from ropewalk.quic.endpoint.tokens import check_token
from ropewalk.quic.handshake.tls import TlsServer
from ropewalk.quic.handshake.tls.peek import peek_client_hello
from ropewalk.quic.protection.initial import initial_protection
from ropewalk.quic.protection.unmask import ShortHeaderBatch, unmask_long
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import QUIC_V1
from ropewalk.quic.types.error_codes import (
    FRAME_ENCODING_ERROR,
    PROTOCOL_VIOLATION,
    TRANSPORT_PARAMETER_ERROR,
)
from ropewalk.quic.types.errors import ApplicationError, HandshakeError, TransportError
from ropewalk.quic.types.handshake import INITIAL
from ropewalk.quic.wire.frames import Frame, parse_frames
from ropewalk.quic.wire.header import (
    PACKET_RETRY,
    destination_cid,
    parse_long_header,
)
from ropewalk.quic.wire.transport_parameters import (
    decode_transport_parameters,
    encode_transport_parameters,
)
from tests.captures.library import CAPTURES
from tests.connection.pair import Pair
from tests.handshake.tls_pair import server_config

DATA = Path(__file__).parents[1] / "data" / "corpora"
Result = TypeVar("Result")
REPEATABLE = settings(derandomize=True, deadline=None, max_examples=400)


def load(name: str) -> dict[str, list[bytes]]:
    def seed(entry: str | dict[str, str]) -> bytes:
        if isinstance(entry, str):
            return bytes.fromhex(entry)
        return zlib.decompress(base64.b64decode(entry["zlib"]))

    seeds = json.loads((DATA / f"{name}.json").read_text())["seeds"]
    return {target: [seed(entry) for entry in entries] for target, entries in seeds.items()}


NEQO = load("neqo")
NGTCP2 = load("ngtcp2")
PACKETS = NEQO["packet"] + NGTCP2["read_write_pkt"] + NGTCP2["read_write_handshake_pkt"]
PAYLOADS = NEQO["frame"] + NGTCP2["decode_frame"] + NEQO["client_initial"] + NEQO["server_initial"]
HELLOS = NEQO["find_sni"]
REAL_HELLOS = [each.connection().client.messages[0][1] for each in CAPTURES.values()]
PARAMETERS = NEQO["tparams"]


def seeds(values: list[bytes]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("data", values, ids=range(len(values)))


def outcome(call: Callable[[], Result]) -> Result | TransportError:
    """What a call returns, or the one kind of error that it may raise."""
    try:
        return call()
    except TransportError as error:
        return error


def changed(valid: list[bytes]) -> st.SearchStrategy[bytes]:
    """Seeds in which some bytes are replaced, inserted or taken away."""

    def change(drawn: tuple[bytes, list[tuple[int, int, bytes]], int]) -> bytes:
        seed, edits, cut = drawn
        data = bytearray(seed)
        for place, size, new in edits:
            start = place % (len(data) + 1)
            data[start : start + size] = new
        return bytes(data[: len(data) - cut] if cut < len(data) else data)

    edit = st.tuples(st.integers(0, 1500), st.integers(0, 4), st.binary(max_size=4))
    return st.tuples(
        st.sampled_from(valid), st.lists(edit, min_size=1, max_size=6), st.integers(0, 40)
    ).map(change)


def test_the_corpora_are_whole() -> None:
    assert {target: len(values) for target, values in NEQO.items()} == {
        "packet": 41,
        "frame": 64,
        "tparams": 18,
        "find_sni": 32,
        "client_initial": 17,
        "server_initial": 11,
        "addr_valid": 5,
    }
    assert {target: len(values) for target, values in NGTCP2.items()} == {
        "decode_frame": 21,
        "read_write_pkt": 9,
        "read_write_handshake_pkt": 2,
    }


# -- packets

SERVER_KEYS = initial_protection(QUIC_V1, b"12345678")[1]
BATCH = ShortHeaderBatch()


def check_packets(data: bytes) -> None:
    """Walk over a datagram the way a receiver does, with keys that fit nothing."""
    position = 0
    while position < len(data):
        header = parse_long_header(data, position, len(data))
        if header is None:
            break
        assert position < header.end <= len(data)
        assert header.destination_cid == destination_cid(data, position, len(data), 8)
        offset = header.packet_number_offset
        if offset >= 0:
            assert position < offset <= header.end
            unmasked = unmask_long(data, position, offset, header.end, SERVER_KEYS)
            assert (unmasked is None) == (header.end - offset < 20)
            if unmasked is not None:
                unprotected, number, length = unmasked
                assert len(unprotected) == offset - position + length
                assert 0 <= number < 1 << 8 * length
                sealed = data[offset + length : header.end]
                assert SERVER_KEYS.open(0, number, unprotected, sealed) is None
        elif header.packet_type == PACKET_RETRY:
            assert header.retry_token
            assert len(header.retry_tag) == 16
        position = header.end
    for cid_length in (0, 8, 20):
        if data and destination_cid(data, 0, len(data), cid_length) is not None:
            check_short(data, 1 + cid_length)


def check_short(data: bytes, offset: int) -> None:
    assert BATCH.unmask(data, 0, len(data), len(data), offset, SERVER_KEYS) == 1
    assert (BATCH.first_byte(0) < 0) == (len(data) < offset + 20)
    if BATCH.first_byte(0) >= 0:
        length = BATCH.packet_number_length(0)
        assert 0 <= BATCH.truncated(0) < 1 << 8 * length
        header, sealed = BATCH.header(0), BATCH.ciphertext(0)
        assert len(header) + len(sealed) == len(data)
        assert SERVER_KEYS.open(0, BATCH.truncated(0), header, sealed) is None


@seeds(PACKETS)
def test_packet_seeds_are_headers_or_drops(data: bytes) -> None:
    check_packets(data)


@given(changed(PACKETS))
@REPEATABLE
def test_changed_packet_seeds_are_headers_or_drops(data: bytes) -> None:
    check_packets(data)


def test_packet_seeds_do_not_disturb_an_endpoint() -> None:
    pair = Pair().connect()
    for data in PACKETS + NEQO["client_initial"]:
        if not data:
            continue
        before = len(pair.sent_to_client)
        pair.deliver_to_server(data, Address("198.51.100.7", 4433))
        pair.deliver_to_server(data)
        pair.deliver_to_client(data)
        pair.flush()
        # Not more than three times what came, for both deliveries together (RFC 9000 8.1).
        assert sum(map(len, pair.sent_to_client[before:])) <= 6 * len(data)
    pair.drive(1.0)
    assert pair.client.close_error is None
    assert pair.server.close_error is None
    assert pair.client.open_stream() is not None


@seeds(NGTCP2["read_write_pkt"] + NGTCP2["read_write_handshake_pkt"])
def test_payloads_of_ngtcp2_packet_seeds_are_frames(data: bytes) -> None:
    """They are sealed with a cipher that changes nothing and has a tag of zeros."""
    position = 0
    while position < len(data):
        first = data[position]
        # ngtcp2 clears the fixed bit towards itself (RFC 9287).
        readable = data[:position] + bytes([first | 0x40]) + data[position + 1 :]
        header = parse_long_header(readable, position, len(data))
        offset = position + 19 if header is None else header.packet_number_offset
        end = len(data) if header is None else header.end
        payload = data[offset + (first & 3) + 1 : end - 16]
        assert data[end - 16 : end] == bytes(16)
        assert not isinstance(check_payload(payload), TransportError)
        position = end


# -- frames


def check_payload(payload: bytes) -> list[Frame] | TransportError:
    frames = outcome(lambda: parse_frames(payload))
    if isinstance(frames, TransportError):
        assert frames.code in (FRAME_ENCODING_ERROR, PROTOCOL_VIOLATION)
        assert frames.reason
        return frames
    writer = BytesWriter()
    for frame in frames:
        frame.write(writer)
    assert parse_frames(writer.getvalue()) == frames
    assert len(writer) <= len(payload)
    return frames


@seeds(PAYLOADS)
def test_frame_seeds_are_frames_or_a_typed_error(data: bytes) -> None:
    check_payload(data)


@given(changed(PAYLOADS))
@REPEATABLE
def test_changed_frame_seeds_are_frames_or_a_typed_error(data: bytes) -> None:
    check_payload(data)


@seeds([payload for payload in NEQO["frame"] + NGTCP2["decode_frame"] if payload])
def test_frame_seeds_leave_a_connection_whole_or_close_it_with_a_code(data: bytes) -> None:
    pair = connected(len(data))
    pair.inject(True, data)
    pair.inject(False, data)
    pair.drive(1.0)
    check_endings(pair)


def connected(seed: int) -> Pair:
    return Pair(seed=seed).connect()


def check_endings(pair: Pair) -> None:
    for connection in (pair.client, *pair.servers):
        error = connection.close_error
        assert error is None or isinstance(error, TransportError | ApplicationError)


@seeds([payload for payload in NEQO["client_initial"] if payload])
def test_initial_seeds_of_clients_do_not_harm_a_server(data: bytes) -> None:
    pair = Pair(seed=len(data))
    pair.inject(True, data, INITIAL)
    pair.drive(3.0)
    check_endings(pair)


@seeds([payload for payload in NEQO["server_initial"] if payload])
def test_initial_seeds_of_servers_do_not_harm_a_client(data: bytes) -> None:
    pair = Pair(seed=len(data))
    pair.to_client = lambda _: []
    pair.drive(0.015)
    pair.inject(False, data, INITIAL)
    pair.to_client = lambda datagram: [datagram]
    pair.drive(3.0)
    check_endings(pair)


# -- the handshake


def check_hello(data: bytes) -> None:
    info = outcome(lambda: peek_client_hello(data))
    if isinstance(info, TransportError):
        assert isinstance(info, HandshakeError)
        assert info.reason
    # Most seeds lie about their length; with the true one they get further in.
    for message in (data, data[:1] + (max(0, len(data) - 4)).to_bytes(3, "big") + data[4:]):
        server = TlsServer(server_config(alpn=("h3", "ping/1.0", "alpn")))
        server.start(b"")
        refused = outcome(partial(server.receive, INITIAL, message))
        assert refused is None or refused.reason


@seeds(HELLOS + REAL_HELLOS)
def test_client_hello_seeds_are_understood_or_refused_with_an_alert(data: bytes) -> None:
    check_hello(data)


@given(st.one_of(changed(HELLOS), changed(REAL_HELLOS)))
@REPEATABLE
def test_changed_client_hello_seeds_are_understood_or_refused_with_an_alert(data: bytes) -> None:
    check_hello(data)


def check_parameters(data: bytes) -> None:
    for from_client in (True, False):
        parameters = outcome(partial(decode_transport_parameters, data, from_client))
        if isinstance(parameters, TransportError):
            assert parameters.code == TRANSPORT_PARAMETER_ERROR
            assert parameters.reason
            continue
        encoded = encode_transport_parameters(parameters)
        assert decode_transport_parameters(encoded, from_client) == parameters


@seeds(PARAMETERS)
def test_transport_parameter_seeds_are_values_or_a_typed_error(data: bytes) -> None:
    check_parameters(data)


@given(changed(PARAMETERS))
@REPEATABLE
def test_changed_transport_parameter_seeds_are_values_or_a_typed_error(data: bytes) -> None:
    check_parameters(data)


# -- tokens

ENTROPY = random.Random(5).randbytes
TOKEN_KEYS = RootTokenKeys(ENTROPY(32), ENTROPY)


@seeds(NEQO["addr_valid"])
def test_token_seeds_are_not_ours(data: bytes) -> None:
    for size in range(len(data) + 1):
        check = check_token(TOKEN_KEYS, data[:size], Address("fe80::1", 443), 1e9, 10.0, 1e6)
        assert not check.valid
