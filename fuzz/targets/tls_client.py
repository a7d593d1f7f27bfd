"""What a client makes of a server's TLS messages."""

from __future__ import annotations

from contextlib import suppress

from fuzz.tls_sides import SERVER_FLIGHT, make_client
from ropewalk.quic.handshake.tls.codec import message
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT

SEED_PREFIX = b"\x00"


def fuzz_tls_client(data: bytes) -> None:
    """The first byte: how many of the server's true messages come first, and whether the
    length of what follows is made right. The rest: a message, or any bytes."""
    if len(data) < 2:
        return
    choice, rest = data[0], data[1:]
    if choice & 0x40 and len(rest) > 4:
        rest = message(rest[0], rest[4:])
    true_messages = choice % 7
    client = make_client()
    client.start(b"client's transport parameters")
    client.take_crypto(INITIAL)
    with suppress(TransportError):
        for index, one in enumerate(SERVER_FLIGHT[:true_messages]):
            client.receive(INITIAL if index == 0 else HANDSHAKE, one)
        level = INITIAL if true_messages == 0 else HANDSHAKE
        if true_messages > len(SERVER_FLIGHT) or client.complete:
            level = ONE_RTT
        cut = len(rest) // 2 if choice & 0x80 else 0
        for piece in (rest[:cut], rest[cut:]):
            client.receive(level, piece)
    client.take_secrets()
    client.take_crypto(HANDSHAKE)
    if true_messages < len(SERVER_FLIGHT):
        # Nobody can know the keys that a Finished is made with.
        assert not client.complete or rest.startswith(SERVER_FLIGHT[true_messages])
