"""Every intermediate value of RFC 9001 appendix A, not only the packets at its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ropewalk.quic.protection.aead import Nonces, make_protection, updated_secret
from ropewalk.quic.protection.labels import hkdf_expand_label, hkdf_extract
from ropewalk.quic.protection.retry import retry_integrity_tag
from ropewalk.quic.protection.versions import QUIC_V1, version_keys
from ropewalk.quic.types.handshake import AES_128_GCM, CHACHA20_POLY1305
from ropewalk.quic.wire.header import (
    PACKET_HANDSHAKE,
    PACKET_INITIAL,
    PACKET_RETRY,
    PACKET_ZERO_RTT,
    parse_long_header,
    type_bits,
    write_short_header,
)

DATA = Path(__file__).parents[1] / "data" / "protection"
VECTOR = json.loads((DATA / "rfc9001_appendix_a_quic_v1.json").read_text())


def raw(section: str, name: str) -> bytes:
    return bytes.fromhex(VECTOR[section][name])


def test_salt_version_and_labels() -> None:
    keys = version_keys(QUIC_V1)
    assert int(VECTOR["version"], 16) == QUIC_V1
    assert keys.initial_salt.hex() == VECTOR["initial_salt"]
    labels = VECTOR["hkdf_labels"]
    assert keys.key_label.decode() == labels["key"]
    assert keys.iv_label.decode() == labels["iv"]
    assert keys.header_label.decode() == labels["hp"]
    assert keys.update_label.decode() == labels["ku"]


@pytest.mark.parametrize("label", sorted(VECTOR["hkdf_label_info"]))
def test_expanding_a_label_uses_the_info_of_the_rfc(label: str) -> None:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

    info = bytes.fromhex(VECTOR["hkdf_label_info"][label])
    length = int.from_bytes(info[:2], "big")
    secret = bytes(range(32))
    ours = hkdf_expand_label("sha256", secret, label.encode(), b"", length)
    assert ours == HKDFExpand(SHA256(), length, info).derive(secret)


@pytest.mark.parametrize("side", ["client", "server"])
def test_initial_secrets_and_keys(side: str) -> None:
    salt = version_keys(QUIC_V1).initial_salt
    initial = hkdf_extract("sha256", salt, bytes.fromhex(VECTOR["client_dcid"]))
    assert initial.hex() == VECTOR["initial_secret"]
    label = VECTOR["hkdf_labels"][side].encode()
    secret = hkdf_expand_label("sha256", initial, label, b"", 32)
    assert secret == raw(side, "secret")
    keys = version_keys(QUIC_V1)
    assert hkdf_expand_label("sha256", secret, keys.key_label, b"", 16) == raw(side, "key")
    assert hkdf_expand_label("sha256", secret, keys.iv_label, b"", 12) == raw(side, "iv")
    assert hkdf_expand_label("sha256", secret, keys.header_label, b"", 16) == raw(side, "hp")


@pytest.mark.parametrize("side", ["client", "server"])
def test_header_masks_of_the_initial_packets(side: str) -> None:
    packet = f"{side}_initial"
    protection = make_protection(AES_128_GCM, raw(side, "secret"), QUIC_V1)
    assert protection.masks(raw(packet, "hp_sample"))[:5] == raw(packet, "hp_mask")
    plain, masked = raw(packet, "unprotected_header"), raw(packet, "protected_header")
    assert raw(packet, "packet").startswith(masked)
    assert raw(packet, "packet").count(raw(packet, "hp_sample")) == 1
    length = (plain[0] & 3) + 1
    number = VECTOR[packet]["packet_number"]
    assert int.from_bytes(plain[-length:], "big") == number


def test_retry_integrity() -> None:
    keys = version_keys(QUIC_V1)
    assert keys.retry_key == raw("retry", "integrity_key")
    assert keys.retry_nonce == raw("retry", "integrity_nonce")
    secret = raw("retry", "integrity_secret")
    assert hkdf_expand_label("sha256", secret, b"quic key", b"", 16) == keys.retry_key
    assert hkdf_expand_label("sha256", secret, b"quic iv", b"", 12) == keys.retry_nonce
    packet, tag = raw("retry", "packet"), raw("retry", "integrity_tag")
    original = raw("retry", "original_dcid")
    assert retry_integrity_tag(QUIC_V1, original, packet[:-16]) == tag == packet[-16:]
    pseudo = bytes([len(original)]) + original + packet[:-16]
    assert AESGCM(keys.retry_key).encrypt(keys.retry_nonce, b"", pseudo) == tag
    header = parse_long_header(packet, 0, len(packet))
    assert header is not None
    assert header.retry_token == raw("retry", "token")
    assert header.source_cid == raw("retry", "scid")


def test_chacha20_short_header_step_by_step() -> None:
    name = "chacha20_short_header"
    sample = VECTOR[name]
    secret = raw(name, "secret")
    assert hkdf_expand_label("sha256", secret, b"quic key", b"", 32) == raw(name, "key")
    assert hkdf_expand_label("sha256", secret, b"quic iv", b"", 12) == raw(name, "iv")
    assert hkdf_expand_label("sha256", secret, b"quic hp", b"", 32) == raw(name, "hp")
    assert updated_secret(CHACHA20_POLY1305, secret, QUIC_V1) == raw(name, "ku")
    number = sample["packet_number"]
    assert Nonces(raw(name, "iv")).nonce(0, number) == raw(name, "nonce")
    header = write_short_header(
        bytes.fromhex(sample["dcid"]), number, sample["packet_number_length"], 0, 0
    )
    assert header == raw(name, "unprotected_header")
    protection = make_protection(CHACHA20_POLY1305, secret, QUIC_V1)
    sealed = protection.seal(0, number, header, raw(name, "plaintext"))
    assert sealed == raw(name, "ciphertext")
    assert protection.masks(raw(name, "hp_sample"))[:5] == raw(name, "hp_mask")
    assert raw(name, "packet") == raw(name, "protected_header") + sealed


def test_long_header_type_bits() -> None:
    bits = VECTOR["long_header_type_bits"]
    for packet_type, name in (
        (PACKET_INITIAL, "initial"),
        (PACKET_ZERO_RTT, "0rtt"),
        (PACKET_HANDSHAKE, "handshake"),
        (PACKET_RETRY, "retry"),
    ):
        assert type_bits(packet_type, QUIC_V1) == bits[name]
