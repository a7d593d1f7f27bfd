"""Version Negotiation and Retry (RFC 9000 6, 17.2.1, 17.2.5; RFC 9001 5.8)."""

from __future__ import annotations

from typing import Final

from ropewalk.lab.hostile import packets
from ropewalk.lab.hostile.check import CLIENT, SERVER, Check, Story, checks
from ropewalk.lab.hostile.outcome import Connects, Ends, Holds, Outcome, require
from ropewalk.lab.hostile.peer import INITIAL_SIZE
from ropewalk.lab.hostile.scene import (
    VICTIM_ADDRESS,
    Scene,
)
from ropewalk.quic.types.configuration import QUIC_V1
from ropewalk.quic.types.errors import VersionMismatch
from ropewalk.quic.types.handshake import INITIAL
from ropewalk.quic.wire.frames import CryptoFrame
from ropewalk.quic.wire.header import (
    PACKET_INITIAL,
    PACKET_VERSION_NEGOTIATION,
    LongHeader,
    parse_long_header,
)

_RESERVED_VERSION: Final = 0x1A2A3A4A
_RETRY_CID: Final = b"retry-id"


def for_client(name: str, section: str, about: str, story: Story, outcome: Outcome) -> list[Check]:
    """A check whose victim is a client."""
    return checks(name, section, about, story, outcome, victims=(CLIENT,))


def for_server(name: str, section: str, about: str, story: Story, outcome: Outcome) -> list[Check]:
    """A check whose victim is a server."""
    return checks(name, section, about, story, outcome, victims=(SERVER,))


def _answers_first(answer: Story, *, then_accepts: bool = True) -> Story:
    """The server says something else to the client's first packet, and then accepts."""

    def story(scene: Scene) -> None:
        server = scene.server

        def knocked(_header: object) -> bool:
            if server.first is server.knock:
                answer(scene)
            return then_accepts

        server.on_knock = knocked
        scene.meet()
        scene.run(0.1)

    return story


def version_negotiation() -> list[Check]:
    """6.2, 17.2.1: when a client gives up, and when it does not listen."""
    other = packets.version_negotiation

    def sends(versions: list[int], first: int = 0xC0) -> Story:
        return _answers_first(
            lambda scene: scene.server.send_version_negotiation(versions, first=first)
        )

    def forged(destination: bytes | None, source: bytes | None) -> Story:
        def answer(scene: Scene) -> None:
            first = scene.server.first
            assert first is not None
            scene.server.send_datagram(
                other(
                    first.source_cid if destination is None else destination,
                    first.destination_cid if source is None else source,
                    [_RESERVED_VERSION],
                )
            )

        return _answers_first(answer)

    def late(scene: Scene) -> None:
        scene.reach_handshake_keys()
        scene.server.send_version_negotiation([_RESERVED_VERSION])
        scene.run(0.05)

    def after_a_retry(scene: Scene) -> None:
        server = scene.server

        def knocked(_header: object) -> bool:
            if server.first is server.knock:
                server.send_retry(b"token", _RETRY_CID)
                return False
            server.send_version_negotiation([_RESERVED_VERSION])
            return True

        server.on_knock = knocked
        scene.meet()
        scene.run(0.1)

    section = "RFC 9000 6.2"
    return [
        *for_client(
            "version-negotiation-with-other-versions",
            section,
            "a Version Negotiation packet that does not list version 1",
            sends([_RESERVED_VERSION, 0x6B3343CF]),
            Ends(VersionMismatch),
        ),
        *for_client(
            "version-negotiation-with-any-unused-bits",
            "RFC 9000 17.2.1",
            "a Version Negotiation packet with all unused bits set, or none",
            sends([_RESERVED_VERSION], first=0x80),
            Ends(VersionMismatch),
        ),
        *for_client(
            "version-negotiation-that-lists-our-version",
            section,
            "a Version Negotiation packet that lists the version in use",
            sends([_RESERVED_VERSION, QUIC_V1]),
            Connects(),
        ),
        *for_client(
            "version-negotiation-without-versions",
            "RFC 9000 17.2.1",
            "a Version Negotiation packet with an empty list",
            sends([]),
            Connects(),
        ),
        *for_client(
            "version-negotiation-from-who-did-not-see-the-initial",
            "RFC 9000 17.2.1",
            "a Version Negotiation packet whose source ID is not the one that the client chose",
            forged(None, b"guessed!"),
            Connects(),
        ),
        *for_client(
            "version-negotiation-to-another-connection",
            "RFC 9000 5.2.1",
            "a Version Negotiation packet whose destination ID is not the client's",
            forged(b"guessed!", None),
            Connects(),
        ),
        *for_client(
            "version-negotiation-after-an-initial",
            section,
            "a Version Negotiation packet once another packet was processed",
            late,
            Connects(),
        ),
        *for_client(
            "version-negotiation-after-a-retry",
            section,
            "a Version Negotiation packet after a Retry",
            after_a_retry,
            Connects(),
        ),
        *for_server(
            "unsupported-version-is-answered-once",
            "RFC 9000 6.1",
            "a packet of an unknown version with IDs of 40 bytes",
            _asks_for_another_version,
            Holds("answers with one Version Negotiation that echoes the IDs"),
        ),
    ]


def _asks_for_another_version(scene: Scene) -> None:
    scene.client.prepare(VICTIM_ADDRESS)
    scene.client.freeze()
    destination, source = bytes(range(40)), bytes(range(40, 80))
    knock = packets.long_invariant(0xC0, _RESERVED_VERSION, destination, source)
    scene.client.send_datagram(knock.ljust(INITIAL_SIZE, b"\x00"))
    scene.run(0.1)
    answers = scene.client.inbox.unprotected
    require(len(scene.client.inbox.datagrams) == 1, "not one answer")
    require(len(answers) == 1, "no Version Negotiation")
    answer = answers[0]
    require(answer.packet_type == PACKET_VERSION_NEGOTIATION, f"{answer} came")
    require(answer.destination_cid == source, "the source ID was not echoed")
    require(answer.source_cid == destination, "the destination ID was not echoed")
    require(QUIC_V1 in answer.versions, f"offered were {answer.versions}")
    require(scene.victim is None, "a connection came to be")


def retry() -> list[Check]:
    """17.2.5, RFC 9001 5.8: which Retry packets a client believes."""

    def sends(make: Story) -> Story:
        return _answers_first(make)

    def wrong_tag(scene: Scene) -> None:
        server = scene.server
        assert server.first is not None
        first = server.first
        right = packets.retry(first.source_cid, _RETRY_CID, b"token", first.destination_cid)
        server.send_datagram(packets.damaged(right))

    def other_original(scene: Scene) -> None:
        first = scene.server.first
        assert first is not None
        forged = packets.retry(first.source_cid, _RETRY_CID, b"token", b"guessed!")
        scene.server.send_datagram(forged)

    def empty_token(scene: Scene) -> None:
        first = scene.server.first
        assert first is not None
        packet = packets.retry(first.source_cid, _RETRY_CID, b"", first.destination_cid)
        scene.server.send_datagram(packet)

    def same_cid(scene: Scene) -> None:
        first = scene.server.first
        assert first is not None
        own = first.destination_cid
        scene.server.send_datagram(packets.retry(first.source_cid, own, b"token", own))

    def late(scene: Scene) -> None:
        scene.reach_handshake_keys()
        first = scene.server.first
        assert first is not None
        scene.server.send_datagram(
            packets.retry(first.source_cid, _RETRY_CID, b"token", first.destination_cid)
        )
        scene.run(0.05)

    section = "RFC 9000 17.2.5.2"
    return [
        *for_client(
            "retry-with-a-wrong-tag", section, "a Retry whose integrity tag does not fit",
            sends(wrong_tag), Connects(),
        ),
        *for_client(
            "retry-from-who-did-not-see-the-initial",
            "RFC 9001 5.8",
            "a Retry whose tag was made for another original destination ID",
            sends(other_original),
            Connects(),
        ),
        *for_client(
            "retry-without-a-token", section, "a Retry with an empty token",
            sends(empty_token), Connects(),
        ),
        *for_client(
            "retry-with-the-client-s-own-choice",
            "RFC 9000 17.2.5.1",
            "a Retry whose source ID is the destination ID of the client's packet",
            sends(same_cid),
            Connects(),
        ),
        *for_client(
            "retry-after-an-initial", section, "a Retry once an Initial packet was processed",
            late, Connects(),
        ),
        *for_client(
            "second-retry",
            section,
            "a second Retry, with another token and ID, after the first was obeyed",
            _retries_twice,
            Connects(),
        ),
        *for_client(
            "retry-is-obeyed",
            "RFC 9000 17.2.5.3",
            "a Retry with its unused bits set; the first answer to it is lost",
            _retries,
            Holds("repeats the token, keeps its ID, counts packets on and says the same"),
        ),
    ]  # fmt: skip


def _retries_twice(scene: Scene) -> None:
    server = scene.server
    knocks = []

    def knocked(header: object) -> bool:
        knocks.append(header)
        if len(knocks) == 1:
            server.send_retry(b"token", _RETRY_CID)
            return False
        if len(knocks) == 2:
            first = server.first
            assert first is not None
            for original in (first.destination_cid, _RETRY_CID):
                server.send_datagram(
                    packets.retry(first.source_cid, b"other-id", b"another", original)
                )
            return False
        require(server.knock is not None and server.knock.token == b"token", "another token came")
        return True

    server.on_knock = knocked
    scene.meet()


def _retries(scene: Scene) -> None:
    server = scene.server
    knocks: list[bytes] = []

    def knocked(header: LongHeader) -> bool:
        if len(knocks) == 0:
            server.use_initial_keys(header.destination_cid)
            server.send_retry(b"token", _RETRY_CID, unused_bits=0x0F)
            server.use_initial_keys(_RETRY_CID)
        knocks.append(b"")
        return len(knocks) >= 3

    server.on_knock = knocked
    scene.meet()
    scene.run(3.0)
    first = server.first
    assert first is not None
    seen = []
    for datagram in server.inbox.datagrams:
        header = parse_long_header(datagram, 0, len(datagram))
        if header is not None and header.packet_type == PACKET_INITIAL:
            seen.append(header)
    require(len(seen) >= 3, f"{len(seen)} Initial packets came")
    require(seen[0].token == b"", "the first packet had a token")
    for header in seen[1:]:
        require(header.token == b"token", f"a packet had token {header.token!r}")
        require(header.source_cid == first.source_cid, "the client changed its own ID")
    require(seen[1].destination_cid == _RETRY_CID, "the Retry's ID is not used")
    require(scene.is_confirmed(), "the handshake was not confirmed")
    opened = [one for one in server.inbox.packets if one.level == INITIAL]
    numbers = [one.packet_number for one in opened]
    require(len(opened) >= 3, f"{len(opened)} Initial packets could be opened")
    require(len(set(numbers)) == len(numbers), f"packet numbers were {numbers}")
    hellos = [
        one.data for packet in opened for one in packet.frames if isinstance(one, CryptoFrame)
    ]
    require(len({hello[:200] for hello in hellos}) == 1, "another ClientHello came")


CHECKS: tuple[Check, ...] = (*version_negotiation(), *retry())
