"""HTTP/3 and QPACK error codes by their IANA names, and the exceptions that carry them.

RFC 9114 8.1 and RFC 9204 6. The numbers go into CONNECTION_CLOSE (type 0x1d), RESET_STREAM and
STOP_SENDING as they are.
"""

from __future__ import annotations

from typing import Final

from ropewalk.quic.types.errors import Error

H3_DATAGRAM_ERROR: Final = 0x33  # RFC 9297 5.2
H3_NO_ERROR: Final = 0x100
H3_GENERAL_PROTOCOL_ERROR: Final = 0x101
H3_INTERNAL_ERROR: Final = 0x102
H3_STREAM_CREATION_ERROR: Final = 0x103
H3_CLOSED_CRITICAL_STREAM: Final = 0x104
H3_FRAME_UNEXPECTED: Final = 0x105
H3_FRAME_ERROR: Final = 0x106
H3_EXCESSIVE_LOAD: Final = 0x107
H3_ID_ERROR: Final = 0x108
H3_SETTINGS_ERROR: Final = 0x109
H3_MISSING_SETTINGS: Final = 0x10A
H3_REQUEST_REJECTED: Final = 0x10B
H3_REQUEST_CANCELLED: Final = 0x10C
H3_REQUEST_INCOMPLETE: Final = 0x10D
H3_MESSAGE_ERROR: Final = 0x10E
H3_CONNECT_ERROR: Final = 0x10F
H3_VERSION_FALLBACK: Final = 0x110
QPACK_DECOMPRESSION_FAILED: Final = 0x200
QPACK_ENCODER_STREAM_ERROR: Final = 0x201
QPACK_DECODER_STREAM_ERROR: Final = 0x202

_NAMES: Final[dict[int, str]] = {
    H3_DATAGRAM_ERROR: "H3_DATAGRAM_ERROR",
    H3_NO_ERROR: "H3_NO_ERROR",
    H3_GENERAL_PROTOCOL_ERROR: "H3_GENERAL_PROTOCOL_ERROR",
    H3_INTERNAL_ERROR: "H3_INTERNAL_ERROR",
    H3_STREAM_CREATION_ERROR: "H3_STREAM_CREATION_ERROR",
    H3_CLOSED_CRITICAL_STREAM: "H3_CLOSED_CRITICAL_STREAM",
    H3_FRAME_UNEXPECTED: "H3_FRAME_UNEXPECTED",
    H3_FRAME_ERROR: "H3_FRAME_ERROR",
    H3_EXCESSIVE_LOAD: "H3_EXCESSIVE_LOAD",
    H3_ID_ERROR: "H3_ID_ERROR",
    H3_SETTINGS_ERROR: "H3_SETTINGS_ERROR",
    H3_MISSING_SETTINGS: "H3_MISSING_SETTINGS",
    H3_REQUEST_REJECTED: "H3_REQUEST_REJECTED",
    H3_REQUEST_CANCELLED: "H3_REQUEST_CANCELLED",
    H3_REQUEST_INCOMPLETE: "H3_REQUEST_INCOMPLETE",
    H3_MESSAGE_ERROR: "H3_MESSAGE_ERROR",
    H3_CONNECT_ERROR: "H3_CONNECT_ERROR",
    H3_VERSION_FALLBACK: "H3_VERSION_FALLBACK",
    QPACK_DECOMPRESSION_FAILED: "QPACK_DECOMPRESSION_FAILED",
    QPACK_ENCODER_STREAM_ERROR: "QPACK_ENCODER_STREAM_ERROR",
    QPACK_DECODER_STREAM_ERROR: "QPACK_DECODER_STREAM_ERROR",
}


def http3_error_name(code: int) -> str:
    """The IANA name of an HTTP/3 error code.

    Codes reserved to exercise tolerance (0x1f * N + 0x21) and unknown ones count as
    H3_NO_ERROR (RFC 9114 8.1, 9); they are named so that a log does not hide them.
    """
    name = _NAMES.get(code)
    if name is not None:
        return name
    if code >= 0x21 and (code - 0x21) % 0x1F == 0:
        return "RESERVED"
    return "UNKNOWN_ERROR"


class Http3Error(Error):
    """A rule of HTTP/3 was broken; ``code`` is the number to close or reset with.

    The base of what HTTP/3 raises. Whether it ends the connection or one stream is told by
    the subclass, or by the call that raised it.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        text = f"{http3_error_name(self.code)} (0x{self.code:x})"
        return f"{text}: {self.reason}" if self.reason else text


class QpackError(Http3Error):
    """Compression state of the two sides no longer agrees: always a connection error.

    ``code`` is one of the three of RFC 9204 6.
    """


class FieldSectionTooLarge(Http3Error):
    """A field section is larger than we advertised to accept (RFC 9114 4.2.2).

    ``size`` is what was counted when reading stopped: the uncompressed names and values plus
    32 bytes for each field; ``limit`` is the advertised one. Only the one stream is concerned:
    a server may answer 431 (Request Header Fields Too Large), a client gives the response up.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            H3_EXCESSIVE_LOAD, f"the field section exceeds {limit} bytes ({size} so far)"
        )
        self.size = size
        self.limit = limit
