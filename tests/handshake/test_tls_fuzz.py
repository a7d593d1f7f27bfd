"""Hostile bytes at every step: nothing but the errors of the contract comes out."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.quic.handshake.tls.codec import message
from ropewalk.quic.types.configuration import NoVerification
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT, Handshake
from tests.handshake.tls_pair import Pair, client_config, server_config, split_messages

EDITS = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(0, 3), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=3,
)


def edited(data: bytes, edits: list[tuple[int, int, bytes]], repair: bool) -> bytes:
    """``data`` with bytes replaced, inserted and removed; lengths repaired or not."""
    result = bytearray(data)
    for position, kind, piece in edits:
        start = position % (len(result) + 1)
        if kind == 0:
            result[start : start + len(piece)] = piece
        elif kind == 1:
            result[start:start] = piece
        elif kind == 2:
            del result[start : start + len(piece)]
        else:
            result[start : start + 1] = bytes([piece[0]])
    if repair and len(result) > 4:
        return message(result[0], bytes(result[4:]))
    return bytes(result)


def feed(side: Handshake, level: int, data: bytes) -> None:
    with suppress(TransportError):
        side.receive(level, data)


@settings(max_examples=300, deadline=None)
@given(EDITS, st.booleans(), st.booleans())
def test_a_bent_client_hello(
    edits: list[tuple[int, int, bytes]], repair: bool, hybrid: bool
) -> None:
    shares = ("X25519MLKEM768", "X25519") if hybrid else ("X25519",)
    pair = Pair(client_config(key_shares=shares))
    feed(pair.server, INITIAL, edited(pair.client.take_crypto(INITIAL), edits, repair))
    assert not pair.server.complete


@settings(max_examples=300, deadline=None)
@given(EDITS, st.booleans(), st.integers(0, 4), st.booleans())
def test_a_bent_message_of_the_server(
    edits: list[tuple[int, int, bytes]], repair: bool, which: int, trusting: bool
) -> None:
    config = client_config(verification=NoVerification()) if trusting else client_config()
    pair = Pair(config)
    pair.carry(pair.client, pair.server)
    hello = pair.server.take_crypto(INITIAL)
    flight = [hello, *split_messages(pair.server.take_crypto(HANDSHAKE))]
    bent = edited(flight[which], edits, repair)
    unchanged = bent == flight[which]
    flight[which] = bent
    with suppress(TransportError):
        pair.client.receive(INITIAL, flight[0])
        pair.client.receive(HANDSHAKE, b"".join(flight[1:]))
    assert pair.client.complete == unchanged


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_noise_at_every_level(noise: bytes, done: bool) -> None:
    pair = Pair(server=server_config())
    if done:
        pair.run()
    for side in (pair.client, pair.server):
        for level in (INITIAL, HANDSHAKE, ONE_RTT):
            feed(side, level, noise)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_bent_tickets(body: bytes) -> None:
    pair = Pair().run()
    feed(pair.client, ONE_RTT, message(4, body))
