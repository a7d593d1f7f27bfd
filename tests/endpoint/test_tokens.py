"""Address-validation tokens, and the keys that make them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.quic.endpoint.token_keys import RootTokenKeys
from ropewalk.quic.endpoint.tokens import (
    TOKEN_NEW_TOKEN,
    TOKEN_RETRY,
    TOKEN_UNKNOWN,
    TokenCheck,
    check_token,
    make_new_token,
    make_retry_token,
)
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.quic.types.identity import TokenKeys

NOW = 1_700_000_000.5
CLIENT = Address("192.0.2.7", 40000)
CLIENT_6 = Address("2001:db8::7", 40000)
OTHER_PORT = Address("192.0.2.7", 40001)
OTHER_IP = Address("192.0.2.8", 40000)
ROOT = b"a root secret of enough bytes"


def keys(root: bytes = ROOT, seed: int = 1) -> RootTokenKeys:
    return RootTokenKeys(root, random.Random(seed).randbytes)


def check(
    token: bytes, remote: Address = CLIENT, now: float = NOW, root: bytes = ROOT
) -> TokenCheck:
    return check_token(keys(root, 2), token, remote, now, 10.0, 3600.0)


@pytest.mark.parametrize("client", [CLIENT, CLIENT_6], ids=str)
@pytest.mark.parametrize("original", [b"", b"12345678", b"o" * 20])
@pytest.mark.parametrize("source", [b"", b"87654321", b"s" * 20])
def test_a_retry_token_gives_back_both_connection_ids(
    client: Address, original: bytes, source: bytes
) -> None:
    found = check(make_retry_token(keys(), client, original, source, NOW), client)
    assert (found.kind, found.valid) == (TOKEN_RETRY, True)
    assert found.original_dcid == original
    assert found.retry_source_cid == source


def test_a_retry_token_is_bound_to_address_and_port() -> None:
    token = make_retry_token(keys(), CLIENT, b"12345678", b"87654321", NOW)
    for remote in (OTHER_IP, OTHER_PORT, CLIENT_6):
        found = check(token, remote)
        assert (found.kind, found.valid) == (TOKEN_RETRY, False)


def test_a_new_token_is_bound_to_the_address_only() -> None:
    token = make_new_token(keys(), CLIENT, NOW)
    for remote in (CLIENT, OTHER_PORT):
        found = check(token, remote)
        assert (found.kind, found.valid) == (TOKEN_NEW_TOKEN, True)
    found = check(token, OTHER_IP)
    assert (found.kind, found.valid) == (TOKEN_NEW_TOKEN, False)


def test_tokens_expire_each_kind_after_its_own_lifetime() -> None:
    retry = make_retry_token(keys(), CLIENT, b"12345678", b"87654321", NOW)
    assert check(retry, now=NOW + 9.9).valid
    assert not check(retry, now=NOW + 10.1).valid
    assert check(retry, now=NOW + 10.1).kind == TOKEN_RETRY
    new = make_new_token(keys(), CLIENT, NOW)
    assert check(new, now=NOW + 3599.0).valid
    assert not check(new, now=NOW + 3601.0).valid


def test_clocks_of_hosts_may_differ_a_little_but_not_much() -> None:
    retry = make_retry_token(keys(), CLIENT, b"12345678", b"87654321", NOW)
    assert check(retry, now=NOW - 4.0).valid
    assert not check(retry, now=NOW - 6.0).valid


def test_a_clock_before_1970_does_not_break_tokens() -> None:
    assert check(make_new_token(keys(), CLIENT, -5.0), now=0.0).valid


def test_tokens_open_wherever_the_root_secret_is_shared_and_nowhere_else() -> None:
    token = make_retry_token(keys(seed=1), CLIENT, b"12345678", b"87654321", NOW)
    assert check(token).valid
    found = check(token, root=b"another root secret of bytes")
    assert (found.kind, found.valid) == (TOKEN_UNKNOWN, False)


def test_any_flipped_bit_makes_a_token_unknown() -> None:
    for token in (
        make_retry_token(keys(), CLIENT, b"12345678", b"87654321", NOW),
        make_new_token(keys(), CLIENT, NOW),
    ):
        for position in range(len(token)):
            broken = bytearray(token)
            broken[position] ^= 1
            found = check(bytes(broken))
            assert (found.kind, found.valid) == (TOKEN_UNKNOWN, False)


def test_a_truncated_or_extended_token_is_unknown() -> None:
    token = make_retry_token(keys(), CLIENT, b"12345678", b"87654321", NOW)
    for length in range(len(token)):
        assert check(token[:length]).kind == TOKEN_UNKNOWN
    assert check(token + b"\0").kind == TOKEN_UNKNOWN
    assert check(token + bytes(2000)).kind == TOKEN_UNKNOWN


def test_two_tokens_for_one_client_differ_and_show_nothing_of_it() -> None:
    maker = keys()
    one = make_new_token(maker, CLIENT, NOW)
    two = make_new_token(maker, CLIENT, NOW)
    assert one != two
    assert CLIENT.ip.encode() not in one


@given(token=st.binary(max_size=120))
def test_arbitrary_bytes_are_never_a_token(token: bytes) -> None:
    found = check(token)
    assert (found.kind, found.valid) == (TOKEN_UNKNOWN, False)


class OpenKeys(TokenKeys):
    """Seals nothing: lets a test choose the plaintext of a token."""

    def seal(self, kind: int, plaintext: bytes, associated: bytes) -> bytes:
        return bytes([kind]) + plaintext

    def open(self, kind: int, token: bytes, associated: bytes) -> bytes | None:
        return token[1:] if token[0] == kind else None

    def reset_token(self, connection_id: bytes) -> bytes:
        return bytes(16)


@given(plaintext=st.binary(max_size=60), kind=st.sampled_from([TOKEN_RETRY, TOKEN_NEW_TOKEN]))
def test_authentic_tokens_of_another_format_are_invalid_not_fatal(
    plaintext: bytes, kind: int
) -> None:
    found = check_token(OpenKeys(), bytes([kind]) + plaintext, CLIENT, NOW, 10.0, 3600.0)
    assert (found.kind, found.valid) == (kind, False)


def test_keys_of_ones_own_may_be_injected() -> None:
    token = make_retry_token(OpenKeys(), CLIENT, b"abc", b"de", NOW)
    found = check_token(OpenKeys(), token, CLIENT, NOW, 10.0, 3600.0)
    assert (found.valid, found.original_dcid, found.retry_source_cid) == (True, b"abc", b"de")


def test_an_empty_or_overlong_token_is_not_even_tried() -> None:
    assert check_token(OpenKeys(), b"", CLIENT, NOW, 10.0, 3600.0).kind == TOKEN_UNKNOWN
    assert check_token(OpenKeys(), bytes(513), CLIENT, NOW, 10.0, 3600.0).kind == TOKEN_UNKNOWN
    assert keys().open(0, b"", b"") is None


def test_the_kinds_and_the_associated_data_are_separate() -> None:
    maker = keys()
    token = maker.seal(0, b"plaintext", b"associated")
    assert maker.open(0, token, b"associated") == b"plaintext"
    assert maker.open(1, token, b"associated") is None
    assert maker.open(1, b"\x01" + token[1:], b"associated") is None
    assert maker.open(0, token, b"Associated") is None


def test_reset_tokens_follow_from_root_secret_and_connection_id() -> None:
    token = keys(seed=1).reset_token(b"12345678")
    assert len(token) == 16
    assert keys(seed=2).reset_token(b"12345678") == token
    assert keys().reset_token(b"12345679") != token
    assert keys(b"another root secret of bytes").reset_token(b"12345678") != token


def test_a_short_root_secret_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="15 bytes"):
        RootTokenKeys(bytes(15), random.Random(1).randbytes)
