"""Attacks on memory, time and bandwidth: everything a peer can make grow has a bound
(RFC 9000 21, and the limits of sections 4, 5, 7.5, 8 and 13)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ropewalk.lab.hostile import frames
from ropewalk.lab.hostile.check import BOTH, Check, Story, checks
from ropewalk.lab.hostile.checks.connection_ids import LIMIT
from ropewalk.lab.hostile.checks.streams import STREAMS
from ropewalk.lab.hostile.frames import LARGEST
from ropewalk.lab.hostile.outcome import Closes, Ends, Holds, Outcome, Survives, require
from ropewalk.lab.hostile.scene import Scene
from ropewalk.quic.types.error_codes import (
    CRYPTO_BUFFER_EXCEEDED,
    FLOW_CONTROL_ERROR,
    INTERNAL_ERROR,
    PROTOCOL_VIOLATION,
)
from ropewalk.quic.types.errors import IdleTimeout
from ropewalk.quic.wire.frames import MaxStreamsFrame, NewConnectionIdFrame, PathResponseFrame

#: Ranges of received packets that are remembered, with the newest.
_RANGES: Final = 65


def row(
    name: str,
    section: str,
    about: str,
    story: Story,
    outcome: Outcome,
    victims: tuple[str, ...] = BOTH,
) -> list[Check]:
    """A check of RFC 9000 for each victim."""
    return checks(name, f"RFC 9000 {section}", about, story, outcome, victims=victims)


def at_most(bound: int, value: int, what: str) -> None:
    """Require a bound. ``what`` follows the value in the words of the failure."""
    require(value <= bound, f"{value} {what}, more than {bound}")


def keep_bystander_alive(scene: Scene) -> None:
    """Have the bystander talk, before its own idle timeout."""
    require(scene.bystander_is_unharmed(), "another connection of the endpoint was harmed")


def _repeats(times: int, payload: Callable[[Scene, int], bytes], *, per_step: int = 50) -> Story:
    """The story of a frozen double, whose place many packets take."""

    def story(scene: Scene) -> None:
        scene.connect()
        scene.peer.freeze()
        for index in range(times):
            scene.peer.send(payload(scene, index))
            if index % per_step == per_step - 1:
                scene.run(0.001)
        scene.run(0.1)

    return story


def packets_and_acks() -> list[Check]:
    """13: what PING, gaps and missing ACKs cost."""
    return [
        *row(
            "ping-flood",
            "21.9",
            "two thousand PINGs at once, and no ACK of the ACKs",
            _pings,
            Survives(),
        ),
        *row(
            "ping-flood-of-single-packets",
            "13.2.1",
            "three hundred PINGs, each alone",
            _pings_one_by_one,
            Survives(),
        ),
        *row(
            "every-other-packet",
            "13.2.3",
            "five hundred packets with a gap before each of them",
            _leaves_gaps,
            Survives(),
        ),
        *row(
            "nothing-is-acknowledged",
            "21.9",
            "a peer that never acknowledges a transfer",
            _acknowledges_nothing,
            Ends(IdleTimeout),
        ),
        *row(
            "packets-without-keys",
            "5.2",
            "two hundred 1-RTT packets before the handshake is complete",
            _sends_too_early,
            Holds("keeps at most sixteen of them"),
        ),
        *row(
            "acks-of-acks",
            "13.2.1",
            "a thousand packets with nothing but an ACK",
            _acks_only,
            Holds("answers none of them"),
        ),
    ]


def _pings(scene: Scene) -> None:
    _repeats(2000, lambda _scene, _index: frames.PING)(scene)
    space = scene.the_victim().state.path.space
    at_most(_RANGES, int(space.received.reported_ranges()), "ranges are reported")
    came = len(scene.peer.inbox.datagrams)
    at_most(200, came, "datagrams answered 2,000 PINGs")
    at_most(256, len(space.ledger.slots), "slots for packets that were sent")


def _pings_one_by_one(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    before = len(scene.peer.inbox.datagrams)
    for _ in range(300):
        scene.peer.send(frames.PING)
        scene.run(0.005)
    scene.run(0.1)
    # 13.2.1: not more than one ACK for each of them; probes come in besides.
    at_most(330, len(scene.peer.inbox.datagrams) - before, "datagrams answered 300 PINGs")


def _leaves_gaps(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    for _ in range(500):
        scene.peer.next_number()
        scene.peer.send(frames.PING)
        scene.run(0.0005)
    scene.run(0.1)
    received = scene.the_victim().state.path.space.received
    at_most(_RANGES, int(received.reported_ranges()), "ranges are reported")
    largest = max(len(one) for one in scene.peer.inbox.datagrams)
    at_most(1200, largest, "bytes in a datagram")


def _acknowledges_nothing(scene: Scene) -> None:
    scene.connect()
    victim = scene.the_victim()
    stream_id = victim.open_stream()
    assert stream_id is not None
    scene.peer.freeze()
    before = sum(len(one) for one in scene.peer.inbox.datagrams)
    scene.act(lambda: (victim.write(stream_id, bytes(1_000_000)), None)[1])
    for _ in range(8):
        scene.run(9.0)
        keep_bystander_alive(scene)
    came = sum(len(one) for one in scene.peer.inbox.datagrams) - before
    at_most(100_000, came, "bytes were sent though nothing is acknowledged")


def _sends_too_early(scene: Scene) -> None:
    scene.reach_handshake_keys()
    scene.run(0.1)
    for _ in range(200):
        scene.peer.send(bytes(1100))
    scene.run(0.1)
    victim = scene.the_victim()
    at_most(16, len(victim.state.undecryptable), "packets are kept")
    require(victim.active, f"the victim ended: {victim.close_error}")


def _acks_only(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    scene.run(0.1)
    before = len(scene.peer.inbox.datagrams)
    for _ in range(1000):
        scene.peer.send(frames.ack(0))
    scene.run(0.5)
    came = len(scene.peer.inbox.datagrams) - before
    require(came == 0, f"{came} datagrams answered packets that elicit no ACK")


def control_frames() -> list[Check]:
    """5.1, 8.2, 19: frames that ask for an answer."""
    return [
        *row(
            "path-challenge-flood",
            "21.9",
            "a thousand PATH_CHALLENGE frames",
            _challenges,
            Survives(),
        ),
        *row(
            "new-connection-id-flood",
            "19.15",
            "the same connection IDs two thousand times",
            _repeats(
                400,
                lambda _scene, _index: b"".join(
                    frames.new_connection_id(n, bytes([n]) * 8) for n in range(1, 6)
                ),
            ),
            Survives(),
        ),
        *row(
            "retire-connection-id-flood",
            "19.16",
            "every connection ID is retired as soon as it comes",
            _retires_everything,
            Survives(),
        ),
        *row(
            "streams-blocked-flood",
            "19.14",
            "two thousand STREAMS_BLOCKED, DATA_BLOCKED and STREAM_DATA_BLOCKED frames",
            _says_blocked,
            Survives(),
        ),
        *row(
            "largest-limits",
            "19.9",
            "MAX_DATA, MAX_STREAM_DATA and MAX_STREAMS with the largest values there are",
            _gives_everything,
            Survives(processed=True),
        ),
        *row(
            "datagram-flood",
            "21.9",
            "three thousand DATAGRAM frames that nobody reads",
            _sends_datagrams,
            Survives(),
        ),
        *row(
            "crypto-fragments",
            "7.5",
            "CRYPTO data in pieces of one byte with a gap before each of them",
            _repeats(6000, lambda _scene, index: frames.crypto(2 * index + 1, b"x")),
            Closes((CRYPTO_BUFFER_EXCEEDED,), 0x06),
        ),
    ]


def _challenges(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    before = sum(len(one) for one in scene.peer.inbox.datagrams)
    for index in range(1000):
        scene.peer.send(frames.path_challenge(index.to_bytes(8, "big")))
    scene.run(0.1)
    path = scene.the_victim().state.path
    answered = len(scene.peer.inbox.frames(PathResponseFrame))
    require(answered >= 16, f"only {answered} challenges were answered")
    require(answered + path.responses_refused == 1000, "some challenges got lost")
    at_most(64, answered, "of 1,000 challenges that came at once were answered")
    came = sum(len(one) for one in scene.peer.inbox.datagrams) - before
    at_most(40_000, came, "bytes answered 1,000 challenges")


def _retires_everything(scene: Scene) -> None:
    scene.connect()
    seen = 0
    for _ in range(60):
        issued = scene.peer.inbox.frames(NewConnectionIdFrame)
        for frame in issued[seen:]:
            assert isinstance(frame, NewConnectionIdFrame)
            scene.peer.send(frames.retire_connection_id(frame.sequence_number))
        seen = len(issued)
        scene.run(0.03)
    own = scene.the_victim().state.path.own_ids
    require(seen > 100, f"only {seen} connection IDs were issued")
    at_most(LIMIT, len(own.active), "connection IDs are active")
    at_most(LIMIT, len(own.announcements), "announcements wait")


def _says_blocked(scene: Scene) -> None:
    def payload(scene: Scene, index: int) -> bytes:
        return (
            frames.streams_blocked(index)
            + frames.data_blocked(index)
            + frames.stream_data_blocked(scene.ids.peer_bidi(), index)
        )

    _repeats(700, payload)(scene)
    came = len(scene.peer.inbox.datagrams)
    at_most(100, came, "datagrams answered 2,100 frames")


def _gives_everything(scene: Scene) -> None:
    scene.connect()
    victim = scene.the_victim()
    stream_id = victim.open_stream()
    assert stream_id is not None
    scene.bend(
        frames.max_data(LARGEST)
        + frames.max_stream_data(stream_id, LARGEST)
        + frames.max_streams(1 << 60)
        + frames.max_streams(1 << 60, bidirectional=False)
    )
    scene.run(0.05)
    scene.act(lambda: (victim.write(stream_id, bytes(100_000)), None)[1])
    scene.run(1.0)
    window = victim.state.path.active.recovery.controller.congestion_window
    at_most(10_000_000, int(window), "bytes of congestion window")


def _sends_datagrams(scene: Scene) -> None:
    _repeats(100, lambda _scene, _index: frames.datagram(b"x" * 30) * 30)(scene)
    waiting = scene.the_victim().receive_datagrams(10_000)
    at_most(1024, len(waiting), "datagrams wait to be read")


def streams() -> list[Check]:
    """2 to 4: what streams cost."""
    return [
        *row(
            "stream-fragments",
            "21.6",
            "eight thousand pieces of one byte, with a gap before each of them",
            _fragments,
            # No code of the RFC is meant for this; the windows do not see the pieces.
            Closes((INTERNAL_ERROR, FLOW_CONTROL_ERROR, PROTOCOL_VIOLATION)),
        ),
        *row(
            "empty-stream-frames",
            "21.9",
            "five thousand STREAM frames without data",
            _repeats(
                100,
                lambda scene, _index: frames.stream(scene.ids.peer_bidi()) * 50,
            ),
            Survives(),
        ),
        *row(
            "all-streams-at-once",
            "4.6",
            "every stream that the limit allows, a byte on each, none ever finished",
            _opens_all_streams,
            Survives(),
        ),
        *row(
            "rapid-reset",
            "4.6",
            "streams that are opened and reset at once, as fast as the limit allows",
            _resets_rapidly,
            Survives(),
        ),
        *row(
            "rapid-stop",
            "3.5",
            "streams that are opened, reset and refused at once, as fast as the limit allows",
            _stops_rapidly,
            Survives(),
        ),
        *row(
            "unread-streams",
            "4.1",
            "as much data as the windows allow, to an application that does not read",
            _fills_windows,
            Survives(),
        ),
    ]


def _fragments(scene: Scene) -> None:
    scene.victim_application.reading = False
    stream_id = scene.ids.peer_uni()
    _repeats(
        160,
        lambda _scene, index: b"".join(
            frames.stream(stream_id, b"x", 2 * (50 * index + piece) + 1) for piece in range(50)
        ),
    )(scene)


def _opens_all_streams(scene: Scene) -> None:
    _repeats(
        STREAMS // 16,
        lambda scene, index: b"".join(
            frames.stream(scene.ids.peer_bidi(16 * index + n), b"x") for n in range(16)
        ),
    )(scene)
    # One more belongs to nobody: the bystander is on another connection.
    at_most(STREAMS, scene.the_victim().state.streams.live(), "streams are alive")


def _allowed(scene: Scene, bidirectional: bool) -> int:
    """How many streams of a kind the peer may have opened so far."""
    limits = [
        frame.maximum
        for frame in scene.peer.inbox.frames(MaxStreamsFrame)
        if isinstance(frame, MaxStreamsFrame) and frame.bidirectional == bidirectional
    ]
    return max([STREAMS, *limits])


def _churns(scene: Scene, bidirectional: bool, make: Callable[[int], bytes]) -> None:
    scene.connect()
    scene.peer.freeze()
    done = 0
    ids = scene.ids.peer_bidi if bidirectional else scene.ids.peer_uni
    streams = scene.the_victim().state.streams
    for _ in range(40):
        allowed = _allowed(scene, bidirectional)
        for first in range(done, allowed, 32):
            batch = range(first, min(first + 32, allowed))
            scene.peer.send(b"".join(make(ids(n)) for n in batch))
        done = allowed
        scene.run(0.03)
        scene.peer.acknowledge()
        at_most(STREAMS, streams.live(), "streams are alive")
        at_most(STREAMS, streams.undelivered(), "ends and resets wait for an ACK")
    require(done >= 4 * STREAMS, f"only {done} streams were allowed")


def _resets_rapidly(scene: Scene) -> None:
    _churns(scene, False, lambda one: frames.stream(one, b"x") + frames.reset_stream(one, 0, 1))


def _stops_rapidly(scene: Scene) -> None:
    _churns(scene, True, lambda one: frames.reset_stream(one) + frames.stop_sending(one))


def _fills_windows(scene: Scene) -> None:
    scene.victim_application.reading = False
    piece = bytes(1024)
    _repeats(
        1024,
        lambda scene, index: frames.stream(
            scene.ids.peer_uni(index // 512), piece, 1024 * (index % 512)
        ),
    )(scene)


CHECKS: tuple[Check, ...] = (
    *packets_and_acks(),
    *control_frames(),
    *streams(),
)
