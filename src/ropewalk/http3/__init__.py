"""HTTP/3 (RFC 9114) over :mod:`ropewalk.quic`, without any I/O."""

from ropewalk.http3.connection import ALPN, Http3Connection
from ropewalk.http3.settings import Settings

__all__ = ["ALPN", "Http3Connection", "Settings"]
