"""Address validation tokens, and whom a server lets in (RFC 9000 5.2.2, 8.1)."""

from __future__ import annotations

from ropewalk.lab.hostile import frames
from ropewalk.lab.hostile.check import Check, Story
from ropewalk.lab.hostile.checks.establishment import for_server
from ropewalk.lab.hostile.client import BendingClient
from ropewalk.lab.hostile.outcome import Closes, Holds, require
from ropewalk.lab.hostile.packets import Bent
from ropewalk.lab.hostile.scene import (
    PEER_ADDRESS,
    PEER_HOST,
    PEER_PORT,
    VICTIM_ADDRESS,
    Scene,
)
from ropewalk.quic.endpoint import Incoming
from ropewalk.quic.types.error_codes import CONNECTION_REFUSED, INVALID_TOKEN
from ropewalk.quic.types.handshake import INITIAL
from ropewalk.quic.types.identity import ReplayGuard
from ropewalk.quic.wire.frames import NewTokenFrame
from ropewalk.quic.wire.header import (
    PACKET_RETRY,
)


def tokens() -> list[Check]:
    """8.1: what a server makes of tokens."""
    return [
        *for_server(
            "retry-token-for-another-connection-id",
            "RFC 9000 8.1.2",
            "a Retry token that was made for another connection ID",
            _misuses_a_retry_token,
            Closes((INVALID_TOKEN,)),
        ),
        *for_server(
            "retry-token-of-another-address",
            "RFC 9000 8.1.4",
            "a Retry token that was made for another address",
            _brings_a_token_from_elsewhere,
            Holds("does not take the address for validated"),
        ),
        *for_server(
            "retry-token-too-late",
            "RFC 9000 8.1.4",
            "a Retry token that comes back after a minute",
            _brings_a_token_too_late,
            Closes((INVALID_TOKEN,)),
        ),
        *for_server(
            "token-used-twice",
            "RFC 9000 8.1.4",
            "the token of one NEW_TOKEN frame in three connections",
            _uses_a_token_thrice,
            Holds("believes it once"),
        ),
        *for_server(
            "retry-token-bent",
            "RFC 9000 8.1.4",
            "a Retry token with a bit turned over",
            _bends_a_retry_token,
            Holds("does not take the address for validated"),
        ),
        *for_server(
            "token-of-noise",
            "RFC 9000 8.1.3",
            "an Initial packet with a token that the server never made",
            _sends_token(b"noise" * 8),
            Holds("does not take the address for validated"),
        ),
        *for_server(
            "retry-is-asked-for-once",
            "RFC 9000 8.1.2",
            "a client that comes back with the token of a Retry",
            _is_retried,
            Holds("takes the address for validated and sends no second Retry"),
        ),
        *for_server(
            "refusal",
            "RFC 9000 5.2.2",
            "a client that the server does not want",
            _is_refused,
            Holds("sends CONNECTION_REFUSED in an Initial packet and keeps nothing"),
        ),
    ]


def _sends_token(token: bytes) -> Story:
    def story(scene: Scene) -> None:
        scene.client.prepare(VICTIM_ADDRESS)
        _knock(scene, token)
        scene.run(0.05)
        require(scene.victim is not None, "the client was turned away")
        require(not scene.incoming[0].token_valid, "the token was believed")

    return story


def _knock(scene: Scene, token: bytes, destination: bytes | None = None) -> None:
    """Send the ClientHello with a token, to any connection ID and under its keys."""
    client = scene.client
    hello = frames.crypto(0, client.client_hello())
    bent: Bent = {"token": token}
    if destination is not None:
        bent["destination_cid"] = destination
        client.use_initial_keys(destination)
    client.freeze()
    client.send_datagram(client.initial(hello, **bent))


def _fetch_token(scene: Scene) -> tuple[bytes, bytes]:
    """Have the server send a Retry; its token and its connection ID."""
    scene.on_knock = lambda incoming: incoming.retry(scene.now)
    scene.client.prepare(VICTIM_ADDRESS)
    _knock(scene, b"")
    scene.run(0.05)
    answers = [one for one in scene.client.inbox.unprotected if one.packet_type == PACKET_RETRY]
    require(len(answers) == 1, f"{len(answers)} Retry packets came")
    scene.on_knock = scene.accept
    scene.incoming.clear()
    return answers[0].retry_token, answers[0].source_cid


def _hello_again(scene: Scene) -> None:
    """Let the double write its ClientHello once more."""
    double = scene.client.double
    assert double is not None
    assert double.state.initial is not None
    double.state.initial.crypto_out.lose_unacknowledged()


def _misuses_a_retry_token(scene: Scene) -> None:
    token, _ = _fetch_token(scene)
    _hello_again(scene)
    _knock(scene, token, b"other-id")


def _bends_a_retry_token(scene: Scene) -> None:
    token, source = _fetch_token(scene)
    _hello_again(scene)
    _knock(scene, token[:-1] + bytes([token[-1] ^ 1]), source)
    scene.run(0.05)
    believed = [incoming for incoming in scene.incoming if incoming.token_valid]
    require(not believed, "the token was believed")


def _brings_a_token_from_elsewhere(scene: Scene) -> None:
    token, source = _fetch_token(scene)
    _hello_again(scene)
    scene.client.also_at(PEER_HOST)
    client = scene.client
    hello = frames.crypto(0, client.client_hello())
    client.use_initial_keys(source)
    datagram = client.initial(hello, token=token, destination_cid=source)
    client.send_datagram(datagram, source=PEER_HOST)
    scene.run(0.05)
    believed = [incoming for incoming in scene.incoming if incoming.token_valid]
    require(not believed, "the token was believed")


def _brings_a_token_too_late(scene: Scene) -> None:
    token, source = _fetch_token(scene)
    scene.run(60.0)
    _hello_again(scene)
    _knock(scene, token, source)


class _Once(ReplayGuard):
    """Remembers every token."""

    def __init__(self) -> None:
        self._seen: dict[bytes, float] = {}

    def first_use(self, identifier: bytes, expires: float) -> bool:
        if identifier in self._seen:
            return False
        self._seen[identifier] = expires
        return True


def _uses_a_token_thrice(scene: Scene) -> None:
    scene.configure_victim_endpoint(replay_guard=_Once())
    scene.connect()
    tokens = scene.peer.inbox.frames(NewTokenFrame)
    require(len(tokens) == 1, f"{len(tokens)} tokens came")
    (frame,) = tokens
    assert isinstance(frame, NewTokenFrame)
    scene.incoming.clear()
    for index in range(3):
        former = scene.client
        address = (PEER_ADDRESS, PEER_PORT, PEER_HOST)[index]
        if index == 0:
            scene.network.release(PEER_ADDRESS)
        again = BendingClient(
            scene.network, address, former.config, source_cid=former.config.entropy(8)
        )
        again.prepare(VICTIM_ADDRESS)
        hello = frames.crypto(0, again.client_hello())
        again.send_datagram(again.initial(hello, token=frame.token))
        scene.run(0.05)
    believed = [incoming.token_valid for incoming in scene.incoming]
    require(len(believed) == 3, f"{len(believed)} clients were seen")
    # PEER_PORT shares the address that the token was made for, PEER_HOST does not.
    require(believed == [True, False, False], f"the token was believed: {believed}")


def _is_retried(scene: Scene) -> None:
    retries: list[Incoming] = []

    def once(incoming: Incoming) -> None:
        retries.append(incoming)
        if len(retries) == 1:
            incoming.retry(scene.now)
        else:
            require(incoming.token_valid, "the Retry's token is not believed")
            scene.accept(incoming)

    scene.on_knock = once
    scene.connect()
    require(len(retries) == 2, f"the server was asked {len(retries)} times")


def _is_refused(scene: Scene) -> None:
    scene.on_knock = lambda incoming: incoming.refuse(scene.now)
    scene.meet()
    closure = scene.peer.expect_close()
    require(closure.code == CONNECTION_REFUSED, f"closed with {closure.code}")
    require(closure.level == INITIAL, f"closed at level {closure.level}")
    connections = scene.victim_host.endpoint.connections()
    require(len(connections) == 1, "the endpoint kept a connection beside the bystander's")


CHECKS: tuple[Check, ...] = (*tokens(),)
