"""Connection IDs after the handshake (RFC 9000 5.1, 19.15, 19.16)."""

from __future__ import annotations

from typing import Final

from ropewalk.lab.hostile import frames
from ropewalk.lab.hostile.check import Check, Story, checks, sends
from ropewalk.lab.hostile.frames import LARGEST
from ropewalk.lab.hostile.outcome import Closes, Holds, Survives, require
from ropewalk.lab.hostile.scene import Scene
from ropewalk.quic.types.error_codes import (
    CONNECTION_ID_LIMIT_ERROR,
    FRAME_ENCODING_ERROR,
    PROTOCOL_VIOLATION,
)
from ropewalk.quic.types.handshake import ONE_RTT
from ropewalk.quic.wire.frames import NewConnectionIdFrame, RetireConnectionIdFrame

_ENCODING: Final = Closes((FRAME_ENCODING_ERROR,), 0x18)
_VIOLATION: Final = Closes((PROTOCOL_VIOLATION,), 0x18)
_LIMIT: Final = Closes((CONNECTION_ID_LIMIT_ERROR,), 0x18)
#: active_connection_id_limit of a victim's default configuration.
LIMIT: Final = 8


def cid(sequence: int) -> bytes:
    """A connection ID that differs for every sequence number."""
    return b"id" + sequence.to_bytes(6, "big")


def issues(sequence: int, retire_prior_to: int = 0) -> bytes:
    """A well-formed NEW_CONNECTION_ID."""
    return frames.new_connection_id(
        sequence, cid(sequence), retire_prior_to, b"token" * 2 + cid(sequence)[2:]
    )


def encodings() -> list[Check]:
    """19.15, 19.16: what the two frames must not say."""
    found: list[Check] = []
    for length in (0, 21, 255):
        found += checks(
            f"new-connection-id-of-{length}-bytes",
            "RFC 9000 19.15",
            f"NEW_CONNECTION_ID with an ID of {length} bytes",
            sends(frames.new_connection_id(1, bytes(length))),
            _ENCODING,
            h3spec=26 if length == 0 else None,
        )
    found += checks(
        "new-connection-id-that-retires-beyond-itself",
        "RFC 9000 19.15",
        "NEW_CONNECTION_ID whose Retire Prior To is larger than its sequence number",
        sends(frames.new_connection_id(1, cid(1), retire_prior_to=2)),
        _ENCODING,
        h3spec=25,
    )
    for sequence in (99, LARGEST):
        found += checks(
            f"retire-connection-id-{sequence}-never-issued",
            "RFC 9000 19.16",
            "RETIRE_CONNECTION_ID of an ID that the victim has not issued",
            sends(frames.retire_connection_id(sequence)),
            Closes((PROTOCOL_VIOLATION,), 0x19),
        )
    found += checks(
        "retire-connection-id-in-a-packet-to-that-id",
        "RFC 9000 19.16",
        "RETIRE_CONNECTION_ID of the ID that its own packet was sent to",
        sends(frames.retire_connection_id(0)),
        Closes((PROTOCOL_VIOLATION,), 0x19),
    )
    return found


def supply() -> list[Check]:
    """5.1.1, 19.15: how many IDs, and which of them contradict each other."""
    return [
        *checks(
            "more-connection-ids-than-the-limit",
            "RFC 9000 5.1.1",
            "one connection ID more than active_connection_id_limit",
            sends(b"".join(issues(sequence) for sequence in range(1, LIMIT + 1))),
            _LIMIT,
        ),
        *checks(
            "as-many-connection-ids-as-the-limit",
            "RFC 9000 5.1.1",
            "exactly as many connection IDs as active_connection_id_limit",
            sends(b"".join(issues(sequence) for sequence in range(1, LIMIT))),
            Survives(processed=True),
        ),
        *checks(
            "connection-ids-repeated",
            "RFC 9000 19.15",
            "the same NEW_CONNECTION_ID frames ten times",
            sends(b"".join(issues(sequence) for sequence in range(1, LIMIT)) * 4),
            Survives(processed=True),
        ),
        *checks(
            "connection-id-with-another-reset-token",
            "RFC 9000 19.15",
            "a connection ID once more, with another stateless reset token",
            sends(issues(1) + frames.new_connection_id(1, cid(1), 0, bytes(16))),
            _VIOLATION,
        ),
        *checks(
            "connection-id-under-another-number",
            "RFC 9000 19.15",
            "a connection ID once more, under another sequence number",
            sends(issues(1) + frames.new_connection_id(2, cid(1))),
            _VIOLATION,
        ),
        *checks(
            "number-with-another-connection-id",
            "RFC 9000 19.15",
            "a sequence number once more, with another connection ID",
            sends(issues(1) + frames.new_connection_id(1, cid(2))),
            _VIOLATION,
        ),
        *checks(
            "new-connection-id-for-a-zero-length-one",
            "RFC 9000 19.15",
            "NEW_CONNECTION_ID from a peer that is addressed without a connection ID",
            _issues_without_cids,
            _VIOLATION,
        ),
    ]


def _issues_without_cids(scene: Scene) -> None:
    scene.use_zero_length_cids()
    scene.connect()
    scene.bend(issues(1))


def retirement() -> list[Check]:
    """5.1.2, 19.15: what a victim has to retire, and what it may refuse."""
    return [
        *checks(
            "retirement-is-obeyed",
            "RFC 9000 5.1.2",
            "Retire Prior To above the ID in use",
            _retires_the_current,
            Holds("retires it and uses the new one"),
        ),
        *checks(
            "late-connection-id-below-retire-prior-to",
            "RFC 9000 19.15",
            "a connection ID with a lower number than an earlier Retire Prior To",
            _issues_too_late,
            Holds("retires it at once"),
        ),
        *checks(
            "retire-prior-to-that-goes-back",
            "RFC 9000 19.15",
            "a smaller Retire Prior To than an earlier frame had",
            sends(issues(2, 2) + issues(3, 1) + issues(4, 0)),
            Survives(processed=True),
        ),
        *checks(
            "retirements-without-end",
            "RFC 9000 5.1.2",
            "new IDs that retire all others, again and again, and no ACK of the retirements",
            _retires_without_end,
            _LIMIT,
        ),
        *checks(
            "packets-to-a-retired-connection-id",
            "RFC 9000 5.1.1",
            "a packet to a connection ID of the victim's that was retired",
            _addresses_a_retired_id,
            Survives(processed=False),
        ),
        *checks(
            "retired-connection-ids-are-replaced",
            "RFC 9000 5.1.1",
            "RETIRE_CONNECTION_ID of an ID that was not used",
            _retires_a_spare,
            Holds("issues another one, and never one twice"),
        ),
        *checks(
            "retirement-repeated",
            "RFC 9000 19.16",
            "the same RETIRE_CONNECTION_ID five times",
            _retires_five_times,
            Survives(processed=True),
        ),
    ]


def _retires_the_current(scene: Scene) -> None:
    scene.connect()
    scene.bend(issues(1, 1))
    scene.run(0.05)
    inbox = scene.peer.inbox
    require(RetireConnectionIdFrame(0) in inbox.frames(RetireConnectionIdFrame), "ID 0 is kept")
    seen = len(inbox.packets)
    scene.peer.send(frames.PING * 2)
    scene.run(0.05)
    used = [packet.destination for packet in inbox.packets[seen:]]
    require(used, "nothing came any more")
    require(all(one == cid(1) for one in used), f"packets went to {used}")


def _issues_too_late(scene: Scene) -> None:
    scene.connect()
    scene.bend(issues(5, 4))
    scene.bend(issues(2))
    scene.run(0.05)
    retired = scene.peer.inbox.frames(RetireConnectionIdFrame)
    require(RetireConnectionIdFrame(2) in retired, f"retired were {retired}")


def _retires_without_end(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    for sequence in range(1, 200):
        scene.peer.send(issues(sequence, sequence))
    scene.run(0.05)
    waiting = scene.the_victim().state.path.peer_ids.unacknowledged_retirements
    require(waiting <= 4 * LIMIT, f"{waiting} retirements wait")


def _spare(scene: Scene) -> NewConnectionIdFrame:
    """A connection ID that the victim has issued beside the first."""
    for frame in scene.peer.inbox.frames(NewConnectionIdFrame):
        assert isinstance(frame, NewConnectionIdFrame)
        return frame
    raise AssertionError("the victim issued no connection IDs")


def _addresses_a_retired_id(scene: Scene) -> None:
    scene.connect()
    spare = _spare(scene)
    scene.peer.send(frames.retire_connection_id(spare.sequence_number))
    scene.run(0.05)
    scene.bend(frames.unknown(0x21) + bytes(8), destination_cid=spare.connection_id)
    scene.run(0.05)


def _retires_a_spare(scene: Scene) -> None:
    scene.connect()
    before = {frame.connection_id for frame in _issued(scene)}
    scene.bend(frames.retire_connection_id(_spare(scene).sequence_number))
    scene.run(0.05)
    now = _issued(scene)
    fresh = [frame for frame in now if frame.connection_id not in before]
    require(len(fresh) == 1, f"{len(fresh)} new connection IDs came")
    require(len({frame.connection_id for frame in now}) == len(now), "an ID was issued twice")


def _issued(scene: Scene) -> list[NewConnectionIdFrame]:
    found = scene.peer.inbox.frames(NewConnectionIdFrame)
    return [frame for frame in found if isinstance(frame, NewConnectionIdFrame)]


def _retires_five_times(scene: Scene) -> None:
    scene.connect()
    scene.bend(frames.retire_connection_id(_spare(scene).sequence_number) * 5)


def addressing() -> list[Check]:
    """5.1.1: every ID that was issued is good for packets."""

    def every_id(scene: Scene) -> None:
        scene.connect()
        for frame in _issued(scene):
            number = scene.peer.next_number()
            scene.bent.append((ONE_RTT, number))
            scene.peer.send(frames.PING, packet_number=number, destination_cid=frame.connection_id)
        scene.run(0.05)

    story: Story = every_id
    return checks(
        "packets-to-every-issued-connection-id",
        "RFC 9000 5.1.1",
        "a packet to each connection ID that the victim has issued",
        story,
        Survives(processed=True),
    )


CHECKS: tuple[Check, ...] = (*encodings(), *supply(), *retirement(), *addressing())
