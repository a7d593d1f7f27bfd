"""A look at a ClientHello before anybody answers it."""

from __future__ import annotations

from typing import final

from ropewalk.quic.handshake.tls.codepoints import (
    CLIENT_HELLO,
    DECODE_ERROR,
    MESSAGE_NAMES,
)
from ropewalk.quic.handshake.tls.extensions import offered_alpn, offered_server_name
from ropewalk.quic.handshake.tls.messages import parse_client_hello
from ropewalk.quic.handshake.tls.session import MAX_MESSAGE, unexpected
from ropewalk.quic.types.errors import HandshakeError
from ropewalk.quic.wire.reader import Reader, Truncated


@final
class ClientHelloInfo:
    """What a client asks for: a server name (lower case, or None) and protocols in its order.

    Bytes of a protocol name that are not UTF-8 appear as backslash escapes.
    """

    def __init__(self, server_name: str | None, alpn: list[str]) -> None:
        self.server_name = server_name
        self.alpn = alpn


def peek_client_hello(data: bytes) -> ClientHelloInfo | None:
    """Look into the CRYPTO bytes of an Initial flight, from offset 0 on.

    None: the ClientHello is not complete yet. Raises ``HandshakeError`` when it is none.
    """
    if data and data[0] != CLIENT_HELLO:
        raise unexpected(data[0], MESSAGE_NAMES[CLIENT_HELLO])
    if len(data) < 4:
        return None
    size = 4 + int.from_bytes(data[1:4], "big")
    if size > MAX_MESSAGE:
        raise HandshakeError(DECODE_ERROR, f"the ClientHello claims a length of {size} bytes")
    if len(data) < size:
        return None
    try:
        hello = parse_client_hello(Reader(data, 4, size))
        alpn: list[str] = []
        for name in offered_alpn(hello.extensions):
            alpn.append(name.decode("utf-8", "backslashreplace"))
        return ClientHelloInfo(offered_server_name(hello.extensions), alpn)
    except Truncated:
        raise HandshakeError(
            DECODE_ERROR, "the ClientHello ends in the middle of a field"
        ) from None
