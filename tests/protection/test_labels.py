"""HKDF labels against the RFC's own encodings and a hand-made HMAC."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from ropewalk.quic.protection.labels import (
    derive_secret,
    hash_length,
    hash_of_suite,
    hkdf_expand_label,
    hkdf_extract,
    key_length,
)
from ropewalk.quic.types.errors import Unsupported
from ropewalk.quic.types.handshake import AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305


@pytest.mark.parametrize("name", ["sha256", "sha384"])
def test_extract_is_hmac_of_the_input_under_the_salt(name: str) -> None:
    assert hkdf_extract(name, b"salt", b"input") == hmac.digest(b"salt", b"input", name)
    zeros = bytes(hashlib.new(name).digest_size)
    assert hkdf_extract(name, b"", b"input") == hmac.digest(zeros, b"input", name)
    assert hkdf_extract(name, b"", zeros) == hmac.digest(zeros, zeros, name)


@pytest.mark.parametrize("name", ["sha256", "sha384"])
def test_expand_label_writes_length_label_and_context(name: str) -> None:
    secret = bytes(range(hash_length(name)))
    info = b"\x00\x10" + b"\x0etls13 quic key" + b"\x03ctx"
    expected = hmac.digest(secret, info + b"\x01", name)[:16]
    assert hkdf_expand_label(name, secret, b"quic key", b"ctx", 16) == expected


def test_expand_label_yields_more_than_one_digest() -> None:
    long = hkdf_expand_label("sha256", bytes(32), b"exporter", b"", 100)
    assert len(long) == 100


@pytest.mark.parametrize("name", ["sha256", "sha384"])
def test_derive_secret_takes_the_hash_of_the_transcript(name: str) -> None:
    secret = bytes(hash_length(name))
    transcript_hash = hashlib.new(name, b"").digest()
    expected = hkdf_expand_label(name, secret, b"derived", transcript_hash, hash_length(name))
    assert derive_secret(name, secret, b"derived", transcript_hash) == expected


def test_early_secret_without_psk_derives_the_secret_of_rfc_8448() -> None:
    early = hkdf_extract("sha256", b"", bytes(32))
    assert early.hex().startswith("33ad0a1c607ec03b")
    derived = derive_secret("sha256", early, b"derived", hashlib.sha256(b"").digest())
    assert derived.hex().startswith("6f2615a108c702c5")


def test_suites_name_their_hash_and_key_length() -> None:
    assert [hash_of_suite(suite) for suite in (AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305)] == [
        "sha256",
        "sha384",
        "sha256",
    ]
    assert [key_length(suite) for suite in (AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305)] == [
        16,
        32,
        32,
    ]


def test_what_is_not_built_in_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="md5"):
        hkdf_extract("md5", b"", b"")
    with pytest.raises(Unsupported, match="0x1304"):
        hash_of_suite(0x1304)
    with pytest.raises(Unsupported, match="0x1304"):
        key_length(0x1304)
