"""Both sides of one TLS handshake that repeats to the byte, and what they said in it."""

from __future__ import annotations

import random
from typing import Final

from ropewalk.quic.handshake.credentials import StaticCredentials
from ropewalk.quic.handshake.tls import TlsClient, TlsServer
from ropewalk.quic.types.configuration import Configuration, NoVerification
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL
from ropewalk.sim.identity import EPOCH, seeded_identity

_IDENTITY: Final = seeded_identity("fuzz")


def _epoch() -> float:
    return EPOCH


def make_client() -> TlsClient:
    """A client that trusts anybody and says the same every time."""
    return TlsClient(
        Configuration(
            entropy=random.Random(1).randbytes,
            wall_clock=_epoch,
            alpn=("h3",),
            server_name="server.sim",
            verification=NoVerification(),
            groups=("X25519",),
            key_shares=("X25519",),
        )
    )


def make_server() -> TlsServer:
    """A server that says the same every time."""
    return TlsServer(
        Configuration(
            entropy=random.Random(2).randbytes,
            wall_clock=_epoch,
            alpn=("h3",),
            credentials=_CREDENTIALS,
            groups=("X25519",),
            key_shares=("X25519",),
            deterministic_signing=True,
        )
    )


def _messages(flight: bytes) -> list[bytes]:
    messages = []
    while flight:
        size = 4 + int.from_bytes(flight[1:4], "big")
        messages.append(flight[:size])
        flight = flight[size:]
    return messages


def _record() -> tuple[list[bytes], list[bytes]]:
    client, server = make_client(), make_server()
    client.start(b"client's transport parameters")
    server.start(b"server's transport parameters")
    hello = client.take_crypto(INITIAL)
    server.receive(INITIAL, hello)
    answer = server.take_crypto(INITIAL)
    flight = server.take_crypto(HANDSHAKE)
    client.receive(INITIAL, answer)
    client.receive(HANDSHAKE, flight)
    return [hello, client.take_crypto(HANDSHAKE)], [answer, *_messages(flight)]


_CREDENTIALS: Final = StaticCredentials(_IDENTITY.credential)
#: ClientHello and Finished; ServerHello to Finished, each message by itself.
CLIENT_FLIGHT, SERVER_FLIGHT = _record()
