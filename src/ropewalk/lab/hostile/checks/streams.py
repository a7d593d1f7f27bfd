"""Streams, flow control and their limits (RFC 9000 2 to 4, 19.4 to 19.14)."""

from __future__ import annotations

from ropewalk.lab.hostile import frames
from ropewalk.lab.hostile.check import Check, Payload, Story, checks, sends
from ropewalk.lab.hostile.frames import LARGEST
from ropewalk.lab.hostile.outcome import Closes, Holds, Outcome, Survives, require
from ropewalk.lab.hostile.scene import Scene
from ropewalk.quic.types.error_codes import (
    FINAL_SIZE_ERROR,
    FLOW_CONTROL_ERROR,
    FRAME_ENCODING_ERROR,
    STREAM_LIMIT_ERROR,
    STREAM_STATE_ERROR,
)
from ropewalk.quic.wire.frames import ResetStreamFrame

#: First windows and stream limits of a victim's default configuration.
STREAM_WINDOW = 512 * 1024
CONNECTION_WINDOW = 1024 * 1024
STREAMS = 128
_TOO_MANY = (1 << 60) + 1

_FLOW = (FLOW_CONTROL_ERROR,)
_STATE = (STREAM_STATE_ERROR,)
_LIMIT = (STREAM_LIMIT_ERROR,)
_SIZE = (FINAL_SIZE_ERROR,)
_ENCODING = (FRAME_ENCODING_ERROR,)


def flow_control() -> list[Check]:
    """4.1, 19.9, 19.10: limits on data, and frames that do not raise them."""
    last = STREAM_WINDOW - 1
    return [
        *checks(
            "stream-data-beyond-the-stream-window",
            "RFC 9000 4.1",
            "STREAM data right behind the stream's flow-control limit",
            sends(lambda s: frames.stream(s.peer_bidi(), b"x", STREAM_WINDOW)),
            Closes(_FLOW, 0x0E),
            h3spec=1,
        ),
        *checks(
            "stream-data-beyond-the-connection-window",
            "RFC 9000 19.9",
            "three streams, each within its own limit, together beyond that of the connection",
            sends(lambda s: b"".join(frames.stream(s.peer_uni(i), b"x", last) for i in range(3))),
            Closes(_FLOW, 0x0E),
        ),
        *checks(
            "final-sizes-beyond-the-connection-window",
            "RFC 9000 4.5",
            "RESET_STREAM frames whose final sizes exceed the connection's limit together",
            sends(
                lambda s: b"".join(
                    frames.reset_stream(s.peer_uni(i), 0, STREAM_WINDOW) for i in range(3)
                )
            ),
            Closes(_FLOW, 0x04),
        ),
        *checks(
            "final-size-beyond-the-stream-window",
            "RFC 9000 4.1",
            "RESET_STREAM with a final size behind the stream's limit",
            sends(lambda s: frames.reset_stream(s.peer_bidi(), 0, STREAM_WINDOW + 1)),
            Closes(_FLOW, 0x04),
        ),
        *checks(
            "stream-end-beyond-the-stream-window",
            "RFC 9000 4.5",
            "an empty STREAM frame with FIN behind the stream's limit",
            sends(lambda s: frames.stream(s.peer_uni(), b"", STREAM_WINDOW + 1, fin=True)),
            Closes(_FLOW, 0x0F),
        ),
        *checks(
            "stream-data-up-to-the-window",
            "RFC 9000 4.1",
            "the last byte that the stream's limit allows",
            sends(lambda s: frames.stream(s.peer_bidi(), b"x", last)),
            Survives(processed=True),
        ),
        *checks(
            "max-data-that-lowers-the-limit",
            "RFC 9000 4.1",
            "MAX_DATA and MAX_STREAM_DATA below the limits given before",
            _lowers_limits,
            Survives(processed=True),
        ),
    ]


def _lowers_limits(scene: Scene) -> None:
    scene.connect()
    streams = scene.the_victim().state.streams
    stream_id = streams.open(True)
    assert stream_id is not None
    before = int(streams.credit_left())
    scene.bend(frames.max_data(1) + frames.max_stream_data(stream_id, 1))
    scene.run(0.05)
    require(int(streams.credit_left()) == before, "MAX_DATA lowered the limit")
    scene.act(lambda: (scene.the_victim().write(stream_id, bytes(4000)), None)[1])
    scene.run(0.2)
    sent = before - int(streams.credit_left())
    require(sent == 4000, f"{sent} bytes went out after MAX_STREAM_DATA 1")


_ONE = b"five!"


def final_sizes() -> list[Check]:
    """4.5: the size of a stream does not change once it is known."""

    def row(name: str, about: str, first: Payload, second: Payload, frame_type: int) -> list[Check]:
        return checks(
            name, "RFC 9000 4.5", about, _in_turn(first, second), Closes(_SIZE, frame_type)
        )

    return [
        *row(
            "data-behind-the-final-size",
            "STREAM data behind the end of the stream",
            lambda s: frames.stream(s.peer_uni(), _ONE, fin=True),
            lambda s: frames.stream(s.peer_uni(), b"x", 5),
            0x0E,
        ),
        *row(
            "second-end-further-on",
            "a second FIN at a larger offset",
            lambda s: frames.stream(s.peer_uni(), _ONE, 10, fin=True),
            lambda s: frames.stream(s.peer_uni(), b"", 16, fin=True),
            0x0F,
        ),
        *row(
            "second-end-further-back",
            "a second FIN at a smaller offset",
            lambda s: frames.stream(s.peer_uni(), _ONE, 10, fin=True),
            lambda s: frames.stream(s.peer_uni(), b"x", 10, fin=True),
            0x0F,
        ),
        *row(
            "end-before-received-data",
            "a FIN in front of data that arrived already",
            lambda s: frames.stream(s.peer_uni(), _ONE, 10),
            lambda s: frames.stream(s.peer_uni(), b"x", 3, fin=True),
            0x0F,
        ),
        *row(
            "reset-before-received-data",
            "RESET_STREAM with a final size below what arrived already",
            lambda s: frames.stream(s.peer_uni(), _ONE, 10),
            lambda s: frames.reset_stream(s.peer_uni(), 0, 14),
            0x04,
        ),
        *row(
            "reset-with-another-final-size",
            "RESET_STREAM with another final size than the FIN told",
            lambda s: frames.stream(s.peer_uni(), _ONE, 10, fin=True),
            lambda s: frames.reset_stream(s.peer_uni(), 0, 16),
            0x04,
        ),
        *row(
            "second-reset-with-another-final-size",
            "a second RESET_STREAM with another final size",
            lambda s: frames.stop_sending(s.peer_bidi()) + frames.reset_stream(s.peer_bidi(), 0, 9),
            lambda s: frames.reset_stream(s.peer_bidi(), 0, 10),
            0x04,
        ),
        *row(
            "data-behind-the-final-size-of-a-reset",
            "STREAM data behind the final size that RESET_STREAM told",
            lambda s: frames.reset_stream(s.peer_bidi(), 0, 9),
            lambda s: frames.stream(s.peer_bidi(), b"x", 9),
            0x0E,
        ),
    ]


def _in_turn(first: Payload, second: Payload) -> Story:
    def story(scene: Scene) -> None:
        # A stream that was read to its end is forgotten, and its final size with it.
        scene.victim_application.reading = False
        scene.connect()
        for payload in (first, second):
            scene.bend(payload if isinstance(payload, bytes) else payload(scene.ids))
            scene.run(0.015)

    return story


def limits() -> list[Check]:
    """4.6, 19.11, 19.14: how many streams there may be."""
    beyond: list[tuple[str, Payload, int]] = [
        ("stream", lambda s: frames.stream(s.peer_bidi(STREAMS), b"x"), 0x0A),
        ("stream-uni", lambda s: frames.stream(s.peer_uni(STREAMS), b"x"), 0x0A),
        ("reset-stream", lambda s: frames.reset_stream(s.peer_bidi(STREAMS)), 0x04),
        ("stop-sending", lambda s: frames.stop_sending(s.peer_bidi(STREAMS)), 0x05),
        ("max-stream-data", lambda s: frames.max_stream_data(s.peer_bidi(STREAMS), 9), 0x11),
        (
            "stream-data-blocked",
            lambda s: frames.stream_data_blocked(s.peer_uni(STREAMS), 9),
            0x15,
        ),
        ("largest-stream", lambda s: frames.stream((LARGEST & ~3) + s.peer_bidi()), 0x0A),
    ]
    found: list[Check] = []
    for name, payload, frame_type in beyond:
        found += checks(
            f"{name}-beyond-the-stream-limit",
            "RFC 9000 4.6",
            f"a {name.upper().replace('-', '_')} frame for a stream beyond the advertised limit",
            sends(payload),
            Closes(_LIMIT, frame_type),
            h3spec=2 if name == "stream" else None,
        )
    for bidirectional, kind in ((True, "bidi"), (False, "uni")):
        found += checks(
            f"max-streams-{kind}-above-2-60",
            "RFC 9000 19.11",
            "MAX_STREAMS that would allow stream IDs which no varint can hold",
            sends(frames.max_streams(_TOO_MANY, bidirectional)),
            Closes(_ENCODING, 0x12 if bidirectional else 0x13),
            h3spec=23 if bidirectional else None,
        )
        found += checks(
            f"streams-blocked-{kind}-above-2-60",
            "RFC 9000 19.14",
            "STREAMS_BLOCKED at a limit that cannot be",
            sends(frames.streams_blocked(_TOO_MANY, bidirectional)),
            Closes((FRAME_ENCODING_ERROR, STREAM_LIMIT_ERROR), 0x16 if bidirectional else 0x17),
            h3spec=24 if bidirectional else None,
        )
    found += checks(
        "last-stream-within-the-limit",
        "RFC 9000 4.6",
        "the last stream that the limit allows",
        sends(lambda s: frames.stream(s.peer_bidi(STREAMS - 1), b"x")),
        Survives(processed=True),
    )
    found += checks(
        "max-streams-that-lowers-the-limit",
        "RFC 9000 4.6",
        "MAX_STREAMS below the limit given before",
        _lowers_stream_limit,
        Survives(processed=True),
    )
    return found


def _lowers_stream_limit(scene: Scene) -> None:
    scene.connect()
    scene.bend(frames.max_streams(0) + frames.max_streams(0, bidirectional=False))
    scene.run(0.05)
    for bidirectional in (True, False):
        opened = scene.the_victim().open_stream(bidirectional)
        require(opened is not None, "MAX_STREAMS lowered the limit")


def states() -> list[Check]:
    """2.1, 3, 19.4 to 19.13: frames for streams that are not there, or not for that."""
    wrong: list[tuple[str, str, str, Payload, int, int | None]] = [
        (
            "stream-on-a-stream-not-yet-opened",
            "19.8",
            "STREAM on a stream that only the victim may open",
            lambda s: frames.stream(s.victim_bidi(), b"x"),
            0x0A,
            19,
        ),
        (
            "stream-on-a-send-only-stream",
            "19.8",
            "STREAM on the victim's unidirectional stream",
            lambda s: frames.stream(s.victim_uni(), b"x"),
            0x0A,
            20,
        ),
        (
            "reset-stream-of-a-send-only-stream",
            "19.4",
            "RESET_STREAM of the victim's unidirectional stream",
            lambda s: frames.reset_stream(s.victim_uni()),
            0x04,
            16,
        ),
        (
            "reset-stream-of-a-stream-not-yet-opened",
            "20.1",
            "RESET_STREAM of a stream that only the victim may open",
            lambda s: frames.reset_stream(s.victim_bidi()),
            0x04,
            None,
        ),
        (
            "stop-sending-of-a-stream-not-yet-opened",
            "19.5",
            "STOP_SENDING of a stream that only the victim may open",
            lambda s: frames.stop_sending(s.victim_bidi()),
            0x05,
            17,
        ),
        (
            "stop-sending-of-a-send-only-stream-not-yet-opened",
            "19.5",
            "STOP_SENDING of a unidirectional stream that the victim has not opened",
            lambda s: frames.stop_sending(s.victim_uni()),
            0x05,
            None,
        ),
        (
            "stop-sending-of-a-receive-only-stream",
            "19.5",
            "STOP_SENDING of the peer's own unidirectional stream",
            lambda s: frames.stop_sending(s.peer_uni()),
            0x05,
            None,
        ),
        (
            "max-stream-data-of-a-stream-not-yet-opened",
            "19.10",
            "MAX_STREAM_DATA for a stream that only the victim may open",
            lambda s: frames.max_stream_data(s.victim_bidi(), 9),
            0x11,
            21,
        ),
        (
            "max-stream-data-of-a-receive-only-stream",
            "19.10",
            "MAX_STREAM_DATA for the peer's own unidirectional stream",
            lambda s: frames.max_stream_data(s.peer_uni(), 9),
            0x11,
            22,
        ),
        (
            "stream-data-blocked-of-a-send-only-stream",
            "19.13",
            "STREAM_DATA_BLOCKED for the victim's unidirectional stream",
            lambda s: frames.stream_data_blocked(s.victim_uni(), 9),
            0x15,
            None,
        ),
        (
            "stream-data-blocked-of-a-stream-not-yet-opened",
            "20.1",
            "STREAM_DATA_BLOCKED for a stream that only the victim may open",
            lambda s: frames.stream_data_blocked(s.victim_bidi(), 9),
            0x15,
            None,
        ),
    ]
    found: list[Check] = []
    for name, section, about, payload, frame_type, number in wrong:
        found += checks(
            name,
            f"RFC 9000 {section}",
            about,
            sends(payload),
            Closes(_STATE, frame_type),
            h3spec=number,
        )
    found += checks(
        "stream-data-beyond-2-62",
        "RFC 9000 19.8",
        "a STREAM frame that ends behind the largest offset",
        sends(lambda s: frames.stream(s.peer_bidi(), b"xx", LARGEST)),
        Closes((FRAME_ENCODING_ERROR, FLOW_CONTROL_ERROR), 0x0E),
    )
    return found


def answers() -> list[Check]:
    """2.2, 3.2, 3.5: what has to happen instead of a close."""

    def row(name: str, section: str, about: str, story: Story, outcome: Outcome) -> list[Check]:
        return checks(name, f"RFC 9000 {section}", about, story, outcome)

    return [
        *row(
            "stop-sending-is-answered-with-reset-stream",
            "3.5",
            "STOP_SENDING for a stream that the victim writes to",
            _stops_the_victim,
            Holds("answers with RESET_STREAM and the same code"),
        ),
        *row(
            "streams-below-a-new-one-exist",
            "3.2",
            "the third stream before the first two",
            _opens_the_third_stream,
            Holds("opens those below as well"),
        ),
        *row(
            "stream-data-twice-and-out-of-order",
            "2.2",
            "STREAM data in pieces, the last one first, one of them twice, two overlapping",
            _sends_pieces,
            Holds("delivers the bytes once and in order"),
        ),
    ]


def _stops_the_victim(scene: Scene) -> None:
    scene.connect()
    victim = scene.the_victim()
    stream_id = victim.open_stream()
    assert stream_id is not None
    scene.act(lambda: (victim.write(stream_id, b"hello"), None)[1])
    scene.run(0.05)
    scene.bend(frames.stop_sending(stream_id, 77))
    scene.run(0.05)
    resets = scene.peer.inbox.frames(ResetStreamFrame)
    require(resets == [ResetStreamFrame(stream_id, 77, 5)], f"RESET_STREAM frames: {resets}")


def _opens_the_third_stream(scene: Scene) -> None:
    scene.connect()
    before = scene.the_victim().state.streams.opened()
    scene.bend(frames.stream(scene.ids.peer_bidi(2), b"x"))
    scene.run(0.05)
    opened = scene.the_victim().state.streams.opened() - before
    require(opened == 3, f"{opened} streams were opened")


def _sends_pieces(scene: Scene) -> None:
    scene.connect()
    stream_id = scene.ids.peer_uni()
    words = b"the quick brown fox"
    for start, stop in ((16, 19), (4, 9), (4, 9), (2, 12), (9, 16), (0, 4)):
        scene.bend(frames.stream(stream_id, words[start:stop], start))
    scene.run(0.05)
    got = scene.victim_application.received.get((scene.the_victim(), stream_id))
    require(got == words, f"the application read {got!r}")


CHECKS: tuple[Check, ...] = (
    *flow_control(),
    *final_sizes(),
    *limits(),
    *states(),
    *answers(),
)
