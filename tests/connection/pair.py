"""A client and a server in one process, joined by a wire that a test can bend."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from librt.strings import BytesWriter

from ropewalk.quic.connection import Connection
from ropewalk.quic.endpoint import Endpoint, Incoming, RandomConnectionIds, RootTokenKeys
from ropewalk.quic.handshake.credentials import StaticCredentials, load_credential
from ropewalk.quic.protection.burst import BurstWriter
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import (
    Configuration,
    EndpointConfiguration,
    NoVerification,
)
from ropewalk.quic.types.datagrams import Datagrams
from ropewalk.quic.types.events import Event
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.wire.header import (
    PACKET_HANDSHAKE,
    PACKET_INITIAL,
    write_long_header,
    write_short_header,
)
from ropewalk.runtime.certificates import make_certificate

CLIENT = Address("192.0.2.1", 50000)
SERVER = Address("192.0.2.2", 443)
EPOCH = 1_800_000_000.0

_MADE = make_certificate(["localhost"])
CREDENTIALS = StaticCredentials(load_credential(_MADE.cert_pem, _MADE.key_pem))


class Pair:
    """Two endpoints and the virtual time between them.

    ``delay`` is the one-way delay. ``to_server`` and ``to_client`` may be replaced by a
    function that sees every datagram and returns what arrives of it.
    """

    def __init__(
        self,
        *,
        client: dict[str, object] | None = None,
        server: dict[str, object] | None = None,
        endpoint: dict[str, object] | None = None,
        delay: float = 0.01,
        seed: int = 1,
    ) -> None:
        self.now = 100.0
        self.delay = delay
        self.random = random.Random(seed)
        entropy = self.random.randbytes
        base = Configuration(
            entropy=entropy,
            wall_clock=self.wall_clock,
            alpn=("test",),
            server_name="localhost",
            # Without the search for larger datagrams, unless a test is about it.
            max_udp_payload=1200,
        )
        self.client_config = replace(
            base,
            verification=NoVerification(),
            **(client or {}),  # type: ignore[arg-type]  # tests name the fields
        )
        self.server_config = replace(
            base,
            credentials=CREDENTIALS,
            **(server or {}),  # type: ignore[arg-type]  # tests name the fields
        )
        shared = EndpointConfiguration(
            entropy=entropy,
            wall_clock=self.wall_clock,
            connection_ids=RandomConnectionIds(entropy),
            token_keys=RootTokenKeys(entropy(32), entropy),
        )
        self.client_endpoint = Endpoint(shared)
        self.server_endpoint = Endpoint(
            replace(
                shared,
                accept=True,
                **(endpoint or {}),  # type: ignore[arg-type]  # tests name the fields
            )
        )
        self.client_address = CLIENT
        self.on_incoming: Callable[[Incoming], None] = self.accept
        self.to_server: Callable[[bytes], list[bytes]] = lambda data: [data]
        self.to_client: Callable[[bytes], list[bytes]] = lambda data: [data]
        #: what is on the wire: arrival time, towards the server?, datagram
        self.wire: list[tuple[float, bool, bytes]] = []
        self.sent_to_server: list[bytes] = []
        self.sent_to_client: list[bytes] = []
        self.client_events: list[Event] = []
        self.server_events: list[Event] = []
        self.incoming: list[Incoming] = []
        self.servers: list[Connection] = []
        self.client = self.client_endpoint.open(self.client_config, SERVER, 0, self.now)

    def wall_clock(self) -> float:
        """Virtual time as seconds since 1970."""
        return EPOCH + self.now

    @property
    def server(self) -> Connection:
        """The first connection that the server accepted."""
        return self.servers[0]

    def accept(self, incoming: Incoming) -> None:
        """What happens at the door unless a test decides otherwise."""
        self.servers.append(incoming.accept(self.server_config, self.now))

    def drive(self, seconds: float) -> None:
        """Let so much virtual time go by."""
        end = self.now + seconds
        for _ in range(200_000):
            self.flush()
            upcoming = min(
                self.client_endpoint.deadline(),
                self.server_endpoint.deadline(),
                self.wire[0][0] if self.wire else end,
                end,
            )
            if upcoming >= end and (not self.wire or self.wire[0][0] > end):
                self.now = end
                self._timeouts()
                self.flush()
                return
            self.now = max(self.now, upcoming)
            self._arrivals()
            self._timeouts()
        raise AssertionError("the pair does not come to rest")

    def connect(self) -> Pair:
        """Complete the handshake."""
        self.drive(1.0)
        assert self.client.handshake_confirmed, self.client.close_error
        assert self.server.handshake_confirmed, self.server.close_error
        return self

    def flush(self) -> None:
        """Send all that both sides have to send, and collect their events."""
        for incoming in self.server_endpoint.incoming():
            self.incoming.append(incoming)
            self.on_incoming(incoming)
        self.client_endpoint.touch(self.client)
        for connection in self.servers:
            self.server_endpoint.touch(connection)
        while (burst := self.client_endpoint.transmit(self.now)) is not None:
            for datagram in split(burst.data, burst.segment_size):
                self.sent_to_server.append(datagram)
                for arriving in self.to_server(datagram):
                    self.wire.append((self.now + self.delay, True, arriving))
        while (burst := self.server_endpoint.transmit(self.now)) is not None:
            for datagram in split(burst.data, burst.segment_size):
                self.sent_to_client.append(datagram)
                for arriving in self.to_client(datagram):
                    self.wire.append((self.now + self.delay, False, arriving))
        for endpoint in (self.client_endpoint, self.server_endpoint):
            for fault in endpoint.take_faults():
                raise fault
        self.wire.sort(key=lambda item: item[0])
        self.client_events += self.client.events()
        for connection in self.servers:
            self.server_events += connection.events()

    def deliver_to_server(self, data: bytes, remote: Address | None = None) -> None:
        """Hand one datagram to the server at once."""
        self.server_endpoint.receive(
            Datagrams(data, len(data), 0, SERVER.ip, remote or self.client_address), self.now
        )

    def deliver_to_client(self, data: bytes) -> None:
        """Hand one datagram to the client at once."""
        self.client_endpoint.receive(Datagrams(data, len(data), 0, CLIENT.ip, SERVER), self.now)

    def inject(self, to_server: bool, payload: bytes, level: int = ONE_RTT) -> None:
        """Deliver an authentic packet with any payload, as if the other side had sent it."""
        sender = self.client if to_server else self.server
        packet = forge(sender, payload, level)
        if to_server:
            self.deliver_to_server(packet)
        else:
            self.deliver_to_client(packet)

    def _arrivals(self) -> None:
        while self.wire and self.wire[0][0] <= self.now:
            _, to_server, data = self.wire.pop(0)
            if to_server:
                self.deliver_to_server(data)
            else:
                self.deliver_to_client(data)

    def _timeouts(self) -> None:
        for endpoint in (self.client_endpoint, self.server_endpoint):
            if endpoint.deadline() <= self.now:
                endpoint.on_timeout(self.now)


def split(data: bytes, size: int) -> list[bytes]:
    """The datagrams of a burst."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def forge(sender: Connection, payload: bytes, level: int = ONE_RTT, first_bits: int = 0) -> bytes:
    """A packet that ``sender`` might have sent: sealed with its keys, numbered as its next.

    ``first_bits`` are set in the first byte before protection.
    """
    state = sender.state
    burst = BurstWriter()
    destination = state.path.peer_ids.current.connection_id
    payload += bytes(max(0, 4 - len(payload)))
    if level == ONE_RTT:
        assert state.keys is not None
        space = state.path.space
        number = space.ledger.next_packet_number
        space.ledger.next_packet_number += 1
        space.ledger.slots[number & space.ledger.mask].clear()
        header = write_short_header(destination, number, 4, state.keys.send_phase, 0)
        header = bytes([header[0] | first_bits]) + header[1:]
        burst.add(state.keys.send, 0, number, header, 4, payload)
        return burst.finish()
    owner = state.initial if level == INITIAL else state.handshake_level
    assert owner is not None
    assert owner.send is not None
    number = owner.space.ledger.next_packet_number
    owner.space.ledger.next_packet_number += 1
    packet_type = {INITIAL: PACKET_INITIAL, HANDSHAKE: PACKET_HANDSHAKE}[level]
    if level == INITIAL:
        payload += bytes(max(0, 1200 - 60 - len(payload)))
    source = state.path.own_ids.active[0].connection_id
    header = write_long_header(
        packet_type, 1, destination, source, b"", number, 4, len(payload) + 16
    )
    header = bytes([header[0] | first_bits]) + header[1:]
    burst.add(owner.send, 0, number, header, 4, payload)
    return burst.finish()


def frame(write: Callable[..., None], *arguments: object) -> bytes:
    """The bytes that one of the ``wire.writers`` functions appends."""
    writer = BytesWriter()
    write(writer, *arguments)
    return writer.getvalue()
