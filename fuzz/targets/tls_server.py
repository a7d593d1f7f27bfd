"""What a server makes of a client's TLS messages."""

from __future__ import annotations

from contextlib import suppress

from fuzz.tls_sides import CLIENT_FLIGHT, make_server
from ropewalk.quic.handshake.tls.codec import message
from ropewalk.quic.handshake.tls.peek import peek_client_hello
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT

SEED_PREFIX = b"\x00"


def fuzz_tls_server(data: bytes) -> None:
    """The first byte: whether the client's true messages come first, and whether the length
    of what follows is made right. The rest: a message, or any bytes."""
    if len(data) < 2:
        return
    choice, rest = data[0], data[1:]
    if choice & 0x40 and len(rest) > 4:
        rest = message(rest[0], rest[4:])
    true_messages = choice & 3
    server = make_server()
    server.start(b"server's transport parameters")
    with suppress(TransportError):
        info = peek_client_hello(rest)
        assert info is None or all(isinstance(name, str) for name in info.alpn)
    with suppress(TransportError):
        if true_messages:
            server.receive(INITIAL, CLIENT_FLIGHT[0])
        if true_messages > 1:
            server.receive(HANDSHAKE, CLIENT_FLIGHT[1])
            assert server.complete
        level = (INITIAL, HANDSHAKE, ONE_RTT, INITIAL)[true_messages]
        cut = len(rest) // 2 if choice & 0x80 else 0
        for piece in (rest[:cut], rest[cut:]):
            server.receive(level, piece)
    server.take_secrets()
    server.take_crypto(HANDSHAKE)
    if true_messages == 0:
        # Nobody can know the keys that a Finished is made with.
        assert not server.complete
