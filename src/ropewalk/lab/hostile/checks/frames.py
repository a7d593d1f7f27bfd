"""Malformed frames, frames in the wrong place, frames from the wrong side
(RFC 9000 12.4, 12.5, 13.1, 19)."""

from __future__ import annotations

from ropewalk.lab.hostile import frames
from ropewalk.lab.hostile.check import BOTH, CLIENT, SERVER, Check, Story, checks, sends
from ropewalk.lab.hostile.frames import LARGEST, varint
from ropewalk.lab.hostile.outcome import Closes, Survives
from ropewalk.lab.hostile.scene import Scene
from ropewalk.quic.types.error_codes import (
    CRYPTO_BUFFER_EXCEEDED,
    FRAME_ENCODING_ERROR,
    PROTOCOL_VIOLATION,
)
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.wire.frame_types import frame_name

_ENCODING = (FRAME_ENCODING_ERROR,)
_VIOLATION = (PROTOCOL_VIOLATION,)
LEVEL_NAMES = {INITIAL: "initial", HANDSHAKE: "handshake", ONE_RTT: "1-rtt"}
_LEVELS = (INITIAL, HANDSHAKE, ONE_RTT)

#: A well-formed example of every frame that may come in 1-RTT packets alone.
ONE_RTT_FRAMES: dict[int, bytes] = {
    0x04: frames.reset_stream(0),
    0x05: frames.stop_sending(0),
    0x07: frames.new_token(b"token"),
    0x08: varint(0x08) + varint(0) + b"data",
    0x0F: frames.stream(0, b"data", 1, fin=True),
    0x10: frames.max_data(9),
    0x11: frames.max_stream_data(0, 9),
    0x12: frames.max_streams(9),
    0x13: frames.max_streams(9, bidirectional=False),
    0x14: frames.data_blocked(9),
    0x15: frames.stream_data_blocked(0, 9),
    0x16: frames.streams_blocked(9),
    0x17: frames.streams_blocked(9, bidirectional=False),
    0x18: frames.new_connection_id(1, b"12345678"),
    0x19: frames.retire_connection_id(0),
    0x1A: frames.path_challenge(b"12345678"),
    0x1B: frames.path_response(b"12345678"),
    0x1D: frames.application_close(0),
    0x1E: frames.HANDSHAKE_DONE,
    0x31: frames.datagram(b"data"),
}
#: And of the frames that may come anywhere, with fields that can be cut short.
ANYWHERE_FRAMES: dict[int, bytes] = {
    0x02: frames.ack(0),
    0x03: frames.ack_ecn(0, 0, 1, 1, 1),
    0x06: frames.crypto(0, b"data"),
    0x1C: frames.connection_close(0, 0, b"reason"),
}
_SECTIONS = {
    0x02: "19.3", 0x03: "19.3", 0x04: "19.4", 0x05: "19.5", 0x06: "19.6", 0x07: "19.7",
    0x08: "19.8", 0x0F: "19.8", 0x10: "19.9", 0x11: "19.10", 0x12: "19.11", 0x13: "19.11",
    0x14: "19.12", 0x15: "19.13", 0x16: "19.14", 0x17: "19.14", 0x18: "19.15", 0x19: "19.16",
    0x1A: "19.17", 0x1B: "19.18", 0x1C: "19.19", 0x1D: "19.19", 0x1E: "19.20", 0x31: "19.21",
}  # fmt: skip


def _slug(frame_type: int) -> str:
    name = frame_name(frame_type).lower().replace("_", "-")
    return f"{name}-{frame_type:#04x}"


def wrong_packets() -> list[Check]:
    """12.4: each frame in packets that may not carry it."""
    found: list[Check] = []
    for level in (INITIAL, HANDSHAKE):
        where = LEVEL_NAMES[level]
        for frame_type, frame in ONE_RTT_FRAMES.items():
            # 17.2.2 would let Initial packets with other frames be discarded, too.
            found += checks(
                f"{_slug(frame_type)}-in-{where}",
                "RFC 9000 17.2.4" if level == HANDSHAKE else "RFC 9000 12.4",
                f"{frame_name(frame_type)} in a packet of the {where} level",
                sends(frame, level),
                Closes(_VIOLATION, frame_type),
                h3spec=14 if (level, frame_type) == (HANDSHAKE, 0x1A) else None,
            )
    return found


def empty_packets() -> list[Check]:
    """12.4: a packet has at least one frame."""
    found: list[Check] = []
    for level in _LEVELS:
        found += checks(
            f"no-frames-in-{LEVEL_NAMES[level]}",
            "RFC 9000 12.4",
            "a packet without any frame",
            _empty(level),
            Closes(_VIOLATION),
            h3spec=12 if level == ONE_RTT else None,
        )
    return found


def _empty(level: int) -> Story:
    def story(scene: Scene) -> None:
        scene.reach(level)
        packet = scene.peer.packet(b"", level)
        # Filled up outside of the packet, which has to stay empty.
        scene.peer.send_datagram(packet.ljust(1200, b"\x00") if level == INITIAL else packet)

    return story


def frame_types() -> list[Check]:
    """12.4: unknown types, and types that take more bytes than they need."""
    found: list[Check] = []
    for frame_type in (0x1F, 0x20, 0x21, 0x2F, 0x32, 0x3F, 0x40, 0x15228C00, LARGEST):
        found += checks(
            f"unknown-frame-type-{frame_type:#x}",
            "RFC 9000 12.4",
            "a frame of a type that nobody has agreed on",
            sends(frames.unknown(frame_type)),
            Closes(_ENCODING, frame_type),
            h3spec=11 if frame_type == 0x20 else None,
        )
    for level in (INITIAL, HANDSHAKE):
        found += checks(
            f"unknown-frame-type-in-{LEVEL_NAMES[level]}",
            "RFC 9000 12.4",
            "a frame of a type that nobody has agreed on, before the handshake is complete",
            sends(frames.unknown(0x21), level),
            Closes(_ENCODING, 0x21),
        )
    for frame_type, size in ((0x00, 2), (0x01, 2), (0x01, 8), (0x08, 4), (0x1E, 2)):
        found += checks(
            f"frame-type-{frame_type:#04x}-in-{size}-bytes",
            "RFC 9000 12.4",
            "a frame type that is longer than it has to be",
            sends(varint(frame_type, size) + bytes(8)),
            Closes(_VIOLATION),
        )
    return found


def truncated_frames() -> list[Check]:
    """20.1: every frame, cut off after its type and one byte before its end."""
    found: list[Check] = []
    for frame_type, frame in {**ONE_RTT_FRAMES, **ANYWHERE_FRAMES}.items():
        for kept, how in ((1, "after-its-type"), (len(frame) - 1, "before-its-end")):
            # The data of these reach to the end of the packet, so that nothing is missing.
            if kept == len(frame) or kept == 0 or (frame_type == 0x08 and kept > 1):
                continue
            if how == "before-its-end" and kept == 1:
                continue
            found += checks(
                f"{_slug(frame_type)}-cut-off-{how}",
                f"RFC 9000 {_SECTIONS[frame_type]}",
                f"{frame_name(frame_type)} that is longer than its packet",
                _cut_short(frame[:kept]),
                Closes(_ENCODING, frame_type),
            )
    return found


def _cut_short(remains: bytes) -> Story:
    def story(scene: Scene) -> None:
        scene.connect()
        # PING in front: no padding may follow that could pass for the missing bytes.
        scene.bend(frames.PING * 4 + remains)

    return story


def acknowledgments() -> list[Check]:
    """13.1, 19.3.1: ACKs of what was never sent, and of what cannot be."""
    found: list[Check] = []
    for level in _LEVELS:
        found += checks(
            f"ack-of-a-packet-never-sent-in-{LEVEL_NAMES[level]}",
            "RFC 9000 13.1",
            "an ACK of a packet that is still to come",
            sends(frames.ack(1000), level),
            Closes(_VIOLATION, 0x02),
        )
    found += checks(
        "ack-of-the-largest-packet-number",
        "RFC 9000 13.1",
        "an ACK of packet 2^62 - 1 and all before it",
        sends(frames.ack(LARGEST, LARGEST)),
        Closes(_VIOLATION, 0x02),
    )
    for name, frame in (
        ("first-range", frames.ack(0, 1)),
        ("gap", frames.ack(1, 0, 0, 0)),
        ("range", frames.ack(2, 0, 0, 1)),
        ("huge-gap", frames.ack(2, 0, LARGEST, 0)),
        ("huge-range", frames.ack(0, LARGEST)),
    ):
        found += checks(
            f"ack-below-zero-by-its-{name}",
            "RFC 9000 19.3.1",
            "an ACK whose ranges reach below packet 0",
            sends(frame),
            Closes(_ENCODING, 0x02),
        )
    for name, frame in (
        ("ack-with-the-largest-delay", frames.ack(0, delay=LARGEST)),
        ("ack-repeated", frames.ack(0) * 50),
        ("ack-with-marks-that-were-never-made", frames.ack_ecn(0, 0, LARGEST, LARGEST, LARGEST)),
    ):
        found += checks(
            name,
            "RFC 9000 13.4.2" if "marks" in name else "RFC 9000 19.3",
            "an ACK whose contents are absurd, but not forbidden",
            sends(frame + frames.PING),
            Survives(processed=True),
        )
    found += checks(
        "ack-with-more-ranges-than-bytes",
        "RFC 9000 20.1",
        "an ACK that promises more ranges than its packet could hold",
        sends(varint(0x02) + varint(0) + varint(0) + varint(LARGEST) + varint(0)),
        Closes(_ENCODING, 0x02),
    )
    return found


def wrong_side() -> list[Check]:
    """19.7, 19.20: frames that only servers send, and NEW_TOKEN without a token."""
    return [
        *checks(
            "new-token-from-a-client",
            "RFC 9000 19.7",
            "NEW_TOKEN from a client",
            sends(frames.new_token(b"token")),
            Closes(_VIOLATION, 0x07),
            victims=(SERVER,),
            h3spec=18,
        ),
        *checks(
            "handshake-done-from-a-client",
            "RFC 9000 19.20",
            "HANDSHAKE_DONE from a client",
            sends(frames.HANDSHAKE_DONE),
            Closes(_VIOLATION, 0x1E),
            victims=(SERVER,),
            h3spec=27,
        ),
        *checks(
            "empty-new-token",
            "RFC 9000 19.7",
            "NEW_TOKEN without a token",
            sends(frames.new_token(b"")),
            Closes(_ENCODING, 0x07),
            victims=(CLIENT,),
        ),
        *checks(
            "new-token-and-handshake-done-again",
            "RFC 9000 12.4",
            "the same NEW_TOKEN and HANDSHAKE_DONE once more: frames are idempotent",
            sends(frames.new_token(b"token") * 2 + frames.HANDSHAKE_DONE * 2),
            Survives(processed=True),
            victims=(CLIENT,),
        ),
    ]


def crypto_offsets() -> list[Check]:
    """19.6: CRYPTO data behind the largest offset."""
    found: list[Check] = []
    for level in _LEVELS:
        found += checks(
            f"crypto-beyond-2-62-in-{LEVEL_NAMES[level]}",
            "RFC 9000 19.6",
            "a CRYPTO frame that ends behind the largest offset",
            sends(frames.crypto(LARGEST, b"xx"), level),
            Closes((FRAME_ENCODING_ERROR, CRYPTO_BUFFER_EXCEEDED), 0x06),
        )
    return found


def datagram_frames() -> list[Check]:
    """RFC 9221 3: DATAGRAM frames beyond what was announced."""

    def refuses(limit: int, size: int) -> Story:
        def story(scene: Scene) -> None:
            scene.configure_victim(max_datagram_frame_size=limit)
            scene.connect()
            scene.bend(frames.datagram(bytes(size)))

        return story

    return [
        *checks(
            "datagram-to-a-victim-that-takes-none",
            "RFC 9221 3",
            "DATAGRAM though max_datagram_frame_size is 0",
            refuses(0, 1),
            Closes(_VIOLATION, 0x31),
            victims=BOTH,
        ),
        *checks(
            "datagram-larger-than-announced",
            "RFC 9221 3",
            "DATAGRAM above max_datagram_frame_size",
            refuses(100, 100),
            Closes(_VIOLATION, 0x31),
        ),
    ]


CHECKS: tuple[Check, ...] = (
    *wrong_packets(),
    *empty_packets(),
    *frame_types(),
    *truncated_frames(),
    *acknowledgments(),
    *wrong_side(),
    *crypto_offsets(),
    *datagram_frames(),
)
