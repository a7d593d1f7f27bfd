"""TLS messages taken apart and put together again (RFC 9846 4)."""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.quic.handshake.tls.codepoints import (
    CLIENT_HELLO,
    ENCRYPTED_EXTENSIONS,
    SERVER_HELLO,
)

#: Makes other messages of those that a handshake wants to send at one level.
Bending = Callable[[int, list[bytes]], list[bytes]]
#: Makes other extensions of those of a message.
ExtensionBending = Callable[[list[tuple[int, bytes]]], list[tuple[int, bytes]]]

#: Version and random, before the session ID.
_HELLO_PREFIX = 34


def message(message_type: int, body: bytes) -> bytes:
    """A handshake message with its header."""
    return bytes([message_type]) + len(body).to_bytes(3, "big") + body


def split(data: bytes) -> list[bytes]:
    """The whole messages in ``data``, headers included."""
    messages: list[bytes] = []
    while data:
        size = 4 + int.from_bytes(data[1:4], "big")
        messages.append(data[:size])
        data = data[size:]
    return messages


def each(message_type: int, bend: Callable[[bytes], list[bytes]]) -> Bending:
    """Replace every message of a type by what ``bend`` makes of it; others stay."""

    def bend_all(_level: int, messages: list[bytes]) -> list[bytes]:
        result: list[bytes] = []
        for one in messages:
            result += bend(one) if one[0] == message_type else [one]
        return result

    return bend_all


def inserted_before(message_type: int, stranger: bytes) -> Bending:
    """Send ``stranger`` right before the message of a type."""
    return each(message_type, lambda one: [stranger, one])


def with_extensions(message_type: int, bend: ExtensionBending) -> Bending:
    """Change the extensions of a ClientHello, ServerHello or EncryptedExtensions."""

    def change(one: bytes) -> list[bytes]:
        start = _extensions_offset(one)
        return [message(message_type, one[4:start] + _encode(bend(_decode(one[start:]))))]

    return each(message_type, change)


def with_extension(message_type: int, code: int, body: bytes) -> Bending:
    """Give an extension this body, or add it at the end."""

    def bend(extensions: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        if code in dict(extensions):
            return [(key, body if key == code else value) for key, value in extensions]
        return [*extensions, (code, body)]

    return with_extensions(message_type, bend)


def without_extension(message_type: int, code: int) -> Bending:
    """Leave an extension out."""
    return with_extensions(
        message_type, lambda extensions: [one for one in extensions if one[0] != code]
    )


def renumbered_extension(message_type: int, code: int, other: int) -> Bending:
    """Send an extension under another code point."""
    return with_extensions(
        message_type,
        lambda extensions: [(other if key == code else key, value) for key, value in extensions],
    )


def with_session_id(message_type: int, session_id: bytes) -> Bending:
    """Put a legacy_session_id into a ClientHello or ServerHello."""

    def change(one: bytes) -> list[bytes]:
        before = one[4 : 4 + _HELLO_PREFIX]
        after = one[4 + _HELLO_PREFIX + 1 + one[4 + _HELLO_PREFIX] :]
        return [message(message_type, before + bytes([len(session_id)]) + session_id + after)]

    return each(message_type, change)


def _extensions_offset(one: bytes) -> int:
    """Where the extensions (with their length) begin."""
    if one[0] == ENCRYPTED_EXTENSIONS:
        return 4
    if one[0] not in (CLIENT_HELLO, SERVER_HELLO):
        raise ValueError(f"message {one[0]} has no extensions that could be bent")
    position = 4 + _HELLO_PREFIX
    position += 1 + one[position]
    if one[0] == SERVER_HELLO:
        return position + 3
    position += 2 + int.from_bytes(one[position : position + 2], "big")
    return position + 1 + one[position]


def _decode(block: bytes) -> list[tuple[int, bytes]]:
    extensions: list[tuple[int, bytes]] = []
    position = 2
    while position < len(block):
        code = int.from_bytes(block[position : position + 2], "big")
        end = position + 4 + int.from_bytes(block[position + 2 : position + 4], "big")
        extensions.append((code, block[position + 4 : end]))
        position = end
    return extensions


def _encode(extensions: list[tuple[int, bytes]]) -> bytes:
    block = b"".join(
        code.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body for code, body in extensions
    )
    return len(block).to_bytes(2, "big") + block
