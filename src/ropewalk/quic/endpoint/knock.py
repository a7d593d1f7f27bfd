"""The first Initial packets of a client, before anything is decided (RFC 9000 7)."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from ropewalk.quic.connection.crypto_stream import CryptoReceiver
from ropewalk.quic.handshake.tls.peek import peek_client_hello
from ropewalk.quic.protection.initial import initial_protection
from ropewalk.quic.protection.unmask import unmask_long
from ropewalk.quic.types.datagrams import Datagrams
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.protection import PacketProtection
from ropewalk.quic.wire.frames import CryptoFrame, parse_frames
from ropewalk.quic.wire.header import PACKET_INITIAL, LongHeader, parse_long_header
from ropewalk.quic.wire.packet_number import decode_packet_number


@final
class Knock:
    """Datagrams of one would-be connection, kept until its ClientHello is whole.

    Nothing is acknowledged here, so what is dropped is sent again by the client.
    """

    def __init__(self, header: LongHeader, datagrams: Datagrams, now: float) -> None:
        self.destination_cid = header.destination_cid
        self.source_cid = header.source_cid
        self.version: i64 = header.version
        self.token = header.token
        self.remote = datagrams.remote
        self.local: i64 = datagrams.local
        self.local_ip = datagrams.local_ip
        self.arrived = now
        self.bytes_received: i64 = 0
        self.datagrams: list[Datagrams] = []
        self.crypto = CryptoReceiver()
        self.client_hello = b""
        client, server = initial_protection(int(header.version), header.destination_cid)
        self.client_protection: PacketProtection = client
        self.server_protection: PacketProtection = server
        #: the ClientHello is whole, or so broken that the handshake should say so
        self.ready = False
        self.server_name: str | None = None
        self.alpns: tuple[str, ...] = ()

    def add(self, datagram: Datagrams) -> bool:
        """Take one datagram. False when it holds no authentic Initial packet."""
        authentic = False
        data = datagram.data
        position: i64 = 0
        size: i64 = len(data)
        while position < size:
            header = parse_long_header(data, position, size)
            if header is None:
                break
            if header.packet_type == PACKET_INITIAL:
                authentic = self._open(data, position, header) or authentic
            position = header.end
        if authentic or self.datagrams:
            self.datagrams.append(datagram)
            self.bytes_received += size
        return authentic

    def _open(self, data: bytes, start: i64, header: LongHeader) -> bool:
        offset = header.packet_number_offset
        unmasked = unmask_long(data, start, offset, header.end, self.client_protection)
        if unmasked is None:
            return False
        full_header, truncated, length = unmasked
        number = decode_packet_number(truncated, length, -1)
        payload = self.client_protection.open(
            0, number, full_header, data[offset + length : header.end]
        )
        if payload is None:
            return False
        try:
            for frame in parse_frames(payload):
                if isinstance(frame, CryptoFrame):
                    self.client_hello += self.crypto.receive(frame.offset, frame.data)
            self._peek()
        except TransportError:
            # Let the connection find the same fault and close with the right code.
            self.ready = True
        return True

    def _peek(self) -> None:
        if self.ready or not self.client_hello:
            return
        info = peek_client_hello(self.client_hello)
        if info is not None:
            self.ready = True
            self.server_name = info.server_name
            self.alpns = tuple(info.alpn)
            self.client_hello = b""
