"""A second, independent reading of packet payloads, for those who watch.

It shares no code with ``ropewalk.quic.wire``: where the two disagree, one is wrong. It
knows the frames of RFC 9000 and RFC 9221, of multipath (RFC 10069), RESET_STREAM_AT
(draft-ietf-quic-reliable-stream-reset) and ACK frequency (draft-ietf-quic-ack-frequency), and
judges nothing but whether they are whole.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

PADDING: Final = 0x00
PING: Final = 0x01
ACK: Final = 0x02
RESET_STREAM: Final = 0x04
STOP_SENDING: Final = 0x05
CRYPTO: Final = 0x06
NEW_TOKEN: Final = 0x07
STREAM: Final = 0x08
MAX_DATA: Final = 0x10
MAX_STREAM_DATA: Final = 0x11
MAX_STREAMS_BIDI: Final = 0x12
MAX_STREAMS_UNI: Final = 0x13
DATA_BLOCKED: Final = 0x14
STREAM_DATA_BLOCKED: Final = 0x15
STREAMS_BLOCKED_BIDI: Final = 0x16
STREAMS_BLOCKED_UNI: Final = 0x17
NEW_CONNECTION_ID: Final = 0x18
RETIRE_CONNECTION_ID: Final = 0x19
PATH_CHALLENGE: Final = 0x1A
PATH_RESPONSE: Final = 0x1B
CONNECTION_CLOSE: Final = 0x1C
CONNECTION_CLOSE_APPLICATION: Final = 0x1D
HANDSHAKE_DONE: Final = 0x1E
IMMEDIATE_ACK: Final = 0x1F
RESET_STREAM_AT: Final = 0x24
DATAGRAM: Final = 0x30
PATH_ACK: Final = 0x3E
ACK_FREQUENCY: Final = 0xAF
PATH_ABANDON: Final = 0x3E75
PATH_STATUS_BACKUP: Final = 0x3E76
PATH_STATUS_AVAILABLE: Final = 0x3E77
PATH_NEW_CONNECTION_ID: Final = 0x3E78
PATH_RETIRE_CONNECTION_ID: Final = 0x3E79
MAX_PATH_ID: Final = 0x3E7A
PATHS_BLOCKED: Final = 0x3E7B
PATH_CIDS_BLOCKED: Final = 0x3E7C

#: How many variable-length integers a frame has that is made of nothing else.
NUMBERS: Final[dict[int, int]] = {
    PING: 0,
    RESET_STREAM: 3,  # stream, code, final size
    STOP_SENDING: 2,  # stream, code
    MAX_DATA: 1,
    MAX_STREAM_DATA: 2,  # stream, limit
    MAX_STREAMS_BIDI: 1,
    MAX_STREAMS_UNI: 1,
    DATA_BLOCKED: 1,
    STREAM_DATA_BLOCKED: 2,  # stream, limit
    STREAMS_BLOCKED_BIDI: 1,
    STREAMS_BLOCKED_UNI: 1,
    RETIRE_CONNECTION_ID: 1,
    HANDSHAKE_DONE: 0,
    IMMEDIATE_ACK: 0,
    RESET_STREAM_AT: 4,  # stream, code, final size, reliable size
    ACK_FREQUENCY: 4,  # sequence, threshold, delay in microseconds, reordering threshold
    PATH_ABANDON: 2,  # path, code
    PATH_STATUS_BACKUP: 2,  # path, sequence
    PATH_STATUS_AVAILABLE: 2,  # path, sequence
    PATH_RETIRE_CONNECTION_ID: 2,  # path, sequence
    MAX_PATH_ID: 1,
    PATHS_BLOCKED: 1,
    PATH_CIDS_BLOCKED: 2,  # path, next sequence
}

_CHALLENGE: Final = 8
_RESET_TOKEN: Final = 16

#: (type, values...) of one frame; what the values are is told at :func:`frames_of`.
Seen = tuple[int, ...]


class Unreadable(Exception):
    """The payload is not a sequence of frames that are known here."""


class UnknownFrame(Unreadable):
    """A frame of another type. ``frame_type`` tells which, ``start`` where it begins; where it
    ends, only those know who know it."""

    def __init__(self, frame_type: int, start: int) -> None:
        super().__init__(frame_type, start)
        self.frame_type = frame_type
        self.start = start

    def __str__(self) -> str:
        return f"frame type 0x{self.frame_type:02x} at byte {self.start}"


@final
class FrameReader:
    """Reads one frame after the other into its own fields.

    ``kind`` is the type; flags in it are taken out, so that every STREAM is 0x08, every ACK
    0x02, DATAGRAM 0x30 and PATH_ACK 0x3e. A run of PADDING is one frame. The frame lies
    between ``start`` and ``position`` in the payload; its data, if it has some, are the
    ``length`` bytes from ``data``. The numbers:

    * frames of :data:`NUMBERS`: ``a`` to ``d`` in their order;
    * STREAM: ``a`` stream, ``b`` offset, ``c`` 1 with FIN;
    * CRYPTO: ``b`` offset;
    * ACK and PATH_ACK: ``a`` path (0 in ACK), ``b`` the delay as encoded, ``ranges`` high, low,
      high, low, ..., and the counts ``ect0``, ``ect1`` and ``ce``, -1 without them;
    * NEW_CONNECTION_ID and PATH_NEW_CONNECTION_ID: ``a`` path (0 in the former), ``b`` sequence,
      ``c`` retire prior to; the data is the ID, the token follows;
    * CONNECTION_CLOSE: ``a`` code, ``b`` frame type (-1 in the application's); the data is the
      reason;
    * NEW_TOKEN, DATAGRAM, PATH_CHALLENGE and PATH_RESPONSE: only data.
    """

    def __init__(self) -> None:
        self.payload = b""
        self.kind: i64 = 0
        self.start: i64 = 0
        self.position: i64 = 0
        self.a: i64 = 0
        self.b: i64 = 0
        self.c: i64 = 0
        self.d: i64 = 0
        self.data: i64 = 0
        self.length: i64 = 0
        self.ranges: list[int] = []
        self.ect0: i64 = -1
        self.ect1: i64 = -1
        self.ce: i64 = -1
        self._end: i64 = 0

    def reset(self, payload: bytes) -> None:
        """Begin with another payload."""
        self.payload = payload
        self.position = 0
        self._end = len(payload)

    def read(self) -> bool:
        """Read the next frame; False at the end. Raises :class:`Unreadable`."""
        at = self.position
        self.start = at
        if at >= self._end:
            return False
        kind: i64 = self.payload[at]
        self.position = at + 1
        if 0x08 <= kind <= 0x0F:
            self._stream(kind)
        elif kind == PADDING:
            self._padding()
        elif kind == 0x02 or kind == 0x03:
            self.kind = ACK
            self.a = 0
            self._ack(kind == 0x03)
        else:
            if kind >= 0x40:
                self.position = at
                kind = self._varint()
            self._other(kind)
        if self.position > self._end:
            late = self.position - self._end
            raise Unreadable(f"frame 0x{self.kind:02x} ends {late} bytes too late")
        return True

    # -- kinds of frames

    def _padding(self) -> None:
        payload = self.payload
        at = self.position
        while at < self._end and payload[at] == 0:
            at += 1
        self.kind = PADDING
        self.position = at

    def _stream(self, kind: i64) -> None:
        self.kind = STREAM
        self.a = self._varint()
        self.b = self._varint() if kind & 0x04 else 0
        self.c = kind & 0x01
        if kind & 0x02:
            self._take(self._varint())
        else:
            self._take(self._end - self.position)

    def _ack(self, ecn: bool) -> None:
        ranges = self.ranges
        ranges.clear()
        high = self._varint()
        self.b = self._varint()
        more = self._varint()
        low = high - self._varint()
        ranges.append(high)
        ranges.append(low)
        while more > 0:
            more -= 1
            high = low - self._varint() - 2
            low = high - self._varint()
            if low < 0:
                break
            ranges.append(high)
            ranges.append(low)
        if low < 0:
            raise Unreadable("an ACK reaches below packet number 0")
        self.ect0 = self._varint() if ecn else -1
        self.ect1 = self._varint() if ecn else -1
        self.ce = self._varint() if ecn else -1

    def _other(self, kind: i64) -> None:
        self.kind = kind
        count = NUMBERS.get(int(kind), -1)
        if count >= 0:
            self.a = self._varint() if count > 0 else 0
            self.b = self._varint() if count > 1 else 0
            self.c = self._varint() if count > 2 else 0
            self.d = self._varint() if count > 3 else 0
        elif kind == CRYPTO:
            self.b = self._varint()
            self._take(self._varint())
        elif kind == DATAGRAM:
            self._take(self._end - self.position)
        elif kind == 0x31:
            self.kind = DATAGRAM
            self._take(self._varint())
        elif kind == NEW_TOKEN:
            self._take(self._varint())
        elif kind == PATH_CHALLENGE or kind == PATH_RESPONSE:
            self._take(_CHALLENGE)
        elif kind == CONNECTION_CLOSE or kind == CONNECTION_CLOSE_APPLICATION:
            self.a = self._varint()
            self.b = self._varint() if kind == CONNECTION_CLOSE else -1
            self._take(self._varint())
        elif kind == NEW_CONNECTION_ID or kind == PATH_NEW_CONNECTION_ID:
            self._new_connection_id(kind)
        elif kind == PATH_ACK or kind == 0x3F:
            self.kind = PATH_ACK
            self.a = self._varint()
            self._ack(kind == 0x3F)
        else:
            raise UnknownFrame(int(kind), int(self.start))

    def _new_connection_id(self, kind: i64) -> None:
        self.a = self._varint() if kind == PATH_NEW_CONNECTION_ID else 0
        self.b = self._varint()
        self.c = self._varint()
        if self.position >= self._end:
            raise Unreadable("a connection ID is missing")
        length: i64 = self.payload[self.position]
        self.position += 1
        self._take(length)
        self.position += _RESET_TOKEN

    def _take(self, length: i64) -> None:
        self.data = self.position
        self.length = length
        self.position += length

    def _varint(self) -> i64:
        payload = self.payload
        at = self.position
        if at >= self._end:
            raise Unreadable(f"a varint is missing at byte {at}")
        value: i64 = payload[at]
        size = value >> 6
        if size == 0:
            self.position = at + 1
            return value
        value &= 0x3F
        stop = at + 2
        if size == 2:
            stop = at + 4
        elif size == 3:
            stop = at + 8
        if stop > self._end:
            raise Unreadable(f"the varint at byte {at} is cut short")
        at += 1
        while at < stop:
            value = value << 8 | payload[at]
            at += 1
        self.position = stop
        return value


def frames_of(payload: bytes) -> list[Seen]:
    """The frames of a payload, in order, as tuples. Raises :class:`Unreadable`.

    PADDING runs count once. STREAM is ``(0x08, stream, offset, length, fin)``, CRYPTO
    ``(0x06, offset, length)``, ACK ``(0x02, high, low, high, low, ...)``, PATH_ACK
    ``(0x3e, path, high, low, ...)``, DATAGRAM ``(0x30, length)``, CONNECTION_CLOSE ``(0x1c,
    code, frame type)`` and ``(0x1d, code)``, NEW_CONNECTION_ID ``(0x18, sequence, retire prior
    to, start, length)`` with the place of the ID in the payload, PATH_NEW_CONNECTION_ID the
    same behind its path, PATH_CHALLENGE and PATH_RESPONSE ``(type, data)`` with the eight bytes
    as one number. The frames of :data:`NUMBERS` carry their numbers, others nothing.
    """
    reader = FrameReader()
    reader.reset(payload)
    frames: list[Seen] = []
    while reader.read():
        frames.append(seen(reader))
    return frames


def seen(reader: FrameReader) -> Seen:
    """The frame that a reader has just read, as :func:`frames_of` tells it."""
    kind = reader.kind
    if kind == STREAM:
        return (STREAM, reader.a, reader.b, reader.length, reader.c)
    if kind == ACK:
        return (ACK, *reader.ranges)
    if kind == PATH_ACK:
        return (PATH_ACK, reader.a, *reader.ranges)
    if kind == CRYPTO:
        return (CRYPTO, reader.b, reader.length)
    if kind == DATAGRAM:
        return (DATAGRAM, reader.length)
    if kind == CONNECTION_CLOSE:
        return (CONNECTION_CLOSE, reader.a, reader.b)
    if kind == CONNECTION_CLOSE_APPLICATION:
        return (CONNECTION_CLOSE_APPLICATION, reader.a)
    if kind == NEW_CONNECTION_ID:
        return (NEW_CONNECTION_ID, reader.b, reader.c, reader.data, reader.length)
    if kind == PATH_NEW_CONNECTION_ID:
        return (kind, reader.a, reader.b, reader.c, reader.data, reader.length)
    if kind == PATH_CHALLENGE or kind == PATH_RESPONSE:
        return (kind, int.from_bytes(reader.payload[reader.data : reader.position], "big"))
    count = NUMBERS.get(int(kind), 0)
    values = (reader.a, reader.b, reader.c, reader.d)
    return (kind, *values[:count])
