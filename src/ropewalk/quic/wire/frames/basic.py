"""Frames of the connection itself: PADDING, PING, CRYPTO, NEW_TOKEN, CONNECTION_CLOSE,
HANDSHAKE_DONE (RFC 9000 19.1, 19.2, 19.6, 19.7, 19.19, 19.20) and DATAGRAM (RFC 9221 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.quic.wire.frame import Frame, malformed_frame
from ropewalk.quic.wire.frame_types import (
    CONNECTION_CLOSE_APPLICATION,
    CRYPTO,
    DATAGRAM_LENGTH,
    NEW_TOKEN,
)
from ropewalk.quic.wire.reader import Reader
from ropewalk.quic.wire.varint import MAX_VARINT
from ropewalk.quic.wire.writers import (
    write_connection_close,
    write_crypto,
    write_datagram,
    write_handshake_done,
    write_new_token,
    write_padding,
    write_ping,
)


@final
@dataclass(frozen=True)
class PaddingFrame(Frame):
    """A run of PADDING frames (19.1); each of them is one byte long."""

    size: int = 1

    def write(self, writer: BytesWriter) -> None:
        write_padding(writer, self.size)


@final
@dataclass(frozen=True)
class PingFrame(Frame):
    """Asks for an acknowledgment, and nothing else (19.2)."""

    def write(self, writer: BytesWriter) -> None:
        write_ping(writer)


@final
@dataclass(frozen=True)
class CryptoFrame(Frame):
    """Bytes of the cryptographic handshake (19.6)."""

    offset: int
    data: bytes

    def write(self, writer: BytesWriter) -> None:
        write_crypto(writer, self.offset, self.data)


@final
@dataclass(frozen=True)
class NewTokenFrame(Frame):
    """A token for the client's next connection, never empty (19.7)."""

    token: bytes

    def write(self, writer: BytesWriter) -> None:
        write_new_token(writer, self.token)


@final
@dataclass(frozen=True)
class ConnectionCloseFrame(Frame):
    """The end of the connection (19.19).

    ``frame_type`` is the frame that caused the error, 0 for none; it is ``None`` in the
    variant that closes with an ``application``'s code. ``reason`` ought to be UTF-8.
    """

    code: int
    frame_type: int | None
    reason: bytes

    @property
    def application(self) -> bool:
        """Whether ``code`` is the application's."""
        return self.frame_type is None

    def write(self, writer: BytesWriter) -> None:
        if self.frame_type is None:
            write_connection_close(writer, self.code, 0, self.reason, True)
        else:
            write_connection_close(writer, self.code, self.frame_type, self.reason, False)


@final
@dataclass(frozen=True)
class HandshakeDoneFrame(Frame):
    """The server confirms the handshake (19.20)."""

    def write(self, writer: BytesWriter) -> None:
        write_handshake_done(writer)


@final
@dataclass(frozen=True)
class DatagramFrame(Frame):
    """Unreliable data (RFC 9221 4); without a length it reaches to the packet's end."""

    data: bytes
    has_length: bool = True

    def write(self, writer: BytesWriter) -> None:
        write_datagram(writer, self.data, self.has_length)


def parse_crypto(reader: Reader) -> CryptoFrame:
    """The fields after the type."""
    offset: i64 = reader.varint()
    data = reader.take(reader.varint())
    if offset > MAX_VARINT - len(data):
        raise malformed_frame(
            CRYPTO, f"handshake data at offset {int(offset)} ends beyond 2**62 - 1"
        )
    return CryptoFrame(offset, data)


def parse_new_token(reader: Reader) -> NewTokenFrame:
    """The fields after the type."""
    token = reader.take(reader.varint())
    if not token:
        raise malformed_frame(NEW_TOKEN, "the token is empty")
    return NewTokenFrame(token)


def parse_connection_close(reader: Reader, frame_type: i64) -> ConnectionCloseFrame:
    """The fields after the type."""
    code: i64 = reader.varint()
    cause: int | None = None
    if frame_type != CONNECTION_CLOSE_APPLICATION:
        cause = reader.varint()
    return ConnectionCloseFrame(code, cause, reader.take(reader.varint()))


def parse_datagram(reader: Reader, frame_type: i64) -> DatagramFrame:
    """The fields after the type."""
    if frame_type == DATAGRAM_LENGTH:
        return DatagramFrame(reader.take(reader.varint()), True)
    return DatagramFrame(reader.take(reader.remaining()), False)
