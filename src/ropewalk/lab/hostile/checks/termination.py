"""Closing, draining and stateless resets (RFC 9000 10)."""

from __future__ import annotations

from typing import Final

from ropewalk.lab.hostile import frames
from ropewalk.lab.hostile.check import CLIENT, SERVER, Check, Story, checks
from ropewalk.lab.hostile.outcome import Ends, Holds, Outcome, Survives, require
from ropewalk.lab.hostile.scene import PEER_PORT, VICTIM_ADDRESS, Scene
from ropewalk.quic.handshake.tls.codepoints import HANDSHAKE_FAILURE
from ropewalk.quic.types.error_codes import APPLICATION_ERROR, NO_ERROR
from ropewalk.quic.types.errors import (
    ApplicationError,
    HandshakeError,
    StatelessReset,
    TransportError,
)
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL

_TOKEN: Final = b"the reset token!"
_CID: Final = b"other-id"


def _row(
    name: str,
    section: str,
    about: str,
    story: Story,
    outcome: Outcome,
    victims: tuple[str, ...] = (SERVER, CLIENT),
) -> list[Check]:
    return checks(name, f"RFC 9000 {section}", about, story, outcome, victims=victims)


def closing() -> list[Check]:
    """10.2: what is sent after the end, and what is not."""
    return [
        *_row(
            "draining-is-silent",
            "10.2.2",
            "CONNECTION_CLOSE, and then packet after packet",
            _closes_and_goes_on(frames.connection_close(NO_ERROR)),
            Ends(TransportError),
        ),
        *_row(
            "draining-after-an-application-s-close-is-silent",
            "10.2.2",
            "CONNECTION_CLOSE of an application, and then packet after packet",
            _closes_and_goes_on(frames.application_close(7, b"done")),
            Ends(ApplicationError),
        ),
        *_row(
            "close-with-unknown-code-and-frame-type",
            "20.1",
            "CONNECTION_CLOSE with the largest code and frame type and a reason of noise",
            _closes_and_goes_on(
                frames.connection_close(frames.LARGEST, frames.LARGEST, bytes(range(128, 200)))
            ),
            Ends(TransportError),
        ),
        *_row(
            "close-with-an-alert-in-initial",
            "10.2.3",
            "CONNECTION_CLOSE with a TLS alert in an Initial packet",
            _closes_in_the_handshake(INITIAL),
            Ends(HandshakeError),
        ),
        *_row(
            "close-with-an-alert-in-handshake",
            "10.2.3",
            "CONNECTION_CLOSE with a TLS alert in a Handshake packet",
            _closes_in_the_handshake(HANDSHAKE),
            Ends(HandshakeError),
        ),
        *_row(
            "closing-answers-ever-more-rarely",
            "10.2.1",
            "a thousand packets to a victim that has closed",
            _talks_to_the_closing,
            Holds("repeats CONNECTION_CLOSE at most a dozen times"),
        ),
        *_row(
            "close-answers-close-with-silence",
            "10.2.2",
            "CONNECTION_CLOSE in answer to CONNECTION_CLOSE",
            _closes_in_turn,
            Holds("sends nothing more"),
        ),
        *_row(
            "application-s-close-is-hidden-in-the-handshake",
            "10.2.3",
            "an application that closes before the handshake is complete",
            _application_closes_early,
            Holds("sends APPLICATION_ERROR without a reason in long-header packets"),
        ),
        *_row(
            "closing-does-not-follow-an-address",
            "10.2.1",
            "packets from an unknown address to a victim that has closed",
            _talks_to_the_closing_from_elsewhere,
            Holds("sends nothing there"),
        ),
    ]


def _closes_and_goes_on(close: bytes) -> Story:
    def story(scene: Scene) -> None:
        scene.connect()
        scene.peer.freeze()
        scene.bend(close)
        scene.run(0.03)
        before = len(scene.peer.inbox.datagrams)
        for _ in range(50):
            scene.peer.send(frames.PING)
        scene.run(0.05)
        came = len(scene.peer.inbox.datagrams) - before
        require(came == 0, f"{came} datagrams came while the victim was draining")

    return story


def _closes_in_the_handshake(level: int) -> Story:
    def story(scene: Scene) -> None:
        scene.reach_handshake_keys()
        scene.peer.freeze()
        scene.bend(frames.connection_close(0x100 + HANDSHAKE_FAILURE, 0x06, b"no"), level)

    return story


def _break(scene: Scene) -> None:
    """Have the victim close the connection."""
    scene.connect()
    scene.peer.freeze()
    scene.peer.send(frames.unknown(0x21))
    scene.run(0.025)
    require(len(scene.peer.inbox.closures) == 1, "the victim did not close")


def _talks_to_the_closing(scene: Scene) -> None:
    _break(scene)
    for _ in range(1000):
        scene.peer.send(frames.PING)
        scene.run(0.00002)
    scene.run(0.05)
    count = len(scene.peer.inbox.closures)
    require(1 < count <= 12, f"{count} closes came for 1,000 packets")


def _closes_in_turn(scene: Scene) -> None:
    _break(scene)
    scene.peer.send(frames.connection_close(NO_ERROR))
    for _ in range(20):
        scene.peer.send(frames.PING)
    scene.run(1.0)
    count = len(scene.peer.inbox.closures)
    require(count == 1, f"{count} closes came")


def _talks_to_the_closing_from_elsewhere(scene: Scene) -> None:
    _break(scene)
    heard: list[bytes] = []
    ear = scene.network.attach(PEER_PORT, lambda received: heard.append(received.data))
    for _ in range(20):
        ear.send(VICTIM_ADDRESS, scene.peer.packet(frames.PING), 0)
    scene.run(0.1)
    require(not heard, f"{len(heard)} datagrams went to an address that proved nothing")


def _application_closes_early(scene: Scene) -> None:
    scene.reach_handshake_keys()
    scene.act(lambda: scene.the_victim().close(42, "a secret", scene.now))
    closure = scene.peer.expect_close()
    for one in scene.peer.inbox.closures:
        if one.level in (INITIAL, HANDSHAKE):
            require(one.frame_type is not None, "0x1d came in a long-header packet")
            require(one.code == APPLICATION_ERROR, f"the code is {one.code}")
            require(one.reason == "", f"the reason says {one.reason!r}")
    require(closure.level in (INITIAL, HANDSHAKE), f"closed at level {closure.level}")


def resets() -> list[Check]:
    """10.3: whom a victim believes that the connection is gone."""
    reset = Ends(StatelessReset)
    return [
        *_row(
            "stateless-reset",
            "10.3.1",
            "a datagram that ends in the token of the connection ID in use",
            _resets(b"\x43" + bytes(range(30))),
            reset,
        ),
        *_row(
            "stateless-reset-to-the-victim-s-own-id",
            "10.3.1",
            "a datagram to the victim's connection ID that ends in the token",
            _resets(b"\x43", own_id=True),
            reset,
        ),
        *_row(
            "stateless-reset-of-21-bytes",
            "10.3",
            "the smallest stateless reset there can be",
            _resets(b"\x43\x01\x02\x03\x04"),
            reset,
        ),
        *_row(
            "stateless-reset-of-20-bytes",
            "10.3",
            "a token in a datagram too small to be a packet",
            _resets(b"\x43\x01\x02\x03"),
            Survives(),
        ),
        *_row(
            "stateless-reset-with-a-long-header",
            "10.3",
            "a datagram that looks like a long header of no known version and ends in the token",
            _resets(b"\xc3\x6b\x33\x43\xcf\x08stranger\x08stranger" + bytes(20)),
            reset,
        ),
        *_row(
            "stateless-reset-with-a-long-header-to-the-victim-s-own-id",
            "10.3",
            "a Handshake packet that cannot be opened and ends in the token",
            _resets_with_a_handshake_packet,
            reset,
        ),
        *_row(
            "token-of-an-unused-connection-id",
            "10.3.1",
            "a datagram that ends in the token of an ID the victim has not used yet",
            _resets_unused,
            Survives(),
        ),
        *_row(
            "token-of-a-retired-connection-id",
            "10.3.1",
            "a datagram that ends in the token of an ID that was retired",
            _resets_retired,
            Survives(),
        ),
        *_row(
            "guessed-reset-tokens",
            "10.3.1",
            "three hundred datagrams with guessed tokens",
            _guesses_tokens,
            Survives(),
        ),
        *_row(
            "token-inside-an-authentic-packet",
            "10.3.1",
            "an authentic packet that carries the token in a frame",
            _quotes_the_token,
            Survives(processed=True),
        ),
        *_row(
            "resets-are-smaller-than-their-cause",
            "10.3.3",
            "packets of every size for a connection ID that nobody knows",
            _asks_for_resets,
            Holds("answers with smaller packets only, and not to the smallest"),
        ),
        *_row(
            "resets-are-limited",
            "10.3.3",
            "a thousand packets for connection IDs that nobody knows",
            _asks_for_a_thousand_resets,
            Holds("answers at most a hundred a second"),
        ),
    ]


def _give_token(scene: Scene) -> None:
    """Have the victim address the peer by an ID whose reset token is known."""
    scene.connect()
    scene.peer.freeze()
    scene.peer.send(frames.new_connection_id(1, _CID, 1, _TOKEN))
    scene.run(0.03)
    require(scene.the_victim().active, "the victim took no new connection ID")


def _resets(prefix: bytes, *, own_id: bool = False) -> Story:
    def story(scene: Scene) -> None:
        _give_token(scene)
        middle = scene.peer.destination() + bytes(20) if own_id else b""
        scene.peer.send_datagram(prefix + middle + _TOKEN)

    return story


def _resets_with_a_handshake_packet(scene: Scene) -> None:
    _give_token(scene)
    packet = scene.peer.packet(bytes(40), HANDSHAKE)
    scene.peer.send_datagram(packet[:-16] + _TOKEN)


def _resets_unused(scene: Scene) -> None:
    scene.connect()
    scene.peer.send(frames.new_connection_id(1, _CID, 0, _TOKEN))
    scene.run(0.03)
    for prefix in (b"\x43" + bytes(30), b"\x43" + scene.peer.destination() + bytes(30)):
        scene.peer.send_datagram(prefix + _TOKEN)
    scene.run(0.03)


def _resets_retired(scene: Scene) -> None:
    _give_token(scene)
    scene.peer.send(frames.new_connection_id(2, b"third-id", 2, bytes(16)))
    scene.run(0.03)
    for prefix in (b"\x43" + bytes(30), b"\x43" + scene.peer.destination() + bytes(30)):
        scene.peer.send_datagram(prefix + _TOKEN)
    scene.run(0.03)


def _guesses_tokens(scene: Scene) -> None:
    _give_token(scene)
    for guess in range(150):
        token = guess.to_bytes(16, "big")
        scene.peer.send_datagram(b"\x43" + scene.peer.destination() + bytes(20) + token)
        near = _TOKEN[:15] + bytes([_TOKEN[15] + 1 + guess & 0xFF])
        scene.peer.send_datagram(b"\x43" + bytes(30) + near)
    scene.run(0.05)


def _quotes_the_token(scene: Scene) -> None:
    _give_token(scene)
    scene.bend(frames.stream(scene.ids.peer_uni(), _TOKEN * 4))


def _asks_for_resets(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    scene.run(0.1)  # what was under way
    for size in range(1, 120):
        before = len(scene.peer.inbox.datagrams)
        scene.peer.send_datagram((b"\x43stranger" + bytes(size))[:size])
        scene.run(0.05)
        answers = scene.peer.inbox.datagrams[before:]
        require(len(answers) <= 1, f"{len(answers)} answers came to {size} bytes")
        for answer in answers:
            require(len(answer) < size, f"{len(answer)} bytes came for {size}")
            require(answer[0] & 0xC0 == 0x40, "the answer has no short header")
    require(len(scene.peer.inbox.datagrams) > 0, "no reset was sent at all")


def _asks_for_a_thousand_resets(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    before = len(scene.peer.inbox.datagrams)
    for index in range(1000):
        scene.peer.send_datagram(b"\x43" + index.to_bytes(8, "big") + bytes(40))
    scene.run(0.5)
    came = len(scene.peer.inbox.datagrams) - before
    require(0 < came <= 150, f"{came} resets came")


CHECKS: tuple[Check, ...] = (*closing(), *resets())
