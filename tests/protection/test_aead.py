"""Sealing and opening under every suite, with bad input too."""

from __future__ import annotations

import random

import pytest

from ropewalk.quic.protection.aead import Nonces, make_protection
from ropewalk.quic.types.errors import Unsupported
from ropewalk.quic.types.handshake import AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305

V1 = 1
SUITES = [AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305]
each_suite = pytest.mark.parametrize("suite", SUITES, ids=hex)
SECRET = bytes(range(48))
LARGEST = 2**62 - 1


def secret_of(suite: int) -> bytes:
    return SECRET if suite == AES_256_GCM else SECRET[:32]


@each_suite
@pytest.mark.parametrize("packet_number", [0, 1, 2**31, 2**32, LARGEST])
@pytest.mark.parametrize("path_id", [0, 1, 2**31, 2**32 - 1])
def test_what_is_sealed_opens_with_the_same_number_path_and_header(
    suite: int, packet_number: int, path_id: int
) -> None:
    sender = make_protection(suite, secret_of(suite), V1)
    receiver = make_protection(suite, secret_of(suite), V1)
    sealed = sender.seal(path_id, packet_number, b"header", b"payload")
    assert len(sealed) == len(b"payload") + sender.tag_length
    assert receiver.open(path_id, packet_number, b"header", sealed) == b"payload"
    assert receiver.open(path_id, packet_number ^ 1, b"header", sealed) is None
    assert receiver.open(path_id ^ 1, packet_number, b"header", sealed) is None
    assert receiver.open(path_id, packet_number, b"Header", sealed) is None


@each_suite
def test_any_flipped_bit_makes_a_packet_unauthentic(suite: int) -> None:
    protection = make_protection(suite, secret_of(suite), V1)
    sealed = protection.seal(0, 7, b"h", b"some payload")
    for position in range(len(sealed)):
        for bit in range(8):
            broken = bytearray(sealed)
            broken[position] ^= 1 << bit
            assert protection.open(0, 7, b"h", bytes(broken)) is None


@each_suite
@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 40])
def test_ciphertext_of_any_length_is_refused_quietly(suite: int, length: int) -> None:
    protection = make_protection(suite, secret_of(suite), V1)
    assert protection.open(0, 0, b"", bytes(length)) is None


def nonce_by_the_book(iv: bytes, path_id: int, packet_number: int) -> bytes:
    number = (path_id << 64) | packet_number
    return (int.from_bytes(iv, "big") ^ number).to_bytes(12, "big")


def test_nonces_are_iv_xor_path_and_number_whatever_the_top_bits_of_the_iv() -> None:
    chance = random.Random(9001)
    ivs = [b"\0" * 12, b"\xff" * 12, *(chance.randbytes(12) for _ in range(50))]
    for iv in ivs:
        nonces = Nonces(iv)
        for path_id in (0, 1, 0, 2**31, 2**32 - 1, 2**32 - 1, 5):
            for packet_number in (0, 1, 255, 2**31, 2**32 - 1, 2**61, LARGEST):
                expected = nonce_by_the_book(iv, path_id, packet_number)
                assert nonces.nonce(path_id, packet_number) == expected


@each_suite
def test_masks_of_a_batch_equal_the_masks_of_each_sample(suite: int) -> None:
    protection = make_protection(suite, secret_of(suite), V1)
    samples = random.Random(1).randbytes(16 * 45)
    together = protection.masks(samples)
    for index in range(45):
        alone = protection.masks(samples[16 * index : 16 * index + 16])
        assert together[16 * index : 16 * index + 5] == alone[:5]
    assert protection.masks(b"") == b""


@each_suite
def test_next_generation_changes_the_packet_keys_and_keeps_the_header_key(suite: int) -> None:
    first = make_protection(suite, secret_of(suite), V1)
    second = first.next_generation()
    third = second.next_generation()
    sealed = [keys.seal(0, 3, b"h", b"payload") for keys in (first, second, third)]
    assert len(set(sealed)) == 3
    assert first.open(0, 3, b"h", sealed[1]) is None
    assert second.open(0, 3, b"h", sealed[1]) == b"payload"
    sample = bytes(range(16))
    assert first.masks(sample) == second.masks(sample) == third.masks(sample)
    assert second.confidentiality_limit == first.confidentiality_limit
    assert second.integrity_limit == first.integrity_limit


@pytest.mark.parametrize(
    ("suite", "confidentiality", "integrity"),
    [
        (AES_128_GCM, 2**23, 2**52),
        (AES_256_GCM, 2**23, 2**52),
        (CHACHA20_POLY1305, 2**62, 2**36),
    ],
)
def test_limits_are_those_of_rfc_9001_6_6(suite: int, confidentiality: int, integrity: int) -> None:
    protection = make_protection(suite, secret_of(suite), V1)
    assert protection.confidentiality_limit == confidentiality
    assert protection.integrity_limit == integrity


def test_unknown_suites_and_versions_are_unsupported_by_name() -> None:
    with pytest.raises(Unsupported, match="0x1304"):
        make_protection(0x1304, SECRET[:32], V1)
    with pytest.raises(Unsupported, match="0x0000002a"):
        make_protection(AES_128_GCM, SECRET[:32], 42)
