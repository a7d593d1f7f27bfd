"""Packet headers, datagrams and packet numbers (RFC 9000 5.2, 7.2, 9, 12, 14, 17; RFC 9001 5)."""

from __future__ import annotations

from typing import Final, Unpack

from ropewalk.lab.hostile import frames, packets
from ropewalk.lab.hostile.check import CLIENT, SERVER, Check, Story, checks
from ropewalk.lab.hostile.checks.frames import LEVEL_NAMES
from ropewalk.lab.hostile.outcome import Closes, Connects, Silence, Survives, require
from ropewalk.lab.hostile.packets import Bent
from ropewalk.lab.hostile.peer import INITIAL_SIZE
from ropewalk.lab.hostile.scene import PEER_PORT, VICTIM_ADDRESS, Scene
from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT

_VIOLATION: Final = Closes((PROTOCOL_VIOLATION,))


_EARLY: Final = (INITIAL, HANDSHAKE)


_LEVELS: Final = (INITIAL, HANDSHAKE, ONE_RTT)


#: A frame that no packet may carry: whoever reads it has to close.
_POISON: Final = frames.unknown(0x21) + bytes(8)


#: A version that nobody speaks (RFC 9000 15).
_RESERVED_VERSION: Final = 0x1A2A3A4A


def _bends(level: int, payload: bytes = frames.PING, **bent: Unpack[Bent]) -> Story:
    """The story of one packet with a bent header."""

    def story(scene: Scene) -> None:
        scene.reach(level)
        scene.bend(payload, level, **bent)
        scene.run(0.05)

    return story


def _dropped(level: int) -> Survives | Connects:
    return Survives(processed=False) if level == ONE_RTT else Connects(processed=False)


def reserved_and_fixed_bits() -> list[Check]:
    """17.2, 17.3.1: bits that have one value only."""
    found: list[Check] = []
    for level, bits, number in (
        (INITIAL, 0x04, None),
        (INITIAL, 0x08, None),
        (HANDSHAKE, 0x04, None),
        (HANDSHAKE, 0x08, 13),
        (ONE_RTT, 0x08, 15),
        (ONE_RTT, 0x10, None),
    ):
        section = "17.3.1" if level == ONE_RTT else "17.2"
        found += checks(
            f"reserved-bits-{bits:#04x}-in-{LEVEL_NAMES[level]}",
            f"RFC 9000 {section}",
            "a reserved bit set under header protection",
            _bends(level, reserved=bits),
            _VIOLATION,
            h3spec=number,
        )
    found += checks(
        "spin-bit-set",
        "RFC 9000 17.4",
        "a packet whose spin bit is 1, to a victim that does not spin",
        _bends(ONE_RTT, spin=1),
        Survives(processed=True),
    )
    for level in _LEVELS:
        where = LEVEL_NAMES[level]
        section = "RFC 9000 17.3.1" if level == ONE_RTT else "RFC 9000 17.2"
        found += checks(
            f"fixed-bit-0-in-{where}",
            section,
            "a packet whose fixed bit is 0",
            _bends(level, _POISON, fixed_bit=False),
            _dropped(level),
        )
        found += checks(
            f"reserved-bits-in-a-forged-packet-{where}",
            "RFC 9000 17.2",
            "reserved bits in a packet that is not authentic: no reason to close",
            _damages(level, reserved=0x08),
            _dropped(level),
        )
        found += checks(
            f"wrong-seal-in-{where}",
            "RFC 9001 5.5",
            "a packet whose tag does not fit",
            _damages(level),
            _dropped(level),
        )
    return found


def _damages(level: int, **bent: Unpack[Bent]) -> Story:
    def story(scene: Scene) -> None:
        scene.reach(level)
        number = scene.peer.next_number(level)
        scene.bent.append((level, number))
        bent["packet_number"] = number
        size = INITIAL_SIZE if level == INITIAL else len(_POISON)
        packet = scene.peer.packet(_POISON.ljust(size, b"\x00"), level, **bent)
        failures = scene.the_victim().counters.failed_openings
        scene.peer.send_datagram(packets.damaged(packet))
        scene.run(0.05)
        counted = int(scene.the_victim().counters.failed_openings) - int(failures)
        require(counted == 1, f"{counted} failed openings were counted")

    return story


def connection_ids_and_versions() -> list[Check]:
    """5.2, 7.2, 17.2: IDs that are too long or not the right ones, other versions."""
    found: list[Check] = []
    for level in _EARLY:
        where = LEVEL_NAMES[level]
        odd: tuple[tuple[str, Bent], ...] = (
            ("source-connection-id-of-21-bytes", {"source_cid": bytes(21)}),
            ("destination-connection-id-of-21-bytes", {"destination_cid": bytes(21)}),
            ("length-beyond-the-datagram", {"length": 16000}),
            ("length-too-short-for-a-sample", {"length": 19}),
            ("length-of-0", {"length": 0}),
        )
        for name, bent in odd:
            found += checks(
                f"{name}-in-{where}",
                "RFC 9001 5.4.2" if "sample" in name else "RFC 9000 17.2",
                f"a long header with a {name.replace('-', ' ')}",
                _bends(level, _POISON, **bent),
                Connects(processed=False),
            )
        found += checks(
            f"other-source-connection-id-in-{where}",
            "RFC 9000 7.2",
            "a packet with another source connection ID than the first one had",
            _bends(level, _POISON, source_cid=b"another!"),
            Connects(processed=False),
        )
        found += checks(
            f"other-version-in-{where}",
            "RFC 9000 5.2",
            "a packet of another version on a connection of version 1",
            _bends(level, _POISON, version=_RESERVED_VERSION),
            Connects(processed=False),
        )
    found += checks(
        "token-in-a-server-s-initial",
        "RFC 9000 17.2.2",
        "a token in an Initial packet of a server",
        _bends(INITIAL, token=b"token"),
        Connects(processed=False),
        victims=(CLIENT,),
    )
    found += checks(
        "packets-from-another-server-address",
        "RFC 9000 9",
        "packets of the server from an address that the client does not know",
        _comes_from_elsewhere,
        Survives(processed=False),
        victims=(CLIENT,),
    )
    return found


def _comes_from_elsewhere(scene: Scene) -> None:
    scene.connect()
    scene.peer.also_at(PEER_PORT)
    number = scene.peer.next_number()
    scene.bent.append((ONE_RTT, number))
    scene.peer.send(_POISON, packet_number=number, source=PEER_PORT)
    scene.run(0.05)


def first_packets() -> list[Check]:
    """5.2.2, 6.1, 7.2, 14.1: what does not begin a connection."""

    def row(name: str, section: str, about: str, story: Story) -> list[Check]:
        return checks(name, section, about, story, Silence(), victims=(SERVER,))

    def knocks(size: int = INITIAL_SIZE, cid: bytes = b"firstcid", **bent: Unpack[Bent]) -> Story:
        def story(scene: Scene) -> None:
            scene.client.prepare(VICTIM_ADDRESS, cid)
            hello = frames.crypto(0, scene.client.client_hello())
            datagram = scene.client.initial(hello, size=size, **bent)
            require(len(datagram) == size, f"the datagram has {len(datagram)} bytes")
            scene.client.freeze()
            scene.client.send_datagram(datagram)

        return story

    def says(make: bytes) -> Story:
        def story(scene: Scene) -> None:
            scene.client.prepare(VICTIM_ADDRESS)
            scene.client.freeze()
            scene.client.send_datagram(make)

        return story

    own, other = b"own-cid!", b"your-cid"
    rest = bytes(1200)
    return [
        *row(
            "initial-in-1199-bytes",
            "RFC 9000 14.1",
            "a client's first Initial packet in a datagram of 1,199 bytes",
            knocks(1199),
        ),
        *row(
            "first-destination-connection-id-of-7-bytes",
            "RFC 9000 7.2",
            "a first destination connection ID that is shorter than 8 bytes",
            knocks(cid=b"7 bytes"),
        ),
        *row(
            "first-destination-connection-id-of-21-bytes",
            "RFC 9000 17.2",
            "a first destination connection ID that is longer than 20 bytes",
            knocks(cid=bytes(21)),
        ),
        *row(
            "first-source-connection-id-of-21-bytes",
            "RFC 9000 17.2",
            "a first source connection ID that is longer than 20 bytes",
            knocks(source_cid=bytes(21)),
        ),
        *row(
            "first-initial-without-fixed-bit",
            "RFC 9000 17.2",
            "a first Initial packet whose fixed bit is 0",
            knocks(fixed_bit=False),
        ),
        *row(
            "unsupported-version-in-1199-bytes",
            "RFC 9000 5.2.2",
            "a small packet of a version that the server does not speak",
            says((packets.long_invariant(0xC0, _RESERVED_VERSION, other, own) + rest)[:1199]),
        ),
        *row(
            "version-negotiation-to-a-server",
            "RFC 9000 6.1",
            "a Version Negotiation packet, as large as an Initial one",
            says(packets.version_negotiation(other, own, [1] * 300)),
        ),
        *row(
            "retry-to-a-server",
            "RFC 9000 5.2.2",
            "a Retry packet from a client",
            says(packets.retry(other, own, rest, b"original")),
        ),
        *row(
            "handshake-packet-first",
            "RFC 9000 5.2.2",
            "a Handshake packet without a connection",
            says(packets.long_invariant(0xE3, 1, other, own) + b"\x44\x00" + rest),
        ),
        *row(
            "0-rtt-packet-first",
            "RFC 9000 5.2.2",
            "a 0-RTT packet without a connection",
            says(packets.long_invariant(0xD3, 1, other, own) + b"\x44\x00" + rest),
        ),
        *row(
            "noise",
            "RFC 9000 5.2.2",
            "1,200 bytes that look like an Initial packet and are none",
            says(packets.long_invariant(0xC3, 1, other, own) + b"\x00\x44\x00" + rest),
        ),
    ]


def small_initials() -> list[Check]:
    """14, 14.1: an Initial packet in a small datagram is dropped, but closes nothing."""

    def story(scene: Scene) -> None:
        scene.reach_handshake_keys()
        number = scene.peer.next_number(INITIAL)
        scene.bent.append((INITIAL, number))
        scene.peer.send_datagram(scene.peer.packet(_POISON, INITIAL, packet_number=number))
        scene.run(0.05)

    return checks(
        "small-initial-on-a-connection",
        "RFC 9000 14.1",
        "an Initial packet of a client in a datagram of less than 1,200 bytes",
        story,
        Connects(processed=False),
        victims=(SERVER,),
    )


def short_packets() -> list[Check]:
    """10.3, RFC 9001 5.4.2: packets that are too small for what they claim to be."""

    def story(scene: Scene) -> None:
        scene.connect()
        destination = scene.peer.destination()
        for size in range(21):
            scene.peer.send_datagram(b"\x41" + destination + bytes(size))
        for size in range(1, 9):
            scene.peer.send_datagram((b"\x41" + destination)[:size])
        scene.run(0.05)

    return checks(
        "packets-too-small-to-be-valid",
        "RFC 9000 10.3",
        "1-RTT packets of every size below the smallest valid one",
        story,
        Survives(),
    )


CHECKS: tuple[Check, ...] = (
    *reserved_and_fixed_bits(),
    *connection_ids_and_versions(),
    *first_packets(),
    *small_initials(),
    *short_packets(),
)
