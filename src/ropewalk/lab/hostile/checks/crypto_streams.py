"""CRYPTO data: where its levels end, how much is held (RFC 9000 7.5, RFC 9001 4.1.3)."""

from __future__ import annotations

from typing import Final

from ropewalk.lab.hostile import frames, messages
from ropewalk.lab.hostile.check import CLIENT, SERVER, Check, Story, checks, sends
from ropewalk.lab.hostile.checks.tls import bends
from ropewalk.lab.hostile.outcome import Closes, Connects, Holds, require
from ropewalk.lab.hostile.scene import Scene
from ropewalk.quic.handshake.tls import codepoints as tls
from ropewalk.quic.types.error_codes import CRYPTO_BUFFER_EXCEEDED, PROTOCOL_VIOLATION
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT

_CRYPTO_VIOLATION: Final = Closes((PROTOCOL_VIOLATION,), 0x06)


#: More than is held of CRYPTO data ahead.
_FAR: Final = 1 << 20


_KEY_UPDATE: Final = messages.message(tls.KEY_UPDATE, b"\x00")


def levels() -> list[Check]:
    """4.1.3: CRYPTO data that goes on where its level has ended."""
    return [
        *checks(
            "crypto-data-beyond-the-end-of-initial",
            "RFC 9001 4.1.3",
            "more CRYPTO data in Initial packets once TLS has moved to Handshake",
            _continues(INITIAL),
            _CRYPTO_VIOLATION,
        ),
        *checks(
            "crypto-data-beyond-the-end-of-handshake",
            "RFC 9001 4.1.3",
            "more CRYPTO data in Handshake packets once TLS has moved to 1-RTT",
            _server_talks_on_in_handshake,
            _CRYPTO_VIOLATION,
            victims=(CLIENT,),
        ),
        *checks(
            "crypto-data-left-over-in-initial",
            "RFC 9001 4.1.3",
            "CRYPTO data behind a gap in Initial packets when TLS moves to Handshake",
            _leaves_over_in_initial,
            Closes((PROTOCOL_VIOLATION, 0x100 + tls.UNEXPECTED_MESSAGE)),
        ),
        *checks(
            "crypto-data-left-over-in-handshake",
            "RFC 9001 4.1.3",
            "CRYPTO data behind a gap in Handshake packets when TLS moves to 1-RTT",
            _leaves_over_in_handshake,
            Closes((PROTOCOL_VIOLATION, 0x100 + tls.UNEXPECTED_MESSAGE)),
        ),
        *checks(
            "messages-behind-the-last-of-a-level",
            "RFC 9846 5.1",
            "a message right behind ClientHello or ServerHello, under the same keys",
            bends(_appends_in_initial),
            Closes((PROTOCOL_VIOLATION, 0x100 + tls.UNEXPECTED_MESSAGE)),
        ),
        *checks(
            "message-larger-than-any",
            "RFC 9000 7.5",
            "a handshake message that claims 16 MiB",
            sends(frames.crypto(0, b"\x14\xff\xff\xff"), HANDSHAKE),
            Closes(
                (0x100 + tls.DECODE_ERROR, 0x100 + tls.UNEXPECTED_MESSAGE, CRYPTO_BUFFER_EXCEEDED)
            ),
            victims=(SERVER,),
        ),
    ]


def _continues(level: int) -> Story:
    def story(scene: Scene) -> None:
        scene.reach(level)
        assert scene.peer.handshake is not None
        scene.bend(frames.crypto(scene.peer.handshake.written[level], b"more"), level)

    return story


def _server_talks_on_in_handshake(scene: Scene) -> None:
    # The client has all it needs, but no HANDSHAKE_DONE that would end the level.
    scene.peer.withheld = frozenset((ONE_RTT,))
    scene.meet()
    scene.run(0.1)
    assert scene.the_victim().handshake_complete
    assert scene.peer.handshake is not None
    scene.bend(frames.crypto(scene.peer.handshake.written[HANDSHAKE], b"more"), HANDSHAKE)


def _appends_in_initial(level: int, outgoing: list[bytes]) -> list[bytes]:
    return [*outgoing, _KEY_UPDATE] if level == INITIAL else outgoing


def _leaves_over_in_initial(scene: Scene) -> None:
    stray = frames.crypto(3000, b"stray")
    if scene.role == SERVER:
        scene.client.prepare(scene.victim_host.addresses[0])
        scene.client.send(stray, INITIAL)
        scene.client.flush()
        return
    server = scene.server

    def knocked(_header: object) -> bool:
        server.accept()
        server.send(stray, INITIAL)
        return False

    server.on_knock = knocked
    scene.meet()


def _leaves_over_in_handshake(scene: Scene) -> None:
    scene.reach_handshake_keys()
    scene.bend(frames.crypto(30000, b"stray"), HANDSHAKE)
    scene.run(0.05)
    scene.release()


def buffers() -> list[Check]:
    """RFC 9000 7.5, 2.2: how much CRYPTO data is held, and what overlaps."""
    found: list[Check] = []
    for level, where in ((INITIAL, "initial"), (HANDSHAKE, "handshake"), (ONE_RTT, "1-rtt")):
        found += checks(
            f"crypto-data-far-ahead-in-{where}",
            "RFC 9000 7.5",
            "CRYPTO data behind a gap that is larger than any buffer",
            sends(frames.crypto(_FAR, b"x"), level),
            Closes((CRYPTO_BUFFER_EXCEEDED,), 0x06),
        )
    found += checks(
        "crypto-data-out-of-order",
        "RFC 9000 7.5",
        "a handshake message of more than 4,096 bytes that arrives from back to front",
        _sends_backwards,
        Holds("holds 4,096 bytes of CRYPTO data and puts them in order"),
    )
    found += checks(
        "crypto-data-repeated-with-other-contents",
        "RFC 9000 2.2",
        "CRYPTO data once more, with other bytes at the same offsets",
        _repeats_otherwise,
        Connects(),
    )
    return found


def _sends_backwards(scene: Scene) -> None:
    if scene.role == SERVER:
        padding = messages.with_extension(tls.CLIENT_HELLO, 21, bytes(5200))
        scene.bend_messages(padding)
        scene.client.prepare(scene.victim_host.addresses[0])
        hello, level = scene.client.client_hello(), INITIAL
    else:
        scene.connect()
        body = bytes(8) + b"\x01n" + (5200).to_bytes(2, "big") + bytes(5200) + b"\x00\x00"
        hello, level = messages.message(tls.NEW_SESSION_TICKET, body), ONE_RTT
    require(len(hello) > 4096 + 1000, "the message is too short to show anything")
    for start in reversed(range(0, len(hello), 1000)):
        scene.bend(frames.crypto(start, hello[start : start + 1000]), level)
    scene.run(0.1)
    victim = scene.the_victim()
    if scene.role == SERVER:
        require(victim.state.keys is not None or victim.cipher_suite, "no ServerHello was made")
    require(victim.active, f"the victim ended: {victim.close_error}")
    offset = victim.state.crypto_in.offset
    require(scene.role == SERVER or offset == len(hello), f"{offset} bytes were taken")


def _repeats_otherwise(scene: Scene) -> None:
    scene.reach_handshake_keys()
    scene.bend(frames.crypto(0, b"\x02 other bytes than before"), INITIAL)
    scene.run(0.05)


CHECKS: tuple[Check, ...] = (
    *levels(),
    *buffers(),
)
