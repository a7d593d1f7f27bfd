"""The samples of RFC 9001 appendix A, RFC 9369 appendix A and RFC 10069, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ropewalk.quic.protection.aead import Nonces, make_protection, updated_secret
from ropewalk.quic.protection.burst import BurstWriter
from ropewalk.quic.protection.initial import initial_protection
from ropewalk.quic.protection.labels import hkdf_expand_label, hkdf_extract
from ropewalk.quic.protection.retry import retry_integrity_tag, retry_is_authentic
from ropewalk.quic.protection.unmask import ShortHeaderBatch, unmask_long
from ropewalk.quic.protection.versions import version_keys
from ropewalk.quic.types.handshake import CHACHA20_POLY1305

DATA = Path(__file__).parent.parent / "data" / "protection"
SAMPLES = [
    json.loads((DATA / name).read_text())
    for name in ("rfc9001_appendix_a_quic_v1.json", "rfc9369_appendix_a_quic_v2.json")
]
each_version = pytest.mark.parametrize("sample", SAMPLES, ids=["v1", "v2"])
each_side = pytest.mark.parametrize("side", ["client", "server"])


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


@each_version
@each_side
def test_initial_secrets_keys_and_ivs_match_the_samples(sample: dict, side: str) -> None:
    version = int(sample["version"], 16)
    keys = version_keys(version)
    common = hkdf_extract("sha256", keys.initial_salt, hexed(sample["client_dcid"]))
    assert common.hex() == sample["initial_secret"]
    expected = sample[side]
    secret = hkdf_expand_label("sha256", common, f"{side} in".encode(), b"", 32)
    assert secret.hex() == expected["secret"]
    assert hkdf_expand_label("sha256", secret, keys.key_label, b"", 16).hex() == expected["key"]
    assert hkdf_expand_label("sha256", secret, keys.iv_label, b"", 12).hex() == expected["iv"]
    assert hkdf_expand_label("sha256", secret, keys.header_label, b"", 16).hex() == expected["hp"]


@each_version
@each_side
def test_initial_packets_are_sealed_to_the_samples(sample: dict, side: str) -> None:
    packet = sample[f"{side}_initial"]
    protections = initial_protection(int(sample["version"], 16), hexed(sample["client_dcid"]))
    protection = protections[0 if side == "client" else 1]
    header = hexed(packet["unprotected_header"])
    payload = hexed(packet["frames_without_padding" if side == "client" else "frames"])
    payload = payload.ljust(packet.get("payload_length_padded", 0), b"\0")
    writer = BurstWriter()
    writer.add(protection, 0, packet["packet_number"], header, (header[0] & 3) + 1, payload)
    assert writer.finish().hex() == packet["packet"]


@each_version
@each_side
def test_initial_packets_of_the_samples_are_opened(sample: dict, side: str) -> None:
    packet = sample[f"{side}_initial"]
    protections = initial_protection(int(sample["version"], 16), hexed(sample["client_dcid"]))
    protection = protections[0 if side == "client" else 1]
    data = hexed(packet["packet"])
    length = (hexed(packet["unprotected_header"])[0] & 3) + 1
    offset = len(packet["unprotected_header"]) // 2 - length
    found = unmask_long(data, 0, offset, len(data), protection)
    assert found is not None
    header, truncated, found_length = found
    assert (header.hex(), truncated, found_length) == (
        packet["unprotected_header"],
        packet["packet_number"],
        length,
    )
    payload = protection.open(0, truncated, header, data[offset + length :])
    assert payload is not None
    frames = hexed(packet["frames_without_padding" if side == "client" else "frames"])
    assert payload.startswith(frames)
    assert not payload[len(frames) :].strip(b"\0")


@each_version
@each_side
def test_header_masks_match_the_samples(sample: dict, side: str) -> None:
    packet = sample[f"{side}_initial"]
    protections = initial_protection(int(sample["version"], 16), hexed(sample["client_dcid"]))
    protection = protections[0 if side == "client" else 1]
    masks = protection.masks(hexed(packet["hp_sample"]) * 3)
    assert [masks[at : at + 5].hex() for at in (0, 16, 32)] == [packet["hp_mask"]] * 3


@each_version
def test_retry_integrity_tag_matches_the_sample(sample: dict) -> None:
    retry = sample["retry"]
    version = int(sample["version"], 16)
    packet = hexed(retry["packet"])
    original = hexed(retry["original_dcid"])
    assert retry_integrity_tag(version, original, packet[:-16]).hex() == retry["integrity_tag"]
    assert retry_is_authentic(version, original, packet)


@each_version
def test_chacha20_short_header_packet_is_sealed_to_the_sample(sample: dict) -> None:
    packet = sample["chacha20_short_header"]
    version = int(sample["version"], 16)
    secret = hexed(packet["secret"])
    protection = make_protection(CHACHA20_POLY1305, secret, version)
    assert protection.masks(hexed(packet["hp_sample"]))[:5].hex() == packet["hp_mask"]
    assert updated_secret(CHACHA20_POLY1305, secret, version).hex() == packet["ku"]
    writer = BurstWriter()
    header = hexed(packet["unprotected_header"])
    writer.add(protection, 0, packet["packet_number"], header, 3, hexed(packet["plaintext"]))
    assert writer.finish().hex() == packet["packet"]


@each_version
def test_chacha20_short_header_packet_of_the_sample_is_opened(sample: dict) -> None:
    packet = sample["chacha20_short_header"]
    protection = make_protection(
        CHACHA20_POLY1305, hexed(packet["secret"]), int(sample["version"], 16)
    )
    data = hexed(packet["packet"])
    batch = ShortHeaderBatch()
    assert batch.unmask(data, 0, len(data), len(data), 1, protection) == 1
    assert batch.header(0).hex() == packet["unprotected_header"]
    assert batch.packet_number_length(0) == 3
    assert batch.truncated(0) == packet["packet_number"] & 0xFFFFFF
    payload = protection.open(0, packet["packet_number"], batch.header(0), batch.ciphertext(0))
    assert payload == hexed(packet["plaintext"])


NONCES = json.loads((DATA / "multipath_nonce.json").read_text())["samples"]


@pytest.mark.parametrize("sample", NONCES, ids=lambda sample: f"path-{sample['path_id']}")
def test_nonces_by_path_match_the_samples(sample: dict) -> None:
    nonces = Nonces(hexed(sample["iv"]))
    nonce = nonces.nonce(sample["path_id"], sample["packet_number"])
    assert nonce.hex() == sample["nonce"]
