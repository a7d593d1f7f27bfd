"""Puts frames and headers into the words of the ``*.decoded.json`` files."""

from __future__ import annotations

from typing import Any

from ropewalk.quic.types.handshake import AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305
from ropewalk.quic.wire.frames import (
    AckFrame,
    ConnectionCloseFrame,
    CryptoFrame,
    Frame,
    HandshakeDoneFrame,
    MaxStreamsFrame,
    NewConnectionIdFrame,
    NewTokenFrame,
    PaddingFrame,
    PingFrame,
    StreamFrame,
)
from ropewalk.quic.wire.header import (
    PACKET_HANDSHAKE,
    PACKET_INITIAL,
    PACKET_RETRY,
    PACKET_UNKNOWN,
    PACKET_VERSION_NEGOTIATION,
    PACKET_ZERO_RTT,
    LongHeader,
)

AEAD_NAMES = {AES_128_GCM: "AES128", AES_256_GCM: "AES256", CHACHA20_POLY1305: "CHACHA"}

_PACKET_NAMES = {
    PACKET_INITIAL: "initial",
    PACKET_ZERO_RTT: "0rtt",
    PACKET_HANDSHAKE: "handshake",
    PACKET_RETRY: "retry",
    PACKET_VERSION_NEGOTIATION: "version_negotiation",
    PACKET_UNKNOWN: "unknown_version",
}


def describe_long_header(header: LongHeader) -> dict[str, Any]:
    """What can be read of a long header without keys."""
    described = {
        "header": "long",
        "version": f"{header.version:08x}",
        "dcid": header.destination_cid.hex(),
        "scid": header.source_cid.hex(),
        "type": _PACKET_NAMES[header.packet_type],
    }
    if header.packet_type == PACKET_INITIAL:
        described["token"] = header.token.hex()
    elif header.packet_type == PACKET_RETRY:
        described["token"] = header.retry_token.hex()
    elif header.packet_type == PACKET_VERSION_NEGOTIATION:
        return described | {"versions": [f"{version:08x}" for version in header.versions]}
    return described


def describe_frame(frame: Frame) -> dict[str, Any]:
    """One frame with all of its fields. Kinds that no capture holds are a ``TypeError``."""
    match frame:
        case PaddingFrame():
            return {"type": "padding", "bytes": frame.size}
        case PingFrame():
            return {"type": "ping"}
        case HandshakeDoneFrame():
            return {"type": "handshake_done"}
        case AckFrame():
            return _describe_ack(frame)
        case CryptoFrame():
            return {"type": "crypto", "offset": frame.offset, **_sized("data", frame.data)}
        case NewTokenFrame():
            return {"type": "new_token", **_sized("token", frame.token)}
        case StreamFrame():
            return {
                "type": "stream",
                "stream": frame.stream_id,
                "offset": frame.offset,
                "fin": frame.fin,
                **_sized("data", frame.data),
            }
        case NewConnectionIdFrame():
            return {
                "type": "new_connection_id",
                "seq": frame.sequence_number,
                "retire_prior_to": frame.retire_prior_to,
                "cid": frame.connection_id.hex(),
                "token": frame.stateless_reset_token.hex(),
            }
        case MaxStreamsFrame():
            kind = "bidi" if frame.bidirectional else "uni"
            return {"type": f"max_streams_{kind}", "value": frame.maximum}
        case ConnectionCloseFrame():
            return _describe_close(frame)
    raise TypeError(f"no words for {frame!r}")


def _describe_ack(frame: AckFrame) -> dict[str, Any]:
    assert frame.ranges[0] == frame.largest
    described: dict[str, Any] = {
        "type": "ack_ecn" if frame.has_ecn else "ack",
        "largest": frame.largest,
        "delay": frame.delay,
        "range_count": len(frame.ranges) // 2 - 1,
        "first_range": frame.ranges[0] - frame.ranges[1],
        "ranges": [
            [frame.ranges[index - 1] - high - 2, high - frame.ranges[index + 1]]
            for index, high in enumerate(frame.ranges)
            if index >= 2 and index % 2 == 0
        ],
    }
    if frame.has_ecn:
        described |= {"ect0": frame.ect0, "ect1": frame.ect1, "ce": frame.ce}
    return described


def _describe_close(frame: ConnectionCloseFrame) -> dict[str, Any]:
    described = {
        "type": "connection_close_app" if frame.application else "connection_close",
        "error": frame.code,
        "reason_length": len(frame.reason),
        "reason": frame.reason.decode(),
    }
    if frame.frame_type is not None:
        described["frame_type"] = frame.frame_type
    return described


def _sized(name: str, data: bytes) -> dict[str, Any]:
    return {"length": len(data), name: data.hex()}
