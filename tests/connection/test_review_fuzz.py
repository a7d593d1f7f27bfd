"""Random damage and random frames: nothing but a typed close may come of them."""

from __future__ import annotations

import random

import pytest
from librt.strings import BytesWriter

from ropewalk.quic.connection import Connection
from ropewalk.quic.endpoint import Incoming
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.datagrams import Datagrams
from ropewalk.quic.types.errors import ConnectionLost
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL
from ropewalk.quic.wire.varint import encode_varint
from ropewalk.quic.wire.writers import write_crypto
from tests.connection.pair import SERVER, Pair, forge

#: Enough to find a careless line; raise it for a night's run.
ROUNDS = 300


def varint(rng: random.Random) -> bytes:
    """A varint with a liking for edges."""
    kind = rng.randrange(6)
    if kind == 0:
        return encode_varint(rng.randrange(4))
    if kind == 1:
        return encode_varint(rng.randrange(64))
    if kind == 2:
        return encode_varint(rng.randrange(16384))
    if kind == 3:
        return encode_varint(rng.choice([2**62 - 1, 2**62 - 2, 2**60, 2**60 + 1, 2**32, 2**31]))
    if kind == 4:
        return encode_varint(rng.randrange(2**62))
    return bytes([rng.randrange(256)])


def frame(rng: random.Random) -> bytes:
    """Something that resembles a frame."""
    kind = rng.choice([*range(0x21), 0x30, 0x31, 0x40, rng.randrange(1 << 14)])
    head = encode_varint(kind)
    if kind in (2, 3):
        more = rng.randrange(4)
        fields = encode_varint(rng.randrange(40)) + varint(rng) + encode_varint(more)
        fields += b"".join(encode_varint(rng.randrange(5)) for _ in range(1 + 2 * more + 3))
        return head + fields
    if kind == 0x18:
        sequence = rng.randrange(20)
        fields = encode_varint(sequence) + encode_varint(rng.randrange(sequence + 2))
        length = rng.choice([0, 8, 8, 8, 20, 21])
        cid = bytes([rng.randrange(4)]) * length
        return head + fields + bytes([length]) + cid + bytes([rng.randrange(4)]) * 16
    if kind == 0x19:
        return head + encode_varint(rng.randrange(12))
    if kind == 6:
        data = rng.randbytes(rng.randrange(30))
        return head + encode_varint(rng.choice([0, 1, 2, 50, 70000])) + bytes([len(data)]) + data
    if 8 <= kind <= 15:
        fields = encode_varint(rng.randrange(12))
        if kind & 4:
            fields += varint(rng)
        data = rng.randbytes(rng.randrange(30))
        if kind & 2:
            fields += bytes([len(data)])
        return head + fields + data
    if kind in (0x1A, 0x1B):
        return head + rng.randbytes(8)
    return head + b"".join(varint(rng) for _ in range(rng.randrange(4)))


def settle(pair: Pair, rng: random.Random) -> None:
    """Let both sides speak and some time pass."""
    pair.flush()
    if rng.random() < 0.2:
        pair.drive(rng.choice([0.001, 0.05, 1.0]))


def sound(pair: Pair) -> None:
    """What must hold for both endpoints whatever happened."""
    for endpoint in (pair.client_endpoint, pair.server_endpoint):
        for connection in endpoint.connections():
            state = connection.state
            error = connection.close_error
            assert error is None or isinstance(error, ConnectionLost)
            assert len(state.undecryptable) <= 16
            assert len(state.path.candidates) <= 2
            assert len(state.path.responses) <= 16
            assert len(state.path.peer_ids.retirements) <= 4 * state.path.peer_ids.limit
            assert len(state.path.own_ids.announcements) <= 8
            for route in [state.path.active, *state.path.candidates]:
                assert route.recovery.bytes_in_flight >= 0
                if not route.validated:
                    assert route.bytes_sent <= 3 * route.bytes_received


@pytest.mark.parametrize("to_server", [True, False])
def test_authentic_packets_of_random_frames_never_raise(to_server: bool) -> None:
    rng = random.Random(f"frames {to_server}")
    pair = Pair(seed=2).connect()
    for _ in range(ROUNDS):
        target = pair.server if to_server else pair.client
        if not (pair.client.active and pair.server.active):
            pair.drive(5.0)
            pair = Pair(seed=rng.randrange(1 << 30)).connect()
            target = pair.server if to_server else pair.client
            if rng.random() < 0.5:
                stream = target.open_stream(rng.random() < 0.5)
                if stream is not None:
                    target.write(stream, bytes(rng.randrange(20000)))
        payload = b"".join(frame(rng) for _ in range(rng.randrange(1, 4)))[:1100]
        pair.inject(to_server, payload)
        settle(pair, rng)
        sound(pair)


@pytest.mark.parametrize("to_server", [True, False])
@pytest.mark.parametrize("level", [INITIAL, HANDSHAKE])
def test_handshake_packets_of_random_frames_never_raise(to_server: bool, level: int) -> None:
    rng = random.Random(f"handshake {to_server} {level}")
    for _ in range(ROUNDS // 4):
        pair = Pair(seed=rng.randrange(1 << 30))
        pair.drive(rng.choice([0.012, 0.021, 0.022]))
        if not pair.servers:
            continue
        sender = pair.client if to_server else pair.server
        owner = sender.state.initial if level == INITIAL else sender.state.handshake_level
        if owner is None or owner.send is None:
            continue
        payload = b"".join(frame(rng) for _ in range(rng.randrange(1, 4)))[:1000]
        if rng.random() < 0.3:
            writer = BytesWriter()
            write_crypto(writer, owner.crypto_in.offset, rng.randbytes(rng.randrange(1, 200)))
            payload = writer.getvalue()
        pair.inject(to_server, payload, level)
        pair.drive(1.0)
        sound(pair)


def test_damaged_handshake_messages_never_raise() -> None:
    """What the other side says in CRYPTO frames is changed before it is sealed."""
    rng = random.Random("messages")
    for _ in range(ROUNDS // 2):
        pair = Pair(seed=rng.randrange(1 << 30))

        def damage(side: Connection) -> None:
            state = side.state
            for level in (state.initial, state.handshake_level):
                if level is not None and level.crypto_out._data and level.crypto_out._next == 0:
                    data = bytearray(level.crypto_out._data)
                    for _ in range(rng.randrange(1, 4)):
                        data[rng.randrange(min(len(data), rng.choice([8, 80, 1 << 20])))] ^= (
                            1 << rng.randrange(8)
                        )
                    level.crypto_out._data = bytes(data)

        if rng.random() < 0.5:
            damage(pair.client)
        else:

            def accept(incoming: Incoming, pair: Pair = pair) -> None:
                pair.accept(incoming)
                damage(pair.server)

            pair.on_incoming = accept
        pair.drive(1.0)
        sound(pair)


def mutated(rng: random.Random, data: bytes) -> bytes:
    """One datagram, damaged in one of several ways."""
    kind = rng.randrange(7)
    if kind == 0:
        return data[: rng.randrange(1, len(data) + 1)]
    if kind == 1:
        return data + rng.randbytes(rng.randrange(1, 300))
    if kind == 2:
        return rng.randbytes(rng.randrange(1, 1300))
    if kind == 3:
        return data + data
    if kind == 4:
        at = rng.randrange(len(data))
        return data[:at] + data[rng.randrange(len(data)) :] or b"\x40"
    changed = bytearray(data)
    reach = 30 if kind == 5 else len(data)
    for _ in range(rng.randrange(1, 4)):
        changed[rng.randrange(min(reach, len(data)))] = rng.randrange(256)
    return bytes(changed)


def test_damaged_datagrams_never_raise_and_never_end_a_connection() -> None:
    rng = random.Random("datagrams")
    for turn in range(ROUNDS // 10):
        pair = Pair(seed=turn)
        retried = turn % 3 == 0

        def decide(incoming: Incoming, pair: Pair = pair, retried: bool = retried) -> None:
            if retried and not incoming.token_valid:
                incoming.retry(pair.now)
            else:
                pair.accept(incoming)

        def damage(data: bytes) -> list[bytes]:
            if rng.random() < 0.25:
                copy = mutated(rng, data)
                return [copy, data] if rng.random() < 0.8 else [copy]
            return [data]

        pair.on_incoming = decide
        pair.to_server = damage
        pair.to_client = damage
        pair.drive(3.0)
        stream = pair.client.open_stream() if pair.client.handshake_complete else None
        if stream is not None:
            pair.client.write(stream, bytes(20_000))
        pair.drive(2.0)
        sound(pair)


def test_receive_buffers_cut_anyhow_never_raise() -> None:
    rng = random.Random("buffers")
    pair = Pair(seed=5).connect()
    kept = [*pair.sent_to_server, *pair.sent_to_client]
    for _ in range(ROUNDS):
        data = b"".join(
            mutated(rng, rng.choice(kept))
            if rng.random() < 0.5
            else forge(pair.client, b"\x01" + bytes(rng.randrange(40)))
            for _ in range(rng.randrange(1, 5))
        )
        segment = rng.choice([len(data), 1200, 30, 21, 1, 47])
        remote = Address("203.0.113.9", rng.randrange(3)) if rng.random() < 0.2 else None
        endpoint = rng.choice([pair.server_endpoint, pair.client_endpoint])
        if endpoint is pair.server_endpoint:
            address = remote or pair.client_address
        else:
            address = remote or SERVER
        endpoint.receive(Datagrams(data, segment, 0, "", address, rng.randrange(4)), pair.now)
        pair.servers += [
            one for one in pair.server_endpoint.connections() if one not in pair.servers
        ]
        settle(pair, rng)
        sound(pair)
