"""A look at a ClientHello before anybody answers it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.quic.handshake.tls import peek_client_hello
from ropewalk.quic.handshake.tls.codepoints import ALPN, DECODE_ERROR, UNEXPECTED_MESSAGE
from ropewalk.quic.handshake.tls.extensions import encode_alpn
from ropewalk.quic.types.errors import HandshakeError
from ropewalk.quic.types.handshake import INITIAL
from tests.handshake.tls_pair import (
    Pair,
    alert_of,
    client_config,
    read_client_hello,
    write_client_hello,
)


def hello() -> bytes:
    config = client_config(key_shares=("X25519MLKEM768", "X25519"))
    return Pair(config).client.take_crypto(INITIAL)


def test_name_and_protocols_are_seen_once_all_bytes_are_there() -> None:
    data = hello()
    for size in range(len(data)):
        assert peek_client_hello(data[:size]) is None
    info = peek_client_hello(data)
    assert info is not None
    assert info.server_name == "server.example"
    assert info.alpn == ["perf", "h3"]


def test_a_client_without_name_or_protocol_has_none() -> None:
    bare = read_client_hello(hello())
    bare.extensions.clear()
    info = peek_client_hello(write_client_hello(bare))
    assert info is not None
    assert info.server_name is None
    assert info.alpn == []


def test_protocol_names_that_are_no_text_are_escaped() -> None:
    bent = read_client_hello(hello())
    bent.extensions[ALPN] = encode_alpn([b"\xfa\xfa", b"h3"])
    info = peek_client_hello(write_client_hello(bent))
    assert info is not None
    assert info.alpn == ["\\xfa\\xfa", "h3"]


def test_what_is_no_client_hello_is_refused_at_its_first_byte() -> None:
    assert alert_of(lambda: peek_client_hello(b"\x02")) == UNEXPECTED_MESSAGE
    assert alert_of(lambda: peek_client_hello(b"\x01\xff\xff\xff")) == DECODE_ERROR
    assert alert_of(lambda: peek_client_hello(b"\x01\x00\x00\x00")) == DECODE_ERROR
    assert peek_client_hello(b"") is None


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_bent_byte_never_raises_anything_but_handshake_error(position: int, flip: int) -> None:
    data = bytearray(hello())
    data[position % len(data)] ^= flip
    with suppress(HandshakeError):
        peek_client_hello(bytes(data))


@pytest.mark.parametrize("size", [4, 5, 40, 41, 100])
def test_bytes_after_the_hello_do_not_count(size: int) -> None:
    info = peek_client_hello(hello() + bytes(size))
    assert info is not None
