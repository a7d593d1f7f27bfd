"""Makes the handshake that a configuration asks for."""

from __future__ import annotations

from ropewalk.quic.handshake.tls.client import TlsClient
from ropewalk.quic.handshake.tls.server import TlsServer
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.handshake import Handshake


def make_handshake(config: Configuration, is_client: bool) -> Handshake:
    """TLS 1.3 for this side of a connection."""
    if is_client:
        return TlsClient(config)
    return TlsServer(config)
