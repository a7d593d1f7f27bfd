"""Follows captured connections from outside, with the core's own parsers, keys and buffers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from ropewalk.quic.connection.crypto_stream import CryptoReceiver
from ropewalk.quic.handshake.tls.codepoints import (
    CLIENT_HELLO,
    ENCRYPTED_EXTENSIONS,
    QUIC_TRANSPORT_PARAMETERS,
    SERVER_HELLO,
)
from ropewalk.quic.handshake.tls.messages import (
    parse_client_hello,
    parse_encrypted_extensions,
    parse_server_hello,
)
from ropewalk.quic.protection.aead import make_protection
from ropewalk.quic.protection.initial import initial_protection
from ropewalk.quic.protection.key_update import OneRttKeys
from ropewalk.quic.protection.retry import retry_is_authentic
from ropewalk.quic.protection.unmask import ShortHeaderBatch, unmask_long
from ropewalk.quic.streams.receive_buffer import ReceiveBuffer
from ropewalk.quic.types.configuration import QUIC_V1
from ropewalk.quic.types.handshake import AES_128_GCM, HANDSHAKE, INITIAL, ONE_RTT, ZERO_RTT
from ropewalk.quic.types.protection import PacketProtection
from ropewalk.quic.wire.frames import CryptoFrame, Frame, StreamFrame, parse_frames
from ropewalk.quic.wire.header import (
    PACKET_HANDSHAKE,
    PACKET_INITIAL,
    PACKET_RETRY,
    PACKET_ZERO_RTT,
    LongHeader,
    destination_cid,
    is_long_header,
    parse_long_header,
)
from ropewalk.quic.wire.packet_number import decode_packet_number
from ropewalk.quic.wire.reader import Reader
from ropewalk.quic.wire.transport_parameters import (
    TransportParameters,
    decode_transport_parameters,
)
from tests.captures.describe import AEAD_NAMES, describe_frame, describe_long_header
from tests.captures.files import Captured

#: Clears the fixed bit of packets to whoever sends this transport parameter (RFC 9287).
GREASE_QUIC_BIT = 0x2AB2
FIXED_BIT = 0x40

_LEVELS = {PACKET_INITIAL: INITIAL, PACKET_ZERO_RTT: ZERO_RTT, PACKET_HANDSHAKE: HANDSHAKE}


class NotDecoded(Exception):
    """A packet that the core drops, or cannot open."""


@dataclass(frozen=True)
class Opened:
    """A packet that was opened: what went into its sealing, and what was on the wire."""

    sender: Side
    level: int
    protection: PacketProtection
    packet_number: int
    packet_number_length: int
    header: bytes
    payload: bytes
    frames: list[Frame]
    wire: bytes


class Side:
    """One endpoint of a captured connection: what it sent, and the keys it used."""

    def __init__(self) -> None:
        self.connection_id = b""
        self.parameters: TransportParameters | None = None
        #: handshake messages, header included, with the level that carried them
        self.messages: list[tuple[int, bytes]] = []
        self.streams: dict[int, ReceiveBuffer] = {}
        self.largest = [-1, -1, -1, -1]
        #: protection of what this side sends under long headers
        self.protection: dict[int, PacketProtection] = {}
        #: this side's own view of the 1-RTT keys
        self.keys: OneRttKeys | None = None
        self._crypto = [CryptoReceiver() for _ in range(4)]
        self._pending = [b"", b"", b"", b""]

    @property
    def takes_greased_bits(self) -> bool:
        """Whether others may clear the fixed bit of packets to this side (RFC 9287 3)."""
        known = self.parameters.unknown if self.parameters else []
        return (GREASE_QUIC_BIT, b"") in known

    def take_crypto(self, level: int, frame: CryptoFrame) -> list[bytes]:
        """The handshake messages that the frame completes."""
        pending = self._pending[level] + self._crypto[level].receive(frame.offset, frame.data)
        complete: list[bytes] = []
        while len(pending) >= 4 and len(pending) >= (end := 4 + int.from_bytes(pending[1:4])):
            complete.append(pending[:end])
            pending = pending[end:]
        self._pending[level] = pending
        self.messages += [(level, message) for message in complete]
        return complete


class CapturedConnection:
    """The packets between two addresses. The first one that is seen to send is the client."""

    def __init__(self, client: str, server: str, key_log: dict[bytes, dict[str, bytes]]) -> None:
        self.names = (client, server)
        self.client = Side()
        self.server = Side()
        self.original_destination_cid = b""
        self.retry_source_cid: bytes | None = None
        self.client_random = b""
        self.suite = AES_128_GCM
        self.secrets: dict[str, bytes] = {}
        self.opened: list[Opened] = []
        self._key_log = key_log
        self._batch = ShortHeaderBatch()

    def datagram(self, captured: Captured) -> list[dict[str, Any]]:
        """Decode one datagram into descriptions of its packets.

        Raises ``NotDecoded`` for what a stack would drop, typed errors for what it refuses.
        """
        from_client = captured.source == self.names[0]
        data = captured.payload
        packets: list[dict[str, Any]] = []
        position = 0
        while position < len(data):
            if not any(data[position:]):
                assert self._is_dropped(data, position, from_client)
                packets.append({"type": "udp_trailing_zeros", "bytes": len(data) - position})
                break
            if is_long_header(data[position]):
                described, position = self._long(data, position, from_client)
            else:
                described, position = self._short(data, position, from_client)
            packets.append(described)
        return packets

    def _side(self, is_client: bool) -> Side:
        return self.client if is_client else self.server

    def _readable(self, data: bytes, position: int, from_client: bool) -> bytes:
        """The core does not negotiate RFC 9287 itself, so it is shown the bit that is meant."""
        if self._side(not from_client).takes_greased_bits:
            patched = bytearray(data)
            patched[position] |= FIXED_BIT
            return bytes(patched)
        return data

    def _is_dropped(self, data: bytes, position: int, from_client: bool) -> bool:
        length = len(self._side(not from_client).connection_id)
        return (
            parse_long_header(data, position, len(data)) is None
            and destination_cid(data, position, len(data), length) is None
        )

    # -- long headers

    def _long(self, data: bytes, position: int, from_client: bool) -> tuple[dict[str, Any], int]:
        readable = self._readable(data, position, from_client)
        header = parse_long_header(readable, position, len(data))
        if header is None:
            raise NotDecoded("a long header that is to be dropped")
        described = describe_long_header(header)
        if header.packet_type == PACKET_RETRY:
            described["integrity_ok"] = self._retry(header, data[position:])
        elif header.packet_type in _LEVELS:
            self._meet(header, from_client)
            described |= self._open_long(data, position, header, from_client)
        return described, header.end

    def _retry(self, header: LongHeader, packet: bytes) -> bool:
        self.retry_source_cid = header.source_cid
        self._start(header.source_cid)
        return retry_is_authentic(header.version, self.original_destination_cid, packet)

    def _meet(self, header: LongHeader, from_client: bool) -> None:
        if from_client and not self.original_destination_cid:
            self.original_destination_cid = header.destination_cid
            self._start(header.destination_cid)
        self._side(from_client).connection_id = header.source_cid

    def _start(self, destination: bytes) -> None:
        client, server = initial_protection(QUIC_V1, destination)
        self.client.protection[INITIAL] = client
        self.server.protection[INITIAL] = server

    def _open_long(
        self, data: bytes, position: int, header: LongHeader, from_client: bool
    ) -> dict[str, Any]:
        level = _LEVELS[header.packet_type]
        sender = self._side(from_client)
        protection = sender.protection.get(level)
        if protection is None:
            raise NotDecoded("a packet before its keys")
        offset = header.packet_number_offset
        unmasked = unmask_long(data, position, offset, header.end, protection)
        if unmasked is None:
            raise NotDecoded("a packet too short to have a sample")
        unprotected, truncated, length = unmasked
        number = decode_packet_number(truncated, length, sender.largest[level])
        payload = protection.open(0, number, unprotected, data[offset + length : header.end])
        if payload is None:
            raise NotDecoded("a packet that is not authentic")
        wire = data[position : header.end]
        frames = parse_frames(payload)
        return self._take(
            from_client,
            Opened(sender, level, protection, number, length, unprotected, payload, frames, wire),
        )

    # -- short headers

    def _short(self, data: bytes, position: int, from_client: bool) -> tuple[dict[str, Any], int]:
        sender, receiver = self._side(from_client), self._side(not from_client)
        keys = receiver.keys
        if sender.keys is None or keys is None:
            raise NotDecoded("a packet before its keys")
        cid_length = len(receiver.connection_id)
        end = len(data)
        readable = self._readable(data, position, from_client)
        destination = destination_cid(readable, position, end, cid_length)
        if destination is None:
            raise NotDecoded("a short header that is to be dropped")
        batch = self._batch
        count = batch.unmask(data, position, end, end - position, 1 + cid_length, keys.receive)
        first = batch.first_byte(0)
        if count != 1 or first < 0:
            raise NotDecoded("a packet too short to have a sample")
        phase = first >> 2 & 1
        length = batch.packet_number_length(0)
        number = decode_packet_number(batch.truncated(0), length, sender.largest[ONE_RTT])
        unprotected = batch.header(0)
        payload = keys.open(0, number, phase, unprotected, batch.ciphertext(0), 0.0)
        if payload is None:
            raise NotDecoded("a packet that is not authentic")
        sender.keys.sealed(number)
        described = {
            "header": "short",
            "type": "1rtt",
            "dcid": destination.hex(),
            "key_phase": phase,
            "spin": first >> 5 & 1,
            "key_generation": keys.generation,
        }
        frames = parse_frames(payload)
        described |= self._take(
            from_client,
            Opened(
                sender,
                ONE_RTT,
                keys.receive,
                number,
                length,
                unprotected,
                payload,
                frames,
                data[position:],
            ),
        )
        return described, end

    # -- what is in the packets

    def _take(self, from_client: bool, opened: Opened) -> dict[str, Any]:
        sender = self._side(from_client)
        level = opened.level
        sender.largest[level] = max(sender.largest[level], opened.packet_number)
        for frame in opened.frames:
            if isinstance(frame, CryptoFrame):
                for message in sender.take_crypto(level, frame):
                    self._handshake_message(message, from_client)
            elif isinstance(frame, StreamFrame):
                stream = sender.streams.setdefault(frame.stream_id, ReceiveBuffer())
                stream.insert(frame.offset, frame.data)
        self.opened.append(opened)
        return {
            "packet_number": opened.packet_number,
            "pn_length": opened.packet_number_length,
            "unprotected_header": opened.header.hex(),
            "payload": opened.payload.hex(),
            "frames": [describe_frame(frame) for frame in opened.frames],
            "aead": AEAD_NAMES[AES_128_GCM if level == INITIAL else self.suite],
        }

    def _handshake_message(self, message: bytes, from_client: bool) -> None:
        body = Reader(message, 4)
        parameters: bytes | None = None
        if message[0] == CLIENT_HELLO:
            hello = parse_client_hello(body)
            self.client_random = hello.random
            parameters = hello.extensions[QUIC_TRANSPORT_PARAMETERS]
        elif message[0] == SERVER_HELLO:
            self.suite = parse_server_hello(body).cipher_suite
            self._install()
        elif message[0] == ENCRYPTED_EXTENSIONS:
            parameters = parse_encrypted_extensions(body)[QUIC_TRANSPORT_PARAMETERS]
        if parameters is not None:
            sender = self._side(from_client)
            sender.parameters = decode_transport_parameters(parameters, from_client)

    def _install(self) -> None:
        self.secrets = self._key_log[self.client_random]

        def protection(label: str) -> PacketProtection:
            return make_protection(self.suite, self.secrets[label], QUIC_V1)

        self.client.protection[HANDSHAKE] = protection("CLIENT_HANDSHAKE_TRAFFIC_SECRET")
        self.server.protection[HANDSHAKE] = protection("SERVER_HANDSHAKE_TRAFFIC_SECRET")
        client, server = "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"
        self.client.keys = OneRttKeys(protection(client), protection(server))
        self.server.keys = OneRttKeys(protection(server), protection(client))


class Decoder:
    """All connections of one capture."""

    def __init__(self, key_log: dict[bytes, dict[str, bytes]]) -> None:
        self.connections: dict[frozenset[str], CapturedConnection] = {}
        self._key_log = key_log

    def datagram(self, captured: Captured) -> list[dict[str, Any]]:
        """The packets of one datagram, in the words of the ``*.decoded.json`` files."""
        addresses = frozenset((captured.source, captured.destination))
        connection = self.connections.get(addresses)
        if connection is None:
            connection = CapturedConnection(captured.source, captured.destination, self._key_log)
            self.connections[addresses] = connection
        return connection.datagram(captured)

    def read_streams(self) -> list[dict[str, Any]]:
        """Take what arrived in order out of all streams."""
        streams: list[dict[str, Any]] = []
        for connection in self.connections.values():
            for name, side in zip(
                connection.names, (connection.client, connection.server), strict=True
            ):
                for stream_id, buffer in side.streams.items():
                    data = buffer.read(buffer.available())
                    streams.append(
                        {
                            "sender": name,
                            "stream": stream_id,
                            "contiguous_bytes": len(data),
                            "sha256": hashlib.sha256(data).hexdigest(),
                        }
                    )
        return sorted(streams, key=lambda stream: (stream["sender"], stream["stream"]))


def decode(captured: list[Captured], key_log: dict[bytes, dict[str, bytes]]) -> dict[str, Any]:
    """A whole capture, in the form of the ``*.decoded.json`` files."""
    decoder = Decoder(key_log)
    datagrams: list[dict[str, Any]] = []
    for index, datagram in enumerate(captured):
        described: dict[str, Any] = {
            "frame": index + 1,
            "src": datagram.source,
            "dst": datagram.destination,
            "udp_payload": datagram.payload.hex(),
            "packets": decoder.datagram(datagram),
        }
        if datagram.ecn:
            described["ecn"] = datagram.ecn
        datagrams.append(described)
    return {"streams": decoder.read_streams(), "datagrams": datagrams}
