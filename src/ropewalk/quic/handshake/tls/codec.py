"""TLS presentation language: vectors and extension blocks (RFC 9846 3 and 4.3).

Readers raise ``Truncated`` when the bytes end too early; whoever took the message off the
wire turns that into a decode_error alert.
"""

from __future__ import annotations

from ropewalk.quic.handshake.tls.codepoints import (
    DECODE_ERROR,
    ILLEGAL_PARAMETER,
    UNSUPPORTED_EXTENSION,
)
from ropewalk.quic.types.errors import HandshakeError
from ropewalk.quic.wire.reader import Reader


def u16(value: int) -> bytes:
    """Two bytes, network order."""
    return value.to_bytes(2, "big")


def vector8(body: bytes) -> bytes:
    """A vector whose length takes one byte."""
    return len(body).to_bytes(1, "big") + body


def vector16(body: bytes) -> bytes:
    """A vector whose length takes two bytes."""
    return len(body).to_bytes(2, "big") + body


def vector24(body: bytes) -> bytes:
    """A vector whose length takes three bytes."""
    return len(body).to_bytes(3, "big") + body


def u16_list(values: list[int]) -> bytes:
    """Two-byte values one after the other, without a length."""
    return b"".join([value.to_bytes(2, "big") for value in values])


def message(message_type: int, body: bytes) -> bytes:
    """A handshake message with its header (RFC 9846 4)."""
    return message_type.to_bytes(1, "big") + len(body).to_bytes(3, "big") + body


def read_vector8(reader: Reader) -> bytes:
    """A vector whose length takes one byte."""
    return reader.take(reader.u8())


def read_vector16(reader: Reader) -> bytes:
    """A vector whose length takes two bytes."""
    return reader.take(reader.u16())


def read_vector24(reader: Reader) -> bytes:
    """A vector whose length takes three bytes."""
    high = reader.u8()
    return reader.take(high * 65536 + reader.u16())


def read_u16_list(body: bytes, what: str) -> list[int]:
    """The two-byte values that fill ``body``; there must be one at least."""
    if not body or len(body) % 2:
        raise HandshakeError(DECODE_ERROR, f"{what} is not a list of two-byte values")
    reader = Reader(body)
    values: list[int] = []
    while reader.remaining():
        values.append(reader.u16())
    return values


def expect_end(reader: Reader, what: str) -> None:
    """Refuse bytes that are left over."""
    left = reader.remaining()
    if left:
        raise HandshakeError(DECODE_ERROR, f"{left} bytes are left over after {what}")


def encode_extensions(extensions: list[tuple[int, bytes]]) -> bytes:
    """An extension block with its length."""
    parts: list[bytes] = []
    for extension_type, body in extensions:
        parts.append(u16(extension_type))
        parts.append(vector16(body))
    return vector16(b"".join(parts))


def read_extensions(reader: Reader, what: str) -> dict[int, bytes]:
    """An extension block, in the order of the wire. A type that appears twice is refused."""
    block = Reader(read_vector16(reader))
    extensions: dict[int, bytes] = {}
    while block.remaining():
        extension_type = block.u16()
        body = read_vector16(block)
        if extension_type in extensions:
            raise HandshakeError(
                ILLEGAL_PARAMETER, f"{what} holds extension {extension_type} twice"
            )
        extensions[extension_type] = body
    return extensions


def check_response(
    extensions: dict[int, bytes], offered: list[int], permitted: tuple[int, ...], what: str
) -> None:
    """Check that a server's extensions answer ours and stand in the right message.

    RFC 9846 4.3: an answer to nothing is unsupported_extension, a known extension in the
    wrong message illegal_parameter.
    """
    for extension_type in extensions:
        if extension_type in permitted and extension_type in offered:
            continue
        if extension_type not in offered:
            raise HandshakeError(
                UNSUPPORTED_EXTENSION,
                f"{what} holds extension {extension_type}, which was not offered",
            )
        raise HandshakeError(
            ILLEGAL_PARAMETER, f"extension {extension_type} does not belong into {what}"
        )
