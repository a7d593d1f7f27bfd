"""Addresses: amplification, path validation, migration (RFC 9000 8, 9)."""

from __future__ import annotations

from typing import Final

from ropewalk.lab.hostile import frames
from ropewalk.lab.hostile.check import BOTH, SERVER, Check, Story, checks, sends
from ropewalk.lab.hostile.inbox import OpenedPacket
from ropewalk.lab.hostile.outcome import Connects, Holds, Outcome, Survives, require
from ropewalk.lab.hostile.peer import INITIAL_SIZE
from ropewalk.lab.hostile.scene import (
    PEER_ADDRESS,
    PEER_HOST,
    PEER_PORT,
    VICTIM_ADDRESS,
    Scene,
)
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL
from ropewalk.quic.wire.frames import PathChallengeFrame, PathResponseFrame
from ropewalk.sim.batching import Received

#: What may be sent to an unvalidated address for every byte that came from it.
FACTOR: Final = 3
_DATA: Final = b"8 bytes!"


class Ear:
    """Hears what comes to one of the peer's addresses."""

    def __init__(self, scene: Scene, address: Address) -> None:
        self.datagrams: list[bytes] = []
        self.packets: list[OpenedPacket] = []
        self.heard = 0
        self.spoken = 0
        self._scene = scene
        self._address = address
        scene.network.release(address)
        self._attachment = scene.network.attach(address, self._hear)

    def _hear(self, received: Received) -> None:
        self.datagrams.append(received.data)
        self.heard += len(received.data)
        inbox = self._scene.peer.inbox
        before = len(inbox.packets)
        inbox.take(received.data, self._scene.now)
        self.packets += inbox.packets[before:]

    def say(self, datagram: bytes) -> None:
        """Send a datagram to the victim from here."""
        self.spoken += len(datagram)
        self._attachment.send(self._scene.peer.remote, datagram, 0)


def _row(
    name: str,
    section: str,
    about: str,
    story: Story,
    outcome: Outcome,
    victims: tuple[str, ...] = (SERVER,),
) -> list[Check]:
    return checks(name, f"RFC 9000 {section}", about, story, outcome, victims=victims)


def amplification() -> list[Check]:
    """8, 8.1: at most three times what came from an unvalidated address."""
    within = Holds("sends at most three times what came")
    return [
        *_row(
            "silent-client-is-not-flooded",
            "8.1",
            "a client that sends its ClientHello and never another byte",
            _falls_silent,
            within,
        ),
        *_row(
            "forged-packets-count-once",
            "8.1",
            "a client that goes on with packets which nobody can open",
            _goes_on_with_noise,
            within,
        ),
        *_row(
            "new-address-is-not-flooded",
            "9.3.1",
            "a transfer whose client claims to be on another host, where nobody answers",
            _points_at_a_bystander,
            within,
        ),
        *_row(
            "close-is-not-amplified",
            "10.2.1",
            "a client whose first packets break a rule, sent again and again",
            _knocks_wrongly,
            within,
        ),
    ]


def _received_by(scene: Scene) -> int:
    return sum(len(one) for one in scene.peer.inbox.datagrams)


def _require_within_limit(scene: Scene) -> None:
    sent = sum(len(one) for one in scene.peer.sent)
    got = _received_by(scene)
    require(got <= FACTOR * sent, f"{got} bytes came for {sent}")
    require(got > 0, "nothing came at all")


def _falls_silent(scene: Scene) -> None:
    scene.client.open(VICTIM_ADDRESS)
    scene.client.freeze()
    for _ in range(30):
        scene.run(1.0)
        _require_within_limit(scene)


def _goes_on_with_noise(scene: Scene) -> None:
    scene.client.open(VICTIM_ADDRESS)
    scene.client.freeze()
    scene.run(0.1)
    noise = scene.client.packet(bytes(100), HANDSHAKE, keys=scene.client.keys(INITIAL))
    for _ in range(20):
        scene.client.send_datagram(noise)
        scene.run(0.5)
        _require_within_limit(scene)


def _points_at_a_bystander(scene: Scene) -> None:
    scene.connect()
    victim = scene.the_victim()
    stream_id = victim.open_stream()
    assert stream_id is not None
    elsewhere = Ear(scene, PEER_HOST)
    scene.act(lambda: (victim.write(stream_id, bytes(400_000)), None)[1])
    scene.peer.freeze()
    elsewhere.say(scene.peer.packet(frames.PING))
    for _ in range(40):
        scene.run(0.1)
        limit = FACTOR * elsewhere.spoken
        require(elsewhere.heard <= limit, f"{elsewhere.heard} bytes for {elsewhere.spoken}")
    require(elsewhere.heard > 0, "the address was never challenged")


def _knocks_wrongly(scene: Scene) -> None:
    scene.client.prepare(VICTIM_ADDRESS)
    scene.client.freeze()
    datagram = scene.client.initial(frames.crypto(0, b"\x05\x00\x00\x00"))
    for _ in range(10):
        scene.client.send_datagram(datagram)
        scene.run(0.05)
        _require_within_limit(scene)


def challenges() -> list[Check]:
    """8.2: PATH_CHALLENGE and PATH_RESPONSE."""
    return [
        *_row(
            "path-challenge-is-answered",
            "8.2.2",
            "PATH_CHALLENGE on the path in use",
            _challenges,
            Holds("answers once, with the same data, in a datagram of 1,200 bytes"),
            BOTH,
        ),
        *_row(
            "path-challenge-from-another-address-is-answered-there",
            "8.2.2",
            "PATH_CHALLENGE alone, from another address",
            _probes,
            Holds("answers where it came from, and does not move"),
        ),
        *_row(
            "path-challenge-on-the-previous-address",
            "8.2.2",
            "PATH_CHALLENGE from the address that the peer has just left",
            _challenges_from_the_previous_address,
            Holds("answers where it came from"),
        ),
        *_row(
            "path-response-nobody-asked-for",
            "19.18",
            "PATH_RESPONSE with data that was never sent",
            sends(frames.path_response(_DATA)),
            Survives(processed=True),
            BOTH,
        ),
        *_row(
            "small-path-challenge-from-another-address",
            "8.2.2",
            "PATH_CHALLENGE in a small datagram from another address",
            _probes_in_small,
            Holds("answers within three times its size"),
        ),
    ]


def _challenges(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    scene.bend(frames.path_challenge(_DATA))
    scene.run(2.0)
    answers = scene.peer.inbox.frames(PathResponseFrame)
    require(answers == [PathResponseFrame(_DATA)], f"answers: {answers}")
    sizes = [
        packet.datagram_size
        for packet in scene.peer.inbox.packets
        if any(isinstance(frame, PathResponseFrame) for frame in packet.frames)
    ]
    require(sizes == [INITIAL_SIZE], f"the answer has {sizes} bytes")


def _probes(scene: Scene) -> None:
    scene.connect()
    # Silent, lest a later packet from here moves the connection back.
    scene.peer.freeze()
    elsewhere = Ear(scene, PEER_PORT)
    elsewhere.say(scene.peer.packet(frames.path_challenge(_DATA).ljust(1150, b"\x00")))
    scene.run(0.1)
    answers = scene.peer.inbox.frames(PathResponseFrame)
    require(answers == [PathResponseFrame(_DATA)], f"answers: {answers}")
    require(elsewhere.datagrams, "the answer went elsewhere")
    require(len(elsewhere.datagrams[0]) >= 1150, "the answer is small")
    require(scene.the_victim().remote == PEER_ADDRESS, "a probe moved the connection")


def _challenges_from_the_previous_address(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    elsewhere = Ear(scene, PEER_PORT)
    elsewhere.say(scene.peer.packet(frames.PING.ljust(1150, b"\x00")))
    scene.run(0.03)
    before = len(scene.peer.inbox.packets)
    scene.peer.send(frames.path_challenge(_DATA).ljust(1150, b"\x00"))
    scene.run(0.1)
    answers = [
        packet
        for packet in scene.peer.inbox.packets[before:]
        if PathResponseFrame(_DATA) in packet.frames
    ]
    require(len(answers) == 1, f"{len(answers)} answers came")
    require(answers[0] not in elsewhere.packets, "the answer went to the new address")


def _probes_in_small(scene: Scene) -> None:
    scene.connect()
    elsewhere = Ear(scene, PEER_HOST)
    elsewhere.say(scene.peer.packet(frames.path_challenge(_DATA)))
    scene.run(1.0)
    require(elsewhere.heard > 0, "no answer came")
    limit = FACTOR * elsewhere.spoken
    require(elsewhere.heard <= limit, f"{elsewhere.heard} bytes for {elsewhere.spoken}")


def migration() -> list[Check]:
    """9, 9.3: who may move a connection, and where to."""
    return [
        *_row(
            "move-before-the-handshake-is-confirmed",
            "9",
            "Handshake packets from another address",
            _moves_too_early,
            Connects(processed=False),
        ),
        *_row(
            "spoofed-move-is-undone",
            "9.3.2",
            "a copied packet from an address where nobody answers",
            _spoofs_a_move,
            Holds("returns to the last validated address"),
        ),
        *_row(
            "previous-address-is-challenged",
            "9.3.3",
            "a packet from a new address",
            _moves_and_listens,
            Holds("challenges the new address and the previous one"),
        ),
        *_row(
            "small-challenge-is-followed-by-a-large-one",
            "8.2.3",
            "a small packet from another host, and answers to whatever challenge comes",
            _proves_a_new_host,
            Holds("challenges again with 1,200 bytes, and measures the route afresh"),
        ),
        *_row(
            "old-packets-do-not-move-a-connection",
            "9.3",
            "a reordered packet from another address, older than one from here",
            _moves_with_an_old_packet,
            Holds("stays where the highest-numbered packet came from"),
        ),
        *_row(
            "guessed-path-responses",
            "8.2.3",
            "a move to an address from which PATH_RESPONSE frames with guessed data come",
            _guesses_responses,
            Holds("does not take the address for validated"),
        ),
        *_row(
            "moves-by-the-hundred",
            "9.3",
            "packets from two addresses in turn, three hundred times",
            _moves_to_and_fro,
            Survives(),
        ),
    ]


def _moves_too_early(scene: Scene) -> None:
    scene.reach_handshake_keys()
    elsewhere = Ear(scene, PEER_PORT)
    number = scene.peer.next_number(HANDSHAKE)
    scene.bent.append((HANDSHAKE, number))
    elsewhere.say(scene.peer.packet(frames.unknown(0x21), HANDSHAKE, packet_number=number))
    scene.run(0.05)
    require(not elsewhere.datagrams, "the server answered there")


def _spoofs_a_move(scene: Scene) -> None:
    scene.connect()
    victim = scene.the_victim()
    # The attacker's copy overtakes the original, which is then a duplicate.
    packet = scene.peer.packet(frames.PING)
    elsewhere = Ear(scene, PEER_HOST)
    elsewhere.say(packet)
    scene.run(0.002)
    scene.peer.send_datagram(packet)
    scene.peer.freeze()
    scene.run(0.03)
    require(victim.remote == PEER_HOST, "the connection never moved")
    scene.run(10.0)
    require(victim.remote == PEER_ADDRESS, f"the connection stays at {victim.remote}")
    require(victim.active, f"the connection ended: {victim.close_error}")


def _moves_and_listens(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    elsewhere = Ear(scene, PEER_HOST)
    before = len(scene.peer.inbox.datagrams)
    elsewhere.say(scene.peer.packet(frames.PING.ljust(1150, b"\x00")))
    scene.run(0.5)
    require(elsewhere.datagrams, "the new address was not challenged")
    at_home = [one for one in scene.peer.inbox.datagrams if one not in elsewhere.datagrams]
    require(len(at_home) > before, "the previous address was not challenged")
    challenged = scene.peer.inbox.frames(PathChallengeFrame)
    require(len(challenged) >= 2, f"{len(challenged)} challenges were sent")


def _proves_a_new_host(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    path = scene.the_victim().state.path
    measured = path.active.recovery
    elsewhere = Ear(scene, PEER_HOST)
    elsewhere.say(scene.peer.packet(frames.PING.ljust(100, b"\x00")))
    sizes: list[int] = []
    answered = 0
    for _ in range(10):
        scene.run(0.05)
        for packet in elsewhere.packets[answered:]:
            for frame in packet.frames:
                if isinstance(frame, PathChallengeFrame):
                    sizes.append(packet.datagram_size)
                    elsewhere.say(scene.peer.packet(frames.path_response(frame.data)))
        answered = len(elsewhere.packets)
    require(path.active.remote == PEER_HOST and path.active.validated, "it was not validated")
    require(sizes and sizes[0] < INITIAL_SIZE, f"the first challenge of {sizes} was not small")
    require(INITIAL_SIZE in sizes, f"challenges had {sizes} bytes")
    require(path.active.recovery is not measured, "what was measured elsewhere is used here")


def _moves_with_an_old_packet(scene: Scene) -> None:
    scene.connect()
    old = scene.peer.packet(frames.PING)
    scene.peer.send(frames.PING)
    scene.run(0.03)
    scene.peer.freeze()
    Ear(scene, PEER_PORT).say(old)
    scene.run(0.1)
    require(scene.the_victim().remote == PEER_ADDRESS, "an old packet moved the connection")


def _guesses_responses(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    elsewhere = Ear(scene, PEER_HOST)
    for guess in range(50):
        answer = frames.path_response(guess.to_bytes(8, "big"))
        elsewhere.say(scene.peer.packet(frames.PING + answer))
        scene.run(0.02)
    route = scene.the_victim().state.path.active
    require(route.remote == PEER_HOST, "the connection did not move")
    require(not route.validated, "a guess validated the address")


def _moves_to_and_fro(scene: Scene) -> None:
    scene.connect()
    elsewhere = Ear(scene, PEER_PORT)
    for _ in range(150):
        elsewhere.say(scene.peer.packet(frames.PING))
        scene.run(0.001)
        scene.peer.send(frames.PING)
        scene.run(0.001)
    path = scene.the_victim().state.path
    require(len(path.candidates) <= 4, f"{len(path.candidates)} routes are on trial")


CHECKS: tuple[Check, ...] = (*amplification(), *challenges(), *migration())
