"""Packet numbers, coalesced packets, and keys whose time is over or not yet come
(RFC 9000 12, 13.2.3, 17.1, 21.4; RFC 9001 4.9, 5.6, 5.7)."""

from __future__ import annotations

from typing import Final

from ropewalk.lab.hostile import frames, packets
from ropewalk.lab.hostile.check import CLIENT, SERVER, Check, Story, checks
from ropewalk.lab.hostile.checks.frames import LEVEL_NAMES
from ropewalk.lab.hostile.outcome import Closes, Connects, Holds, Survives, require
from ropewalk.lab.hostile.peer import INITIAL_SIZE
from ropewalk.lab.hostile.scene import Scene
from ropewalk.quic.types.error_codes import FRAME_ENCODING_ERROR, PROTOCOL_VIOLATION
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT, ZERO_RTT

_EARLY: Final = (INITIAL, HANDSHAKE)


_LEVELS: Final = (INITIAL, HANDSHAKE, ONE_RTT)


#: A frame that no packet may carry: whoever reads it has to close.
_POISON: Final = frames.unknown(0x21) + bytes(8)


def coalescing() -> list[Check]:
    """12.2: several packets in one datagram."""
    return [
        *checks(
            "coalesced-for-another-connection",
            "RFC 9000 12.2",
            "a second packet in a datagram, with another destination connection ID",
            _coalesces_with_a_stranger,
            Connects(processed=False),
            victims=(SERVER,),
        ),
        *checks(
            "readable-packet-behind-an-unreadable-one",
            "RFC 9000 12.2",
            "a datagram that begins with a packet nobody can open",
            _hides_behind_noise,
            Connects(processed=True),
        ),
        *checks(
            "packet-behind-one-of-discarded-keys",
            "RFC 9000 12.2",
            "a 1-RTT packet behind a Handshake packet whose keys are gone",
            _follows_discarded_keys,
            Survives(processed=True),
        ),
    ]


def _coalesces_with_a_stranger(scene: Scene) -> None:
    scene.reach_handshake_keys()
    peer = scene.peer
    original = peer.double.state.original_destination_cid if peer.double else b""
    first = peer.packet(frames.PING, INITIAL)
    number = peer.next_number(INITIAL)
    scene.bent.append((INITIAL, number))
    filled = _POISON.ljust(INITIAL_SIZE, b"\x00")
    second = peer.packet(filled, INITIAL, packet_number=number, destination_cid=original)
    peer.send_datagram(first + second)
    scene.run(0.05)


def _hides_behind_noise(scene: Scene) -> None:
    scene.reach_handshake_keys()
    peer = scene.peer
    noise = packets.damaged(peer.packet(_POISON, HANDSHAKE))
    number = peer.next_number(HANDSHAKE)
    scene.bent.append((HANDSHAKE, number))
    peer.send_datagram(noise + peer.packet(frames.PING, HANDSHAKE, packet_number=number))
    scene.run(0.05)


def _follows_discarded_keys(scene: Scene) -> None:
    scene.connect()
    peer = scene.peer
    late = peer.packet(_POISON, HANDSHAKE)
    number = peer.next_number()
    scene.bent.append((ONE_RTT, number))
    peer.send_datagram(late + peer.packet(frames.PING, packet_number=number))
    scene.run(0.05)


def packet_numbers() -> list[Check]:
    """12.3, 17.1, 21.4: numbers that come twice, that jump, that were never used."""
    found: list[Check] = []
    for level in _LEVELS:
        found += checks(
            f"packet-number-used-twice-in-{LEVEL_NAMES[level]}",
            "RFC 9000 12.3",
            "a second packet with the same number and other contents",
            _reuses_a_number(level),
            Survives() if level == ONE_RTT else Connects(),
        )
    found += checks(
        "packet-repeated",
        "RFC 9000 12.3",
        "the same packet ten times",
        _repeats_a_packet,
        Holds("processes it once and counts the copies"),
    )
    found += checks(
        "packet-number-far-ahead",
        "RFC 9000 17.1",
        "a packet number that is 100,000 further on",
        _jumps_ahead,
        Survives(processed=True),
    )
    found += checks(
        "packet-older-than-all-remembered-ranges",
        "RFC 9000 13.2.3",
        "a packet from before the oldest range that the victim still remembers",
        _comes_too_late,
        Survives(processed=False),
    )
    found += checks(
        "ack-of-a-skipped-packet-number",
        "RFC 9000 21.4",
        "an optimistic ACK: all numbers so far, also one that the victim left out",
        _acknowledges_blindly,
        Closes((PROTOCOL_VIOLATION,), 0x02),
    )
    return found


def _reuses_a_number(level: int) -> Story:
    def story(scene: Scene) -> None:
        scene.reach(level)
        number = scene.peer.next_number(level)
        scene.peer.send(frames.PING, level, packet_number=number)
        scene.run(0.03)
        before = int(scene.the_victim().counters.duplicates)
        scene.peer.send(_POISON, level, packet_number=number)
        scene.run(0.03)
        counted = int(scene.the_victim().counters.duplicates) - before
        require(counted == 1, f"{counted} duplicates were counted")

    return story


def _repeats_a_packet(scene: Scene) -> None:
    scene.connect()
    stream_id = scene.ids.peer_uni()
    packet = scene.peer.packet(frames.stream(stream_id, b"once"))
    for _ in range(10):
        scene.peer.send_datagram(packet)
    scene.run(0.05)
    victim = scene.the_victim()
    got = scene.victim_application.received.get((victim, stream_id))
    require(got == b"once", f"the application read {got!r}")
    duplicates = int(victim.counters.duplicates)
    require(duplicates == 9, f"{duplicates} duplicates were counted")


def _jumps_ahead(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    for _ in range(100_000):
        scene.peer.next_number()
    scene.bend(frames.PING)


def _comes_too_late(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    late = scene.peer.next_number()
    for _ in range(80):
        scene.peer.next_number()
        scene.peer.send(frames.PING)
    scene.run(0.05)
    scene.bent.append((ONE_RTT, late))
    scene.peer.send(_POISON, packet_number=late)
    scene.run(0.05)


def _acknowledges_blindly(scene: Scene) -> None:
    scene.connect()
    ledger = scene.the_victim().state.path.space.ledger
    for _ in range(200):
        scene.peer.send(frames.PING)
        scene.run(0.03)
        if ledger.skipped:
            break
    require(ledger.skipped, "the victim left out no packet number")
    scene.run(0.05)
    last = int(ledger.next_packet_number) - 1
    scene.bend(frames.ack(last, last))


def discarded_keys() -> list[Check]:
    """RFC 9001 4.9, 5.6, 5.7, 8.3: packets whose keys are gone, or not to be used yet."""
    found: list[Check] = []
    for level in _EARLY:
        found += checks(
            f"{LEVEL_NAMES[level]}-packet-after-its-keys-are-discarded",
            "RFC 9001 4.9.1" if level == INITIAL else "RFC 9001 4.9.2",
            f"a {LEVEL_NAMES[level]} packet after the handshake",
            _comes_after_the_handshake(level),
            Survives(processed=False),
        )
    found += checks(
        "1-rtt-packet-before-the-handshake-is-complete",
        "RFC 9001 5.7",
        "a 1-RTT packet that must be closed upon, before 1-RTT packets may be processed",
        _speaks_too_early,
        Closes((FRAME_ENCODING_ERROR,), 0x21),
    )
    found += checks(
        "crypto-in-0-rtt",
        "RFC 9001 8.3",
        "a CRYPTO frame in a 0-RTT packet: a server that takes no 0-RTT cannot see it",
        _sends_0_rtt,
        Connects(processed=False),
        victims=(SERVER,),
        h3spec=34,
    )
    found += checks(
        "0-rtt-from-a-server",
        "RFC 9001 5.6",
        "a 0-RTT packet from a server",
        _sends_0_rtt,
        Connects(processed=False),
        victims=(CLIENT,),
    )
    return found


def _comes_after_the_handshake(level: int) -> Story:
    def story(scene: Scene) -> None:
        scene.connect()
        scene.bend(_POISON, level)
        scene.run(0.05)

    return story


def _speaks_too_early(scene: Scene) -> None:
    scene.reach_handshake_keys()
    scene.run(0.1)
    scene.bend(_POISON)
    scene.run(0.1)
    victim = scene.the_victim()
    require(not victim.handshake_complete, "the handshake is complete already")
    require(victim.active, "the packet was processed before the handshake was complete")
    require(not scene.peer.inbox.acknowledged(*scene.bent[0]), "the packet was acknowledged")
    scene.release()


def _sends_0_rtt(scene: Scene) -> None:
    scene.reach_handshake_keys()
    scene.bent.append((ZERO_RTT, 0))
    keys = scene.peer.keys(HANDSHAKE)
    packet = scene.peer.packet(frames.crypto(0, b"early"), ZERO_RTT, packet_number=0, keys=keys)
    scene.peer.send_datagram(packet.ljust(INITIAL_SIZE, b"\x00"))
    scene.run(0.05)


CHECKS: tuple[Check, ...] = (
    *coalescing(),
    *packet_numbers(),
    *discarded_keys(),
)
