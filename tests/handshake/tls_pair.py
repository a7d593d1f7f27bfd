"""Two ends of a handshake in one process, and tools to bend what travels between them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ropewalk.quic.handshake.credentials import StaticCredentials, load_credential
from ropewalk.quic.handshake.tls import TlsClient, TlsServer
from ropewalk.quic.handshake.tls.codec import encode_extensions, message, vector8, vector16
from ropewalk.quic.handshake.tls.messages import (
    ClientHello,
    ServerHello,
    parse_client_hello,
    parse_server_hello,
)
from ropewalk.quic.types.configuration import Configuration, PrivateCa
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT, Handshake, TrafficSecret
from ropewalk.quic.wire.reader import Reader
from ropewalk.runtime.certificates import make_authority, make_certificate

#: The moment of every test: 2026-03-01 12:00 UTC.
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEVELS = (INITIAL, HANDSHAKE, ONE_RTT)

CLIENT_PARAMETERS = b"client's transport parameters"
SERVER_PARAMETERS = b"server's transport parameters"


def seeded(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


AUTHORITY = make_authority("Test authority", now=NOW, entropy=seeded(1))
NAMES = ["server.example", "127.0.0.1", "::1"]
CERTIFICATE = make_certificate(NAMES, issuer=AUTHORITY, now=NOW, entropy=seeded(2))


def credentials(key_type: str) -> StaticCredentials:
    made = make_certificate(NAMES, key_type=key_type, issuer=AUTHORITY, now=NOW, entropy=seeded(3))
    return StaticCredentials(load_credential(made.cert_pem, made.key_pem))


def client_config(**changes: object) -> Configuration:
    config = Configuration(
        entropy=seeded(4),
        wall_clock=NOW.timestamp,
        alpn=("perf", "h3"),
        server_name="server.example",
        verification=PrivateCa(AUTHORITY.cert_pem),
        key_shares=("X25519",),
    )
    return replace(config, **changes)  # type: ignore[arg-type]  # tests name the fields


def server_config(**changes: object) -> Configuration:
    config = Configuration(
        entropy=seeded(5),
        wall_clock=NOW.timestamp,
        alpn=("h3", "perf"),
        credentials=StaticCredentials(load_credential(CERTIFICATE.cert_pem, CERTIFICATE.key_pem)),
        deterministic_signing=True,
    )
    return replace(config, **changes)  # type: ignore[arg-type]  # tests name the fields


class Pair:
    """A client and a server with everything that passed between them."""

    def __init__(
        self, client: Configuration | None = None, server: Configuration | None = None
    ) -> None:
        self.client = TlsClient(client or client_config())
        self.server = TlsServer(server or server_config())
        self.client.start(CLIENT_PARAMETERS)
        self.server.start(SERVER_PARAMETERS)
        self.client_secrets: list[TrafficSecret] = []
        self.server_secrets: list[TrafficSecret] = []
        self.sent: dict[tuple[str, int], bytes] = {}

    def carry(self, sender: Handshake, receiver: Handshake, piece: int = 0) -> bool:
        """Move what waits at ``sender``, in pieces of a size when one is given."""
        moved = False
        who = "client" if sender is self.client else "server"
        for level in LEVELS:
            data = sender.take_crypto(level)
            if data:
                moved = True
                self.sent[who, level] = self.sent.get((who, level), b"") + data
                for start in range(0, len(data), piece or len(data)):
                    receiver.receive(level, data[start : start + (piece or len(data))])
        self.client_secrets += self.client.take_secrets()
        self.server_secrets += self.server.take_secrets()
        return moved

    def run(self, piece: int = 0) -> Pair:
        while self.carry(self.client, self.server, piece) or self.carry(
            self.server, self.client, piece
        ):
            pass
        return self

    def secrets(self) -> dict[tuple[str, int, bool], bytes]:
        """All secrets by (owner, level, whether the client sends under it)."""
        found: dict[tuple[str, int, bool], bytes] = {}
        for secret in self.client_secrets:
            found["client", secret.level, secret.sending] = secret.secret
        for secret in self.server_secrets:
            found["server", secret.level, not secret.sending] = secret.secret
        return found


def alert_of(call: Callable[[], object]) -> int:
    """The alert that a call ends in: 0x100 + alert as a code, without the 0x100."""
    with pytest.raises(TransportError) as caught:
        call()
    assert caught.value.reason
    return caught.value.code - 0x100


def split_messages(flight: bytes) -> list[bytes]:
    """The handshake messages of a flight."""
    messages: list[bytes] = []
    while flight:
        size = 4 + int.from_bytes(flight[1:4], "big")
        messages.append(flight[:size])
        flight = flight[size:]
    return messages


def read_client_hello(data: bytes) -> ClientHello:
    return parse_client_hello(Reader(data, 4))


def read_server_hello(data: bytes) -> ServerHello:
    return parse_server_hello(Reader(data, 4))


def write_client_hello(hello: ClientHello) -> bytes:
    """A ClientHello with any field bent."""
    suites = b"".join(suite.to_bytes(2, "big") for suite in hello.cipher_suites)
    return message(
        1,
        hello.legacy_version.to_bytes(2, "big")
        + hello.random
        + vector8(hello.session_id)
        + vector16(suites)
        + vector8(hello.compression_methods)
        + encode_extensions(list(hello.extensions.items())),
    )


def write_server_hello(hello: ServerHello, compression: int = 0) -> bytes:
    """A ServerHello with any field bent."""
    return message(
        2,
        hello.legacy_version.to_bytes(2, "big")
        + hello.random
        + vector8(hello.session_id)
        + hello.cipher_suite.to_bytes(2, "big")
        + bytes([compression])
        + encode_extensions(list(hello.extensions.items())),
    )
