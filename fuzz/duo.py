"""Two connections without an endpoint, a socket or TLS: fresh for every input, in little time.

Exceptions are not contained here, as an endpoint would: what a connection raises, a harness
raises.
"""

from __future__ import annotations

import random
from typing import Final

from ropewalk.quic.connection import Connection
from ropewalk.quic.connection.workspace import Workspace
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.datagrams import Datagrams
from ropewalk.quic.types.errors import ConnectionLost, HandshakeError
from ropewalk.quic.types.handshake import (
    AES_128_GCM,
    HANDSHAKE,
    INITIAL,
    ONE_RTT,
    Handshake,
    TrafficSecret,
)

CLIENT: Final = Address("192.0.2.1", 50000)
SERVER: Final = Address("192.0.2.2", 443)
_CLIENT_CID: Final = b"client00"
_SERVER_CID: Final = b"server00"
_FIRST_CID: Final = b"firstcid"
_UNEXPECTED_MESSAGE: Final = 10
_ROUNDS: Final = 8
_WORKSPACE: Final = Workspace()


class InstantHandshake(Handshake):
    """Agrees on keys that are known beforehand. Each side says its transport parameters; a
    server's end with a line feed more, the client answers with a full stop."""

    def __init__(self, is_client: bool) -> None:
        super().__init__()
        self.is_client = is_client
        self.alpn = "h3"
        self.cipher_suite = AES_128_GCM
        self._parameters = b""
        self._peer: bytes | None = None
        self._crypto: dict[int, bytes] = {}
        self._secrets: list[TrafficSecret] = []
        self._received = b""

    def start(self, transport_parameters: bytes) -> None:
        self._parameters = transport_parameters
        if self.is_client:
            self._say(INITIAL, transport_parameters)

    def receive(self, level: int, data: bytes) -> None:
        self._received += data
        if self.complete or len(self._received) < 3:
            if self.complete:
                raise HandshakeError(_UNEXPECTED_MESSAGE, "the handshake is over")
            return
        size = 3 + int.from_bytes(self._received[:3], "big")
        if len(self._received) < size:
            return
        if self.is_client and level == INITIAL:
            self._received = self._received[size:]
            self._install(HANDSHAKE)
        elif not self.is_client and level == INITIAL and self._peer is None:
            self._peer = self._received[3:size]
            self._received = self._received[size:]
            self._say(INITIAL, b"")
            self._install(HANDSHAKE)
            self._say(HANDSHAKE, self._parameters)
            self._install(ONE_RTT)
        elif level == HANDSHAKE:
            if self.is_client:
                self._peer = self._received[3:size]
                self._say(HANDSHAKE, b"")
                self._install(ONE_RTT)
            self._received = self._received[size:]
            self.complete = True
        else:
            raise HandshakeError(_UNEXPECTED_MESSAGE, "not now")

    def take_crypto(self, level: int) -> bytes:
        return self._crypto.pop(level, b"")

    def take_secrets(self) -> list[TrafficSecret]:
        taken, self._secrets = self._secrets, []
        return taken

    def peer_transport_parameters(self) -> bytes | None:
        return self._peer

    def _say(self, level: int, message: bytes) -> None:
        framed = len(message).to_bytes(3, "big") + message
        self._crypto[level] = self._crypto.get(level, b"") + framed

    def _install(self, level: int) -> None:
        for sending in (True, False):
            owner = b"c" if sending == self.is_client else b"s"
            secret = (owner + bytes([level])) * 16
            self._secrets.append(TrafficSecret(level, sending, AES_128_GCM, secret))


class Duo:
    """A client and a server. ``now`` moves on with each exchange."""

    def __init__(self, **settings: object) -> None:
        self.now = 100.0
        entropy = random.Random(7).randbytes
        config = Configuration(
            entropy=entropy,
            wall_clock=lambda: 1_800_000_000.0,
            alpn=("h3",),
            **settings,  # type: ignore[arg-type]  # harnesses name the fields
        )
        self.client = Connection(
            config,
            True,
            InstantHandshake(True),
            0,
            "",
            SERVER,
            _CLIENT_CID,
            _FIRST_CID,
            _FIRST_CID,
            None,
            b"",
            True,
            _WORKSPACE,
            self.now,
        )
        self.server = Connection(
            config,
            False,
            InstantHandshake(False),
            0,
            "",
            CLIENT,
            _SERVER_CID,
            _CLIENT_CID,
            _FIRST_CID,
            None,
            bytes(16),
            True,
            _WORKSPACE,
            self.now,
        )

    def connect(self) -> Duo:
        """Complete the handshake."""
        self.exchange(_ROUNDS)
        assert self.client.handshake_confirmed, self.client.close_error
        assert self.server.handshake_confirmed, self.server.close_error
        return self

    def exchange(self, rounds: int = 3) -> None:
        """Carry what both sides have to say, back and forth, and let their timers run."""
        for _ in range(rounds):
            self.now += 0.03
            for sender, receiver in ((self.client, self.server), (self.server, self.client)):
                if sender.deadline(self.now) <= self.now:
                    sender.on_timeout(self.now)
                while (burst := sender.transmit(self.now)) is not None:
                    for start in range(0, len(burst.data), burst.segment_size):
                        datagram = burst.data[start : start + burst.segment_size]
                        self.deliver(receiver, datagram)

    def deliver(self, receiver: Connection, datagram: bytes) -> None:
        """Hand one datagram to a side."""
        remote = SERVER if receiver is self.client else CLIENT
        datagrams = Datagrams(datagram, len(datagram), 0, "", remote)
        receiver.receive(datagrams, 0, len(datagram), self.now)
        receiver.end_of_batch(self.now)

    def check(self) -> None:
        """What holds whatever was received: endings are typed, nothing grows without bound."""
        for connection in (self.client, self.server):
            error = connection.close_error
            assert error is None or isinstance(error, ConnectionLost), error
            state = connection.state
            assert len(state.undecryptable) <= 16
            assert len(state.path.candidates) <= 2
            assert len(state.path.responses) <= 16
            streams = state.streams
            ended = streams.closed() + streams.reset_count()
            assert streams.opened() == ended + streams.live()
            assert state.path.active.recovery.bytes_in_flight >= 0
