"""QUIC packets and frames as qlog describes them (draft-ietf-quic-qlog-quic-events-13)."""

from __future__ import annotations

import json
from typing import Final, final

from mypy_extensions import i64

from ropewalk.observe.frames import (
    ACK,
    CONNECTION_CLOSE,
    CONNECTION_CLOSE_APPLICATION,
    CRYPTO,
    DATA_BLOCKED,
    DATAGRAM,
    HANDSHAKE_DONE,
    MAX_DATA,
    MAX_STREAM_DATA,
    MAX_STREAMS_BIDI,
    MAX_STREAMS_UNI,
    NEW_CONNECTION_ID,
    NEW_TOKEN,
    PADDING,
    PATH_CHALLENGE,
    PATH_RESPONSE,
    PING,
    RESET_STREAM,
    RESET_STREAM_AT,
    RETIRE_CONNECTION_ID,
    STOP_SENDING,
    STREAM,
    STREAM_DATA_BLOCKED,
    STREAMS_BLOCKED_BIDI,
    STREAMS_BLOCKED_UNI,
    FrameReader,
    UnknownFrame,
    Unreadable,
)
from ropewalk.observe.json_writer import JsonWriter
from ropewalk.observe.qlog_errors import application_error, transport_error

_BIDIRECTIONAL: Final = b'"stream_type":"bidirectional",'
_UNIDIRECTIONAL: Final = b'"stream_type":"unidirectional",'

#: Frames of numbers alone: for each number what goes before it.
_NUMBERED: Final[dict[int, tuple[bytes, ...]]] = {
    PING: (b'{"frame_type":"ping"',),
    HANDSHAKE_DONE: (b'{"frame_type":"handshake_done"',),
    MAX_DATA: (b'{"frame_type":"max_data","maximum":',),
    MAX_STREAM_DATA: (b'{"frame_type":"max_stream_data","stream_id":', b',"maximum":'),
    MAX_STREAMS_BIDI: (b'{"frame_type":"max_streams",' + _BIDIRECTIONAL + b'"maximum":',),
    MAX_STREAMS_UNI: (b'{"frame_type":"max_streams",' + _UNIDIRECTIONAL + b'"maximum":',),
    DATA_BLOCKED: (b'{"frame_type":"data_blocked","limit":',),
    STREAM_DATA_BLOCKED: (b'{"frame_type":"stream_data_blocked","stream_id":', b',"limit":'),
    STREAMS_BLOCKED_BIDI: (b'{"frame_type":"streams_blocked",' + _BIDIRECTIONAL + b'"limit":',),
    STREAMS_BLOCKED_UNI: (b'{"frame_type":"streams_blocked",' + _UNIDIRECTIONAL + b'"limit":',),
    RETIRE_CONNECTION_ID: (b'{"frame_type":"retire_connection_id","sequence_number":',),
}
_WITHOUT_NUMBER: Final = (PING, HANDSHAKE_DONE)


#: By encryption level.
PACKET_TYPES: Final = (b"initial", b"0RTT", b"handshake", b"1RTT")


@final
class PacketDescriber:
    """Writes packets, and the frames in them, as JSON."""

    def __init__(self, out: JsonWriter) -> None:
        self._out = out
        self._reader = FrameReader()
        #: whether application error codes are those of HTTP/3
        self.http3 = False

    def packet(
        self,
        level: i64,
        packet_number: i64,
        generation: i64,
        size: i64,
        payload: bytes,
        ack_delay_exponent: i64,
    ) -> None:
        """The rest of packet_sent and packet_received, from the value of ``packet_type`` on.

        ``generation`` is left out when it is 0. ``ack_delay_exponent`` is the transport
        parameter of the packet's sender, or 3 for packets of the handshake.
        """
        out = self._out
        out.raw(PACKET_TYPES[level])
        out.raw(b'","packet_number":')
        out.number(packet_number)
        if generation > 0:
            out.raw(b',"key_phase":')
            out.number(generation)
        out.raw(b'},"frames":')
        self._frames(payload, ack_delay_exponent)
        out.raw(b',"raw":{"length":')
        out.number(size)
        out.raw(b',"payload_length":')
        out.number(len(payload))
        out.raw(b"}}")

    def _frames(self, payload: bytes, ack_delay_exponent: i64) -> None:
        """All frames of a payload, as far as it can be read."""
        reader = self._reader
        out = self._out
        out.raw(b"[")
        reader.reset(payload)
        first = True
        try:
            while reader.read():
                if not first:
                    out.raw(b",")
                first = False
                self._frame(reader, ack_delay_exponent)
        except UnknownFrame as unknown:
            if not first:
                out.raw(b",")
            self._unknown(unknown.frame_type, len(payload) - unknown.start)
        except Unreadable:
            if not first:
                out.raw(b",")
            self._unknown(int(reader.kind), len(payload) - int(reader.start))
        out.raw(b"]")

    def _frame(self, reader: FrameReader, ack_delay_exponent: i64) -> None:
        out = self._out
        kind = reader.kind
        if kind == STREAM:
            out.raw(b'{"frame_type":"stream","stream_id":')
            out.number(reader.a)
            out.raw(b',"offset":')
            out.number(reader.b)
            if reader.c != 0:
                out.raw(b',"fin":true')
            self._raw(reader)
        elif kind == ACK:
            self._ack(reader, ack_delay_exponent)
        elif kind == PADDING:
            out.raw(b'{"frame_type":"padding","raw":{"length":')
            out.number(reader.position - reader.start)
            out.raw(b"}}")
        elif kind == DATAGRAM:
            out.raw(b'{"frame_type":"datagram"')
            self._raw(reader)
        elif kind == CRYPTO:
            out.raw(b'{"frame_type":"crypto","offset":')
            out.number(reader.b)
            self._raw(reader)
        else:
            self._rare(reader, int(kind))

    def _raw(self, reader: FrameReader) -> None:
        out = self._out
        out.raw(b',"raw":{"length":')
        out.number(reader.position - reader.start)
        out.raw(b',"payload_length":')
        out.number(reader.length)
        out.raw(b"}}")

    def _ack(self, reader: FrameReader, exponent: i64) -> None:
        out = self._out
        out.raw(b'{"frame_type":"ack","ack_delay":')
        delay = float(reader.b) * 1e-6
        while exponent > 0:
            delay *= 2.0
            exponent -= 1
        # A varint at the greatest exponent would not be a number any more.
        out.milliseconds(min(delay, 1e9))
        out.raw(b',"acked_ranges":[')
        ranges = reader.ranges
        index: i64 = 0
        count: i64 = len(ranges)
        while index < count:
            high: i64 = ranges[index]
            low: i64 = ranges[index + 1]
            out.raw(b",[" if index > 0 else b"[")
            out.number(low)
            if high > low:
                out.raw(b",")
                out.number(high)
            out.raw(b"]")
            index += 2
        out.raw(b"]")
        if reader.ce >= 0:
            out.raw(b',"ect0":')
            out.number(reader.ect0)
            out.raw(b',"ect1":')
            out.number(reader.ect1)
            out.raw(b',"ce":')
            out.number(reader.ce)
        out.raw(b"}")

    def _rare(self, reader: FrameReader, kind: int) -> None:
        out = self._out
        numbered = _NUMBERED.get(kind)
        if numbered is not None:
            out.raw(numbered[0])
            if kind not in _WITHOUT_NUMBER:
                out.number(reader.a)
            if len(numbered) > 1:
                out.raw(numbered[1])
                out.number(reader.b)
            out.raw(b"}")
            return
        described = self._describe(reader, kind)
        if described is None:
            self._unknown(kind, int(reader.position - reader.start))
        else:
            out.raw(json.dumps(described, separators=(",", ":")).encode())

    def _describe(self, reader: FrameReader, kind: int) -> dict[str, object] | None:
        data = reader.payload[reader.data : reader.data + reader.length]
        if kind in (RESET_STREAM, RESET_STREAM_AT, STOP_SENDING):
            name = "stop_sending"
            if kind == RESET_STREAM:
                name = "reset_stream"
            elif kind == RESET_STREAM_AT:
                name = "reset_stream_at"
            frame: dict[str, object] = {"frame_type": name, "stream_id": int(reader.a)}
            frame.update(application_error("error", int(reader.b), self.http3))
            if kind != STOP_SENDING:
                frame["final_size"] = int(reader.c)
            if kind == RESET_STREAM_AT:
                frame["reliable_size"] = int(reader.d)
            return frame
        if kind == NEW_CONNECTION_ID:
            # The reset token is a secret of the two ends.
            return {
                "frame_type": "new_connection_id",
                "sequence_number": int(reader.b),
                "retire_prior_to": int(reader.c),
                "connection_id_length": int(reader.length),
                "connection_id": data.hex(),
            }
        if kind == NEW_TOKEN:
            # The token opens doors: only its length is told.
            return {"frame_type": "new_token", "token": {"raw": {"length": len(data)}}}
        if kind in (PATH_CHALLENGE, PATH_RESPONSE):
            name = "path_challenge" if kind == PATH_CHALLENGE else "path_response"
            return {"frame_type": name, "data": data.hex()}
        if kind in (CONNECTION_CLOSE, CONNECTION_CLOSE_APPLICATION):
            return self._close(reader, kind == CONNECTION_CLOSE_APPLICATION, data)
        return None

    def _close(self, reader: FrameReader, application: bool, reason: bytes) -> dict[str, object]:
        frame: dict[str, object] = {"frame_type": "connection_close"}
        if application:
            frame["error_space"] = "application"
            frame.update(application_error("error", int(reader.a), self.http3))
        else:
            frame["error_space"] = "transport"
            frame.update(transport_error("error", int(reader.a)))
        try:
            frame["reason"] = reason.decode()
        except UnicodeDecodeError:
            frame["reason_bytes"] = reason.hex()
        if reader.b > 0:
            frame["trigger_frame_type"] = int(reader.b)
        return frame

    def _unknown(self, kind: int, length: int) -> None:
        out = self._out
        out.raw(b'{"frame_type":"unknown","frame_type_bytes":')
        out.number(kind)
        out.raw(b',"raw":{"length":')
        out.number(length)
        out.raw(b"}}")
