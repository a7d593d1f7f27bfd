"""Frame types, and the table of what each of them may do (RFC 9000 12.4, RFC 9221 4)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.reader import Reader
from ropewalk.quic.wire.varint import varint_size

PADDING: Final = 0x00
PING: Final = 0x01
ACK: Final = 0x02
ACK_ECN: Final = 0x03
RESET_STREAM: Final = 0x04
STOP_SENDING: Final = 0x05
CRYPTO: Final = 0x06
NEW_TOKEN: Final = 0x07
#: The first of eight types; the three flags below are added to it.
STREAM: Final = 0x08
STREAM_FIN: Final = 0x01
STREAM_LEN: Final = 0x02
STREAM_OFF: Final = 0x04
STREAM_LAST: Final = 0x0F
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
#: Closed by the transport.
CONNECTION_CLOSE: Final = 0x1C
#: Closed by the application.
CONNECTION_CLOSE_APPLICATION: Final = 0x1D
HANDSHAKE_DONE: Final = 0x1E
#: A datagram that reaches to the end of its packet (RFC 9221).
DATAGRAM: Final = 0x30
#: A datagram that tells its length (RFC 9221).
DATAGRAM_LENGTH: Final = 0x31
#: draft-ietf-quic-ack-frequency-14.
IMMEDIATE_ACK: Final = 0x1F
ACK_FREQUENCY: Final = 0xAF

_LAST: Final = ACK_FREQUENCY

#: Table 3 of RFC 9000, with the rows of extensions added: types from and to, name, the packets
#: that may carry it (I Initial, H Handshake, 0 0-RTT, 1 1-RTT) and its marks (N does not
#: elicit an ACK, P probes a path). The marks C and F of the RFC steer nothing here.
_TABLE: Final = (
    (PADDING, PADDING, "PADDING", "IH01", "NP"),
    (PING, PING, "PING", "IH01", ""),
    (ACK, ACK, "ACK", "IH_1", "N"),
    (ACK_ECN, ACK_ECN, "ACK_ECN", "IH_1", "N"),
    (RESET_STREAM, RESET_STREAM, "RESET_STREAM", "__01", ""),
    (STOP_SENDING, STOP_SENDING, "STOP_SENDING", "__01", ""),
    (CRYPTO, CRYPTO, "CRYPTO", "IH_1", ""),
    (NEW_TOKEN, NEW_TOKEN, "NEW_TOKEN", "___1", ""),
    (STREAM, STREAM_LAST, "STREAM", "__01", ""),
    (MAX_DATA, MAX_DATA, "MAX_DATA", "__01", ""),
    (MAX_STREAM_DATA, MAX_STREAM_DATA, "MAX_STREAM_DATA", "__01", ""),
    (MAX_STREAMS_BIDI, MAX_STREAMS_UNI, "MAX_STREAMS", "__01", ""),
    (DATA_BLOCKED, DATA_BLOCKED, "DATA_BLOCKED", "__01", ""),
    (STREAM_DATA_BLOCKED, STREAM_DATA_BLOCKED, "STREAM_DATA_BLOCKED", "__01", ""),
    (STREAMS_BLOCKED_BIDI, STREAMS_BLOCKED_UNI, "STREAMS_BLOCKED", "__01", ""),
    (NEW_CONNECTION_ID, NEW_CONNECTION_ID, "NEW_CONNECTION_ID", "__01", "P"),
    (RETIRE_CONNECTION_ID, RETIRE_CONNECTION_ID, "RETIRE_CONNECTION_ID", "__01", ""),
    (PATH_CHALLENGE, PATH_CHALLENGE, "PATH_CHALLENGE", "__01", "P"),
    (PATH_RESPONSE, PATH_RESPONSE, "PATH_RESPONSE", "___1", "P"),
    (CONNECTION_CLOSE, CONNECTION_CLOSE, "CONNECTION_CLOSE", "IH01", "N"),
    (
        CONNECTION_CLOSE_APPLICATION,
        CONNECTION_CLOSE_APPLICATION,
        "CONNECTION_CLOSE_APPLICATION",
        "__01",
        "N",
    ),
    (HANDSHAKE_DONE, HANDSHAKE_DONE, "HANDSHAKE_DONE", "___1", ""),
    (IMMEDIATE_ACK, IMMEDIATE_ACK, "IMMEDIATE_ACK", "___1", ""),
    (DATAGRAM, DATAGRAM_LENGTH, "DATAGRAM", "__01", ""),
    (ACK_FREQUENCY, ACK_FREQUENCY, "ACK_FREQUENCY", "___1", ""),
)

# The same table folded into one byte a type, so that a look-up is one index.
_MARK_NOT_ELICITING: Final = 0x10
_MARK_PROBING: Final = 0x20


def _fold_marks() -> bytes:
    folded = bytearray(_LAST + 1)
    for first, last, _name, packets, marks in _TABLE:
        value = 0
        # The bit of a level is its place in INITIAL, ZERO_RTT, HANDSHAKE, ONE_RTT.
        if "I" in packets:
            value |= 0x01
        if "0" in packets:
            value |= 0x02
        if "H" in packets:
            value |= 0x04
        if "1" in packets:
            value |= 0x08
        if "N" in marks:
            value |= _MARK_NOT_ELICITING
        if "P" in marks:
            value |= _MARK_PROBING
        for frame_type in range(first, last + 1):
            folded[frame_type] = value
    return bytes(folded)


def _list_names() -> list[str]:
    names = [""] * (_LAST + 1)
    for first, last, name, _packets, _marks in _TABLE:
        for frame_type in range(first, last + 1):
            names[frame_type] = name
    return names


_MARKS: Final = _fold_marks()
_NAMES: Final = _list_names()
_LEVEL_BITS: Final = b"\x01\x02\x04\x08"


def is_ack_eliciting(frame_type: i64) -> bool:
    """Whether a packet with this frame asks for an acknowledgment (RFC 9002 2).

    Unknown types do: those of an extension, unless it says otherwise.
    """
    if frame_type > _LAST:
        return True
    marks: i64 = _MARKS[frame_type]
    return marks & _MARK_NOT_ELICITING == 0


def is_probing(frame_type: i64) -> bool:
    """Whether the frame may travel on a path without moving the connection to it (9.1)."""
    if frame_type > _LAST:
        return False
    marks: i64 = _MARKS[frame_type]
    return marks & _MARK_PROBING != 0


def allowed_in(frame_type: i64, level: i64) -> bool:
    """Whether packets of an encryption level may carry the frame (table 3 of RFC 9000).

    ``level`` is one of the constants of ``ropewalk.quic.types.handshake``. False for types
    that this table does not know.
    """
    if frame_type > _LAST:
        return False
    marks: i64 = _MARKS[frame_type]
    bit: i64 = _LEVEL_BITS[level]
    return marks & bit != 0


def is_known(frame_type: i64) -> bool:
    """Whether the table has the frame."""
    return frame_type <= _LAST and bool(_NAMES[frame_type])


def frame_name(frame_type: i64) -> str:
    """The RFC's name of a frame type, or the type in hexadecimal where it has none."""
    if 0 <= frame_type <= _LAST:
        name = _NAMES[frame_type]
        if name:
            return name
    return f"0x{int(frame_type):x}"


def read_frame_type(reader: Reader) -> i64:
    """Read the type that opens a frame.

    Raises ``TransportError`` PROTOCOL_VIOLATION when it is not in its shortest encoding
    (12.4), and ``Truncated`` at the end of the bytes.
    """
    start: i64 = reader.position
    frame_type: i64 = reader.varint()
    size: i64 = reader.position - start
    if size > 1 and size != varint_size(frame_type):
        raise TransportError(
            PROTOCOL_VIOLATION,
            f"a frame type is encoded in {int(size)} bytes where fewer would do",
            int(frame_type),
        )
    return frame_type
