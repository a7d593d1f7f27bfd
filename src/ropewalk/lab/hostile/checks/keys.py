"""Key updates and the limits of keys (RFC 9001 6)."""

from __future__ import annotations

from typing import Final

from ropewalk.lab.hostile import frames, packets
from ropewalk.lab.hostile.check import Check, Story, checks
from ropewalk.lab.hostile.outcome import Closes, Holds, Outcome, Survives, require
from ropewalk.lab.hostile.scene import Scene
from ropewalk.quic.connection import Connection
from ropewalk.quic.protection.key_update import OneRttKeys
from ropewalk.quic.types.error_codes import AEAD_LIMIT_REACHED, KEY_UPDATE_ERROR
from ropewalk.quic.types.handshake import ONE_RTT

_KEY_UPDATE: Final = Closes((KEY_UPDATE_ERROR,))


def _row(name: str, section: str, about: str, story: Story, outcome: Outcome) -> list[Check]:
    return checks(name, f"RFC 9001 {section}", about, story, outcome)


def updates() -> list[Check]:
    """6.1 to 6.5: new keys, old keys, keys too early."""
    return [
        *_row(
            "key-update-is-followed",
            "6.2",
            "a packet under the next keys",
            _updates_once,
            Holds("answers under the next keys"),
        ),
        *_row(
            "key-updates-one-after-another",
            "6.2",
            "thirty key updates, each after an answer to the one before",
            _updates_thirty_times,
            Survives(),
        ),
        *_row(
            "second-key-update-before-an-answer",
            "6.2",
            "two key updates without waiting for an acknowledgment",
            _sends_generations((1, 0), (2, 1)),
            _KEY_UPDATE,
        ),
        *_row(
            "next-keys-for-a-lower-number",
            "6.4",
            "a packet under the next keys with a lower number than one under the old",
            _sends_generations((0, 5), (1, 2)),
            _KEY_UPDATE,
        ),
        *_row(
            "new-keys-below-old-ones",
            "6.4",
            "numbers 10 under new keys, 5 under old, 3 under new",
            _sends_generations((1, 10), (0, 5), (1, 3)),
            _KEY_UPDATE,
        ),
        *_row(
            "late-packet-under-old-keys",
            "6.5",
            "a packet under old keys that was overtaken by the key update",
            _sends_generations((1, 3), (0, 2), matters=True),
            Survives(processed=True),
        ),
        *_row(
            "old-keys-for-a-higher-number",
            "6.4",
            "a packet under old keys with a higher number than one under new keys",
            _returns_to_old_keys,
            Survives(processed=False),
        ),
        *_row(
            "key-phase-bit-turned-over",
            "6.3",
            "a packet under the old keys that says it is under the next",
            _turns_the_phase,
            Survives(processed=False),
        ),
        *_row(
            "new-packets-acknowledged-under-old-keys",
            "6.2",
            "an ACK under the old keys of a packet that came under the new ones",
            _acknowledges_under_old_keys,
            _KEY_UPDATE,
        ),
    ]


def _send(scene: Scene, generation: int, number: int, payload: bytes = frames.PING) -> None:
    scene.peer.send_datagram(
        scene.peer.packet(
            payload,
            packet_number=number,
            key_phase=generation & 1,
            keys=scene.peer.generation(generation),
        )
    )


def _sends_generations(*steps: tuple[int, int], matters: bool = False) -> Story:
    """Packets of some generation of keys, each with a number counted from the next one."""

    def story(scene: Scene) -> None:
        scene.connect()
        scene.peer.freeze()
        base = scene.peer.next_number()
        for generation, ahead in steps:
            if matters:
                scene.bent.append((ONE_RTT, base + ahead))
            _send(scene, generation, base + ahead)
            # All of them arrive before the victim's delayed ACK goes out.
            scene.run(0.0001)
        for _ in range(20):
            scene.peer.next_number()
        if matters:
            scene.run(0.05)
            scene.peer.use_generation(max(generation for generation, _ in steps))

    return story


def _updates_once(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    number = scene.peer.next_number()
    _send(scene, 1, number)
    scene.run(0.1)
    require(scene.peer.inbox.acknowledged(ONE_RTT, number), "the packet was not acknowledged")
    phases = [packet.key_phase for packet in scene.peer.inbox.packets if packet.level == ONE_RTT]
    require(phases[-1] == 1, f"the answer has key phase {phases[-1]}")
    require(int(scene.the_victim().counters.key_updates) == 1, "no key update was counted")


def _updates_thirty_times(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    for generation in range(1, 31):
        number = scene.peer.next_number()
        _send(scene, generation, number)
        scene.run(0.1)
        require(scene.peer.inbox.acknowledged(ONE_RTT, number), f"update {generation} failed")
    scene.peer.use_generation(30)


def _returns_to_old_keys(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    _send(scene, 1, scene.peer.next_number())
    scene.run(0.05)
    number = scene.peer.next_number()
    scene.bent.append((ONE_RTT, number))
    _send(scene, 0, number, frames.unknown(0x21) + bytes(8))
    scene.run(0.05)
    scene.peer.use_generation(1)


def _turns_the_phase(scene: Scene) -> None:
    scene.connect()
    scene.bend(frames.unknown(0x21) + bytes(8), key_phase=1)
    scene.run(0.05)
    require(int(scene.the_victim().counters.key_updates) == 0, "the keys were updated")


def _acknowledges_under_old_keys(scene: Scene) -> None:
    scene.connect()
    scene.run(0.2)
    scene.peer.freeze()
    victim = scene.the_victim()
    updated = []

    def update() -> None:
        updated.append(victim.update_keys(scene.now))
        victim.ping(scene.now)

    scene.act(update)
    require(updated == [True], "the victim cannot update its keys yet")
    scene.run(0.05)
    newest = [packet for packet in scene.peer.inbox.packets if packet.level == ONE_RTT][-1]
    require(newest.key_phase == 1, "no packet came under the new keys")
    _send(scene, 0, scene.peer.next_number(), frames.ack(newest.packet_number))


def limits() -> list[Check]:
    """6.6: how often keys may be used, and how often opening may fail."""
    return [
        *_row(
            "integrity-limit",
            "6.6",
            "more forged packets than the integrity limit allows (set to 20 for this)",
            _forges_twenty,
            Closes((AEAD_LIMIT_REACHED,)),
        ),
        *_row(
            "forged-packets-below-the-integrity-limit",
            "6.6",
            "a thousand forged packets",
            _forges_a_thousand,
            Survives(),
        ),
        *_row(
            "confidentiality-limit-without-a-way-out",
            "6.6",
            "a peer that makes the victim use up its keys and never acknowledges an update",
            _exhausts_keys,
            Closes((AEAD_LIMIT_REACHED,)),
        ),
    ]


def _keys(victim: Connection) -> OneRttKeys:
    keys = victim.state.keys
    assert keys is not None
    return keys


def _forges(scene: Scene, count: int) -> None:
    for _ in range(count):
        scene.peer.send_datagram(packets.damaged(scene.peer.packet(frames.PING)))
    scene.run(0.05)


def _forges_twenty(scene: Scene) -> None:
    scene.connect()
    _keys(scene.the_victim()).integrity_limit = 20
    _forges(scene, 19)
    require(scene.the_victim().active, "the victim closed before the limit")
    _forges(scene, 1)


def _forges_a_thousand(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    _forges(scene, 1000)


def _exhausts_keys(scene: Scene) -> None:
    scene.connect()
    scene.peer.freeze()
    _keys(scene.the_victim()).confidentiality_limit = 24
    for _ in range(100):
        scene.peer.send(frames.PING)
        scene.run(0.03)
        if not scene.the_victim().active:
            break
    sealed = int(_keys(scene.the_victim()).sealed_count)
    require(sealed <= 24 + 1, f"{sealed} packets were sealed with one set of keys")


CHECKS: tuple[Check, ...] = (*updates(), *limits())
