"""Noise on every kind of stream: a typed close or nothing, never an exception."""

from __future__ import annotations

import random

import pytest

from ropewalk.http3.errors import http3_error_name
from tests.http3.talk import GET, SETTINGS_STREAM, Talk, h3_frame, section

SEEDS = range(30)


def noise(rng: random.Random) -> bytes:
    """Frames that are partly right."""
    out = bytearray()
    for _ in range(rng.randrange(6)):
        kind = rng.choice([0, 1, 1, 3, 4, 5, 7, 13, 0x21, 2, rng.randrange(1 << 14)])
        payload = rng.choice([section(*GET), rng.randbytes(rng.randrange(40)), b"\x00", b""])
        out += h3_frame(kind, payload)
    if out and rng.random() < 0.5:
        out[rng.randrange(len(out))] = rng.randrange(256)
    return bytes(out[: rng.randrange(len(out) + 1)]) if rng.random() < 0.3 else bytes(out)


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_from_a_client(seed: int) -> None:
    rng = random.Random(seed)
    talk = Talk(raw_client=True)
    if rng.random() < 0.7:
        talk.raw_uni(SETTINGS_STREAM)
    for _ in range(8):
        if not talk.client.active:
            break
        match rng.randrange(4):
            case 0:
                talk.raw_uni(bytes([rng.choice([0, 1, 2, 3, 0x21])]) + noise(rng))
            case 1:
                talk.raw_uni(rng.randbytes(rng.randrange(30)))
            case _:
                stream_id = talk.raw_request(noise(rng), end=rng.random() < 0.6)
                if talk.client.active and rng.random() < 0.3:
                    talk.client.reset(stream_id, 5)
                    talk.client.stop(stream_id, 6)
        talk.drive(0.05)
    check(talk.close_code())


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_from_a_server(seed: int) -> None:
    rng = random.Random(1000 + seed)
    talk = Talk(raw_server=True)
    for _ in range(8):
        if not talk.client.active:
            break
        stream_id = talk.ask(GET)
        talk.server.write(stream_id, noise(rng))
        if rng.random() < 0.3:
            talk.server.reset(stream_id, 9)
        elif rng.random() < 0.7:
            talk.server.finish(stream_id)
        if rng.random() < 0.2:
            talk.raw_uni(bytes([rng.choice([0, 1, 2, 3])]) + noise(rng), from_client=False)
        talk.drive(0.05)
    check(talk.close_code())


def check(code: int | None) -> None:
    """Closed for a reason that HTTP/3 knows, or not at all."""
    assert code is None or http3_error_name(code).startswith(("H3_", "QPACK_"))
