"""Frames and settings of HTTP/3, cut in different ways."""

from __future__ import annotations

from ropewalk.http3.errors import Http3Error
from ropewalk.http3.frames import FrameReader, encode_frame
from ropewalk.http3.settings import decode_settings, encode_settings

SEED_PREFIX = b"\x00"
LIMIT = 4096


def fuzz_http3_frames(data: bytes) -> None:
    """The same frames however the stream is cut; settings survive another round."""
    if not data:
        return
    check_settings(data[1:])
    step, stream = 1 + data[0] % 16, data[1:]
    whole = frames_of(stream, max(1, len(stream)))
    assert frames_of(stream, step) == whole
    frames, refused = whole
    again = b"".join(encode_frame(kind, payload) for kind, payload in frames)
    assert frames_of(again, max(1, len(again))) == (frames, False)
    assert len(again) <= len(stream) or refused


def frames_of(stream: bytes, step: int) -> tuple[list[tuple[int, bytes]], bool]:
    """The whole frames of a stream, and whether one was refused for its size."""
    reader = FrameReader()
    frames: list[tuple[int, bytes]] = []
    kind = -1
    try:
        for start in range(0, len(stream), step):
            reader.feed(stream[start : start + step])
            while True:
                if kind < 0:
                    if not reader.read_header():
                        break
                    kind = int(reader.frame_type)
                payload = reader.collect(LIMIT)
                if payload is None:
                    break
                frames.append((kind, payload))
                kind = -1
    except Http3Error as error:
        assert error.reason
        return frames, True
    return frames, False


def check_settings(payload: bytes) -> None:
    """The payload of a SETTINGS frame: values, or a typed error."""
    try:
        settings = decode_settings(payload)
    except Http3Error as error:
        assert error.reason
        return
    assert decode_settings(encode_settings(settings)) == settings
