"""TLS 1.3 as QUIC needs it (RFC 9846, RFC 9001): client, server, and a look ahead."""

from __future__ import annotations

from ropewalk.quic.handshake.tls.client import TlsClient
from ropewalk.quic.handshake.tls.peek import ClientHelloInfo, peek_client_hello
from ropewalk.quic.handshake.tls.server import TlsServer

__all__ = ["ClientHelloInfo", "TlsClient", "TlsServer", "peek_client_hello"]
