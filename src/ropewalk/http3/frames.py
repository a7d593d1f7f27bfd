"""HTTP/3 frames: type, length, payload (RFC 9114 7)."""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.http3.errors import H3_EXCESSIVE_LOAD, H3_FRAME_ERROR, Http3Error
from ropewalk.quic.wire.reader import Reader, Truncated
from ropewalk.quic.wire.varint import write_varint

DATA: Final = 0x00
HEADERS: Final = 0x01
CANCEL_PUSH: Final = 0x03
SETTINGS: Final = 0x04
PUSH_PROMISE: Final = 0x05
GOAWAY: Final = 0x07
MAX_PUSH_ID: Final = 0x0D

#: Between two frames.
NO_FRAME: Final = -1

_NAMES: Final[dict[int, str]] = {
    DATA: "DATA",
    HEADERS: "HEADERS",
    CANCEL_PUSH: "CANCEL_PUSH",
    SETTINGS: "SETTINGS",
    PUSH_PROMISE: "PUSH_PROMISE",
    GOAWAY: "GOAWAY",
    MAX_PUSH_ID: "MAX_PUSH_ID",
}

#: A frame's type and length take at most two variable-length integers.
_LONGEST_HEADER: Final = 16


def frame_name(frame_type: i64) -> str:
    """The frame's name in RFC 9114, or its number."""
    return _NAMES.get(int(frame_type), f"0x{frame_type:x}")


def is_http2_leftover(frame_type: i64) -> bool:
    """Whether the type belonged to an HTTP/2 frame without a counterpart (RFC 9114 7.2.8)."""
    return frame_type == 0x02 or frame_type == 0x06 or frame_type == 0x08 or frame_type == 0x09


def reserved_number(seed: i64) -> int:
    """A number of the form 0x1f * N + 0x21, which nobody may give a meaning (RFC 9114 7.2.8).

    ``seed`` is any number; those up to 2**32 give distinct results.
    """
    return int((seed & 0xFFFFFFFF) * 0x1F + 0x21)


def encode_frame_header(frame_type: i64, length: i64) -> bytes:
    """Type and length of a frame whose payload follows by itself."""
    writer = BytesWriter()
    write_varint(writer, frame_type)
    write_varint(writer, length)
    return writer.getvalue()


def encode_frame(frame_type: i64, payload: bytes) -> bytes:
    """A whole frame."""
    writer = BytesWriter()
    write_varint(writer, frame_type)
    write_varint(writer, len(payload))
    writer.write(payload)
    return writer.getvalue()


def encode_id_frame(frame_type: i64, identifier: i64) -> bytes:
    """A frame that carries one number: GOAWAY, CANCEL_PUSH or MAX_PUSH_ID."""
    writer = BytesWriter()
    write_varint(writer, identifier)
    return encode_frame(frame_type, writer.getvalue())


def decode_id(frame_type: i64, payload: bytes) -> int:
    """The number in a GOAWAY, CANCEL_PUSH or MAX_PUSH_ID frame. Raises H3_FRAME_ERROR."""
    reader = Reader(payload)
    try:
        value = reader.varint()
    except Truncated:
        raise Http3Error(H3_FRAME_ERROR, f"{frame_name(frame_type)} is cut short") from None
    if reader.remaining() > 0:
        raise Http3Error(
            H3_FRAME_ERROR,
            f"{frame_name(frame_type)} has {reader.remaining()} bytes after its number",
        )
    return int(value)


@final
class FrameReader:
    """Cuts the bytes of one stream into frames, however the stream was split on its way.

    Give it bytes with :meth:`feed` whenever :meth:`available` is 0; :meth:`read_header` says
    when a frame begins, and ``frame_type`` and ``remaining`` describe it. Its payload then
    leaves by :meth:`take` (piece by piece, nothing kept), :meth:`skip` or :meth:`collect`
    (whole). A frame ends by itself when its last byte has left.
    """

    def __init__(self) -> None:
        #: type of the frame at hand, NO_FRAME between frames
        self.frame_type: i64 = NO_FRAME
        #: bytes of its payload that were not yet handed out
        self.remaining: i64 = 0
        self._chunk = b""
        self._position: i64 = 0
        self._header = b""
        self._payload = BytesWriter()

    def available(self) -> i64:
        """Bytes that were fed and not yet used."""
        return len(self._chunk) - self._position

    def feed(self, chunk: bytes) -> None:
        """Give more of the stream; what was fed before must be used up."""
        assert self._position == len(self._chunk), "bytes fed before are still unused"
        self._chunk = chunk
        self._position = 0

    def read_header(self) -> bool:
        """Use bytes until the next frame's type and length are known; False to ask for more.

        A frame without payload still needs one of the calls that use payload up.
        """
        chunk = self._chunk
        position: i64 = self._position
        joined = chunk
        kept: i64 = len(self._header)
        if kept > 0:
            joined = self._header + chunk[position : position + _LONGEST_HEADER]
            position = 0
        reader = Reader(joined, position)
        try:
            frame_type = reader.varint()
            length = reader.varint()
        except Truncated:
            self._header = joined[position:]
            self._position = len(chunk)
            return False
        self._header = b""
        if kept > 0:
            self._position += reader.position - kept
        else:
            self._position = reader.position
        self.frame_type = frame_type
        self.remaining = length
        return True

    def take(self, limit: i64) -> bytes:
        """At most ``limit`` of the payload bytes that are here."""
        size: i64 = len(self._chunk) - self._position
        if size > self.remaining:
            size = self.remaining
        if size > limit:
            size = limit
        start: i64 = self._position
        stop: i64 = start + size
        self._position = stop
        self.remaining -= size
        if self.remaining == 0:
            self.frame_type = NO_FRAME
        if start == 0 and stop == len(self._chunk):
            return self._chunk
        return self._chunk[start:stop]

    def skip(self) -> None:
        """Drop the payload bytes that are here."""
        size: i64 = len(self._chunk) - self._position
        if size > self.remaining:
            size = self.remaining
        self._position += size
        self.remaining -= size
        if self.remaining == 0:
            self.frame_type = NO_FRAME

    def collect(self, limit: i64) -> bytes | None:
        """The whole payload, or None while bytes are missing.

        Raises H3_EXCESSIVE_LOAD when the frame announces more than ``limit`` bytes.
        """
        total: i64 = self.remaining + len(self._payload)
        if total > limit:
            raise Http3Error(
                H3_EXCESSIVE_LOAD,
                f"{frame_name(self.frame_type)} has {total} bytes, more than {limit}",
            )
        if len(self._payload) == 0 and self.available() >= self.remaining:
            return self.take(self.remaining)
        self._payload.write(self.take(self.remaining))
        if self.frame_type != NO_FRAME:
            return None
        payload = self._payload.getvalue()
        self._payload = BytesWriter()
        return payload

    def is_between(self) -> bool:
        """Whether the stream may end here: neither a header nor a payload is unfinished."""
        return self.frame_type == NO_FRAME and len(self._header) == 0
