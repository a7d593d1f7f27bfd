"""How one request fails, while its connection may live on."""

from __future__ import annotations

from ropewalk.http3.errors import http3_error_name
from ropewalk.quic.types.errors import Error


class RequestFailed(Error):
    """A request or its response will not be completed.

    ``code`` is the HTTP/3 error code (RFC 9114 8.1). ``unprocessed`` tells that the server
    did not act on the request and will not: it is safe to send it again on another
    connection (RFC 9114 5.2).
    """

    def __init__(self, code: int, reason: str, *, unprocessed: bool = False) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.unprocessed = unprocessed

    def __str__(self) -> str:
        return f"{self.reason} ({http3_error_name(self.code)}, 0x{self.code:x})"
